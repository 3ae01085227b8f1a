"""Several rtpengines: calls go to each in turn, and those of one that dies go on in another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.calls.commands import CloseMedia
from bridge.calls.events import BrowserLost, CallId, TabId
from bridge.errors import ConfigError
from bridge.media.engine import engines, ng
from bridge.media.equipment import Patience

from ...conftest import HasLog, needs
from ...rig.rtpengine import Rtpengine, rtpengine
from ...rig.waiting import wait_for
from ..stage import CALL, Stage, stage
from .test_rtpengine import go_on, hears, says

pytestmark = pytest.mark.scenario
SLOW = Patience(browser=60.0)
OTHER = TabId("tab-2")


@pytest.fixture
async def pair(
    tmp_path: Path, evidence: list[HasLog], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[Rtpengine]]:
    needs("rtpengine")
    monkeypatch.setattr(ng, "PAUSES", (0.2, 0.3))
    monkeypatch.setattr(engines, "PING_SECONDS", 0.2)
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        folder.mkdir()
    async with rtpengine(folders[0]) as one, rtpengine(folders[1]) as two:
        evidence += [one, two]
        yield [one, two]


def carrying(here: Stage) -> list[int]:
    """Calls of each engine."""
    return [row["calls"] for row in here.room.report]


async def test_calls_go_to_each_in_turn(pair: list[Rtpengine]) -> None:
    async with stage(SLOW, rtpengine=tuple(engine.address for engine in pair)) as here:
        for number in range(4):
            await here.connect(call=CallId(f"call-{number}"))
        assert carrying(here) == [2, 2]


async def test_a_call_whose_engine_dies_goes_on_in_another_one(pair: list[Rtpengine]) -> None:
    async with stage(SLOW, rtpengine=tuple(engine.address for engine in pair)) as here:
        page = await here.connect()
        await here.join(page)
        await here.pbx.next_with(b"first")
        lost = carrying(here).index(1)
        await pair[lost].kill()
        assert "does not answer" in (await here.mail.next(BrowserLost)).why
        page = await go_on(here)
        await says(here, page, b"operator")
        await hears(here, page, b"caller")
        assert carrying(here)[1 - lost] == 1
        assert here.room.report[lost]["state"] == "silent"
        assert here.room.obstacle == ""
        await pair[lost].start()
        await wait_for(lambda: here.room.report[lost]["state"] == "live", what="the engine to be back")


async def test_without_any_engine_no_call_is_taken_and_those_that_run_can_be_closed(pair: list[Rtpengine]) -> None:
    async with stage(SLOW, rtpengine=pair[0].address) as here:
        page = await here.connect()
        await here.join(page)
        await pair[0].kill()
        await here.mail.next(BrowserLost)
        assert here.room.obstacle == "rtpengine does not answer"
        await here.room.perform(CloseMedia(call=CALL))
        assert carrying(here) == [0]


async def test_an_engine_that_was_silent_for_a_while_takes_its_call_again(pair: list[Rtpengine]) -> None:
    async with stage(SLOW, rtpengine=pair[0].address) as here:
        page = await here.connect()
        await here.join(page)
        await here.pbx.next_with(b"first")
        pair[0].pause()
        await here.mail.next(BrowserLost)
        pair[0].go_on()
        await wait_for(lambda: here.room.obstacle == "", what="the engine to answer")
        page = await go_on(here)
        await says(here, page, b"operator")
        await hears(here, page, b"caller")


async def test_one_that_answers_is_enough_to_begin(pair: list[Rtpengine]) -> None:
    await pair[1].kill()
    async with stage(SLOW, rtpengine=tuple(engine.address for engine in pair)) as here:
        for number in range(2):
            await here.connect(call=CallId(f"call-{number}"))
        assert carrying(here) == [2, 0]
    await pair[0].kill()
    with pytest.raises(ConfigError, match="nothing answers at"):
        async with stage(rtpengine=tuple(engine.address for engine in pair)):
            pass
