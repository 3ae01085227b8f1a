"""Media workers as processes: calls are carried as in one process, and outlive the worker that carried them."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from array import array
from pathlib import Path
from typing import Any

import pytest

from bridge import config
from bridge.calls.commands import (
    AcceptPbxAnswer,
    CloseMedia,
    HoldMedia,
    JoinConference,
    JoinMedia,
    MediaPolicy,
    PauseRecording,
    ReofferMedia,
    ResumeRecording,
    SpeakEarly,
    StartRecording,
)
from bridge.calls.events import (
    BrowserLost,
    CallId,
    EarlyMediaReady,
    MediaHeld,
    MediaReady,
    MediaReanswered,
    MediaReoffered,
    PbxLegMoved,
    TabId,
)
from bridge.errors import BridgeError, OursError
from bridge.media import sound
from bridge.media.codecs import codec
from bridge.media.comfort import QUIET
from bridge.media.music import Music
from bridge.media.progress import SLACK
from bridge.media.recording import tape
from bridge.media.recording.recorder import Shelf
from bridge.media.sdp import SdpError
from bridge.media.workers.crew import START_SECONDS
from bridge.media.workers.workers import Workers
from bridge.tones import ELSEWHERE

from ...rig.tones import write_tone
from ...rig.waiting import wait_for
from ..stage import (
    CALL,
    CODECS,
    SOON,
    TAB,
    Packet,
    Page,
    Pbx,
    Stage,
    pbx_answer,
    pbx_offer,
    pbx_socket,
    port_of,
    rtp,
    stage,
)
from ..test_sdes import LINE, SecurePbx, secure_offer

pytestmark = pytest.mark.scenario
OTHER = CallId("call-2")
TONE = ELSEWHERE.ringback


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


async def goes_on(here: Stage, before: Packet) -> Packet:
    """What the PBX hears after the packet of a worker that was killed is the same stream from the same place."""
    async with asyncio.timeout(START_SECONDS):
        packet = Packet.read(await here.pbx.heard.get())
    assert here.mail.empty, "the PBX has nothing to be told"
    assert packet.ssrc == before.ssrc
    passed = (packet.timestamp - before.timestamp & 0xFFFFFFFF) / 8000
    assert 0 < (packet.sequence - before.sequence & 0xFFFF) <= passed * 50 + 2 * SLACK
    return packet


async def newest(here: Stage) -> Packet:
    """That the PBX has heard."""
    packet = await here.pbx.next()
    while not here.pbx.heard.empty():
        packet = await here.pbx.next()
    return packet


async def rejoin(here: Stage, payload: bytes) -> Page:
    page = await here.connect(TabId("tab-2"))
    await here.join(page, TabId("tab-2"), first=payload)
    await here.pbx.next_with(payload)
    return page


def version_of(sdp: bytes) -> int:
    return int(next(line for line in sdp.decode().splitlines() if line.startswith("o=")).split()[2])


async def test_calls_are_spread_and_each_is_carried_both_ways() -> None:
    async with stage(workers=2) as here:
        page = await talking(here)
        colleague = TabId("colleague")
        second = await here.connect(colleague, call=OTHER)
        await here.room.perform(JoinMedia(call=OTHER, tab=colleague))
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
        await rejoin(here, b"recorded")
        await here.room.perform(PauseRecording(call=CALL))
        await kill_the_carrier(here, TabId("tab-2"))
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


async def test_two_calls_of_one_page_are_in_one_worker_and_a_conference_goes_on_in_the_next_one() -> None:
    async with stage(workers=2) as here, pbx_socket() as theirs:
        await talking(here)
        there = Stage(here.room, here.mail, theirs, here.pages)
        await there.join(await there.connect(call=OTHER), call=OTHER)
        assert carrier(here)["calls"] == 2
        for one, other in ((CALL, OTHER), (OTHER, CALL)):
            await here.room.perform(JoinConference(call=one, other=other))
        await hears_of(here, theirs)
        os.kill(carrier(here)["pid"], signal.SIGKILL)
        lost = {(await here.mail.next(BrowserLost)).call for _ in range(2)}
        assert lost == {CALL, OTHER}
        assert carrier(here)["calls"] == 2
        await hears_of(here, theirs)


async def hears_of(here: Stage, theirs: Pbx) -> None:
    """What one PBX says arrives at the other one, mixed."""
    loud = b"\x80" * 160
    async with asyncio.timeout(SOON):
        for number in itertools.count():
            theirs.send(rtp(0, number, 160 * number, loud, 0x77))
            packet = await here.pbx.next()
            if max(abs(sample) for sample in array("h", codec.decoder("PCMU", 8000).decode(packet.payload))) > 20_000:
                return


async def test_calls_in_different_workers_are_not_joined_and_it_is_said() -> None:
    async with stage(workers=2) as here:
        await talking(here)
        await here.connect(TabId("colleague"), call=OTHER)
        with pytest.raises(OursError, match="different media workers"):
            await here.room.perform(JoinConference(call=CALL, other=OTHER))


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
        killed = await kill_the_carrier(here)
        assert (await goes_on(here, await newest(here))).payload in QUIET["PCMU"], "until the next page speaks"
        page = await rejoin(here, b"again")
        await heard(here, page)
        assert carrier(here)["pid"] != killed
        await wait_for(
            lambda: all(row["state"] == "live" for row in workers_of(here)), START_SECONDS, "the slot to live again"
        )


async def test_encrypted_voice_goes_on_under_the_same_keys_and_count() -> None:
    async with stage(workers=2) as here:
        page = await here.offer_to(TAB, secure_offer(here.pbx.port), CODECS)
        pbx = SecurePbx(here, LINE, (await here.join(page)).sdp.decode())
        before = await pbx.next()
        pbx.send(rtp(0, 65_000, 160, b"before"))
        assert (await page.next()).payload == b"before"
        await kill_the_carrier(here)
        page = await here.connect(TabId("tab-2"))
        await here.join(page, TabId("tab-2"), first=b"again")
        assert (await pbx.next_with(b"again")).ssrc == before.ssrc
        pbx.send(rtp(0, 65_001, 320, b"hello"))
        assert (await page.next()).payload == b"hello"
        assert here.mail.empty, "the PBX has nothing to be told"


async def test_a_call_that_is_held_stays_held() -> None:
    async with stage(workers=2) as here:
        await talking(here)
        await here.room.perform(HoldMedia(call=CALL, held=True))
        offered = (await here.mail.next(MediaReoffered)).sdp
        await here.room.perform(
            AcceptPbxAnswer(call=CALL, sdp=pbx_answer(here.pbx.port, "PCMU", direction="recvonly", version=2))
        )
        await kill_the_carrier(here)
        await here.room.perform(HoldMedia(call=CALL, held=False))
        resumed = (await here.mail.next(MediaReoffered, START_SECONDS)).sdp
        assert port_of(resumed) == port_of(offered)
        assert version_of(resumed) == version_of(offered) + 1


async def test_a_caller_who_hears_our_music_hears_it_in_the_next_worker_too(tmp_path: Path) -> None:
    file = str(write_tone(tmp_path / "wait.wav", 611, seconds=2, rate=8000))
    box = Music([file])
    box.load()
    song = box.frames(file, "PCMU")
    async with stage(workers=2, music=[file]) as here:
        page = await here.offer_to(TAB, here.offer(), ("PCMU",), policy=MediaPolicy(music=file))
        await here.join(page)
        await here.room.perform(HoldMedia(call=CALL, held=True))
        await here.mail.next(MediaHeld)
        await here.pbx.next_with(song[5])
        await kill_the_carrier(here)
        while not here.pbx.heard.empty():
            await here.pbx.next()
        await here.pbx.next_with(song[5])


async def test_what_the_dead_worker_offered_is_answered_and_in_force_in_the_next() -> None:
    """The PBX rings, with its own tone or a voice (183), and then answers: nothing has to be told to it."""
    async with stage(workers=2) as here:
        await here.dial("PCMU")
        await kill_the_carrier(here)
        for version in (1, 2):
            await here.room.perform(AcceptPbxAnswer(call=CALL, sdp=pbx_answer(here.pbx.port, "PCMU", version=version)))
            page = await rejoin(here, b"again %d" % version)
            await heard(here, page)
            await kill_the_carrier(here, TabId("tab-2"))
        assert here.mail.empty


async def test_the_caller_hears_the_ringback_on_from_the_next_worker_until_somebody_answers() -> None:
    async with stage(workers=2) as here:
        offer = here.offer("PCMU")
        await here.room.perform(SpeakEarly(call=CALL, pbx_offer=offer, codecs=CODECS, policy=MediaPolicy(), sound=TONE))
        described = (await here.mail.next(EarlyMediaReady)).sdp
        here.pbx.bridge = "127.0.0.1", port_of(described)
        tone = frozenset(sound.frames(TONE, "PCMU")[:50])
        before = await here.pbx.next_with(*tone)
        os.kill(carrier(here)["pid"], signal.SIGKILL)
        while not here.pbx.heard.empty():
            before = await here.pbx.next()
        await goes_on(here, before)
        await here.pbx.next_with(*tone)
        page = await here.connect()
        ready = await here.join(page)
        assert ready.sdp == described
        assert (await here.pbx.next_with(b"first")).ssrc == before.ssrc


async def test_the_pbx_is_told_where_the_old_port_is_not_to_be_had() -> None:
    async with stage() as here:
        await talking(here)
        memory, progress = here.voice.memory(CALL), here.voice.progress(CALL)
        assert progress is not None
        here.voice.restore(OTHER, memory, progress)
        moved = await here.mail.next(PbxLegMoved)
        assert port_of(moved.sdp) != here.pbx.bridge[1]
        await here.room.perform(CloseMedia(call=CALL))
        packet = await newest(here)
        assert packet.ssrc == progress.ssrc


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
        answered = await here.mail.next(MediaReanswered)
        assert answered.held
        assert port_of(answered.sdp) == here.pbx.bridge[1]
        await asyncio.wait_for(under_way, SOON)


async def test_calls_wait_for_a_worker_when_all_are_dead() -> None:
    async with stage(workers=2) as here:
        page = await here.connect()
        await here.join(page)
        before = await newest(here)
        for row in workers_of(here):
            os.kill(row["pid"], signal.SIGKILL)
        await here.mail.next(BrowserLost)
        await goes_on(here, before)
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
