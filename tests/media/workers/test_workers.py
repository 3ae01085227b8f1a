"""Media workers as processes: calls are carried as in one process, and outlive the worker that carried them."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from bridge import config
from bridge.calls.commands import (
    AcceptPbxAnswer,
    CloseMedia,
    HoldMedia,
    JoinMedia,
    PauseRecording,
    ReofferMedia,
    ResumeRecording,
    StartRecording,
)
from bridge.calls.events import (
    BrowserLost,
    CallId,
    MediaReady,
    MediaReanswered,
    MediaReoffered,
    PbxLegMoved,
    TabId,
)
from bridge.errors import BridgeError
from bridge.media.comfort import QUIET
from bridge.media.recording import tape
from bridge.media.recording.recorder import Shelf
from bridge.media.sdp import SdpError
from bridge.media.workers.crew import START_SECONDS
from bridge.media.workers.workers import Workers

from ...rig.waiting import wait_for
from ..stage import CALL, SOON, TAB, Page, Stage, pbx_answer, pbx_offer, port_of, rtp, stage

pytestmark = pytest.mark.scenario
OTHER = CallId("call-2")


async def talking(here: Stage) -> Page:
    page = await here.connect()
    await here.join(page)
    assert (await here.pbx.next()).payload == b"first"
    return page


def workers_of(here: Stage) -> list[dict[str, Any]]:
    assert isinstance(here.room, Workers)
    return here.room.report


def carrier(here: Stage) -> dict[str, Any]:
    (row,) = [row for row in workers_of(here) if row["calls"]]
    return row


async def kill_the_carrier(here: Stage, tab: TabId = TAB) -> int:
    """The pid that was killed."""
    pid: int = carrier(here)["pid"]
    os.kill(pid, signal.SIGKILL)
    lost = await here.mail.next(BrowserLost)
    assert (lost.call, lost.tab) == (CALL, tab)
    return pid


async def moved(here: Stage) -> PbxLegMoved:
    """The PBX leg is open again, and the PBX follows it."""
    event = await here.mail.next(PbxLegMoved, START_SECONDS)
    here.pbx.bridge = "127.0.0.1", port_of(event.sdp)
    return event


async def rejoin(here: Stage, payload: bytes) -> Page:
    page = await here.connect(TabId("tab-2"))
    await here.join(page, TabId("tab-2"), first=payload)
    await here.pbx.next_with(payload)
    return page


async def test_calls_are_spread_and_each_is_carried_both_ways() -> None:
    async with stage(workers=2) as here:
        page = await talking(here)
        second = await here.connect(call=OTHER)
        await here.room.perform(JoinMedia(call=OTHER, tab=TAB))
        await second.say(b"second")
        assert (await here.mail.next(MediaReady)).call == OTHER
        assert [row["calls"] for row in workers_of(here)] == [1, 1]
        await here.pbx.next_with(b"second")
        await heard(here, page)


async def test_a_recording_goes_on_in_the_next_worker_and_stays_paused_if_it_was(tmp_path: Path) -> None:
    async with stage(workers=2, shelf=Shelf(directory=tmp_path, least_free=0)) as here:
        await talking(here)
        await here.room.perform(StartRecording(call=CALL, portal="p", announcement=""))
        await kill_the_carrier(here)
        await moved(here)
        await here.room.perform(AcceptPbxAnswer(call=CALL, sdp=pbx_answer(here.pbx.port, "PCMU", version=2)))
        await rejoin(here, b"recorded")
        await here.room.perform(PauseRecording(call=CALL))
        await kill_the_carrier(here, TabId("tab-2"))
        await moved(here)
        await here.room.perform(AcceptPbxAnswer(call=CALL, sdp=pbx_answer(here.pbx.port, "PCMU", version=3)))
        page = await rejoin(here, b"secret")
        await here.room.perform(ResumeRecording(call=CALL))
        await page.say(b"again")
        await here.pbx.next_with(b"again")
        await here.room.perform(CloseMedia(call=CALL))
        await wait_for(lambda: list(tmp_path.glob("*/*.tape")), SOON, "the last tape")
        recorded = [
            record.payload
            for path in tmp_path.glob("*/*.*")
            for record in tape.read([path.read_bytes()])
            if isinstance(record, tape.Heard) and record.channel is tape.Channel.OPERATOR
        ]
        assert b"again" in recorded
        assert b"secret" not in recorded


async def heard(here: Stage, page: Page) -> None:
    """The page hears the PBX."""
    here.pbx.send(rtp(0, 7, 1120, b"hello"))
    assert (await page.next()).payload == b"hello"


async def test_commands_are_refused_and_ignored_as_without_workers() -> None:
    async with stage(workers=2) as here:
        await here.room.perform(HoldMedia(call=CALL, held=True))
        await here.room.perform(CloseMedia(call=CALL))
        assert here.mail.empty, "no worker knows the call"
        await talking(here)
        with pytest.raises(SdpError, match="no audio"):
            await here.room.perform(ReofferMedia(call=CALL, sdp=b"v=0\r\n"))
        await here.room.perform(CloseMedia(call=CALL))
        assert [row["calls"] for row in workers_of(here)] == [0, 0]
        await here.room.perform(HoldMedia(call=CALL, held=True))
        assert here.mail.empty, "it is forgotten"


async def test_a_call_goes_on_in_another_worker_when_its_own_is_killed() -> None:
    async with stage(workers=2) as here:
        await talking(here)
        before = here.pbx.bridge
        killed = await kill_the_carrier(here)
        event = await moved(here)
        assert here.pbx.bridge != before
        assert b"a=sendrecv" in event.sdp
        assert (await here.pbx.next()).payload in QUIET["PCMU"], "until the next page speaks"
        await here.room.perform(AcceptPbxAnswer(call=CALL, sdp=pbx_answer(here.pbx.port, "PCMU", version=2)))
        page = await rejoin(here, b"again")
        await heard(here, page)
        assert carrier(here)["pid"] != killed
        await wait_for(
            lambda: all(row["state"] == "live" for row in workers_of(here)), START_SECONDS, "the slot to live again"
        )


async def test_a_call_that_is_held_stays_held() -> None:
    async with stage(workers=2) as here:
        await talking(here)
        await here.room.perform(HoldMedia(call=CALL, held=True))
        offered = (await here.mail.next(MediaReoffered)).sdp
        await here.room.perform(
            AcceptPbxAnswer(call=CALL, sdp=pbx_answer(here.pbx.port, "PCMU", direction="recvonly", version=2))
        )
        await kill_the_carrier(here)
        event = await moved(here)
        assert b"a=sendonly" in event.sdp
        assert version_of(event.sdp) == version_of(offered) + 1


def version_of(sdp: bytes) -> int:
    return int(next(line for line in sdp.decode().splitlines() if line.startswith("o=")).split()[2])


async def test_the_pbx_is_told_only_after_it_answered_what_it_was_offered_before() -> None:
    async with stage(workers=2) as here:
        page, _ = await here.dial("PCMU")
        await kill_the_carrier(here)
        await here.room.perform(AcceptPbxAnswer(call=CALL, sdp=pbx_answer(here.pbx.port, "PCMU")))
        await moved(here)
        assert page.payload_type == 0


async def test_a_command_under_way_when_the_worker_dies_is_carried_out_by_another() -> None:
    async with stage(workers=2) as here:
        await talking(here)
        pid = carrier(here)["pid"]
        os.kill(pid, signal.SIGSTOP)
        offer = pbx_offer(here.pbx.port, "PCMU", direction="sendonly", version=2)
        under_way = asyncio.ensure_future(here.room.perform(ReofferMedia(call=CALL, sdp=offer)))
        await asyncio.sleep(0)
        os.kill(pid, signal.SIGKILL)
        await here.mail.next(BrowserLost)
        await moved(here)
        answered = await here.mail.next(MediaReanswered)
        assert answered.held
        assert port_of(answered.sdp) == here.pbx.bridge[1]
        await asyncio.wait_for(under_way, SOON)


async def test_calls_wait_for_a_worker_when_all_are_dead() -> None:
    async with stage(workers=2) as here:
        await talking(here)
        for row in workers_of(here):
            os.kill(row["pid"], signal.SIGKILL)
        await here.mail.next(BrowserLost)
        await moved(here)
        await rejoin(here, b"again")


async def test_while_no_worker_lives_the_room_says_why_no_call_is_taken() -> None:
    async with stage(workers=2) as here:
        assert isinstance(here.room, Workers)
        assert here.room.obstacle == ""
        for row in workers_of(here):
            os.kill(row["pid"], signal.SIGKILL)
        await wait_for(lambda: "no media worker" in here.room.obstacle, SOON, "both deaths to be noticed")
        await wait_for(lambda: here.room.obstacle == "", START_SECONDS, "a worker")


async def test_workers_end_with_the_room() -> None:
    async with stage(workers=2) as here:
        pids = [row["pid"] for row in workers_of(here)]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_an_address_that_is_not_of_this_machine_is_told_at_the_start() -> None:
    media = config.Media(browser_address="192.0.2.77", workers=2)
    with pytest.raises(BaseExceptionGroup) as caught:
        async with Workers(media=media, post=print, most_cpu=1).running():
            pass
    assert caught.group_contains(BridgeError, match="192.0.2.77")
