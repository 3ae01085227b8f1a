"""A call that starts here: our offer, the PBX's answers, and a PBX that wants another codec than the page speaks."""

from __future__ import annotations

import asyncio
import os
from itertools import pairwise

import pytest

from bridge.calls.commands import AcceptPbxAnswer, ConnectBrowser, HoldMedia, JoinMedia, SendDigits
from bridge.calls.events import BrowserLost, CodecChanged, DigitsUnsent, MediaReady, PbxFellSilent, TabId
from bridge.errors import TheirsError
from bridge.media.comfort import QUIET
from bridge.media.equipment import Patience
from bridge.media.sdp import SdpError

from .offers import CHROMIUM
from .stage import CALL, CODECS, TAB, Page, Stage, pbx_answer, pbx_socket, rtp, stage
from .test_session import lines_of

OTHER = TabId("tab-2")


async def answered(here: Stage, sdp: bytes) -> None:
    await here.voice.perform(AcceptPbxAnswer(call=CALL, sdp=sdp))


async def test_the_offer_names_the_pages_codec_first_then_what_else_trunk_and_page_have() -> None:
    async with stage() as here:
        await here.voice.perform(JoinMedia(call=CALL, tab=TAB))
        _, ready = await here.dial("G729", "PCMA", "opus", "PCMU")
        port = here.pbx.bridge[1]
        assert lines_of(ready.sdp)[2:] == [
            "s=-",
            "c=IN IP4 127.0.0.1",
            "t=0 0",
            f"m=audio {port} RTP/AVP 8 107 0 101 110",
            "a=rtpmap:8 PCMA/8000",
            "a=rtpmap:107 opus/48000/2",
            "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:101 telephone-event/8000",
            "a=fmtp:101 0-15",
            "a=rtpmap:110 telephone-event/48000",
            "a=fmtp:110 0-15",
            "a=ptime:20",
            "a=sendrecv",
        ]


async def test_a_page_without_any_codec_of_the_trunk_is_refused() -> None:
    async with stage() as here:
        offer = ConnectBrowser(call=CALL, tab=TAB, offer="o", sdp=CHROMIUM, pbx_offer=b"", codecs=("G729",))
        with pytest.raises(SdpError, match="no common codec"):
            await here.voice.perform(offer)


async def test_early_media_is_heard_and_the_final_answer_may_come_from_elsewhere() -> None:
    async with stage() as here, pbx_socket() as far_end:
        page, _ = await here.dial("PCMU")
        here.pbx.send(rtp(0, 1, 160, b"before any answer"))
        leg = here.voice._conversations[CALL].path.pbx
        while not (leg and leg.strange):
            await asyncio.sleep(0.001)
        await answered(here, pbx_answer(here.pbx.port, "PCMU"))
        here.pbx.send(rtp(0, 2, 320, b"ringback"))
        assert (await page.next()).payload == b"ringback"
        await page.say(b"hello?")
        early = await here.pbx.next_with(b"hello?")
        await answered(here, pbx_answer(far_end.port, "PCMU", version=2))
        far_end.bridge = here.pbx.bridge
        far_end.send(rtp(0, 900, 7, b"speaking", ssrc=0x77))
        assert (await page.next()).payload == b"speaking"
        await page.say(b"hi")
        final = await far_end.next_with(b"hi")
        assert (final.ssrc, (final.sequence - early.sequence) & 0xFFFF) == (early.ssrc, 1)


async def test_the_final_answer_may_repeat_the_early_one_any_number_of_times() -> None:
    async with stage() as here:
        page, _ = await here.dial("PCMU")
        for _ in range(3):
            await answered(here, pbx_answer(here.pbx.port, "PCMU"))
            here.pbx.send(rtp(0, 1, 160, b"one"))
            here.pbx.send(rtp(0, 2, 320, b"two"))
        assert [(await page.next()).payload for _ in range(2)] == [b"one", b"two"], "repeated packets are dropped"
        assert here.mail.empty


async def test_the_voice_of_the_call_is_byte_for_byte_the_same() -> None:
    async with stage() as here:
        page, _ = await here.dial("opus")
        await answered(here, pbx_answer(here.pbx.port, "opus"))
        frames = [os.urandom(40) for _ in range(20)]
        for number, frame in enumerate(frames):
            await page.say(frame, 960)
            here.pbx.send(rtp(107, number, number * 960, frame))
            assert (await here.pbx.next_with(frame)).payload_type == 107
            assert (await page.next()).payload == frame


async def test_the_pbxs_own_payload_type_is_used_towards_it_and_ours_is_expected_from_it() -> None:
    async with stage() as here:
        page, _ = await here.dial("opus")
        sdp = pbx_answer(here.pbx.port, "opus").replace(b"107", b"98")
        await answered(here, sdp)
        await page.say(b"there", 960)
        assert (await here.pbx.next_with(b"there")).payload_type == 98
        here.pbx.send(rtp(107, 1, 1, b"back"))
        assert (await page.next()).payload == b"back"


@pytest.mark.parametrize("fault", ["other codec", "refused", "no audio", "no m-line", "srtp", "ipv6", "junk"])
async def test_an_answer_that_can_not_be_used_is_named_and_changes_nothing(fault: str) -> None:
    async with stage() as here:
        page, _ = await here.dial("PCMU")
        good = pbx_answer(here.pbx.port, "PCMU")
        bad = {
            "other codec": pbx_answer(here.pbx.port, "PCMA"),
            "refused": pbx_answer(0, "PCMU"),
            "no audio": good.replace(b"m=audio", b"m=image"),
            "no m-line": good[: good.index(b"m=audio")],
            "srtp": good.replace(b"RTP/AVP", b"RTP/SAVP"),
            "ipv6": good.replace(b"IP4 127.0.0.1", b"IP6 ::1"),
            "junk": b"\xff\0",
        }[fault]
        with pytest.raises(SdpError):
            await answered(here, bad)
        await answered(here, good)
        with pytest.raises(SdpError):
            await answered(here, bad)
        await page.say(b"as before")
        await here.pbx.next_with(b"as before")


async def test_an_answer_to_a_call_that_offered_nothing_is_refused() -> None:
    async with stage() as here:
        page = await here.connect()
        with pytest.raises(SdpError):
            await answered(here, pbx_answer(here.pbx.port, "PCMU"))
        await here.join(page)
        with pytest.raises(SdpError):
            await answered(here, pbx_answer(here.pbx.port, "PCMU"))


async def test_before_any_answer_there_is_nothing_to_hold_and_nobody_to_send_keys_to() -> None:
    async with stage() as here:
        await here.dial("PCMU")
        for command in (HoldMedia(call=CALL, held=True), SendDigits(call=CALL, digits="1")):
            with pytest.raises(TheirsError):
                await here.voice.perform(command)
        assert here.mail.empty


# ---- another codec than the page's


async def talks(here: Stage, page: Page, payload_type: int, step: int = 160) -> None:
    """Both hear each other."""
    await page.say(b"up", step)
    assert (await here.pbx.next_with(b"up")).payload_type == payload_type
    here.pbx.send(rtp(payload_type, 5000, 5000, b"down", ssrc=0x55))
    packet = await page.next()
    assert (packet.payload, packet.payload_type, packet.ssrc) == (b"down", page.payload_type, page.ssrc)


async def test_a_pbx_that_chooses_another_codec_is_heard_once_the_page_has_offered_again() -> None:
    async with stage() as here:
        page, _ = await here.dial("opus", "PCMU", "PCMA")
        await answered(here, pbx_answer(here.pbx.port, "PCMA"))
        assert (await here.mail.next(CodecChanged)).tab == TAB
        await answered(here, pbx_answer(here.pbx.port, "PCMA", version=2))
        assert here.mail.empty, "asked once"
        here.pbx.send(rtp(8, 1, 160, b"wrong codec for the page"))
        await page.say(b"wrong codec for the PBX", 960)
        before = await here.pbx.next()
        assert (before.payload in QUIET["PCMA"], before.payload_type) == (True, 8)
        answer = await here.reconnect(page)
        assert "a=rtpmap:8 PCMA/8000" in lines_of(answer)
        await here.voice.perform(JoinMedia(call=CALL, tab=TAB))
        await here.mail.next(MediaReady)
        await talks(here, page, 8)
        assert here.mail.empty
        await page.say(b"same stream")
        assert (await here.pbx.next_with(b"same stream")).ssrc == before.ssrc
        assert here.voice.legs == 1


async def test_the_final_answer_may_change_the_codec_once_more() -> None:
    async with stage() as here:
        page, _ = await here.dial("PCMU", "opus")
        await answered(here, pbx_answer(here.pbx.port, "PCMU"))
        await talks(here, page, 0)
        for name, number, step in (("opus", 107, 960), ("PCMU", 0, 160)):
            await answered(here, pbx_answer(here.pbx.port, name))
            await here.mail.next(CodecChanged)
            await here.reconnect(page)
            await talks(here, page, number, step)


async def test_a_page_that_comes_later_speaks_the_codec_of_the_pbx_at_once() -> None:
    async with stage() as here:
        await here.dial("opus", "PCMU")
        await answered(here, pbx_answer(here.pbx.port, "PCMU"))
        await here.mail.next(CodecChanged)
        other = await here.offer_to(OTHER, b"", CODECS)
        await here.join(other, OTHER)
        await talks(here, other, 0)
        assert here.mail.empty


async def test_a_leg_that_was_warm_before_the_answer_is_asked_too_when_it_is_joined() -> None:
    async with stage() as here:
        await here.dial("opus", "PCMU")
        other = await here.offer_to(OTHER, b"", CODECS)
        await answered(here, pbx_answer(here.pbx.port, "PCMU"))
        await here.mail.next(CodecChanged)
        await here.voice.perform(JoinMedia(call=CALL, tab=OTHER))
        await other.say(b"me")
        await here.mail.next(MediaReady)
        assert (await here.mail.next(CodecChanged)).tab == OTHER
        await here.reconnect(other, OTHER)
        await talks(here, other, 0)


async def test_a_page_that_offers_again_with_the_same_codec_keeps_its_stream() -> None:
    async with stage() as here:
        page, _ = await here.dial("PCMU")
        await answered(here, pbx_answer(here.pbx.port, "PCMU"))
        heard = []
        for number in range(3):
            here.pbx.send(rtp(0, number, number * 160, b"%d" % number))
            heard.append(await page.next())
            await here.reconnect(page)
        assert {packet.ssrc for packet in heard} == {page.ssrc}
        assert [b.sequence - a.sequence & 0xFFFF for a, b in pairwise(heard)] == [1, 1]


# ---- losing


async def test_a_far_end_that_rings_for_long_is_not_missed_until_it_has_answered() -> None:
    async with stage(Patience(browser=0.4, pbx=0.05, look=0.01)) as here:
        await here.dial("PCMU")
        await here.mail.next(BrowserLost)
        await answered(here, pbx_answer(here.pbx.port, "PCMU"))
        await here.mail.next(PbxFellSilent)


async def test_a_page_lost_while_it_rings_makes_no_second_offer() -> None:
    async with stage(Patience(browser=1000)) as here:
        page, ready = await here.dial("PCMU", "PCMA")
        await page.close()
        await here.mail.next(BrowserLost)
        again = await here.offer_to(OTHER, b"", CODECS)
        assert (await here.join(again, OTHER)).sdp == ready.sdp
        await answered(here, pbx_answer(here.pbx.port, "PCMU"))
        await talks(here, again, 0)


async def test_keys_are_handed_back_where_the_pbx_has_no_telephone_event() -> None:
    async with stage() as here:
        await here.dial("PCMU")
        await answered(here, pbx_answer(here.pbx.port, "PCMU", events=""))
        await here.voice.perform(SendDigits(call=CALL, digits="1#"))
        assert await here.mail.next(DigitsUnsent) == DigitsUnsent(call=CALL, digits="1#")
