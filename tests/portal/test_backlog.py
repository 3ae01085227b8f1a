"""What piled up while Bitrix24 was down goes in batches: quicker than two a second, and exactly once all the same."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from itertools import pairwise
from pathlib import Path

import pytest

from bridge.portal.budget import ALLOWED_SECONDS
from bridge.portal.lane import LARGEST_BATCH
from bridge.store.promises import Slot

from ..rig import virtual_time
from .fake import FINISH, REGISTER, Error
from .house import NOW
from .inprocess import Day, Weather, day

CALLS, FEWER = 500, 150
HALF_AN_HOUR = 1800.0


@pytest.fixture(autouse=True)
def calm_house(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.portal.telephony.SEEN_SECONDS", 3600.0)


async def _piled_up(today: Day, calls: int, *, method: str = REGISTER) -> list[str]:
    """Calls of a night without Bitrix24, which is back at the end, and nobody has noticed yet.

    Two promises each; with FINISH it went away when they were registered.
    """
    names = [f"c{number}" for number in range(calls)]
    if method == REGISTER:
        today.wire.weather = lambda: Weather.REFUSED
    await asyncio.gather(*(today.register(name) for name in names))
    if method == FINISH:
        await today.emptied()
        today.wire.weather = lambda: Weather.REFUSED
    await asyncio.gather(*(today.finish(name, "304", 0) for name in names))
    await asyncio.sleep(60)
    today.wire.sent.clear()
    today.wire.weather = lambda: Weather.FINE
    return names


def _recorded_once(today: Day, names: list[str]) -> None:
    assert Counter(row["EXTERNAL_CALL_ID"] for row in today.portal.statistics) == Counter(names)
    assert today.portal.live == []


def test_a_thousand_promises_take_minutes_less_and_hundreds_of_requests_less(tmp_path: Path) -> None:
    async def story() -> None:
        async with day(tmp_path / "bridge.db") as today:
            names = await _piled_up(today, CALLS)
            begun = today.wire.now
            await today.emptied()
            seconds, requests = today.wire.now - begun, len(today.wire.sent)
            _recorded_once(today, names)
            assert await today.store.outbox.aside() == []
            assert requests < 2 * CALLS / 5
            assert seconds < CALLS, "one by one it is two a second, two promises a call"
            print(f"{2 * CALLS} promises: {seconds:.0f} s, {requests} requests")

    virtual_time.run(story())


def test_a_ringing_call_goes_first_whatever_piled_up(tmp_path: Path) -> None:
    async def story() -> None:
        async with day(tmp_path / "bridge.db") as today:
            names = await _piled_up(today, FEWER)
            while not today.wire.sent:
                await asyncio.sleep(1)
            while await today.store.outbox.waiting_portals():
                begun, name = today.wire.now, f"ring{len(names)}"
                names.append(name)
                await today.register(name)
                await asyncio.sleep(1)
                asked = [at for at, method, params in today.wire.sent if params.get("EXTERNAL_CALL_ID") == name]
                assert asked, "its register is a request of its own"
                assert asked[0] - begun < 0.1
                await today.finish(name, "304", 0)
                await asyncio.sleep(3)
            assert len(names) > FEWER + 2
            _recorded_once(today, names)

    virtual_time.run(story())


def _method(command: str) -> str:
    return command.partition("?")[0].lower()


@pytest.mark.parametrize(
    ("method", "slot"), [(REGISTER, Slot.REGISTER), (FINISH, Slot.FINISH)], ids=["register", "finish"]
)
def test_batches_grow_to_their_largest_and_no_call_is_finished_in_that_which_registers_it(
    tmp_path: Path, method: str, slot: Slot
) -> None:
    async def story() -> None:
        async with day(tmp_path / "bridge.db") as today:
            names = await _piled_up(today, FEWER, method=method)
            await today.emptied()
            together = [params["cmd"].values() for _, name, params in today.wire.sent if name == "batch"]
            of_method = [commands for commands in together if {_method(one) for one in commands} == {method}]
            assert max(len(commands) for commands in of_method) == LARGEST_BATCH[slot]
            assert all(len({_method(one) for one in commands}) == 1 for commands in together)
            _recorded_once(today, names)

    virtual_time.run(story())


@pytest.mark.parametrize("ends_after", [0, 3, None], ids=["nothing done", "ended in the middle", "all done"])
@pytest.mark.parametrize("method", [REGISTER, FINISH])
def test_a_batch_without_an_answer_is_tried_again_one_by_one(
    tmp_path: Path, method: str, ends_after: int | None
) -> None:
    async def story() -> None:
        async with day(tmp_path / "bridge.db") as today:
            names = await _piled_up(today, 40, method=method)
            lost: list[set[str]] = []

            def weather() -> Weather:
                name, params = today.wire.sent[-1][1:]
                is_it = name == "batch" and all(_method(one) == method for one in params["cmd"].values())
                today.portal.batch_ends_after = ends_after if is_it and not lost else None
                if not is_it or lost:
                    return Weather.FINE
                lost.append(set(params["cmd"].values()))
                return Weather.HANGS_AFTERWARDS

            today.wire.weather = weather
            await today.emptied()
            assert lost
            later = [params["cmd"] for _, name, params in today.wire.sent if name == "batch"]
            again = [one for commands in later for one in commands.values() if one in lost[0]]
            assert len(again) == len(lost[0]), "in a batch only once"
            _recorded_once(today, names)
            assert await today.store.outbox.aside() == []

    virtual_time.run(story())


def test_what_is_refused_in_a_batch_is_tried_alone_and_hurts_no_other(tmp_path: Path) -> None:
    async def story() -> None:
        async with day(tmp_path / "bridge.db") as today:
            names = await _piled_up(today, 30)
            refusals = [Error("ERROR_CORE", "Could not find line with number 1"), Error("EXPIRED_TOKEN"), Error("")]
            today.portal.batch_faults[REGISTER] = deque(refusals)
            await today.emptied()
            _recorded_once(today, names)
            assert await today.store.outbox.aside() == []
            alone = [params["EXTERNAL_CALL_ID"] for _, method, params in today.wire.sent if method == REGISTER]
            assert len(alone) >= len(refusals)

    virtual_time.run(story())


def test_what_bitrix24_refuses_for_good_is_set_aside_out_of_a_batch_too(tmp_path: Path) -> None:
    async def story() -> None:
        async with day(tmp_path / "bridge.db") as today:
            today.portal.dismissed = {9}
            await today.register("bad", user=9)
            await today.finish("bad", "304", 0, user=9)
            await _piled_up(today, 30)
            await today.emptied()
            assert {promise.call for promise in await today.store.outbox.aside()} == {"bad"}
            assert len(today.portal.statistics) == 30

    virtual_time.run(story())


def test_a_portal_without_batch_gets_them_one_by_one(tmp_path: Path) -> None:
    async def story() -> None:
        async with day(tmp_path / "bridge.db") as today:
            names = await _piled_up(today, 30)
            today.portal.unknown = {"batch"}
            await today.emptied()
            _recorded_once(today, names)

    virtual_time.run(story())


def test_the_run_time_that_a_batch_reports_counts_for_its_methods(tmp_path: Path) -> None:
    """Near the limit the rest of the budget is for calls: nothing else of this method goes out."""

    async def story() -> None:
        async with day(tmp_path / "bridge.db") as today:
            await _piled_up(today, 30, method=FINISH)
            used = {"operating": ALLOWED_SECONDS * 0.9, "operating_reset_at": NOW + 7200}
            today.portal.batch_time = lambda: used
            await today.emptied()
            budget = today.rest._budgets[today.operator.portal]
            assert any(method.lower() == FINISH for method in budget._used)

    virtual_time.run(story())


def test_a_method_at_its_limit_in_a_batch_rests_for_all(tmp_path: Path) -> None:
    async def story() -> None:
        async with day(tmp_path / "bridge.db") as today:
            names = await _piled_up(today, 60, method=FINISH)
            limit = Error("OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.", 429)
            today.portal.batch_faults[FINISH] = deque([limit] * 4)
            await today.emptied()
            asked = [at for at, method, _ in today.wire.told if method == FINISH]
            pauses = [after - before for before, after in pairwise(asked)]
            assert max(pauses) >= 50
            _recorded_once(today, names)

    virtual_time.run(story())


def test_a_batch_lost_before_a_long_silence_leaves_no_more_than_one_in_doubt(tmp_path: Path) -> None:
    async def story() -> None:
        async with day(tmp_path / "bridge.db") as today:
            names = await _piled_up(today, 200)
            until = today.wire.now + 70 + 2 * HALF_AN_HOUR
            batches = [0]

            def weather() -> Weather:
                if today.wire.sent[-1][1] == "batch":
                    batches[0] += 1
                return Weather.HANGS_AFTERWARDS if batches[0] > 8 and today.wire.now < until else Weather.FINE

            today.wire.weather = weather
            await today.emptied()
            aside = [one for one in await today.store.outbox.aside() if one.kind == "register"]
            assert len(aside) <= LARGEST_BATCH[Slot.REGISTER] + 3
            await today.telephony.retry(None)
            await today.emptied()
            assert {row["EXTERNAL_CALL_ID"] for row in today.portal.statistics} == set(names)

    virtual_time.run(story())
