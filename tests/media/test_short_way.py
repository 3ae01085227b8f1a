"""Lanes open by themselves, and nothing that changes in a call is missed by what goes through them."""

from __future__ import annotations

import asyncio

from bridge.calls.commands import ReofferMedia
from bridge.calls.events import MediaReanswered
from bridge.media.rtp import RtpLeg
from bridge.media.webrtc import BrowserLeg

from .stage import CALL, SOON, TAB, Page, Pbx, Stage, pbx_offer, pbx_socket, rtp, stage


def legs(here: Stage) -> tuple[BrowserLeg, RtpLeg]:
    conversation = here.voice._conversations[CALL]
    assert isinstance(conversation.path.pbx, RtpLeg)
    return conversation.legs[TAB], conversation.path.pbx


def open_lanes(here: Stage) -> tuple[bool, bool]:
    page, pbx = legs(here)
    return page.association.lane is not None, pbx._door.lane is not None


async def both_hear(page: Page, pbx: Pbx, times: int = 3) -> None:
    for _ in range(times):
        pbx.said += 1
        from_page, from_pbx = bytes([pbx.said]) * 160, bytes([0x80 | pbx.said]) * 160
        await page.say(from_page)
        assert (await pbx.next_with(from_page)).payload == from_page
        pbx.send(rtp(0, pbx.said, 160 * pbx.said, from_pbx))
        async with asyncio.timeout(SOON):
            while (await page.next()).payload != from_pbx:
                pass


async def follows(here: Stage, port: int, version: int, **more: str) -> None:
    await here.voice.perform(ReofferMedia(call=CALL, sdp=pbx_offer(port, "PCMU", version=version, **more)))
    await here.mail.next(MediaReanswered)


async def test_all_packets_of_a_steady_call_are_counted_and_a_stranger_that_guesses_the_next_is_not_heard() -> None:
    async with stage() as here, pbx_socket("127.0.0.2") as stranger:
        page = await here.connect()
        await here.join(page)
        await both_hear(page, here.pbx)
        assert open_lanes(here) == (True, True)
        stranger.bridge = here.pbx.bridge
        stranger.send(rtp(0, here.pbx.said + 1, 160 * (here.pbx.said + 1), b"\x7e" * 160))
        await both_hear(page, here.pbx, 20)
        leg, pbx = legs(here)
        assert (leg.received, pbx.received, pbx.strange) == (24, 23, 1)
        assert leg.sent is not None
        assert pbx.sent is not None
        assert (leg.sent.packets, pbx.sent.packets) == (23, 24)
        assert page.heard.empty()


async def test_an_open_lane_follows_the_pbx_to_another_port_and_ends_while_it_holds() -> None:
    async with stage() as here, pbx_socket() as moved:
        page = await here.connect()
        await here.join(page)
        await both_hear(page, here.pbx)
        moved.bridge, moved.said = here.pbx.bridge, here.pbx.said
        await follows(here, moved.port, 2)
        await both_hear(page, moved)
        assert open_lanes(here) == (True, True)
        assert here.pbx.heard.empty()
        await follows(here, moved.port, 3, direction="sendonly")
        await page.say(b"\x70" * 160)
        moved.said += 1
        moved.send(rtp(0, moved.said, 160 * moved.said, b"\x71" * 160))
        assert (await page.next()).payload == b"\x71" * 160
        await follows(here, moved.port, 4)
        await both_hear(page, moved)
        assert open_lanes(here) == (True, True)


async def test_an_open_lane_keeps_nothing_of_a_call_that_is_over() -> None:
    async with stage() as here:
        page = await here.connect()
        await here.join(page)
        await both_hear(page, here.pbx)
        assert open_lanes(here) == (True, True)
        await here.end_without_a_trace()
