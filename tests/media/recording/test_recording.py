"""A call is recorded while it goes on: from the commands to the tape on the disk, and what both sides hear of it."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge import sealed
from bridge.calls.commands import (
    AcceptPbxAnswer,
    CloseMedia,
    HoldMedia,
    PauseRecording,
    ReofferMedia,
    ResumeRecording,
    SendDigits,
    StartRecording,
)
from bridge.calls.events import CodecChanged, MediaReanswered, MediaReoffered, RecordingFailed, TabId
from bridge.media import announcement
from bridge.media.announcement import LEAD
from bridge.media.equipment import Patience
from bridge.media.recording import recorder, tape
from bridge.media.recording.recorder import Shelf
from bridge.media.recording.tape import Channel, Heard, Kind, Label, Mark, Record, Tuned
from bridge.tickets import Seal, new_key

from ...rig.waiting import wait_for
from ..stage import CALL, Page, Stage, pbx_answer, pbx_offer, rtp, stage

KEY = new_key()
SEAL = Seal([KEY])
SLOW = Patience(quiet=60.0, browser=60.0)
"""However slow the machine is, nobody is given silence for voice that is only late."""
START = StartRecording(call=CALL, portal="portal.localhost:80")


@asynccontextmanager
async def recorded(shelf: Shelf) -> AsyncIterator[tuple[Stage, Page]]:
    """A call that both sides speak in, not yet recorded."""
    async with stage(SLOW, shelf=shelf) as here:
        page = await here.connect(TabId("tab-1"), "PCMU")
        await here.join(page)
        await here.pbx.next()
        yield here, page


async def exchange(here: Stage, page: Page, said: str, first: int) -> None:
    """Three packets each way, each arrived before the next."""
    for number in range(first, first + 3):
        ours, theirs = f"operator {said} {number}".encode(), f"caller {said} {number}".encode()
        await page.say(ours)
        here.pbx.send(rtp(0, number, number * 160, theirs))
        await here.pbx.next_with(ours)
        while (await page.next()).payload != theirs:
            pass


async def tape_of(directory: Path, seal: Seal = SEAL) -> list[Record]:
    """The one tape, once it is whole."""
    await wait_for(lambda: list(directory.rglob("*.tape")), 5, "the tape")
    (path,) = directory.rglob("*.tape")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    return list(tape.read(sealed.chunks(path, seal)))


def voices(records: list[Record]) -> dict[Channel, list[str]]:
    heard = [record for record in records if isinstance(record, Heard)]
    return {side: [each.payload.decode() for each in heard if each.channel is side] for side in Channel}


def lines(who: str, *said: tuple[str, int]) -> list[str]:
    return [f"{who} {text} {number}" for text, first in said for number in range(first, first + 3)]


async def test_what_both_say_while_it_runs_is_on_the_tape_and_a_pause_is_not(tmp_path: Path) -> None:
    async with recorded(Shelf(directory=tmp_path, least_free=0)) as (here, page):
        await exchange(here, page, "before", 1)
        await here.voice.perform(START)
        await exchange(here, page, "recorded", 11)
        await here.voice.perform(PauseRecording(call=CALL))
        await exchange(here, page, "secret", 21)
        await here.voice.perform(ResumeRecording(call=CALL))
        await exchange(here, page, "again", 31)
        await here.voice.perform(CloseMedia(call=CALL))
        records = await tape_of(tmp_path)
    label, operator, caller = records[0], records[2], records[1]
    assert isinstance(label, Label)
    assert (label.call, label.portal) == (CALL, START.portal)
    assert caller == Tuned(channel=Channel.CALLER, payload_type=0, codec="PCMU")
    assert operator == Tuned(channel=Channel.OPERATOR, payload_type=page.payload_type, codec="PCMU")
    assert voices(records) == {
        Channel.OPERATOR: lines("operator", ("recorded", 11), ("again", 31)),
        Channel.CALLER: lines("caller", ("recorded", 11), ("again", 31)),
    }
    assert [record.kind for record in records if isinstance(record, Mark)] == [Kind.PAUSED, Kind.RESUMED, Kind.END]


async def test_what_an_operator_says_while_the_call_is_held_is_not_recorded(tmp_path: Path) -> None:
    async with recorded(Shelf(directory=tmp_path, least_free=0)) as (here, page):
        await here.voice.perform(START)
        await exchange(here, page, "talking", 1)
        for held, direction in ((True, "recvonly"), (False, "sendrecv")):
            await here.voice.perform(HoldMedia(call=CALL, held=held))
            await here.mail.next(MediaReoffered)
            answer = pbx_answer(here.pbx.port, "PCMU", direction=direction)
            if held:
                await page.say(b"to a colleague")
                here.pbx.send(rtp(0, 10, 1600, b"music"))
                for _ in range(3):  # silence of the bridge: whatever was sent before it has been read
                    await here.pbx.next()
            await here.voice.perform(AcceptPbxAnswer(call=CALL, sdp=answer))
        await exchange(here, page, "back", 21)
        await here.voice.perform(CloseMedia(call=CALL))
        assert voices(await tape_of(tmp_path)) == {
            Channel.OPERATOR: lines("operator", ("talking", 1), ("back", 21)),
            Channel.CALLER: lines("caller", ("talking", 1), ("back", 21)),
        }


async def test_an_operator_who_rejoins_on_another_page_goes_on_being_recorded(tmp_path: Path) -> None:
    async with recorded(Shelf(directory=tmp_path, least_free=0)) as (here, page):
        await here.voice.perform(START)
        await exchange(here, page, "first", 1)
        other = await here.connect(TabId("tab-2"), "PCMU")
        await here.join(other, TabId("tab-2"), first=b"operator joins")
        await exchange(here, other, "second", 11)
        await here.voice.perform(CloseMedia(call=CALL))
        records = await tape_of(tmp_path)
    said = voices(records)[Channel.OPERATOR]
    assert said == [*lines("operator", ("first", 1)), "operator joins", *lines("operator", ("second", 11))]
    assert len({record.ssrc for record in records if isinstance(record, Heard) and record.channel == 0}) <= 2


async def test_a_sealed_tape_holds_nothing_that_can_be_read(tmp_path: Path) -> None:
    async with recorded(Shelf(directory=tmp_path, keys=(KEY,), least_free=0)) as (here, page):
        await here.voice.perform(START)
        await exchange(here, page, "secret", 1)
        await here.voice.perform(CloseMedia(call=CALL))
        assert voices(await tape_of(tmp_path))[Channel.CALLER] == lines("caller", ("secret", 1))
    (path,) = tmp_path.rglob("*.tape")
    assert b"secret" not in path.read_bytes()
    assert b"portal" not in path.read_bytes()


async def test_what_a_kill_leaves_behind_is_on_the_disk_within_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "FLUSH_SECONDS", 0.02)
    async with recorded(Shelf(directory=tmp_path, least_free=0)) as (here, page):
        await here.voice.perform(START)
        await exchange(here, page, "recorded", 1)

        def written() -> bool:
            parts = [tape.read(sealed.chunks(path, SEAL)) for path in tmp_path.rglob("*.part")]
            return any(voices(list(records))[Channel.CALLER] == lines("caller", ("recorded", 1)) for records in parts)

        await wait_for(written, 5, "the packets on the disk while the call goes on")


async def test_when_the_room_closes_under_a_call_its_tape_is_whole(tmp_path: Path) -> None:
    async with recorded(Shelf(directory=tmp_path, least_free=0)) as (here, page):
        await here.voice.perform(START)
        await exchange(here, page, "recorded", 1)
    assert voices(await tape_of(tmp_path))[Channel.OPERATOR] == lines("operator", ("recorded", 1))


# ---- what goes wrong


async def test_a_full_disk_ends_the_recording_and_not_the_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "FLUSH_SECONDS", 0.02)
    async with recorded(Shelf(directory=tmp_path, least_free=0)) as (here, page):
        await here.voice.perform(START)
        await exchange(here, page, "recorded", 1)
        await wait_for(lambda: any(path.stat().st_size > 300 for path in tmp_path.rglob("*.part")), 5, "the first part")

        def no_space(self: sealed.Writer, data: bytes) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(sealed.Writer, "append", no_space)
        await exchange(here, page, "lost", 11)
        failed = await here.mail.next(RecordingFailed)
        assert failed.why == f"{tmp_path} can't be written: No space left on device"
        await exchange(here, page, "goes on", 21)
        assert voices(await tape_of(tmp_path))[Channel.CALLER] == lines("caller", ("recorded", 1))
        monkeypatch.undo()
        await here.voice.perform(START)  # the operator tries once more
        await exchange(here, page, "once more", 31)
        await here.voice.perform(CloseMedia(call=CALL))
        await wait_for(lambda: len(list(tmp_path.rglob("*.tape"))) == 2, 5, "the second tape")


async def test_a_disk_that_is_almost_full_is_left_alone(tmp_path: Path) -> None:
    async with recorded(Shelf(directory=tmp_path, least_free=1 << 62)) as (here, page):
        await here.voice.perform(START)
        failed = await here.mail.next(RecordingFailed)
        assert "MB left" in failed.why
        await exchange(here, page, "goes on", 1)
    assert not list(tmp_path.rglob("*.*"))


async def test_recordings_that_take_all_their_room_take_no_more(tmp_path: Path) -> None:
    (tmp_path / recorder.FULL).touch()
    async with recorded(Shelf(directory=tmp_path, least_free=0)) as (here, page):
        await here.voice.perform(START)
        assert "all the room" in (await here.mail.next(RecordingFailed)).why
        await exchange(here, page, "goes on", 1)


@pytest.mark.parametrize("obstacle", ["a file", "a link to nowhere"])
async def test_a_directory_that_cannot_be_made_is_told_at_once(tmp_path: Path, obstacle: str) -> None:
    place = tmp_path / "recordings"
    if obstacle == "a file":
        place.touch()
    else:
        place.symlink_to(tmp_path / "missing" / "disk")
    async with recorded(Shelf(directory=place, least_free=0)) as (here, page):
        await here.voice.perform(START)
        assert str(place) in (await here.mail.next(RecordingFailed)).why
        await exchange(here, page, "goes on", 1)


async def test_without_a_place_for_recordings_the_call_is_not_recorded_and_that_is_said() -> None:
    async with stage() as here:
        page = await here.connect(TabId("tab-1"), "PCMU")
        await here.join(page)
        await here.voice.perform(START)
        assert "no place" in (await here.mail.next(RecordingFailed)).why


async def test_a_disk_that_hangs_costs_the_recording_and_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.media.recording.recording.MOST_WAITING", 4)
    gate, opened = threading.Event(), recorder.Reel._open

    def hangs(self: recorder.Reel, shelf: Shelf, seal: Seal | None) -> None:
        gate.wait(10)
        opened(self, shelf, seal)

    monkeypatch.setattr(recorder.Reel, "_open", hangs)
    async with recorded(Shelf(directory=tmp_path, least_free=0)) as (here, page):
        await here.voice.perform(START)
        await exchange(here, page, "recorded", 1)
        assert "half a minute" in (await here.mail.next(RecordingFailed)).why
        await exchange(here, page, "goes on", 11)
        gate.set()


# ---- what is heard of it


async def test_both_hear_the_announcement_first_and_neither_it_nor_what_is_said_meanwhile_is_recorded(
    tmp_path: Path,
) -> None:
    told = list(announcement.frames("beep", "PCMU"))
    assert len(told) == round((LEAD + announcement.BEEP_SECONDS) * 50)
    order = StartRecording(call=CALL, portal="p", announcement="beep")
    async with recorded(Shelf(directory=tmp_path, least_free=0)) as (here, page):
        await here.voice.perform(order)
        await page.say(b"nobody hears this")
        here.pbx.send(rtp(0, 1, 160, b"nor this"))
        at_the_pbx = [(await here.pbx.next()).payload for _ in told]
        at_the_page = [(await page.next()).payload for _ in told]
        assert at_the_pbx == told
        assert at_the_page == told
        await exchange(here, page, "recorded", 11)
        await here.voice.perform(CloseMedia(call=CALL))
        assert voices(await tape_of(tmp_path)) == {
            Channel.OPERATOR: lines("operator", ("recorded", 11)),
            Channel.CALLER: lines("caller", ("recorded", 11)),
        }


async def test_an_announcement_that_a_hold_cuts_off_is_finished_before_anything_is_recorded(tmp_path: Path) -> None:
    told = list(announcement.frames("beep", "PCMU"))
    order = StartRecording(call=CALL, portal="p", announcement="beep")
    async with recorded(Shelf(directory=tmp_path, least_free=0)) as (here, page):
        await here.voice.perform(order)
        heard = [(await page.next()).payload for _ in range(5)]
        for held, direction in ((True, "recvonly"), (False, "sendrecv")):
            await here.voice.perform(HoldMedia(call=CALL, held=held))
            await here.mail.next(MediaReoffered)
            answer = pbx_answer(here.pbx.port, "PCMU", direction=direction)
            await here.voice.perform(AcceptPbxAnswer(call=CALL, sdp=answer))
        heard += [(await page.next()).payload for _ in range(len(told) - 5)]
        assert heard == told
        await exchange(here, page, "recorded", 11)
        await here.voice.perform(CloseMedia(call=CALL))
        assert voices(await tape_of(tmp_path))[Channel.CALLER] == lines("caller", ("recorded", 11))


async def test_an_announcement_begins_again_when_the_pbx_goes_over_to_another_codec(tmp_path: Path) -> None:
    told = announcement.frames("beep", "PCMA")
    order = StartRecording(call=CALL, portal="p", announcement="beep")
    async with recorded(Shelf(directory=tmp_path, least_free=0)) as (here, _):
        await here.voice.perform(order)
        for _ in range(3):
            assert (await here.pbx.next()).payload_type == 0
        await here.voice.perform(ReofferMedia(call=CALL, sdp=pbx_offer(here.pbx.port, "PCMA", version=2)))
        await here.mail.next(CodecChanged)
        await here.mail.next(MediaReanswered)
        while (packet := await here.pbx.next()).payload_type == 0:
            pass
        heard = [packet.payload, *[(await here.pbx.next()).payload for _ in told[1:]]]
        assert heard == list(told)


async def test_a_beep_comes_again_and_again_while_it_runs(tmp_path: Path) -> None:
    order = StartRecording(call=CALL, portal="p", beep_seconds=0.15)
    beep = list(announcement.beep("PCMU"))
    async with recorded(Shelf(directory=tmp_path, least_free=0)) as (here, page):
        await here.voice.perform(order)
        for _ in range(2):
            await here.pbx.next_with(beep[1])
            assert [(await here.pbx.next()).payload for _ in beep[2:]] == beep[2:]
            await here.voice.perform(SendDigits(call=CALL, digits="1"))  # keys go first, and the beep is not lost
        while (await page.next()).payload != beep[1]:
            pass


def test_an_announcement_that_cannot_be_read_becomes_a_beep(tmp_path: Path) -> None:
    (tmp_path / "no sound").write_bytes(os.urandom(5000))
    for source in (str(tmp_path / "missing.wav"), str(tmp_path / "no sound")):
        assert announcement.frames(source, "PCMA") == announcement.frames("beep", "PCMA")
