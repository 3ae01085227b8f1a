"""The voice room from its commands to its events, with a page made of aiortc and a PBX that is a UDP socket."""

from __future__ import annotations

import asyncio
import os
from itertools import pairwise

import pytest

from bridge import config
from bridge.calls.commands import CloseMedia, ConnectBrowser, JoinMedia, ReofferMedia
from bridge.calls.events import (
    BrowserAnswered,
    BrowserLost,
    CallId,
    CodecChanged,
    MediaReady,
    MediaReanswered,
    PbxFellSilent,
    TabId,
)
from bridge.errors import ConfigError
from bridge.media.comfort import QUIET
from bridge.media.equipment import Patience
from bridge.media.pages import MAX_LEGS_PER_CALL
from bridge.media.sdp import SdpError
from bridge.media.session import Voice

from ..rig.waiting import PATIENCE
from .offers import CHROMIUM
from .stage import (
    CALL,
    CODECS,
    ENCODINGS,
    PBX_TYPES,
    SOON,
    TAB,
    Mailbox,
    Stage,
    pbx_offer,
    pbx_socket,
    port_of,
    rtp,
    stage,
)

OTHER = TabId("tab-2")


def connect(here: Stage, sdp: str, tab: TabId = TAB, *codecs: str, call: CallId = CALL) -> ConnectBrowser:
    return ConnectBrowser(call=call, tab=tab, offer="o", sdp=sdp, pbx_offer=here.offer(*codecs), codecs=CODECS)


def lines_of(sdp: bytes | str) -> list[str]:
    return (sdp.decode() if isinstance(sdp, bytes) else sdp).splitlines()


def assert_nothing_is_left(here: Stage) -> None:
    equipment = here.voice._equipment
    assert equipment is not None
    hub = equipment.hub
    assert (hub.by_address, hub.by_username, hub.by_transaction) == ({}, {}, {})
    assert (here.voice._conversations, here.voice._quiet, here.voice.legs) == ({}, {}, 0)
    assert len(equipment.poller) == 1, "only the hub's socket is read"


# ---- the end


async def test_a_call_that_is_over_leaves_nothing_to_the_garbage_collector() -> None:
    """Garbage that has lived for minutes waits for the rare full collection, and that one holds up every voice."""
    async with stage() as here:
        await here.join(await here.connect(TAB, "PCMU"))
        await here.end_without_a_trace()


async def test_a_page_that_says_goodbye_while_its_leg_is_being_closed_is_not_lost_once_more() -> None:
    async with stage() as here:
        await here.join(await here.connect(TAB, "PCMU"))
        pages = here.voice._conversations[CALL]._pages
        association = pages.legs[TAB].association
        pages.lose(TAB, "its socket was closed")
        association._end("the other side closed the connection")
        await here.mail.next(BrowserLost)
        assert here.mail.empty


# ---- voice


async def test_a_connected_page_is_joined_on_its_word_that_it_speaks_and_one_that_is_not_yet_by_its_first_packet() -> (
    None
):
    async with stage() as here:
        early = JoinMedia(call=CALL, tab=TAB, speaks=True)
        await here.voice.perform(early)
        page = await here.connect(TAB, "PCMU")
        assert here.mail.empty
        async with asyncio.timeout(PATIENCE):
            while not here.voice._conversations[CALL].legs[TAB].connected:
                await asyncio.sleep(0)
        await here.voice.perform(early)
        await here.voice.perform(early)
        ready = await here.mail.next(MediaReady)
        here.pbx.bridge = "127.0.0.1", port_of(ready.sdp)
        await page.say(b"first")
        await here.pbx.next_with(b"first")
        assert here.mail.empty, "joined once"


@pytest.mark.parametrize("codec", ENCODINGS)
async def test_payloads_pass_byte_for_byte_both_ways(codec: str) -> None:
    step = 960 if codec == "opus" else 160
    async with stage() as here:
        page = await here.connect(TAB, codec)
        ready = await here.join(page)
        assert f"a=rtpmap:{PBX_TYPES[codec]} {ENCODINGS[codec]}" in lines_of(ready.sdp)
        to_pbx = [await here.pbx.next()]
        to_page = []
        frames = [os.urandom(160 if codec != "opus" else 20 + number) for number in range(30)]
        for number, frame in enumerate(frames):
            await page.say(frame, step)
            here.pbx.send(rtp(PBX_TYPES[codec], 65_520 + number, 2**32 - 960 + step * number, frame))
            to_pbx.append(await here.pbx.next())
            to_page.append(await page.next())
        assert [packet.payload for packet in to_pbx] == [b"first", *frames]
        assert [packet.payload for packet in to_page] == frames
        assert {packet.payload_type for packet in to_pbx} == {PBX_TYPES[codec]}
        assert {packet.payload_type for packet in to_page} == {page.payload_type}
        for packets in (to_pbx, to_page):
            assert len({packet.ssrc for packet in packets}) == 1
            for a, b in pairwise(packets):
                assert (b.sequence - a.sequence) & 0xFFFF == 1
                assert (b.timestamp - a.timestamp) & 0xFFFFFFFF == step


async def test_two_calls_do_not_hear_each_other() -> None:
    second = CallId("call-2")
    unhurried = Patience(quiet=SOON, browser=SOON)  # no silence of ours between, however busy the machine is
    async with stage(unhurried) as here, pbx_socket() as other_pbx:
        page = await here.connect()
        await here.join(page)
        first_pbx, here.pbx = here.pbx, other_pbx
        other = await here.connect(OTHER, call=second)
        await here.join(other, OTHER, call=second)
        for number in range(5):
            await page.say(b"one%d" % number)
            await other.say(b"two%d" % number)
            first_pbx.send(rtp(0, number, number * 160, b"eins%d" % number))
            other_pbx.send(rtp(0, number, number * 160, b"zwei%d" % number))
        assert [(await first_pbx.next()).payload for _ in range(6)] == [b"first", *(b"one%d" % n for n in range(5))]
        assert [(await other_pbx.next()).payload for _ in range(6)] == [b"first", *(b"two%d" % n for n in range(5))]
        assert [(await page.next()).payload for _ in range(5)] == [b"eins%d" % n for n in range(5)]
        assert [(await other.next()).payload for _ in range(5)] == [b"zwei%d" % n for n in range(5)]


async def test_telephone_events_of_the_pbx_do_not_reach_the_page() -> None:
    async with stage() as here:
        page = await here.connect()
        await here.join(page)
        here.pbx.send(rtp(101, 1, 160, b"\x05\x0a\x00\xa0"))
        here.pbx.send(rtp(0, 2, 320, b"voice"))
        assert (await page.next()).payload == b"voice"


async def test_what_the_page_sends_beside_its_codec_and_its_header_extensions_do_not_reach_the_pbx() -> None:
    async with stage() as here:
        page = await here.connect()
        await here.join(page)
        await here.pbx.next()
        await page.send_raw(rtp(111, 1, 160, b"another codec"))
        extended = bytes([0x90]) + rtp(0, 9, 9, b"")[1:] + b"\xbe\xde\x00\x01\x10\xff\x00\x00" + b"voice"
        await page.send_raw(extended)
        assert (await here.pbx.next()).payload == b"voice"


# ---- legs


async def test_the_codec_is_the_pbxs_first_that_the_page_has() -> None:
    async with stage() as here:
        await here.voice.perform(connect(here, CHROMIUM, TAB, "opus", "PCMA"))
        answered = await here.mail.next(BrowserAnswered)
        assert "a=rtpmap:111 opus/48000/2" in lines_of(answered.sdp)


async def test_an_offer_that_can_not_work_leaves_nothing_behind() -> None:
    async with stage() as here:
        with pytest.raises(SdpError, match="no common codec"):
            await here.voice.perform(connect(here, CHROMIUM.replace("111 63 9 0 8 13", "63 13"), TAB, "PCMU"))
        with pytest.raises(SdpError):
            await here.voice.perform(connect(here, "what?"))
        assert_nothing_is_left(here)


async def test_a_page_that_offers_again_keeps_its_transport_and_a_new_transport_is_a_new_leg() -> None:
    async with stage() as here:
        answers = []
        for sdp in (CHROMIUM, CHROMIUM, CHROMIUM.replace("hT9w", "new1")):
            await here.voice.perform(connect(here, sdp))
            answers.append((await here.mail.next(BrowserAnswered)).sdp)
        ufrags = [next(line for line in lines_of(answer) if "ufrag" in line) for answer in answers]
        assert ufrags[0] == ufrags[1] != ufrags[2]
        assert here.voice.legs == 1
        assert "o=- 1 2 IN" in answers[1]


async def test_a_page_that_is_reloaded_for_ever_has_a_bounded_number_of_legs() -> None:
    async with stage() as here:
        for number in range(MAX_LEGS_PER_CALL + 2):
            await here.voice.perform(connect(here, CHROMIUM, TabId(f"t{number}")))
        assert list(here.voice._conversations[CALL].legs) == [
            f"t{number}" for number in range(2, MAX_LEGS_PER_CALL + 2)
        ]


async def test_a_page_that_never_comes_is_closed_silently() -> None:
    async with stage(Patience(connect=0.05)) as here:
        await here.voice.perform(connect(here, CHROMIUM))
        await here.mail.next(BrowserAnswered)
        while here.voice.legs:
            await asyncio.sleep(0.001)
        assert here.mail.empty


async def test_a_warm_leg_whose_page_goes_is_closed_silently() -> None:
    async with stage() as here:
        page = await here.connect()
        await page.close()
        while here.voice.legs:
            await asyncio.sleep(0.001)
        assert here.mail.empty


# ---- joining


async def test_a_wish_to_join_waits_for_its_leg_and_legs_of_other_tabs_are_closed_then() -> None:
    async with stage() as here:
        await here.voice.perform(connect(here, CHROMIUM, OTHER))
        await here.mail.next(BrowserAnswered)
        await here.voice.perform(JoinMedia(call=CALL, tab=TAB))
        page = await here.connect()
        assert here.mail.empty, "nobody has spoken yet"
        await page.say(b"hello")
        assert (await here.mail.next(MediaReady)).tab == TAB
        assert (await here.pbx.next()).payload == b"hello"
        assert list(here.voice._conversations[CALL].legs) == [TAB]


async def test_a_page_that_speaks_before_it_is_joined_is_not_relayed() -> None:
    async with stage() as here:
        page = await here.connect()
        await page.say(b"too early")
        while not here.voice._conversations[CALL].legs[TAB].received:
            await asyncio.sleep(0.001)
        await here.voice.perform(JoinMedia(call=CALL, tab=TAB))
        await here.mail.next(MediaReady)
        await page.say(b"now")
        assert (await here.pbx.next()).payload == b"now"


async def test_after_a_rejoin_the_pbx_still_hears_one_stream() -> None:
    async with stage() as here:
        page = await here.connect()
        ready = await here.join(page)
        before = await here.pbx.next()
        await page.close()
        await here.mail.next(BrowserLost)
        filling = await here.pbx.next()
        again = await here.connect(OTHER, "PCMU")
        assert await here.join(again, OTHER, first=b"back") == MediaReady(call=CALL, tab=OTHER, sdp=ready.sdp)
        packets = [before, filling]
        while packets[-1].payload != b"back":
            packets.append(await here.pbx.next())
        assert {packet.ssrc for packet in packets} == {before.ssrc}
        assert {packet.payload for packet in packets[1:-1]} <= set(QUIET["PCMU"])
        for a, b in pairwise(packets):
            assert (b.sequence - a.sequence) & 0xFFFF == 1
            leap = (b.timestamp - a.timestamp) & 0xFFFFFFFF
            assert leap % 160 == 0
            assert 160 <= leap < 8000 * 3
        here.pbx.send(rtp(0, 9, 9, b"you again"))
        assert (await again.next()).payload == b"you again"


async def test_another_tab_takes_over_when_it_speaks_and_not_before() -> None:
    async with stage() as here:
        page = await here.connect()
        await here.join(page)
        other = await here.connect(OTHER)
        await here.voice.perform(JoinMedia(call=CALL, tab=OTHER))
        await page.say(b"still me")
        await here.pbx.next_with(b"still me")
        await other.say(b"now me")
        assert (await here.mail.next(MediaReady)).tab == OTHER
        await here.pbx.next_with(b"now me")
        assert list(here.voice._conversations[CALL].legs) == [OTHER]


async def test_a_rejoining_page_gets_the_codec_of_the_call_and_another_only_if_it_lacks_that() -> None:
    async with stage() as here:
        page = await here.connect(TAB, "PCMU", "opus")
        await here.join(page)
        for formats, codec in (("9 0 8 13", "0 PCMU/8000"), ("9 8 13", "111 opus/48000/2")):
            offer = CHROMIUM.replace("9 0 8 13", formats).replace("hT9w", f"hT{len(formats)}w")
            await here.voice.perform(connect(here, offer, OTHER, "PCMU", "opus"))
            assert f"a=rtpmap:{codec}" in lines_of((await here.mail.next(BrowserAnswered)).sdp)


# ---- the PBX's new offers


def reoffer(sdp: bytes) -> ReofferMedia:
    return ReofferMedia(call=CALL, sdp=sdp)


async def test_hold_stops_the_voice_to_the_pbx_and_resuming_goes_on_with_the_next_number() -> None:
    async with stage() as here:
        page = await here.connect()
        ready = await here.join(page)
        before = await here.pbx.next()
        await here.voice.perform(reoffer(pbx_offer(here.pbx.port, "PCMU", direction="sendonly", version=2)))
        held = await here.mail.next(MediaReanswered)
        assert held.held
        assert "a=recvonly" in lines_of(held.sdp)
        assert lines_of(held.sdp)[1] == lines_of(ready.sdp)[1].replace(" 1 IN", " 2 IN")
        here.pbx.send(rtp(0, 1, 160, b"music"))
        assert (await page.next()).payload == b"music"
        await page.say(b"unheard")
        here.pbx.send(rtp(0, 2, 320, b"more music"))
        await page.next()
        await here.voice.perform(reoffer(pbx_offer(here.pbx.port, "PCMU", version=3)))
        assert not (await here.mail.next(MediaReanswered)).held
        await page.say(b"heard")
        after = await here.pbx.next()
        assert (after.payload, after.ssrc) == (b"heard", before.ssrc)
        assert (after.sequence - before.sequence) & 0xFFFF == 1


async def test_an_unchanged_offer_gets_the_unchanged_answer() -> None:
    async with stage() as here:
        page = await here.connect()
        ready = await here.join(page)
        for version in (2, 3):
            await here.voice.perform(reoffer(pbx_offer(here.pbx.port, "PCMU", version=version)))
            assert (await here.mail.next(MediaReanswered)).sdp == ready.sdp


async def test_the_voice_follows_the_pbx_to_another_port() -> None:
    async with stage() as here, pbx_socket() as moved:
        page = await here.connect()
        await here.join(page)
        await here.voice.perform(reoffer(pbx_offer(moved.port, "PCMU", version=2)))
        await here.mail.next(MediaReanswered)
        await page.say(b"over there")
        await moved.next_with(b"over there")
        moved.bridge = here.pbx.bridge
        moved.send(rtp(0, 1, 160, b"from there"))
        assert (await page.next()).payload == b"from there"


async def test_a_request_for_our_offer_gets_what_is_in_use_both_ways() -> None:
    async with stage() as here:
        page = await here.connect()
        await here.join(page)
        await here.voice.perform(reoffer(pbx_offer(here.pbx.port, "PCMU", direction="inactive", version=2)))
        assert (await here.mail.next(MediaReanswered)).held
        await here.voice.perform(reoffer(b""))
        offered = await here.mail.next(MediaReanswered)
        assert not offered.held
        assert {"a=sendrecv", "a=rtpmap:0 PCMU/8000"} <= set(lines_of(offered.sdp))
        assert " 3 IN" in lines_of(offered.sdp)[1]


async def test_a_new_offer_without_the_codec_in_use_gets_another_and_the_page_is_asked_to_follow() -> None:
    async with stage() as here:
        page = await here.connect()
        await here.join(page)
        await here.voice.perform(reoffer(pbx_offer(here.pbx.port, "PCMA")))
        assert (await here.mail.next(CodecChanged)).tab == TAB
        assert "a=rtpmap:8 PCMA/8000" in lines_of((await here.mail.next(MediaReanswered)).sdp)


@pytest.mark.parametrize("bad", ["unknown codec", "fax", "junk"])
async def test_an_offer_that_can_not_be_followed_changes_nothing(bad: str) -> None:
    async with stage() as here:
        page = await here.connect()
        await here.join(page)
        fax = here.offer().replace(b"m=audio", b"m=image").replace(b"RTP/AVP", b"udptl")
        sdp = {
            "unknown codec": pbx_offer(here.pbx.port, "PCMA").replace(b"AVP 8", b"AVP 18"),
            "fax": fax,
            "junk": b"\xff\0",
        }[bad]
        with pytest.raises(SdpError):
            await here.voice.perform(reoffer(sdp))
        await page.say(b"as before")
        await here.pbx.next_with(b"as before")


# ---- losing


async def test_a_page_that_closes_is_reported_at_once() -> None:
    async with stage(Patience(browser=1000)) as here:
        page = await here.connect()
        await here.join(page)
        await page.close()
        lost = await here.mail.next(BrowserLost)
        assert (lost.tab, lost.why) == (TAB, "the other side closed the connection")


async def test_a_page_that_falls_silent_is_lost_and_the_pbx_hears_silence_meanwhile() -> None:
    async with stage(Patience(browser=0.1, quiet=0.03, look=0.01)) as here:
        page = await here.connect()
        await here.join(page)
        await page.vanish()
        lost = await here.mail.next(BrowserLost)
        assert (lost.tab, lost.why[:8]) == (TAB, "no voice")
        await here.pbx.next_with(*QUIET["PCMU"])
        assert here.mail.empty, "reported once"


async def test_voice_that_comes_back_in_time_ends_the_silence() -> None:
    async with stage(Patience(browser=1000, quiet=0.03, look=0.01)) as here:
        page = await here.connect()
        await here.join(page)
        await here.pbx.next_with(*QUIET["PCMU"])
        await page.say(b"back")
        await here.pbx.next_with(b"back")
        assert here.mail.empty


async def test_a_page_that_takes_over_and_never_speaks_is_lost_too() -> None:
    async with stage(Patience(connect=0.3, browser=1000, look=0.01)) as here:
        page = await here.connect()
        await here.join(page)
        await page.close()
        await here.mail.next(BrowserLost)
        await here.connect(OTHER)
        await here.voice.perform(JoinMedia(call=CALL, tab=OTHER))
        lost = await here.mail.next(BrowserLost)
        assert (lost.tab, lost.why) == (OTHER, "no voice from the new page")
        assert here.voice.legs == 0


async def test_a_pbx_that_falls_silent_is_reported_once_until_it_speaks_again() -> None:
    async with stage(Patience(browser=1000, pbx=0.05, look=0.01)) as here:
        page = await here.connect()
        await here.join(page)
        await here.mail.next(PbxFellSilent)
        here.pbx.send(rtp(0, 1, 160, b"sorry"))
        assert (await page.next()).payload == b"sorry"
        await here.mail.next(PbxFellSilent)


async def test_a_pbx_that_holds_may_be_silent() -> None:
    async with stage(Patience(browser=0.3, pbx=0.05, look=0.01)) as here:
        page = await here.connect()
        await here.join(page)
        await here.voice.perform(reoffer(pbx_offer(here.pbx.port, "PCMU", direction="sendonly", version=2)))
        await here.mail.next(MediaReanswered)
        await here.mail.next(BrowserLost)


# ---- the end


async def test_closing_leaves_nothing_and_is_idempotent() -> None:
    async with stage() as here:
        page = await here.connect()
        await here.join(page)
        await here.connect(OTHER)
        await here.voice.perform(connect(here, CHROMIUM, TabId("never connects")))
        for _ in range(2):
            await here.voice.perform(CloseMedia(call=CALL))
            assert_nothing_is_left(here)
        await here.voice.perform(reoffer(b""))


async def test_a_stopped_room_leaves_no_task_behind() -> None:
    before = asyncio.all_tasks()
    async with stage() as here:
        page = await here.connect()
        await here.join(page)
        await here.voice.perform(connect(here, CHROMIUM, OTHER))
    await asyncio.sleep(0)
    left = {task.get_coro().__qualname__ for task in asyncio.all_tasks() - before}  # type: ignore[union-attr]
    assert left == set()


@pytest.mark.parametrize("address", ["0.0.0.0", "224.0.0.1", "bridge.example", "::1"])
async def test_an_address_that_nobody_could_be_told_is_refused(address: str) -> None:
    voice = Voice(media=config.Media(browser_address=address, browser_port=0), post=Mailbox().post)
    with pytest.raises(ConfigError):
        async with voice.running():
            pass


@pytest.mark.parametrize("address", ["127.0.0.1", "::", "ff02::1", "fe80::1", "2001:db8::1", "bridge.example"])
async def test_an_ipv6_address_that_nobody_could_be_told_or_is_not_here_is_refused(address: str) -> None:
    voice = Voice(media=config.Media(browser_port=0, pbx_address6=address), post=Mailbox().post)
    with pytest.raises(ConfigError):
        async with voice.running():
            pass


async def test_a_port_that_is_taken_is_named() -> None:
    async with pbx_socket() as taken:
        voice = Voice(media=config.Media(browser_port=taken.port), post=Mailbox().post)
        with pytest.raises(ConfigError, match=str(taken.port)):
            async with voice.running():
                pass
