"""A conference in the voice room: two calls with a page's leg each, and what every PBX and every leg hears."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from bridge.calls.commands import (
    AcceptPbxAnswer,
    CloseMedia,
    HoldMedia,
    JoinConference,
    LeaveConference,
    ReofferMedia,
    SendDigits,
    StartRecording,
)
from bridge.calls.events import CallId, CodecChanged, MediaReanswered, MediaReoffered, TabId
from bridge.errors import OursError
from bridge.media.codecs import codec
from bridge.media.recording import tape
from bridge.media.recording.recorder import Shelf

from ..recording.test_recording import SLOW, tape_of
from ..stage import (
    CALL,
    PBX_TYPES,
    TAB,
    Packet,
    Page,
    Pbx,
    Stage,
    pbx_answer,
    pbx_offer,
    pbx_socket,
    rtp,
    stage,
    without_a_trace,
)
from ..tones import loudness, tone

SECOND = CallId("call-2")
OPERATOR_HZ, FIRST_HZ, SECOND_HZ = 700, 440, 1000
FRAME = 0.02
LONG = 30.0
"""Seconds; a busy machine breaks what is mixed in real time into pieces."""


@dataclass
class End:
    """One call's PBX and page, each saying its tone without a pause."""

    call: CallId
    pbx: Pbx
    page: Page
    name: str
    hz: float
    pbx_speaks: bool = True
    page_speaks: bool = True
    said: int = 0
    to_pbx: list[Packet] = field(default_factory=list)
    to_page: list[Packet] = field(default_factory=list)

    async def speak(self) -> None:
        start = self.said * FRAME
        step = 960 if self.name == "opus" else 160
        if self.pbx_speaks:
            payload = self._encoded(self.hz, start, "pbx")
            self.pbx.send(rtp(PBX_TYPES[self.name], self.said, step * self.said, payload, 0x5000))
        if self.page_speaks:
            await self.page.say(self._encoded(OPERATOR_HZ, start, "page"), step)
        self.said += 1
        while not self.pbx.heard.empty():
            raw = self.pbx.heard.get_nowait()
            if not 191 < raw[1] < 224:  # no report
                self.to_pbx.append(Packet.read(raw))
        while not self.page.heard.empty():
            self.to_page.append(Packet.read(self.page.heard.get_nowait()))

    def __post_init__(self) -> None:
        self._encoders = {who: codec.encoder(self.name, 8000) for who in ("pbx", "page")}

    def _encoded(self, hz: float, start: float, who: str) -> bytes:
        return self._encoders[who].encode(tone(hz, FRAME, 8000, start=start, volume=5000))

    def heard(self, packets: list[Packet]) -> dict[float, float]:
        """How much of the power each tone has, in the last half second."""
        decoder = codec.decoder(self.name, 8000)
        pcm = b"".join(
            decoder.decode(packet.payload) for packet in packets if packet.payload_type < 97 or self.name == "opus"
        )
        return {hz: loudness(pcm[-8000:], hz, 8000) for hz in (OPERATOR_HZ, FIRST_HZ, SECOND_HZ)}


@dataclass
class Meeting:
    here: Stage
    first: End
    second: End

    async def talk(self, seconds: float) -> None:
        """In real time: what is mixed is mixed by the clock."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        for _ in range(round(seconds / FRAME)):
            for end in (self.first, self.second):
                await end.speak()
            due += FRAME
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def join(self) -> None:
        for one, other in ((CALL, SECOND), (SECOND, CALL)):
            await self.here.room.perform(JoinConference(call=one, other=other))

    async def hears(self, end: End, *expected: float) -> None:
        """The PBX of this call hears these tones and no other, as soon as half a second of it is there without a break."""
        found: dict[float, float] = {}
        async with asyncio.timeout(LONG):
            while not (
                {hz for hz, share in found.items() if share > 0.2} == set(expected)
                and all(share < 0.02 for hz, share in found.items() if hz not in expected)
            ):
                await self.talk(0.2)
                found = end.heard(end.to_pbx)


@asynccontextmanager
async def meeting(first: str = "PCMU", second: str = "PCMA", shelf: Shelf | None = None) -> AsyncIterator[Meeting]:
    """Two calls of one operator, joined with their pages; `first` and `second` are what their PBXs speak."""
    async with stage(SLOW, shelf=shelf) as here, pbx_socket() as other:
        there = Stage(here.room, here.mail, other, here.pages)
        ends = []
        for place, call, name, hz in ((here, CALL, first, FIRST_HZ), (there, SECOND, second, SECOND_HZ)):
            page = await place.connect(TAB, name, call=call)
            silence = codec.encoder(name, 8000).encode(bytes(320))
            await place.join(page, call=call, first=silence)
            ends.append(End(call, place.pbx, page, name, hz))
        yield Meeting(here, *ends)


@pytest.mark.parametrize(("first", "second"), [("PCMU", "PCMA"), ("G722", "opus")])
async def test_each_hears_the_two_others_and_nobody_himself(first: str, second: str) -> None:
    async with meeting(first, second) as met:
        await met.hears(met.first, OPERATOR_HZ)
        await met.hears(met.second, OPERATOR_HZ)
        await met.join()
        await met.hears(met.first, OPERATOR_HZ, SECOND_HZ)
        await met.hears(met.second, OPERATOR_HZ, FIRST_HZ)
        for end in (met.first, met.second):
            found = end.heard(end.to_page)
            assert found[end.hz] > 0.9, "the operator hears each of them on its own leg, untouched"


async def test_the_stream_to_a_pbx_goes_on_through_a_conference() -> None:
    async with meeting() as met:
        await met.talk(0.3)
        await met.join()
        await met.talk(0.5)
        await met.here.room.perform(LeaveConference(call=CALL))
        await met.talk(0.8)
        packets = met.first.to_pbx
        assert len({packet.ssrc for packet in packets}) == 1
        for before, after in pairwise(packets):
            assert (after.sequence - before.sequence) & 0xFFFF == 1
            assert 0 < (after.timestamp - before.timestamp) & 0xFFFFFFFF < 0x80000000
        await met.hears(met.first, OPERATOR_HZ)


async def test_without_a_page_the_two_others_go_on_hearing_one_another() -> None:
    async with meeting() as met:
        await met.join()
        met.first.page_speaks = met.second.page_speaks = False
        for page in met.here.pages:
            await page.vanish()
        await met.hears(met.first, SECOND_HZ)
        await met.hears(met.second, FIRST_HZ)


async def test_whoever_hangs_up_is_heard_no_more_and_the_other_goes_on_with_the_operator() -> None:
    async with meeting() as met:
        await met.join()
        await met.talk(0.4)
        await met.here.room.perform(CloseMedia(call=SECOND))
        met.second.page_speaks = False
        await met.hears(met.first, OPERATOR_HZ)
        await met.here.room.perform(LeaveConference(call=CALL))
        await met.hears(met.first, OPERATOR_HZ)


async def test_a_call_that_ends_in_a_conference_leaves_nothing_to_the_garbage_collector() -> None:
    async with meeting() as met:
        await met.join()
        await met.talk(0.1)
        conversation = met.here.voice._conversations[CALL]
        had = [conversation, conversation.path.pbx, conversation.path.part]
        del conversation
        async with without_a_trace(had):
            await met.here.room.perform(CloseMedia(call=CALL))


async def test_held_nobody_hears_anybody_and_resumed_they_all_do() -> None:
    async with meeting() as met:
        await met.join()
        for held in (True, False):
            for end in (met.first, met.second):
                await met.here.room.perform(HoldMedia(call=end.call, held=held))
                await met.here.mail.next(MediaReoffered)
                answer = pbx_answer(end.pbx.port, end.name, direction="recvonly" if held else "sendrecv")
                await met.here.room.perform(AcceptPbxAnswer(call=end.call, sdp=answer))
            if held:
                await met.hears(met.first)
                await met.hears(met.second)
        await met.hears(met.first, OPERATOR_HZ, SECOND_HZ)
        await met.hears(met.second, OPERATOR_HZ, FIRST_HZ)


async def test_the_music_of_a_pbx_that_holds_is_not_for_the_other_one() -> None:
    async with meeting() as met:
        await met.join()
        offer = pbx_offer(met.first.pbx.port, "PCMU", direction="sendonly", version=9)
        await met.here.room.perform(ReofferMedia(call=CALL, sdp=offer))
        assert (await met.here.mail.next(MediaReanswered)).held
        await met.hears(met.second, OPERATOR_HZ)


async def test_keys_go_to_the_one_they_are_for() -> None:
    async with meeting() as met:
        await met.join()
        await met.talk(0.2)
        await met.here.room.perform(SendDigits(call=SECOND, digits="5"))
        await met.hears(met.second, OPERATOR_HZ, FIRST_HZ)
        assert {packet.payload_type for packet in met.first.to_pbx} == {0}
        assert 101 in {packet.payload_type for packet in met.second.to_pbx}
        await met.hears(met.second, OPERATOR_HZ, FIRST_HZ)


async def test_a_pbx_that_goes_over_to_another_codec_is_heard_and_hears_in_that() -> None:
    async with meeting() as met:
        await met.join()
        offer = pbx_offer(met.first.pbx.port, "PCMA", version=2)
        await met.here.room.perform(ReofferMedia(call=CALL, sdp=offer))
        await met.here.mail.next(CodecChanged)
        await met.here.mail.next(MediaReanswered)
        await met.here.reconnect(met.first.page)
        met.first.name = "PCMA"
        met.first.__post_init__()
        await met.hears(met.first, OPERATOR_HZ, SECOND_HZ)
        await met.hears(met.second, OPERATOR_HZ, FIRST_HZ)


async def test_each_calls_recording_holds_what_its_caller_says_and_hears(tmp_path: Path) -> None:
    async with meeting(shelf=Shelf(directory=tmp_path, least_free=0)) as met:
        await met.here.room.perform(StartRecording(call=CALL, portal="p"))
        await met.talk(0.2)
        await met.join()
        await met.hears(met.first, OPERATOR_HZ, SECOND_HZ)
        await met.here.room.perform(CloseMedia(call=CALL))
        records = await tape_of(tmp_path)
    heard = [record for record in records if isinstance(record, tape.Heard)]
    decoder = codec.decoder("PCMU", 8000)
    for channel, tones in ((tape.Channel.OPERATOR, {OPERATOR_HZ, SECOND_HZ}), (tape.Channel.CALLER, {FIRST_HZ})):
        pcm = b"".join(decoder.decode(record.payload) for record in heard if record.channel is channel)
        found = {hz for hz in (OPERATOR_HZ, FIRST_HZ, SECOND_HZ) if loudness(pcm[-8000:], hz, 8000) > 0.1}
        assert found == tones


async def test_a_call_whose_voice_is_not_here_is_no_partner() -> None:
    async with meeting() as met:
        with pytest.raises(OursError, match="not here"):
            await met.here.room.perform(JoinConference(call=CALL, other=CallId("call-3")))
        await met.hears(met.first, OPERATOR_HZ)


async def test_a_page_that_comes_back_is_heard_by_both_again() -> None:
    async with meeting() as met:
        await met.join()
        await met.talk(0.2)
        pages = list(met.here.pages)
        ends = (met.first, met.second)
        for end, place in zip(
            ends, (met.here, Stage(met.here.room, met.here.mail, met.second.pbx, met.here.pages)), strict=True
        ):
            tab = TabId("tab-2")
            end.page = await place.connect(tab, end.name, call=end.call)
            await place.join(end.page, tab, call=end.call, first=codec.encoder(end.name, 8000).encode(bytes(320)))
        for page in pages:
            await page.close()
        await met.hears(met.first, OPERATOR_HZ, SECOND_HZ)
        await met.hears(met.second, OPERATOR_HZ, FIRST_HZ)
