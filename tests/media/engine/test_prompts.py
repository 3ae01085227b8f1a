"""What an rtpengine plays for us: before the answer, before a recording, and while no page speaks."""

from __future__ import annotations

import asyncio
from array import array
from pathlib import Path

import pytest

from bridge.calls.commands import CloseMedia, MediaPolicy, SpeakEarly, StartRecording
from bridge.calls.events import BrowserLost, EarlyMediaReady, TabId
from bridge.calls.recording import BEEP
from bridge.media import announcement
from bridge.media.codecs import codec
from bridge.media.equipment import Patience
from bridge.media.recording.recorder import Shelf
from bridge.tones import Part, Tone

from ...rig.rtpengine import Rtpengine
from ...rig.tones import goertzel
from ..stage import CALL, Page, Stage, port_of, rtp, stage
from .test_rtpengine import hears, says

pytestmark = pytest.mark.scenario
SLOW = Patience(browser=60.0)
TONE = Tone(parts=(Part(hertz=(425,), seconds=1.0),))


async def pbx_heard(here: Stage, packets: int) -> bytes:
    """PCM of so many packets that are a sound of the engine's."""
    decoder, pcm = codec.decoder("PCMU", 8000), b""
    for _ in range(packets):
        packet = await here.pbx.next()
        pcm += decoder.decode(packet.payload) if len(packet.payload) == 160 else b""
    return pcm


def share(pcm: bytes, hz: float) -> float:
    return goertzel(array("h", pcm), 8000, hz)


async def test_a_caller_hears_a_tone_until_the_operator_speaks(engine: Rtpengine) -> None:
    async with stage(SLOW, rtpengine=engine.address) as here:
        early = SpeakEarly(call=CALL, pbx_offer=here.offer("PCMU"), codecs=("PCMU",), policy=MediaPolicy(), sound=TONE)
        await here.room.perform(early)
        ready = await here.mail.next(EarlyMediaReady)
        await pbx_heard(here, 10)
        assert share(await pbx_heard(here, 25), 425) > 0.9
        page = await here.connect()
        joined = await here.join(page)
        assert (joined.sdp, port_of(joined.sdp)) == (ready.sdp, port_of(ready.sdp)), "what the PBX was told stays"
        await says(here, page, b"operator")
        await hears(here, page, b"caller")
        await asyncio.sleep(0.1)
        while not here.pbx.heard.empty():
            await here.pbx.next()
        await page.say(b"nothing but me")
        assert (await here.pbx.next()).payload == b"nothing but me"


async def test_a_caller_who_gives_up_before_the_answer_is_forgotten(engine: Rtpengine) -> None:
    async with stage(SLOW, rtpengine=engine.address) as here:
        early = SpeakEarly(call=CALL, pbx_offer=here.offer("PCMU"), codecs=("PCMU",), policy=MediaPolicy(), sound=TONE)
        await here.room.perform(early)
        await here.mail.next(EarlyMediaReady)
        await here.room.perform(CloseMedia(call=CALL))
        assert here.room.report[0]["calls"] == 0


async def test_both_sides_are_told_of_a_recording_and_hear_nothing_else_meanwhile(
    engine: Rtpengine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcement, "LEAD", 0.1)
    shelf = Shelf(directory=tmp_path / "shelf", least_free=0)
    async with stage(SLOW, rtpengine=engine.address, shelf=shelf, spool=engine.spool) as here:
        page = await here.connect()
        await here.join(page)
        await here.pbx.next_with(b"first")
        await here.room.perform(StartRecording(call=CALL, portal="p", announcement=BEEP))
        for number in range(10):
            await page.say(b"unheard")
            here.pbx.send(rtp(0, number, 160 * number, b"unheard"))
        assert share(await pbx_heard(here, 15), announcement.BEEP_HZ) > 0.5
        assert {(await page.next()).payload == b"unheard" for _ in range(15)} == {False}
        await says(here, page, b"operator")
        await hears(here, page, b"caller")


async def test_while_no_page_speaks_the_caller_hears_a_line_that_is_not_dead(engine: Rtpengine) -> None:
    async with stage(Patience(browser=1.0), rtpengine=engine.address) as here:
        page = await here.connect()
        await here.join(page)
        await here.pbx.next_with(b"first")
        await here.mail.next(BrowserLost)
        pcm = array("h", await pbx_heard(here, 50))
        assert 0 < max(map(abs, pcm[-4000:])) < 100
        other = TabId("tab-2")
        page = await here.connect(other)
        await here.join(page, other)
        await says(here, page, b"operator")


async def test_a_page_that_was_followed_by_another_is_heard_no_more_and_not_before_it_is_joined(
    engine: Rtpengine,
) -> None:
    async with stage(SLOW, rtpengine=engine.address) as here:
        first = await here.connect()
        await here.join(first)
        await here.pbx.next_with(b"first")
        other = TabId("tab-2")
        second = await here.connect(other)
        await hears(here, first, b"still mine")
        assert await heard_of(here, first, second) == {b"1"}
        await here.join(second, other)
        await hears(here, second, b"mine now")
        assert await heard_of(here, first, second) == {b"2"}


async def heard_of(here: Stage, first: Page, second: Page) -> set[bytes]:
    """Whom the PBX hears when both speak."""
    await asyncio.sleep(0.1)
    while not here.pbx.heard.empty():
        await here.pbx.next()
    for _ in range(5):
        await first.say(b"1")
        await second.say(b"2")
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)
    heard = set()
    while not here.pbx.heard.empty():
        heard.add((await here.pbx.next()).payload)
    return heard
