"""A ringing call is registered at once, whatever waits at the same portal: in virtual time, down to the HTTP client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.calls.commands import AttachRecord
from bridge.calls.events import CallId
from bridge.errors import NetworkError
from bridge.portal.bucket import Lane
from bridge.portal.rest import ENTERPRISE, ORDINARY, Plan

from ..rig import virtual_time
from .fake import REGISTER
from .inprocess import Day, Weather, day

RECORDINGS = 60
ATTACH = "telephony.externalcall.attachrecord"


async def _flood(today: Day, folder: Path, look_ups: int) -> list[asyncio.Task[Any]]:
    """Recordings of calls long ended, and pages that ask who is calling."""
    path = folder / "call.wav"
    path.write_bytes(b"RIFF")
    await today.register("old")
    await today.finish("old", "200", 60)
    await today.emptied()
    for _ in range(RECORDINGS):
        await today.telephony.perform(AttachRecord(call=CallId("old"), path=str(path), name="call.wav"))

    async def look_up() -> None:
        params = {"PHONE_NUMBER": "+49"}
        await today.rest.call(today.operator.portal, "telephony.externalCall.searchCrmEntities", params, Lane.OTHER)

    return [asyncio.create_task(look_up()) for _ in range(look_ups)]


def _sent(today: Day, method: str, name: str) -> tuple[float, int]:
    """When the request about this call went out, and how many had gone before it."""
    return next(
        (at, before)
        for before, (at, what, params) in enumerate(today.wire.sent)
        if what == method and params.get("EXTERNAL_CALL_ID") == name
    )


@pytest.mark.parametrize("look_ups", [0, 150], ids=["recordings", "recordings and look-ups"])
def test_a_ringing_call_is_never_behind_recordings_and_look_ups(tmp_path: Path, look_ups: int) -> None:
    async def story() -> None:
        async with day(tmp_path / "bridge.db") as today:
            today.wire.seconds = lambda method: 3.0 if method == ATTACH else 0.2
            asked = await _flood(today, tmp_path, look_ups)
            await asyncio.sleep(60)
            for number in range(3):
                begun, before = today.wire.now, len(today.wire.sent)
                await today.register(f"ring{number}")
                await asyncio.sleep(5)
                at, position = _sent(today, REGISTER, f"ring{number}")
                assert at - begun < 0.6, "the bucket leaks two a second"
                assert position - before <= 1
            for task in asked:
                task.cancel()
            await today.emptied()
            assert len(today.portal.records) == RECORDINGS

    virtual_time.run(story())


def test_in_a_storm_of_refusals_the_ringing_call_is_the_next_one_to_be_tried(tmp_path: Path) -> None:
    async def story() -> None:
        async with day(tmp_path / "bridge.db") as today:
            await _flood(today, tmp_path, 0)
            today.wire.weather = lambda: Weather.LIMIT
            await asyncio.sleep(120)
            await today.register("ring")
            before = len(today.wire.sent)
            today.wire.weather = lambda: Weather.FINE
            await asyncio.sleep(15)
            _, position = _sent(today, REGISTER, "ring")
            assert position - before <= 1

    virtual_time.run(story())


@pytest.mark.parametrize("plan", [ORDINARY, ENTERPRISE], ids=["ordinary", "enterprise"])
def test_no_portal_gets_more_than_its_plan_allows(tmp_path: Path, plan: Plan) -> None:
    async def story() -> None:
        async with day(tmp_path / "bridge.db", plan) as today:
            names = [f"c{number}" for number in range(plan.burst + 10)]
            await asyncio.gather(*(today.register(name) for name in names))
            await asyncio.gather(*(today.finish(name, "304", 0) for name in names))
            await today.emptied()
            level, last = 0.0, 0.0
            for at, _, _ in today.wire.sent:
                level = max(0.0, level - (at - last) * plan.per_second) + 1
                assert level <= plan.burst + 0.001
                last = at
            assert len(today.portal.statistics) == len(names)

    virtual_time.run(story())


def _spending(day: Day, used: float) -> Callable[[], dict[str, Any]]:
    return lambda: {"operating": used, "operating_reset_at": day.now + 300}


def test_near_the_limit_of_run_time_only_calls_go_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with day(tmp_path / "bridge.db") as today:
            today.wire.spent = _spending(today, 400)
            await today.rest.call(today.operator.portal, "placement.get", {}, Lane.FINISH)
            await today.rest.call(today.operator.portal, "placement.get", {}, Lane.FINISH)
            with pytest.raises(NetworkError, match="OPERATION_TIME_LIMIT"):
                await today.rest.call(today.operator.portal, "placement.get", {}, Lane.OTHER)
            await today.rest.call(today.operator.portal, "server.time", {}, Lane.OTHER)
            asked = len(today.wire.sent)
            await asyncio.sleep(301)
            await today.rest.call(today.operator.portal, "placement.get", {}, Lane.OTHER)
            assert len(today.wire.sent) == asked + 1

    virtual_time.run(story())


def test_a_method_at_its_limit_rests_until_the_portal_says_and_the_others_go_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with day(tmp_path / "bridge.db") as today:
            await today.register("a")
            await asyncio.sleep(1)
            today.wire.weather = lambda: Weather.TIME_LIMIT
            await today.finish("a", "304", 0)
            await asyncio.sleep(1)
            today.wire.weather = lambda: Weather.FINE
            await today.finish("b", "304", 0)
            await today.register("c")
            await asyncio.sleep(60)
            assert len(today.portal.live) == 2
            before = [at for at, method, _ in today.wire.sent if method.endswith("finish")]
            await today.emptied()
            after = [at for at, method, _ in today.wire.sent if method.endswith("finish")][len(before) :]
            assert len(before) == 1
            assert after[0] >= 600

    virtual_time.run(story())
