"""What becomes of tapes: a file at the record of its call, kept as long as it should be, never deleted before Bitrix24 has it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge import sealed
from bridge.calls.commands import AttachRecord
from bridge.errors import RefusedError
from bridge.media.recording import tape
from bridge.media.recording.archive import PART_SECONDS, PRUNE_SECONDS, RETRY_SECONDS, Archive, Retention
from bridge.media.recording.finisher import JOB_SECONDS, Finisher, FinisherError
from bridge.media.recording.recorder import FULL
from bridge.media.recording.tape import Channel
from bridge.tickets import Seal

from ..tones import loudness, tone
from .test_mixdown import KEY, SEAL, part, said, sides, write


class House:
    """What the archive has around it; the clock is set by hand."""

    def __init__(self, directory: Path, **retention: Any) -> None:
        self.directory = directory
        self.now = 1000.0
        self.live: set[str] = set()
        self.attached: list[AttachRecord] = []
        self.promised: set[str] = set()
        self.alarms: list[tuple[str, str]] = []
        self.refused = ""
        self.archive = Archive(
            directory=directory,
            retention=Retention(**{"kind": "wav"} | retention),
            engine_spool=directory / "spool",
            keys=[KEY],
            is_live=self.live.__contains__,
            promise=self._promise,
            promised=self._promised,
            alarm=lambda portal, why: self.alarms.append((portal, why)),
            clock=lambda: self.now,
        )

    async def _promise(self, attach: AttachRecord) -> None:
        if self.refused:
            raise RefusedError(self.refused)
        self.attached.append(attach)
        self.promised.add(attach.path)

    async def _promised(self) -> Collection[str]:
        return self.promised

    def tape(self, name: str, portal: str = "acme.bitrix24.com", seal: Seal | None = None) -> Path:
        folder = self.directory / portal
        folder.mkdir(exist_ok=True)
        return write(folder / name, said(Channel.CALLER, "PCMU", tone(440, 1.0, 8000), 0.0), seal=seal)

    def file(self, name: str, size: int, at: float) -> Path:
        path = self.directory / "acme" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(size))
        os.utime(path, (at, at))
        return path

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.directory.glob("*/*"))


@asynccontextmanager
async def house(directory: Path, **retention: Any) -> AsyncIterator[House]:
    here = House(directory, **retention)
    try:
        yield here
    finally:
        await here.archive._finisher.close()


async def test_the_tape_of_a_call_that_is_over_becomes_a_recording_and_is_promised(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        here.live.add("call-1")
        here.tape("call-1.aa.tape")
        await here.archive.look()
        assert here.attached == []
        here.live.clear()
        await here.archive.look()
        (attach,) = here.attached
        assert (attach.call, attach.name, attach.delete) == ("call-1", "call-1.wav", True)
        _, right, rate = sides(Path(attach.path))
        assert loudness(part(right, rate, 0.1, 0.9), 440, rate) > 0.95
        assert here.names == ["call-1.wav"]


async def test_what_an_rtpengine_wrote_of_the_call_goes_with_its_tape(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        here.tape("call-1.aa.tape")
        names = ("call-1-0123456789abcdef.pcap", "call-12-0123456789abcdef.pcap")
        pcaps = [tmp_path / "spool/pcaps" / name for name in names]
        for path in pcaps:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        await here.archive.look()
        assert [path.exists() for path in pcaps] == [False, True]


async def test_a_tape_that_a_crash_left_behind_is_finished_a_moment_later(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        here.tape("call-1.aa.part")
        here.tape("call-1.bb.tape")
        await here.archive.look()
        assert here.attached == [], "whoever writes it may be about to finish it"
        here.now += PART_SECONDS
        await here.archive.look()
        assert [attach.call for attach in here.attached] == ["call-1"]
        assert here.names == ["call-1.wav"]


async def test_a_recording_is_made_again_if_the_promise_was_not_written_before_a_crash(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        here.tape("call-1.aa.tape")
        (tmp_path / "acme.bitrix24.com" / "call-1.wav").write_bytes(b"half")
        await here.archive.look()
        assert len(here.attached) == 1
        assert Path(here.attached[0].path).stat().st_size > 10_000


async def test_sealed_tapes_become_sealed_recordings(tmp_path: Path) -> None:
    async with house(tmp_path, sealing=True) as here:
        here.tape("call-1.aa.tape", seal=SEAL)
        await here.archive.look()
        path = Path(here.attached[0].path)
        assert b"RIFF" not in path.read_bytes()
        with sealed.open_plain(path, SEAL) as file:
            assert file.read(4) == b"RIFF"


async def test_an_empty_tape_is_nothing_to_attach(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        (tmp_path / "acme").mkdir()
        (tmp_path / "acme" / "call-1.aa.tape").write_bytes(tape.label(tape.Label(call="call-1", portal="p", began=1.0)))
        await here.archive.look()
        assert (here.attached, here.alarms, here.names) == ([], [], [])


async def test_what_is_no_tape_is_left_for_a_person(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        here.file("call-1.aa.tape", 5000, here.now).write_bytes(b"x" * 5000)
        await here.archive.look()
        assert here.names == ["call-1.aa.broken"]
        assert here.alarms == [("acme", "this is no tape of a call")]
        here.now += PRUNE_SECONDS + 1
        await here.archive.look()
        assert here.names == ["call-1.aa.broken"]


async def test_a_recording_that_nobody_wants_is_not_thrown_away(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        here.refused = "no call call-1 is known here"
        here.tape("call-1.aa.tape")
        await here.archive.look()
        assert here.names == ["call-1.broken"]


async def test_when_there_is_no_room_for_the_file_it_is_tried_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    async def full(self: Finisher, tapes: object, to: object, *, sealing: bool) -> float:
        nonlocal tries
        tries += 1
        raise FinisherError("No space left on device", retryable=True)

    async with house(tmp_path) as here:
        here.tape("call-1.aa.tape")
        monkeypatch.setattr(Finisher, "mix", full)
        await here.archive.look()
        await here.archive.look()
        assert tries == 1
        assert here.alarms == [("acme.bitrix24.com", "No space left on device")]
        monkeypatch.undo()
        here.now += RETRY_SECONDS
        await here.archive.look()
        assert here.names == ["call-1.wav"]


async def test_the_process_that_makes_recordings_may_die_over_a_tape_and_the_next_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path) as here:
        here.tape("call-1.aa.tape")
        monkeypatch.setattr("bridge.media.recording.finisher.sys.executable", "/bin/false")
        await here.archive.look()
        assert here.names == ["call-1.aa.broken"]
        monkeypatch.undo()
        here.tape("call-2.aa.tape")
        await here.archive.look()
        assert [attach.call for attach in here.attached] == ["call-2"]


# ---- retention


async def test_recordings_are_deleted_when_they_are_old_and_bitrix24_has_them(tmp_path: Path) -> None:
    async with house(tmp_path, keep_seconds=100.0) as here:
        old, young = here.file("old.mp3", 10, 800.0), here.file("young.mp3", 10, 950.0)
        waits = here.file("waits.mp3", 10, 700.0)
        here.promised.add(str(waits.absolute()))
        await here.archive.prune()
        assert not old.exists()
        assert young.exists()
        assert waits.exists(), "Bitrix24 has not got it"
        here.promised.clear()
        await here.archive.prune()
        assert not waits.exists()


async def test_what_a_dead_process_was_writing_goes_when_nobody_can_be_at_it_any_more(tmp_path: Path) -> None:
    async with house(tmp_path, keep_seconds=1e6) as here:
        half = here.file("call-1.mp3.77.new", 10, here.now - 10)
        await here.archive.prune()
        assert half.exists()
        here.now += JOB_SECONDS
        await here.archive.prune()
        assert not half.exists()


async def test_the_oldest_go_first_when_they_take_too_much_room(tmp_path: Path) -> None:
    async with house(tmp_path, keep_seconds=1e6, most_bytes=250) as here:
        files = [here.file(f"{number}.mp3", 100, 900.0 + number) for number in range(4)]
        await here.archive.prune()
        assert [file.exists() for file in files] == [False, False, True, True]
        assert not (tmp_path / FULL).exists()


async def test_when_nothing_may_go_no_more_is_recorded_until_there_is_room(tmp_path: Path) -> None:
    async with house(tmp_path, keep_seconds=1e6, most_bytes=250) as here:
        files = [here.file(f"{number}.mp3", 100, 900.0) for number in range(3)]
        here.promised.update(str(file.absolute()) for file in files)
        await here.archive.prune()
        assert all(file.exists() for file in files)
        assert (tmp_path / FULL).exists()
        here.promised.clear()
        await here.archive.prune()
        assert not (tmp_path / FULL).exists()


async def test_they_are_listed_with_what_becomes_of_them(tmp_path: Path) -> None:
    async with house(tmp_path, keep_seconds=1e6) as here:
        here.live.add("running")
        for name in ("running.aa.part", "over.bb.tape", "sent.mp3", "kept.wav", "no.broken"):
            here.file(name, 7, 900.0)
        here.promised.add(str((tmp_path / "acme/sent.mp3").absolute()))
        answer = await here.archive.answer({})
        assert {row["call"]: row["state"] for row in answer["recordings"]} == {
            "running": "running",
            "over": "unfinished",
            "sent": "promised",
            "kept": "kept",
            "no": "broken",
        }
        assert {(row["portal"], row["bytes"], row["at"]) for row in answer["recordings"]} == {("acme", 7, 900.0)}
