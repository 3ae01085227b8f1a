"""RTCP on both legs of a call, and what is counted of it."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator

import pytest

from bridge.calls.commands import CloseMedia
from bridge.media import rtcp
from bridge.media.conversation import Conversation
from bridge.media.equipment import Patience
from bridge.media.ports import PortPairs

from .stage import CALL, SOON, TAB, Page, Pbx, Stage, pbx_offer, pbx_socket, rtp, stage


@pytest.fixture
async def here() -> AsyncIterator[Stage]:
    async with stage(Patience(report=0.2)) as found:
        yield found


@pytest.fixture
async def control(here: Stage) -> AsyncIterator[Pbx]:
    """The PBX's RTCP port, the next after that of its voice."""
    loop = asyncio.get_running_loop()
    pair = PortPairs((26_000, 26_400)).bind("127.0.0.1")
    (_, here.pbx), (_, found) = [await loop.create_datagram_endpoint(Pbx, sock=sock) for sock in pair]
    yield found
    here.pbx.transport.close()
    found.transport.close()


async def talk(here: Stage) -> Page:
    page = await here.connect()
    await here.join(page)
    for number in range(8):
        here.pbx.send(rtp(0, number, number * 160, b"to the page", 0x5151))
        await page.say(b"to the pbx")
        await page.next()
    return page


async def report_with(reports: asyncio.Queue[bytes], *, blocks: int) -> rtcp.Compound:
    async with asyncio.timeout(SOON):
        while True:
            compound = rtcp.parse(await reports.get())
            if len(compound.reports[0].blocks) == blocks:
                return compound


def conversation(here: Stage) -> Conversation:
    return here.voice._conversations[CALL]


async def test_both_sides_get_reports_of_what_they_hear_and_of_what_they_send(here: Stage, control: Pbx) -> None:
    page = await talk(here)
    leg, pbx = conversation(here).legs[next(iter(conversation(here).legs))], conversation(here).path.pbx
    assert leg.sent is not None
    assert pbx is not None
    assert pbx.sent is not None
    for reports, ours, theirs, sent in (
        (page.reports, leg.sent.ssrc, 0xABCD, 8),
        (control.heard, pbx.sent.ssrc, 0x5151, 9),
    ):
        report = (await report_with(reports, blocks=1)).reports[0]
        assert report.ssrc == ours
        assert report.sender is not None
        assert report.sender.packets >= sent
        assert (report.blocks[0].ssrc, report.blocks[0].lost) == (theirs, 0)


async def test_what_either_side_reports_of_us_is_known_with_its_round_trip(here: Stage, control: Pbx) -> None:
    page = await talk(here)
    leg, pbx = conversation(here).legs[next(iter(conversation(here).legs))], conversation(here).path.pbx
    assert pbx is not None
    assert pbx.sent is not None
    assert leg.sent is not None
    bridge = pbx.address[0], pbx.address[1] + 1
    for reports, ssrc in ((page.reports, leg.sent.ssrc), (control.heard, pbx.sent.ssrc)):
        theirs = await report_with(reports, blocks=1)
        assert theirs.reports[0].sender is not None
        block = rtcp.Block(
            ssrc=ssrc,
            fraction=64,
            lost=2,
            highest=8,
            jitter=80,
            last_report=theirs.reports[0].sender.ntp >> 16 & 0xFFFFFFFF,
            delay=0,
        )
        raw = rtcp.write(rtcp.Report(ssrc=0xABCD, blocks=(block,)), "them")
        if reports is page.reports:
            await page._transport._send_rtp(raw)
        else:
            control.transport.sendto(raw, bridge)
    async with asyncio.timeout(SOON):
        while leg.reports.round_trip is None or pbx.reports.round_trip is None:
            await asyncio.sleep(0.01)
    for told in (leg.reports.told, pbx.reports.told):
        assert told is not None
        assert (told.lost / told.expected, told.jitter) == (0.25, 0.01)


async def test_with_rtcp_mux_reports_come_with_the_voice(here: Stage, control: Pbx) -> None:
    offer = pbx_offer(here.pbx.port, "PCMU").replace(b"a=sendrecv", b"a=rtcp-mux\r\na=sendrecv")
    page = await here.offer_to(TAB, offer, ("PCMU",))
    ready = await here.join(page)
    assert b"a=rtcp-mux" in ready.sdp
    async with asyncio.timeout(SOON):
        while not 191 < (await here.pbx.heard.get())[1] < 224:
            pass
    assert control.heard.empty()


async def test_reports_go_where_the_description_wants_them(here: Stage) -> None:
    async with pbx_socket() as elsewhere:
        attribute = f"a=rtcp:{elsewhere.port} IN IP4 127.0.0.1\r\na=sendrecv".encode()
        offer = pbx_offer(here.pbx.port, "PCMU").replace(b"a=sendrecv", attribute)
        await here.join(await here.offer_to(TAB, offer, ("PCMU",)))
        here.pbx.send(rtp(0, 1, 160, b"voice"))
        assert (await report_with(elsewhere.heard, blocks=1)).reports[0].blocks[0].ssrc == 0x1234


async def test_a_call_that_ends_says_goodbye_on_both_legs(here: Stage, control: Pbx) -> None:
    page = await talk(here)
    await here.voice.perform(CloseMedia(call=CALL))
    for reports in (page.reports, control.heard):
        async with asyncio.timeout(SOON):
            while not rtcp.parse(await reports.get()).goodbyes:
                pass


async def test_reports_of_strangers_and_junk_count_for_nothing(here: Stage, control: Pbx) -> None:
    await talk(here)
    pbx = conversation(here).path.pbx
    assert pbx is not None
    assert pbx.sent is not None
    block = rtcp.Block(ssrc=pbx.sent.ssrc, fraction=255, lost=9, highest=9, jitter=9, last_report=0, delay=0)
    raw = rtcp.write(rtcp.Report(ssrc=1, blocks=(block,)), "stranger")
    bridge = pbx.address[0], pbx.address[1] + 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.2", 0))
        stranger.sendto(raw, bridge)
    strange = pbx.strange
    for junk in (b"", b"\x80", b"\x81\xc9" + bytes(30), struct.pack("!BBH", 0x80, 200, 9)):
        control.transport.sendto(junk, bridge)
    raw = rtcp.write(rtcp.Report(ssrc=1), "done")
    control.transport.sendto(raw, bridge)
    async with asyncio.timeout(SOON):
        while not pbx.reports.heard:
            await asyncio.sleep(0.01)
    assert pbx.reports.told is None
    assert pbx.strange > strange
