"""A page and a PBX that speak different codecs hear each other; those that can speak the same are never converted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.calls.commands import (
    AcceptPbxAnswer,
    CloseMedia,
    ConnectBrowser,
    HoldMedia,
    MediaPolicy,
    ReofferMedia,
    StartRecording,
    Transcode,
)
from bridge.calls.events import BrowserAnswered, CodecChanged, MediaReanswered, MediaReoffered, TabId
from bridge.media import page_sdp, sdp
from bridge.media.codecs import codec
from bridge.media.crossing import NARROW_OPUS, choose
from bridge.media.recording import tape
from bridge.media.recording.recorder import Shelf

from .offers import CHROMIUM
from .recording.test_recording import SLOW, tape_of
from .stage import CALL, CODECS, PBX_TYPES, TAB, Page, Stage, pbx_answer, pbx_offer, rtp, stage
from .tones import loudness, tone

OPUS = MediaPolicy(transcode=Transcode.OPUS_TO_BROWSER)
PAGE = page_sdp.parse_page_offer(CHROMIUM).audio


@pytest.mark.parametrize(
    ("wanted", "transcode", "chosen", "narrow"),
    [
        (("PCMA", "opus"), Transcode.WHEN_NEEDED, "PCMA", False),
        (("PCMA",), Transcode.OPUS_TO_BROWSER, "opus", True),
        (("PCMA", "opus"), Transcode.OPUS_TO_BROWSER, "opus", False),
    ],
)
def test_a_page_speaks_what_the_pbx_speaks_unless_opus_is_wished_for(
    wanted: tuple[str, ...], transcode: Transcode, chosen: str, narrow: bool
) -> None:
    codec = choose(wanted, PAGE, transcode)
    assert (codec.name, codec.fmtp) == (chosen, NARROW_OPUS if narrow else "")


def test_a_page_without_opus_is_not_bothered_with_the_wish_for_it() -> None:
    page = page_sdp.parse_page_offer(CHROMIUM.replace("SAVPF 111 63", "SAVPF 63")).audio
    assert choose(("PCMA",), page, Transcode.OPUS_TO_BROWSER).name == "PCMA"


def test_a_codec_that_nobody_can_convert_is_no_common_one() -> None:
    with pytest.raises(sdp.SdpError, match="no common codec"):
        choose(("G729",), PAGE, Transcode.WHEN_NEEDED)


@asynccontextmanager
async def crossed(
    name: str, policy: MediaPolicy = OPUS, shelf: Shelf | None = None
) -> AsyncIterator[tuple[Stage, Page]]:
    """A call of a PBX that speaks `name` only, with a page that speaks opus."""
    async with stage(SLOW, shelf=shelf) as here:
        page = await here.offer_to(TAB, here.offer(name), CODECS, policy=policy)
        ready = await here.join(page, first=codec.encoder("opus", 8000).encode(bytes(320)))
        assert f"a=rtpmap:{PBX_TYPES[name]} {name}/8000".encode() in ready.sdp
        yield here, page


async def speak(here: Stage, page: Page, name: str, source: int, seconds: float = 0.5) -> tuple[bytes, bytes]:
    """Both say a tone, the page 700 Hz and the PBX 440 Hz; what each of them hears meanwhile, decoded."""
    ours, theirs = codec.encoder("opus", 8000), codec.encoder(name, 8000)
    to_pbx, to_page = codec.decoder(name, 8000), codec.decoder("opus", 8000)
    up, down = tone(700, seconds, 8000), tone(440, seconds, 8000)
    at_the_pbx, at_the_page = bytearray(), bytearray()
    for number in range(round(seconds * 50)):
        part = slice(320 * number, 320 * (number + 1))
        await page.say(ours.encode(up[part]), 960)
        here.pbx.send(rtp(PBX_TYPES[name], number, 160 * number, theirs.encode(down[part]), source))
        at_the_pbx += to_pbx.decode((await here.pbx.next()).payload)
        at_the_page += to_page.decode((await page.next()).payload)
    return bytes(at_the_pbx), bytes(at_the_page)


@pytest.mark.parametrize("name", ["PCMU", "PCMA", "G722"])
async def test_a_page_with_opus_and_a_pbx_without_hear_each_other(name: str) -> None:
    async with crossed(name) as (here, page):
        await here.pbx.next()
        at_the_pbx, at_the_page = await speak(here, page, name, 0x77)
        assert loudness(at_the_pbx[3200:], 700, 8000) > 0.9
        assert loudness(at_the_page[3200:], 440, 8000) > 0.9


async def test_a_converted_call_that_is_over_leaves_nothing_to_the_garbage_collector() -> None:
    async with crossed("PCMA") as (here, page):
        await here.pbx.next()
        await page.say(bytes(40), 960)
        await here.end_without_a_trace()


async def test_packets_of_both_ways_keep_their_time_and_their_stream() -> None:
    async with crossed("PCMA") as (here, page):
        encoder = codec.encoder("opus", 8000)
        first = await here.pbx.next()
        for _ in range(5):
            await page.say(encoder.encode(bytes(320)), 960)
        heard = [await here.pbx.next() for _ in range(5)]
        assert {packet.ssrc for packet in heard} == {first.ssrc}
        assert {packet.payload_type for packet in heard} == {8}
        assert [packet.timestamp - first.timestamp for packet in heard] == [160 * n for n in range(1, 6)]
        for number in range(5):
            here.pbx.send(rtp(8, number, 160 * number, bytes(160)))
        told = [await page.next() for _ in range(5)]
        assert {packet.payload_type for packet in told} == {page.payload_type}
        assert {packet.ssrc for packet in told} == {page.ssrc}
        assert [packet.timestamp - told[0].timestamp for packet in told] == [960 * n for n in range(5)]


async def test_on_hold_nothing_is_converted_and_afterwards_both_hear_again() -> None:
    async with crossed("PCMU") as (here, page):
        for held, direction in ((True, "recvonly"), (False, "sendrecv")):
            await here.voice.perform(HoldMedia(call=CALL, held=held))
            await here.mail.next(MediaReoffered)
            answer = pbx_answer(here.pbx.port, "PCMU", direction=direction)
            await here.voice.perform(AcceptPbxAnswer(call=CALL, sdp=answer))
        while not here.pbx.heard.empty():
            here.pbx.heard.get_nowait()
        encoder = codec.encoder("opus", 8000)
        await page.say(encoder.encode(tone(700, 0.02, 8000)), 960)
        await here.pbx.next()
        here.pbx.send(rtp(0, 1, 160, b"\xff" * 160, 0x99))
        assert (await page.next()).payload_type == page.payload_type


async def test_a_page_that_lacks_the_codec_of_the_pbx_is_converted_for_without_a_policy() -> None:
    async with stage() as here:
        page = Page()
        here.pages.append(page)
        offer = (await page.offer()).replace("a=rtpmap:0 PCMU/8000", "a=rtpmap:0 nobody/8000")
        await here.voice.perform(
            ConnectBrowser(call=CALL, tab=TAB, offer="o", sdp=offer, pbx_offer=here.offer("PCMU"), codecs=CODECS)
        )
        answer = (await here.mail.next(BrowserAnswered)).sdp
        assert "opus/48000/2" in answer
        assert NARROW_OPUS in answer


async def test_an_outgoing_call_offers_the_trunks_codecs_and_converts_what_the_pbx_takes() -> None:
    async with stage(SLOW) as here:
        page = await here.offer_to(TAB, b"", ("PCMA", "PCMU"), policy=OPUS)
        encoder = codec.encoder("opus", 8000)
        ready = await here.join(page, first=encoder.encode(bytes(320)))
        assert b"opus" not in ready.sdp
        await here.voice.perform(AcceptPbxAnswer(call=CALL, sdp=pbx_answer(here.pbx.port, "PCMU")))
        at_the_pbx, at_the_page = await speak(here, page, "PCMU", 0x78)
        assert loudness(at_the_pbx[3200:], 700, 8000) > 0.9
        assert loudness(at_the_page[3200:], 440, 8000) > 0.9


async def test_a_pbx_that_goes_over_to_opus_is_not_converted_any_more() -> None:
    async with crossed("PCMU") as (here, page):
        offer = pbx_offer(here.pbx.port, "opus", version=2)
        await here.voice.perform(ReofferMedia(call=CALL, sdp=offer))
        await here.mail.next(MediaReanswered)
        for number in range(3):
            await page.say(b"untouched %d" % number, 960)
            here.pbx.send(rtp(PBX_TYPES["opus"], number, 960 * number, b"theirs %d" % number, 0x7A))
            await here.pbx.next_with(b"untouched %d" % number)
            while (await page.next()).payload != b"theirs %d" % number:
                pass


async def test_where_both_could_speak_the_same_the_page_is_asked_as_before() -> None:
    async with stage() as here:
        page = await here.connect(TabId("tab-1"), "PCMU", "PCMA")
        await here.join(page)
        await here.voice.perform(ReofferMedia(call=CALL, sdp=pbx_offer(here.pbx.port, "PCMA", version=2)))
        await here.mail.next(CodecChanged)


async def test_both_sides_of_a_converted_call_are_recorded_as_they_were_spoken(tmp_path: Path) -> None:
    async with crossed("PCMU", shelf=Shelf(directory=tmp_path, least_free=0)) as (here, page):
        await here.voice.perform(StartRecording(call=CALL, portal="p"))
        await speak(here, page, "PCMU", 0x79, 0.1)
        await here.voice.perform(CloseMedia(call=CALL))
        records = await tape_of(tmp_path)
    tuned = {record.channel: record.codec for record in records if isinstance(record, tape.Tuned)}
    assert tuned == {tape.Channel.OPERATOR: "opus", tape.Channel.CALLER: "PCMU"}
    for side in tape.Channel:
        assert sum(isinstance(record, tape.Heard) and record.channel is side for record in records) == 5
