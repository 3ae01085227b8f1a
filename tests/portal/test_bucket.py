"""The leaky bucket: 50 at once, 2 a second, calls first."""

from __future__ import annotations

import asyncio

import pytest

from bridge.portal.bucket import BURST, LONGEST_QUEUE, RESERVED, Bucket, BucketFullError, Lane

from ..rig.waiting import PATIENCE


async def _passed(bucket: Bucket, lane: Lane, count: int) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(bucket.turn(lane)) for _ in range(count)]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_a_burst_goes_out_at_once_and_no_more() -> None:
    bucket = Bucket(per_second=0.001)
    tasks = await _passed(bucket, Lane.REGISTER, BURST + 5)
    assert sum(task.done() for task in tasks) == BURST
    _cancel(tasks)


async def test_profiles_leave_room_for_calls() -> None:
    bucket = Bucket(per_second=0.001)
    profiles = await _passed(bucket, Lane.PROFILE, 200)
    reserve = int(BURST * RESERVED)
    assert sum(task.done() for task in profiles) == BURST - reserve
    registers = await _passed(bucket, Lane.REGISTER, reserve)
    assert all(task.done() for task in registers)
    _cancel(profiles)


async def test_who_waits_is_served_by_lane_then_by_age() -> None:
    bucket, order = Bucket(per_second=500, burst=1), list[str]()
    await bucket.turn(Lane.OTHER)

    async def wait(lane: Lane, name: str) -> None:
        await bucket.turn(lane)
        order.append(name)

    async with asyncio.TaskGroup() as group:
        for lane in (Lane.OTHER, Lane.PROFILE, Lane.FINISH, Lane.REGISTER, Lane.REGISTER):
            group.create_task(wait(lane, f"{lane.name}{len(order)}"))
            await asyncio.sleep(0)
    assert [name[:-1] for name in order] == ["REGISTER", "REGISTER", "FINISH", "PROFILE", "OTHER"]


async def test_who_gives_up_takes_no_room() -> None:
    bucket = Bucket(per_second=500, burst=1)
    await bucket.turn(Lane.REGISTER)
    gone = await _passed(bucket, Lane.REGISTER, 3)
    _cancel(gone)
    async with asyncio.timeout(PATIENCE):
        await bucket.turn(Lane.OTHER)


async def test_an_overflow_at_the_portal_stops_us_too() -> None:
    bucket = Bucket(per_second=0.001)
    bucket.overflowed()
    tasks = await _passed(bucket, Lane.REGISTER, 1)
    assert not tasks[0].done()
    _cancel(tasks)


async def test_the_queue_has_an_end() -> None:
    bucket = Bucket(per_second=0.001, burst=1)
    await bucket.turn(Lane.OTHER)
    tasks = await _passed(bucket, Lane.OTHER, LONGEST_QUEUE)
    with pytest.raises(BucketFullError):
        await bucket.turn(Lane.OTHER)
    _cancel(tasks)


def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
