"""Hold, from either side, and keys: from the commands to the wire."""

from __future__ import annotations

import itertools
import os
import struct
from itertools import pairwise

import pytest

from bridge.calls.commands import AcceptPbxAnswer, CloseMedia, HoldMedia, ReofferMedia, SendDigits
from bridge.calls.events import BrowserLost, MediaReanswered, MediaReoffered, PbxFellSilent, TabId
from bridge.media.comfort import QUIET
from bridge.media.equipment import Patience

from .stage import CALL, Page, Stage, pbx_answer, pbx_offer, pbx_socket, rtp, stage
from .test_session import assert_nothing_is_left, lines_of

OTHER = TabId("tab-2")
SOURCES = itertools.count(0x5000)


async def offered(here: Stage, held: bool) -> bytes:
    """What the PBX shall be offered."""
    await here.voice.perform(HoldMedia(call=CALL, held=held))
    return (await here.mail.next(MediaReoffered)).sdp


async def hold(here: Stage, held: bool, theirs: str = "", port: int = 0) -> None:
    """Hold or resume, confirmed by the PBX."""
    await offered(here, held)
    direction = theirs or ("recvonly" if held else "sendrecv")
    sdp = pbx_answer(port or here.pbx.port, "PCMU", direction=direction)
    await here.voice.perform(AcceptPbxAnswer(call=CALL, sdp=sdp))


async def pbx_offers(here: Stage, direction: str) -> MediaReanswered:
    sdp = pbx_offer(here.pbx.port, "PCMU", direction=direction, version=9)
    await here.voice.perform(ReofferMedia(call=CALL, sdp=sdp))
    return await here.mail.next(MediaReanswered)


async def exchange(here: Stage, page: Page, count: int = 10) -> None:
    """Payloads pass byte for byte both ways."""
    source = next(SOURCES)
    for number in range(count):
        frame = os.urandom(160)
        await page.say(frame)
        here.pbx.send(rtp(0, number, number * 160, frame, source))
        await here.pbx.next_with(frame)
        assert (await page.next()).payload == frame


async def test_on_hold_the_pbx_hears_silence_and_the_page_nothing_and_resumed_both_hear_again() -> None:
    async with stage() as here:
        page = await here.connect()
        ready = await here.join(page)
        packets = [await here.pbx.next()]
        await exchange(here, page)
        offer = await offered(here, True)
        assert lines_of(offer)[1] == lines_of(ready.sdp)[1].replace(" 1 IN", " 2 IN")
        assert lines_of(offer)[2:] == [line.replace("sendrecv", "sendonly") for line in lines_of(ready.sdp)[2:]]
        await page.say(b"private")
        here.pbx.send(rtp(0, 700, 7, b"music of the PBX"))
        await here.voice.perform(
            AcceptPbxAnswer(call=CALL, sdp=pbx_answer(here.pbx.port, "PCMU", direction="recvonly"))
        )
        for _ in range(10):
            await page.say(b"private")
            packets.append(await here.pbx.next())
        assert {packet.payload for packet in packets[1:]} <= set(QUIET["PCMU"])
        await hold(here, False)
        while packets[-1].payload != b"back":
            await page.say(b"back")
            packets.append(await here.pbx.next())
        assert {packet.payload for packet in packets[1:]} - set(QUIET["PCMU"]) == {b"back"}
        assert len({packet.ssrc for packet in packets}) == 1
        for a, b in pairwise(packets[1:]):
            assert (b.sequence - a.sequence) & 0xFFFF == 1
            assert 0 < (b.timestamp - a.timestamp) & 0xFFFFFFFF < 8000
        await exchange(here, page)


async def test_the_page_gets_one_stream_across_a_hold() -> None:
    async with stage() as here:
        page = await here.connect()
        await here.join(page)
        here.pbx.send(rtp(0, 1, 160, b"before"))
        before = await page.next()
        await hold(here, True)
        await hold(here, False)
        here.pbx.send(rtp(0, 2, 320, b"after"))
        after = await page.next()
        assert (after.payload, after.ssrc, (after.sequence - before.sequence) & 0xFFFF) == (b"after", before.ssrc, 1)


async def test_a_hold_that_the_pbx_refused_is_taken_back() -> None:
    async with stage() as here:
        page = await here.connect()
        await here.join(page)
        held, back = await offered(here, True), await offered(here, False)
        assert ("a=sendonly" in lines_of(held), "a=sendrecv" in lines_of(back)) == (True, True)
        await exchange(here, page)
        assert "a=sendrecv" in lines_of(await offered(here, False)), "asked again without need"
        await exchange(here, page)


async def test_the_pbx_may_answer_a_hold_with_another_address() -> None:
    async with stage() as here, pbx_socket() as music:
        page = await here.connect()
        await here.join(page)
        await hold(here, True, port=music.port)
        assert (await music.next()).payload in QUIET["PCMU"]
        await hold(here, False)
        await exchange(here, page)


async def test_both_sides_hold_and_each_resumes_only_its_own() -> None:
    async with stage() as here:
        page = await here.connect()
        await here.join(page)
        await hold(here, True)
        both = await pbx_offers(here, "sendonly")
        assert both.held
        assert "a=inactive" in lines_of(both.sdp)
        offer = await offered(here, False)
        assert "a=recvonly" in lines_of(offer)
        sdp = pbx_answer(here.pbx.port, "PCMU", direction="sendonly")
        await here.voice.perform(AcceptPbxAnswer(call=CALL, sdp=sdp))
        here.pbx.send(rtp(0, 3, 3, b"their music"))
        assert (await page.next()).payload == b"their music"
        await hold(here, True, theirs="inactive")
        ours = await pbx_offers(here, "recvonly")
        assert not ours.held
        assert "a=sendonly" in lines_of(ours.sdp)
        await page.say(b"still private")
        assert (await here.pbx.next_with(*QUIET["PCMU"])).payload_type == 0
        await hold(here, False)
        await exchange(here, page)


async def test_a_page_that_changes_during_the_hold_comes_back_to_a_held_call() -> None:
    async with stage(Patience(browser=1000)) as here:
        page = await here.connect()
        await here.join(page)
        await hold(here, True)
        await page.close()
        await here.mail.next(BrowserLost)
        again = await here.connect(OTHER)
        await here.join(again, OTHER, first=b"private")
        here.pbx.send(rtp(0, 3, 3, b"unheard"))
        for _ in range(5):
            await again.say(b"private")
            assert (await here.pbx.next()).payload != b"private"
        await hold(here, False)
        await exchange(here, again)


@pytest.mark.parametrize("holder", ["we", "the PBX"])
async def test_while_either_side_holds_the_pbx_may_be_silent(holder: str) -> None:
    async with stage(Patience(browser=0.4, pbx=0.05, look=0.01)) as here:
        page = await here.connect()
        await here.join(page)
        if holder == "we":
            await hold(here, True)
        else:
            await pbx_offers(here, "sendonly")
        await here.mail.next(BrowserLost)
        if holder == "we":
            await hold(here, False)
        else:
            await pbx_offers(here, "sendrecv")
        await here.mail.next(PbxFellSilent)


async def test_a_held_call_is_closed_without_a_trace() -> None:
    async with stage() as here:
        page = await here.connect()
        await here.join(page)
        await hold(here, True)
        await here.voice.perform(SendDigits(call=CALL, digits="123"))
        await here.voice.perform(CloseMedia(call=CALL))
        assert_nothing_is_left(here)
        for command in (HoldMedia(call=CALL, held=False), SendDigits(call=CALL, digits="1")):
            await here.voice.perform(command)


@pytest.mark.parametrize("held", [False, True])
async def test_keys_reach_the_pbx_in_the_stream_of_the_voice(held: bool) -> None:
    async with stage() as here:
        page = await here.connect()
        await here.join(page)
        packets = [await here.pbx.next()]
        if held:
            await hold(here, True)
        await here.voice.perform(SendDigits(call=CALL, digits="9#"))
        relay = here.voice._conversations[CALL].path.relay
        assert relay
        read: list[tuple[int, int, int]] = []
        while len(read) < 14:
            await page.say(b"under the key")
            packets.append(await here.pbx.next())
            if packets[-1].payload_type == 101:
                read.append(struct.unpack("!BBH", packets[-1].payload))
        for number, key in ((9, read[:7]), (11, read[7:])):
            assert [(n, d) for n, _, d in key] == [(number, d) for d in (160, 320, 480, 640, 800, 800, 800)]
            assert [flags >> 7 for _, flags, _ in key] == [0, 0, 0, 0, 1, 1, 1]
        assert len({packet.ssrc for packet in packets}) == 1
        assert {packet.payload for packet in packets[1:] if packet.payload_type == 0} <= set(QUIET["PCMU"])
        for a, b in pairwise(packets):
            assert (b.sequence - a.sequence) & 0xFFFF == 1
        while relay.keypad:  # the pause behind the last key
            await here.pbx.next()
        if held:
            await hold(here, False)
        await exchange(here, page)


async def test_keys_of_a_call_without_a_page_are_sent_too() -> None:
    async with stage(Patience(browser=1000)) as here:
        page = await here.connect()
        await here.join(page)
        await page.close()
        await here.mail.next(BrowserLost)
        await here.voice.perform(SendDigits(call=CALL, digits="7"))
        while (await here.pbx.next()).payload_type != 101:
            pass
