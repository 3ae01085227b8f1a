"""A real rtpengine as the voice: the same commands, the same events."""

from __future__ import annotations

import asyncio

import pytest

from bridge import config
from bridge.calls.commands import (
    AcceptPbxAnswer,
    CloseMedia,
    ConnectBrowser,
    HoldMedia,
    JoinMedia,
    MediaPolicy,
    OfferMedia,
    ReofferMedia,
    Secrecy,
    SendDigits,
)
from bridge.calls.events import (
    BrowserAnswered,
    BrowserLost,
    CodecChanged,
    DigitsUnsent,
    MediaOfferMade,
    MediaReady,
    MediaReanswered,
    MediaReoffered,
    PbxLegMoved,
    TabId,
)
from bridge.errors import ConfigError
from bridge.media.engine import ng
from bridge.media.engine.rtpengine import RtpengineVoice
from bridge.media.equipment import Patience
from bridge.media.sdp import SdpError

from ...rig.rtpengine import Rtpengine
from ..stage import CALL, CODECS, TAB, Page, Stage, pbx_answer, pbx_offer, port_of, rtp, stage

pytestmark = pytest.mark.scenario
OTHER = TabId("tab-2")
PATIENT = 500
"""Packets: on a busy machine an engine is ready a second after the page."""
QUICK = Patience(browser=0.4, connect=5)


async def talking(here: Stage) -> Page:
    page = await here.connect()
    await here.join(page)
    await here.pbx.next_with(b"first")
    return page


async def go_on(here: Stage) -> Page:
    """Another page offers its voice, and the PBX follows to where that is carried now."""
    page = Page()
    here.pages.append(page)
    connect = ConnectBrowser(
        call=CALL, tab=OTHER, offer="o-1", sdp=await page.offer(), pbx_offer=here.offer(), codecs=CODECS
    )
    await here.room.perform(connect)
    moved = await here.mail.next(PbxLegMoved)
    await page.accept((await here.mail.next(BrowserAnswered)).sdp)
    await here.room.perform(JoinMedia(call=CALL, tab=OTHER, speaks=True))
    await here.mail.next(MediaReady)
    await here.room.perform(AcceptPbxAnswer(call=CALL, sdp=pbx_answer(here.pbx.port, "PCMU", version=2)))
    here.pbx.bridge = "127.0.0.1", port_of(moved.sdp)
    return page


async def says(here: Stage, page: Page, payload: bytes, tries: int = PATIENT) -> None:
    """The PBX hears it, sooner or later: packets may be on their way still."""
    for _ in range(tries):
        await page.say(payload)
        await asyncio.sleep(0.02)
        while not here.pbx.heard.empty():
            if (await here.pbx.next()).payload == payload:
                return
    raise AssertionError(f"the PBX never heard {payload!r}")


async def hears(here: Stage, page: Page, payload: bytes) -> None:
    for sequence in range(PATIENT):
        here.pbx.send(rtp(0, sequence, 160 * sequence, payload))
        await asyncio.sleep(0.02)
        while not page.heard.empty():
            if (await page.next()).payload == payload:
                return
    raise AssertionError(f"the page never heard {payload!r}")


async def test_an_inbound_call_is_carried_both_ways(engine: Rtpengine) -> None:
    async with stage(rtpengine=engine.address) as here:
        page = await talking(here)
        await says(here, page, b"operator")
        await hears(here, page, b"caller")


async def test_a_page_that_says_it_speaks_is_joined_at_once(engine: Rtpengine) -> None:
    async with stage(rtpengine=engine.address) as here:
        await here.connect()
        await here.room.perform(JoinMedia(call=CALL, tab=TAB, speaks=True))
        assert b"m=audio" in (await here.mail.next(MediaReady)).sdp
        await here.room.perform(JoinMedia(call=CALL, tab=TAB, speaks=True))
        assert here.mail.empty


async def test_hold_closes_both_ways_and_resume_opens_them(engine: Rtpengine) -> None:
    async with stage(rtpengine=engine.address) as here:
        page = await talking(here)
        await here.room.perform(HoldMedia(call=CALL, held=True))
        assert b"a=sendonly" in (await here.mail.next(MediaReoffered)).sdp
        answer = pbx_answer(here.pbx.port, "PCMU", direction="recvonly", version=2)
        await here.room.perform(AcceptPbxAnswer(call=CALL, sdp=answer))
        with pytest.raises(AssertionError, match="never heard"):
            await says(here, page, b"unheard", tries=25)
        await here.room.perform(HoldMedia(call=CALL, held=False))
        assert b"a=sendrecv" in (await here.mail.next(MediaReoffered)).sdp
        await here.room.perform(AcceptPbxAnswer(call=CALL, sdp=pbx_answer(here.pbx.port, "PCMU", version=3)))
        await says(here, page, b"again")
        await hears(here, page, b"too")


async def test_another_page_takes_over_and_the_pbx_leg_stays_where_it_is(engine: Rtpengine) -> None:
    async with stage(rtpengine=engine.address) as here:
        await talking(here)
        before = here.pbx.bridge
        for number in range(2):
            tab = TabId(f"next-{number}")
            page = await here.connect(tab)
            await here.join(page, tab)
            assert here.pbx.bridge == before
            await says(here, page, b"page %d" % number)
            await hears(here, page, b"hello %d" % number)


async def test_a_page_that_falls_silent_is_lost(engine: Rtpengine) -> None:
    async with stage(QUICK, rtpengine=engine.address) as here:
        await talking(here)
        lost = await here.mail.next(BrowserLost)
        assert lost.tab == TAB
        page = await here.connect(OTHER)
        await here.join(page, OTHER)


async def test_the_warm_leg_that_is_wanted_is_the_one_that_is_heard(engine: Rtpengine) -> None:
    async with stage(rtpengine=engine.address) as here:
        page = await here.connect()
        await here.connect(OTHER)
        await here.join(page)
        await says(here, page, b"operator")
        await hears(here, page, b"caller")


async def test_an_outbound_call_is_offered_and_carried_once_it_is_answered(engine: Rtpengine) -> None:
    async with stage(rtpengine=engine.address) as here:
        page, ready = await here.dial("PCMU", "PCMA")
        assert b"m=audio" in ready.sdp
        assert b" 0 8 101" in ready.sdp
        await here.room.perform(AcceptPbxAnswer(call=CALL, sdp=pbx_answer(here.pbx.port, "PCMU")))
        await says(here, page, b"operator")
        await hears(here, page, b"caller")


async def test_a_pbx_that_chooses_another_codec_makes_the_page_offer_again(engine: Rtpengine) -> None:
    async with stage(rtpengine=engine.address) as here:
        page, _ = await here.dial("PCMU", "PCMA")
        await here.room.perform(AcceptPbxAnswer(call=CALL, sdp=pbx_answer(here.pbx.port, "PCMA")))
        assert (await here.mail.next(CodecChanged)).tab == TAB
        await here.reconnect(page)
        assert page.payload_type == 8


async def test_keys_arrive_as_telephone_events(engine: Rtpengine) -> None:
    async with stage(rtpengine=engine.address) as here:
        page = await talking(here)
        await here.room.perform(SendDigits(call=CALL, digits="1#"))
        heard: list[int] = []
        for _ in range(250):
            if len(heard) == 2:
                break
            await page.say(b"\xff" * 160)
            await asyncio.sleep(0.02)
            while not here.pbx.heard.empty():
                packet = await here.pbx.next()
                if packet.payload_type == 101 and packet.payload[0] not in heard:
                    heard.append(packet.payload[0])
        assert heard == [1, 11]


async def test_keys_go_another_way_where_the_pbx_takes_no_events(engine: Rtpengine) -> None:
    async with stage(rtpengine=engine.address) as here:
        await here.dial("PCMU")
        await here.room.perform(AcceptPbxAnswer(call=CALL, sdp=pbx_answer(here.pbx.port, "PCMU", events="")))
        await here.room.perform(SendDigits(call=CALL, digits="1"))
        assert (await here.mail.next(DigitsUnsent)).digits == "1"


async def test_the_pbx_moves_and_holds_by_a_new_offer(engine: Rtpengine) -> None:
    async with stage(rtpengine=engine.address) as here:
        page = await talking(here)
        offer = pbx_offer(here.pbx.port, "PCMU", direction="sendonly", version=2)
        await here.room.perform(ReofferMedia(call=CALL, sdp=offer))
        assert (await here.mail.next(MediaReanswered)).held
        await hears(here, page, b"music")
        with pytest.raises(AssertionError, match="never heard"):
            await says(here, page, b"unheard", tries=25)
        await here.room.perform(OfferMedia(call=CALL))
        assert b"m=audio" in (await here.mail.next(MediaOfferMade)).sdp
        await here.room.perform(ReofferMedia(call=CALL, sdp=pbx_offer(here.pbx.port, "PCMU", version=3)))
        assert not (await here.mail.next(MediaReanswered)).held
        await says(here, page, b"again")


async def test_an_engine_that_was_started_anew_gets_the_call_from_the_next_page(engine: Rtpengine) -> None:
    async with stage(QUICK, rtpengine=engine.address) as here:
        await talking(here)
        await engine.kill()
        await engine.start()
        assert (await here.mail.next(BrowserLost, 15)).tab == TAB
        await says(here, await go_on(here), b"operator")


async def test_a_closed_call_is_forgotten_by_the_engine(engine: Rtpengine) -> None:
    async with stage(rtpengine=engine.address) as here:
        await talking(here)
        await here.room.perform(CloseMedia(call=CALL))
        assert here.room.report[0]["calls"] == 0
        await here.room.perform(HoldMedia(call=CALL, held=True))
        assert here.mail.empty


async def test_a_trunk_that_requires_srtp_is_refused_with_the_reason(engine: Rtpengine) -> None:
    async with stage(rtpengine=engine.address) as here:
        with pytest.raises(SdpError, match="requires SRTP"):
            await here.offer_to(TAB, here.offer(), CODECS, policy=MediaPolicy(srtp=Secrecy.REQUIRED))


async def test_without_an_engine_the_bridge_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ng, "PAUSES", (0.01,))
    media = config.Media(engine="rtpengine", rtpengine="127.0.0.1:9")
    with pytest.raises(ConfigError, match="nothing answers at 127"):
        async with RtpengineVoice(media=media, post=print).running():
            pass
