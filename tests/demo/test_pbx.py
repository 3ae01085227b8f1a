"""The demo PBX against the bridge's own SIP room, and its voice on the wire."""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest

from bridge import config
from bridge.calls.commands import AnswerPbx, CancelPbx, DialPbx, HangUpPbx, ReofferPbx, RingPbx
from bridge.calls.events import (
    CallId,
    Event,
    PbxAnswered,
    PbxCancelled,
    PbxConfirmed,
    PbxHungUp,
    PbxInvited,
    PbxProgressed,
    PbxRang,
    PbxReanswered,
    PbxRefused,
)
from bridge.demo import pbx as demo
from bridge.demo import voice
from bridge.demo.melody import SILENCE, melody
from bridge.demo.pbx import DemoPbx
from bridge.errors import RefusedError
from bridge.sip import trunk
from bridge.sip.trunk import Trunks

from ..rig.unhurried import unhurried
from ..rig.waiting import PATIENCE

RTP = 17600


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0)


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


class Room:
    """The bridge's side: one account, every event in order."""

    def __init__(self, pbx: DemoPbx, password: str = "right") -> None:
        assert pbx.address
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        numbers = count()
        self.trunks = Trunks(
            sip=config.Sip(port=0),
            trunks=[config.Trunk(name="demo", server=f"127.0.0.1:{pbx.address[1]}")],
            accounts=[
                config.OperatorAccount(
                    portal="http://b24.example", user_id=1, extension="1", trunk="demo", sip_user="1001",
                    password_env=f"DEMO_TEST_{password.upper()}",
                )
            ],
            post=self.events.put_nowait,
            new_call_id=lambda: CallId(f"call-{next(numbers)}"),
        )  # fmt: skip

    async def dial(self, number: str, sdp: bytes = b"") -> CallId:
        call = CallId(f"dialled-{number}")
        await self.trunks.perform(DialPbx(call=call, trunk="demo", account="1001", number=number, sdp=sdp or offer()))
        return call

    async def event(self) -> Event:
        async with asyncio.timeout(PATIENCE):
            return await self.events.get()

    async def invited(self) -> PbxInvited:
        event = await self.event()
        assert isinstance(event, PbxInvited)
        return event

    async def settled(self) -> str:
        """The registration's state once the registrar has spoken."""
        await until(lambda: self.trunks.registrations[0].state not in {"idle", "registering"})
        return self.trunks.registrations[0].state


def offer(port: int = 9, kind: int = 0) -> bytes:
    return f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP {kind}\r\n".encode()


class Ear(asyncio.DatagramProtocol):
    """An RTP socket."""

    def __init__(self) -> None:
        self.udp: Any = None
        self.packets: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.packets.put_nowait((data, addr))

    def answer(self, kind: int) -> bytes:
        return offer(self.udp.get_extra_info("sockname")[1], kind)


@asynccontextmanager
async def ear() -> AsyncIterator[Ear]:
    udp, ear = await asyncio.get_running_loop().create_datagram_endpoint(Ear, local_addr=("127.0.0.1", 0))
    ear.udp = udp
    try:
        yield ear
    finally:
        udp.close()


@pytest.fixture(autouse=True)
def _passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_TEST_RIGHT", "pw-1001")
    monkeypatch.setenv("DEMO_TEST_WRONG", "nonsense")
    monkeypatch.setattr(trunk, "GOODBYE_SECONDS", 0.2)
    unhurried(monkeypatch)


@pytest.fixture
async def pbx() -> AsyncIterator[DemoPbx]:
    pbx = DemoPbx("127.0.0.1", 0, {"1001": "pw-1001"}, RTP)
    async with pbx.running():
        yield pbx


@pytest.fixture
async def room(pbx: DemoPbx) -> AsyncIterator[Room]:
    room = Room(pbx)
    async with room.trunks.running():
        assert await room.settled() == "registered"
        yield room


async def test_only_the_right_password_registers(pbx: DemoPbx) -> None:
    room = Room(pbx, "wrong")
    async with room.trunks.running():
        assert await room.settled() == "refused"
        assert pbx.registered == frozenset()
        with pytest.raises(RefusedError, match="1001"):
            await pbx.call("1001", "100", "Ann")


async def test_an_account_that_leaves_can_no_longer_be_called(pbx: DemoPbx) -> None:
    room = Room(pbx)
    async with room.trunks.running():
        await room.settled()
        assert pbx.registered == {"1001"}
    assert pbx.registered == frozenset()


async def test_a_call_rings_with_number_and_name_and_is_cancelled_on_hang_up(pbx: DemoPbx, room: Room) -> None:
    await pbx.call("1001", "+74951234567", "Анна")
    invited = await room.invited()
    assert (invited.account, invited.caller, invited.caller_name) == ("1001", "+74951234567", "Анна")
    await room.trunks.perform(RingPbx(call=invited.call))
    assert [call.stage for call in pbx.calls] == ["inviting"]
    await pbx.hang_up()
    assert await room.event() == PbxCancelled(call=invited.call, elsewhere=False)


async def test_an_unanswered_call_is_cancelled(pbx: DemoPbx, room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "RING_SECONDS", 0.05)
    await pbx.call("1001", "", "")
    invited = await room.invited()
    assert invited.caller == ""
    assert await room.event() == PbxCancelled(call=invited.call, elsewhere=False)


@pytest.mark.parametrize("kind", [0, 8])
async def test_an_answered_call_plays_the_melody_then_echoes(
    pbx: DemoPbx, room: Room, kind: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice, "melody", lambda kind, frame: melody(kind, frame)[:3])
    monkeypatch.setattr(voice, "FRAME_SECONDS", 0.001)
    async with ear() as browser:
        await pbx.call("1001", "100", "Ann")
        call = (await room.invited()).call
        await room.trunks.perform(AnswerPbx(call=call, sdp=browser.answer(kind)))
        assert await room.event() == PbxConfirmed(call=call)
        heard, place = [], ("", 0)
        for number in range(80):
            packet, place = await asyncio.wait_for(browser.packets.get(), PATIENCE)
            heard.append(packet)
            said = struct.pack("!BBHII", 0x80, kind, number, 160 * number, 7) + bytes([number]) * 160
            browser.udp.sendto(said, place)
        assert [struct.unpack("!H", packet[2:4])[0] for packet in heard] == list(range(80))
        assert [struct.unpack("!I", packet[4:8])[0] for packet in heard] == [160 * n for n in range(80)]
        assert {packet[1] & 0x7F for packet in heard} == {kind}
        assert tuple(packet[12:] for packet in heard[:3]) == melody(kind, 160)[:3]
        echoed = [packet[12] for packet in heard[3:] if packet[12:] != SILENCE[kind] * 160]
        assert len(echoed) > 20
        assert echoed == sorted(echoed)
        await pbx.hang_up()
        assert isinstance(await room.event(), PbxHungUp)


async def test_our_bye_ends_the_call_and_frees_its_port(pbx: DemoPbx, room: Room) -> None:
    async with ear() as browser:
        for _ in range(demo.MOST_CALLS + 1):
            await pbx.call("1001", "100", "Ann")
            invited = await room.invited()
            await room.trunks.perform(AnswerPbx(call=invited.call, sdp=browser.answer(0)))
            await room.event()
            await room.trunks.perform(HangUpPbx(call=invited.call))
            await until(lambda: not pbx.calls)


async def test_a_long_call_ends_by_itself(pbx: DemoPbx, room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "TALK_SECONDS", 0.05)
    await pbx.call("1001", "100", "Ann")
    call = (await room.invited()).call
    await room.trunks.perform(AnswerPbx(call=call, sdp=offer()))
    await room.event()
    assert isinstance(await room.event(), PbxHungUp)


# ---- what operators can dial


async def test_600_answers_and_speaks_where_the_offer_says(pbx: DemoPbx, room: Room) -> None:
    async with ear() as browser:
        call = await room.dial("600", browser.answer(8))
        answered = await room.event()
        assert isinstance(answered, PbxAnswered)
        assert b" RTP/AVP 8\r\n" in answered.sdp
        packet, _ = await asyncio.wait_for(browser.packets.get(), PATIENCE)
        assert packet[12:] == melody(8, 160)[0]
        await room.trunks.perform(HangUpPbx(call=call))
        await until(lambda: not pbx.calls)


async def test_601_plays_before_it_answers(pbx: DemoPbx, room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "MELODY_SECONDS", 0.1)
    async with ear() as browser:
        await room.dial("601", browser.answer(0))
        early = await room.event()
        assert isinstance(early, PbxProgressed)
        packet, _ = await asyncio.wait_for(browser.packets.get(), PATIENCE)
        assert packet[12:] == melody(0, 160)[0]
        answered = await room.event()
        assert isinstance(answered, PbxAnswered)
        assert answered.sdp in {early.sdp, b""}, "an early answer that was acknowledged is not said twice"


@pytest.mark.parametrize(("number", "status"), [("605", 486), ("607", 403), ("12", 404), ("*21#", 404)])
async def test_numbers_that_are_refused(room: Room, number: str, status: int) -> None:
    await room.dial(number)
    refused = await room.event()
    assert isinstance(refused, PbxRefused)
    assert refused.status == status


async def test_606_rings_until_it_is_cancelled(pbx: DemoPbx, room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "PICK_UP_SECONDS", 0)
    call = await room.dial("606")
    assert await room.event() == PbxRang(call=call)
    await room.trunks.perform(CancelPbx(call=call))
    refused = await room.event()
    assert isinstance(refused, PbxRefused)
    assert refused.status == 487
    await until(lambda: not pbx.calls)


async def test_any_other_number_rings_and_is_answered(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "PICK_UP_SECONDS", 0.05)
    call = await room.dial("+49305550199")
    assert await room.event() == PbxRang(call=call)
    assert isinstance(await room.event(), PbxAnswered)


async def test_an_offer_without_g711_gets_488(room: Room) -> None:
    await room.dial("600", offer().replace(b"RTP/AVP 0", b"RTP/AVP 9"))
    refused = await room.event()
    assert isinstance(refused, PbxRefused)
    assert refused.status == 488


async def test_a_call_of_somebody_who_is_not_registered_is_forbidden(pbx: DemoPbx) -> None:
    room = Room(pbx, "wrong")
    async with room.trunks.running():
        assert await room.settled() == "refused"
        await room.dial("600")
        refused = await room.event()
        assert isinstance(refused, PbxRefused)
        assert refused.status == 403


async def test_a_held_call_is_silent_until_it_is_resumed(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice, "FRAME_SECONDS", 1e-6)  # a packet every turn of the loop
    async with ear() as browser:
        call = await room.dial("600", browser.answer(0))
        assert isinstance(await room.event(), PbxAnswered)
        await room.trunks.perform(ReofferPbx(call=call, sdp=browser.answer(0) + b"a=sendonly\r\n"))
        held = await room.event()
        assert isinstance(held, PbxReanswered)
        assert b"a=recvonly" in held.sdp
        await turns(20)
        before = browser.packets.qsize()
        await turns(50)
        assert browser.packets.qsize() == before > 0
        await room.trunks.perform(ReofferPbx(call=call, sdp=browser.answer(0) + b"a=sendrecv\r\n"))
        resumed = await room.event()
        assert isinstance(resumed, PbxReanswered)
        assert b"a=sendrecv" in resumed.sdp
        await until(lambda: browser.packets.qsize() > before)


def test_the_melody_is_two_alternating_tones_of_3_s_with_a_soft_start() -> None:
    packets = melody(0, 160)
    assert len(packets) == 150
    assert {len(packet) for packet in packets} == {160}
    sound = [_linear(code) for code in b"".join(packets)]
    assert max(map(abs, sound)) < 16000
    assert abs(sound[0]) < 50
    assert _strongest(sound[400:3600]) == pytest.approx(659.25, abs=10)
    assert _strongest(sound[6400:9600]) == pytest.approx(523.25, abs=10)


def _linear(code: int) -> int:
    """ITU-T G.711 mu-law, from the segments' formula."""
    code = ~code & 0xFF
    sign, segment, step = code & 0x80, code >> 4 & 7, code & 15
    level = ((2 * step + 33) << segment) - 33
    return int(-level if sign else level) * 4


def _strongest(sound: list[int]) -> float:
    """The loudest of a comb of frequencies, by correlation."""

    def power(hertz: float) -> float:
        angle = 2 * math.pi * hertz / 8000
        return math.hypot(
            sum(level * math.cos(angle * n) for n, level in enumerate(sound)),
            sum(level * math.sin(angle * n) for n, level in enumerate(sound)),
        )

    return max((440.0, 523.25, 587.33, 659.25, 880.0, 1046.5), key=power)
