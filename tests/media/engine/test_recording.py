"""A call that an rtpengine carries is recorded: what it writes down becomes a file like any other, and nothing else of it stays."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge import sealed
from bridge.calls.commands import (
    AcceptPbxAnswer,
    CloseMedia,
    HoldMedia,
    JoinMedia,
    PauseRecording,
    ResumeRecording,
    StartRecording,
)
from bridge.calls.events import MediaReoffered, RecordingFailed, TabId
from bridge.errors import ConfigError
from bridge.media.engine import spooler
from bridge.media.equipment import Patience
from bridge.media.recording import mixdown, spool
from bridge.media.recording.recorder import Shelf
from bridge.media.recording.tape import Channel, Heard, Record

from ...rig.rtpengine import Rtpengine
from ...rig.waiting import wait_for
from ..recording.test_mixdown import SEAL
from ..stage import CALL, Page, Stage, pbx_answer, rtp, stage

pytestmark = pytest.mark.scenario
START = StartRecording(call=CALL, portal="portal.localhost")
SLOW = Patience(browser=60.0)


@asynccontextmanager
async def talking(engine: Rtpengine, shelf: Path) -> AsyncIterator[tuple[Stage, Page]]:
    where = Shelf(directory=shelf, least_free=0)
    async with stage(SLOW, rtpengine=engine.address, shelf=where, spool=engine.spool) as here:
        page = await here.connect()
        await here.join(page)
        await here.pbx.next_with(b"first")
        yield here, page


class Talk:
    """Says a word on both sides; it is over when the engine has counted both."""

    def __init__(self, here: Stage) -> None:
        self.here, self.number = here, 0

    async def say(self, page: Page, word: str) -> None:
        self.number += 1
        theirs = f"caller {word}".encode()
        await page.say(f"operator {word}".encode())
        self.here.pbx.send(rtp(0, self.number, 160 * self.number, theirs))
        await asyncio.sleep(0.05)


def recorded(shelf: Path) -> dict[Channel, list[str]]:
    """What the tapes and the files that they name hold."""
    paths = sorted(shelf.glob("*/*"))
    records: list[Record] = list(mixdown.records(sealed.chunks(path, SEAL) for path in paths))
    heard = [record for record in records if isinstance(record, Heard)]
    assert [record.at for record in heard] == sorted(record.at for record in heard)
    return {side: [each.payload.decode() for each in heard if each.channel is side] for side in Channel}


def lines(*words: str) -> dict[Channel, list[str]]:
    return {side: [f"{side.name.lower()} {word}" for word in words] for side in Channel}


async def finished(here: Stage, shelf: Path) -> None:
    await here.room.perform(CloseMedia(call=CALL))
    await wait_for(lambda: list(shelf.glob("*/*.tape")), 5, "the tape")


async def test_what_both_say_is_recorded_and_pauses_and_holds_are_not(engine: Rtpengine, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    async with talking(engine, shelf) as (here, page):
        talk = Talk(here)
        await talk.say(page, "before")
        await here.room.perform(START)
        await here.room.perform(START)
        await talk.say(page, "recorded")
        await here.room.perform(PauseRecording(call=CALL))
        await talk.say(page, "secret")
        await here.room.perform(ResumeRecording(call=CALL))
        await talk.say(page, "resumed")
        await here.room.perform(HoldMedia(call=CALL, held=True))
        await here.mail.next(MediaReoffered)
        await talk.say(page, "held")
        await here.room.perform(HoldMedia(call=CALL, held=False))
        await here.mail.next(MediaReoffered)
        await here.room.perform(AcceptPbxAnswer(call=CALL, sdp=pbx_answer(here.pbx.port, "PCMU", version=3)))
        await talk.say(page, "back")
        await finished(here, shelf)
    assert recorded(shelf) == lines("recorded", "resumed", "back")


async def test_the_next_page_is_recorded_in_the_place_of_the_one_before(engine: Rtpengine, tmp_path: Path) -> None:
    shelf, other = tmp_path / "shelf", TabId("tab-2")
    async with talking(engine, shelf) as (here, page):
        talk = Talk(here)
        await here.room.perform(START)
        await talk.say(page, "one")
        second = await here.connect(other)
        await here.join(second, other)
        await here.room.perform(
            JoinMedia(call=CALL, tab=other, speaks=True)
        )  # nothing to do, once it is this call's turn
        await talk.say(second, "two")
        await page.say(b"operator of yesterday")
        await asyncio.sleep(0.05)
        await finished(here, shelf)
    both = recorded(shelf)
    assert both[Channel.CALLER] == ["caller one", "caller two"]
    assert both[Channel.OPERATOR] in (["operator one", "operator two"], ["operator one", "first", "operator two"])


async def test_an_engine_that_was_started_anew_has_its_first_part_kept(engine: Rtpengine, tmp_path: Path) -> None:
    """Of the last 4 KiB nothing is left: it had them in memory."""
    shelf = tmp_path / "shelf"
    async with talking(engine, shelf) as (here, page):
        talk = Talk(here)
        await here.room.perform(START)
        await talk.say(page, "lost with the engine")
        await engine.kill()
        await engine.start()
        await finished(here, shelf)
    assert recorded(shelf) == lines()


async def test_without_a_file_of_the_engine_the_recording_has_failed_and_the_call_goes_on(
    engine: Rtpengine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooler, "FILE_SECONDS", 0.2)
    async with talking(engine, tmp_path / "shelf") as (here, page):
        shutil.rmtree(engine.spool / spool.FOLDER)
        await here.room.perform(START)
        assert "recordings" in (await here.mail.next(RecordingFailed)).why
        await page.say(b"still here")
        await here.pbx.next_with(b"still here")


async def test_a_file_that_stops_growing_is_given_up(
    engine: Rtpengine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooler, "ENOUGH", 5)
    async with talking(engine, tmp_path / "shelf") as (here, page):
        await here.room.perform(START)
        talk = Talk(here)
        for number in range(200):
            await talk.say(page, str(number))
            if not here.mail.empty:
                break
        failed = await here.mail.next(RecordingFailed)
    assert "its disk may be full" in failed.why, "fewer packets than it holds back in memory"


async def test_a_folder_that_is_no_spool_of_an_rtpengine_is_refused_at_start(engine: Rtpengine, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--recording-dir"):
        async with stage(rtpengine=engine.address, shelf=Shelf(directory=tmp_path), spool=tmp_path):
            pass


def test_only_files_of_the_call_are_forgotten(tmp_path: Path) -> None:
    for name in ("a-1-0123456789abcdef", "a-1-b2-0123456789abcdef", "other-0123456789abcdef"):
        for path in (tmp_path / "pcaps" / f"{name}.pcap", tmp_path / "metadata" / f"rtpengine-meta-{name}.txt"):
            path.parent.mkdir(exist_ok=True)
            path.touch()
    spool.forget(tmp_path, "a-1")
    assert sorted(path.name for path in tmp_path.glob("pcaps/*")) == [
        "a-1-b2-0123456789abcdef.pcap",
        "other-0123456789abcdef.pcap",
    ]
    assert len(list(tmp_path.glob("metadata/*"))) == 2
