"""Where the PBX's voice may come from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bridge.calls.commands import Latch
from bridge.media.packet import BUFFER_BYTES
from bridge.media.poller import Poller
from bridge.media.ports import PortPairs, PortsExhaustedError
from bridge.media.rtp import RtpLeg
from bridge.media.source import LATCH_PACKETS
from bridge.media.terms import Terms

from .stage import SOON, Pbx, pbx_socket, rtp

VALID = 8


class Heard:
    def __init__(self) -> None:
        self.buffer = bytearray(BUFFER_BYTES)
        self.payloads: asyncio.Queue[bytes] = asyncio.Queue()

    def voice(self, length: int, now: float) -> None:
        self.payloads.put_nowait(bytes(self.buffer[12:length]))

    async def next(self) -> bytes:
        return await asyncio.wait_for(self.payloads.get(), SOON)


@pytest.fixture
async def heard() -> Heard:
    return Heard()


@pytest.fixture
async def leg(heard: Heard) -> AsyncIterator[RtpLeg]:
    poller = Poller()
    pair = PortPairs((24_000, 24_999)).bind("127.0.0.1")
    leg = RtpLeg(pair, heard.buffer, poller, voice=heard.voice)
    yield leg
    leg.close()
    poller.close()


def follow(leg: RtpLeg, announced: tuple[str, int], latch: Latch = Latch.PORT) -> None:
    control = announced[0], announced[1] + 1
    leg.follow(Terms(address=announced, control=control, payload_type=VALID, clock_rate=8000), latch)


def say(pbx: Pbx, leg: RtpLeg, payload: bytes, payload_type: int = VALID) -> None:
    pbx.said += 1
    pbx.transport.sendto(rtp(payload_type, pbx.said, 160 * pbx.said, payload), leg.address)


async def test_rtp_has_an_even_port_and_holds_the_next(leg: RtpLeg) -> None:
    assert leg.address[1] % 2 == 0
    assert leg._rtcp.getsockname()[1] == leg.address[1] + 1


async def test_only_the_announced_address_is_heard(leg: RtpLeg, heard: Heard) -> None:
    async with pbx_socket() as pbx, pbx_socket("127.0.0.2") as stranger:
        follow(leg, ("127.0.0.1", pbx.port))
        for _ in range(2 * LATCH_PACKETS):
            say(stranger, leg, b"stranger")
        say(pbx, leg, b"pbx")
        assert await heard.next() == b"pbx"
        assert leg.source.remote == ("127.0.0.1", pbx.port)
        assert leg.strange == 2 * LATCH_PACKETS


async def test_another_port_of_the_announced_host_is_believed_after_some_valid_packets_and_then_stays(
    leg: RtpLeg, heard: Heard
) -> None:
    async with pbx_socket() as pbx, pbx_socket() as rival:
        follow(leg, ("127.0.0.1", 9))
        for number in range(LATCH_PACKETS + 1):
            say(pbx, leg, b"%d" % number)
        assert await heard.next() == b"%d" % (LATCH_PACKETS - 1)
        assert leg.source.remote == ("127.0.0.1", pbx.port)
        for _ in range(2 * LATCH_PACKETS):
            say(rival, leg, b"rival")
        say(pbx, leg, b"still me")
        assert [await heard.next(), await heard.next()] == [b"%d" % LATCH_PACKETS, b"still me"]


async def test_another_port_with_the_wrong_payload_type_is_never_believed(leg: RtpLeg, heard: Heard) -> None:
    async with pbx_socket() as pbx, pbx_socket() as other:
        follow(leg, ("127.0.0.1", pbx.port))
        for _ in range(2 * LATCH_PACKETS):
            say(other, leg, b"other", payload_type=18)
        say(pbx, leg, b"pbx")
        assert await heard.next() == b"pbx"


async def test_a_new_announcement_moves_the_voice(leg: RtpLeg, heard: Heard) -> None:
    async with pbx_socket() as old, pbx_socket() as new:
        follow(leg, ("127.0.0.1", old.port))
        say(old, leg, b"old")
        assert await heard.next() == b"old"
        follow(leg, ("127.0.0.1", new.port))
        say(new, leg, b"new")
        assert await heard.next() == b"new"
        say(old, leg, b"old again")
        say(new, leg, b"new again")
        assert await heard.next() == b"new again"


async def test_telephone_events_count_as_life_and_are_not_voice(leg: RtpLeg, heard: Heard) -> None:
    async with pbx_socket() as pbx:
        follow(leg, ("127.0.0.1", pbx.port))
        say(pbx, leg, b"\x05\x0a\x00\xa0", payload_type=101)
        say(pbx, leg, b"voice")
        assert await heard.next() == b"voice"
        assert leg.received == 2


async def test_junk_is_counted_and_harms_nothing(leg: RtpLeg, heard: Heard) -> None:
    async with pbx_socket() as pbx:
        follow(leg, ("127.0.0.1", pbx.port))
        for junk in (b"", b"x", b"\0" * 40, b"\x80" * 12, b"\xff" * 1500):
            pbx.transport.sendto(junk, leg.address)
        say(pbx, leg, b"voice")
        assert await heard.next() == b"voice"


def test_ports_run_out_with_a_clear_error_and_come_back() -> None:
    ports = PortPairs((25_001, 25_005))
    pairs = [ports.bind("127.0.0.1"), ports.bind("127.0.0.1")]
    assert [rtp.getsockname()[1] for rtp, _ in pairs] == [25_002, 25_004]
    with pytest.raises(PortsExhaustedError, match=r"media\.pbx_ports"):
        ports.bind("127.0.0.1")
    for sock in pairs[0]:
        sock.close()
    again = ports.bind("127.0.0.1")
    for sock in (*pairs[1], *again):
        sock.close()
    assert again[0].fileno() == -1
