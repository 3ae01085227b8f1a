"""A whole day on which Bitrix24 is down in every way, in virtual time: nothing is lost, nothing is there twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from bridge.portal.lane import WIDTH
from bridge.store.promises import Kind, Slot

from ..rig import virtual_time
from .fake import FINISH, REGISTER
from .inprocess import Day, Weather, day

HOUR = 3600.0
CALL_EVERY = 600.0
TALK = 90


@pytest.fixture(autouse=True)
def calm_house(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noting every two seconds which calls live makes a virtual day long."""
    monkeypatch.setattr("bridge.portal.telephony.SEEN_SECONDS", HOUR)


async def _calls(today: Day, hours: float) -> list[str]:
    """A call every ten minutes, every third one is missed; their names."""
    made: list[str] = []
    while today.wire.now < hours * HOUR:
        name = f"c{len(made)}"
        made.append(name)
        await today.register(name)
        if len(made) % 3:
            await asyncio.sleep(5)
            await today.answer(name)
            await asyncio.sleep(TALK)
            await today.finish(name, "200", TALK)
        else:
            await asyncio.sleep(30)
            await today.finish(name, "304", 0)
        await asyncio.sleep(CALL_EVERY)
    return made


def _check(today: Day, made: list[str]) -> None:
    """Each call has its one record, with the right status, registered before it was finished."""
    records = {row["EXTERNAL_CALL_ID"]: row for row in today.portal.statistics}
    assert Counter(row["EXTERNAL_CALL_ID"] for row in today.portal.statistics) == Counter(made)
    for number, name in enumerate(made, 1):
        wanted = ("200", TALK) if number % 3 else ("304", 0)
        assert (records[name]["STATUS_CODE"], records[name]["DURATION"]) == wanted, name


def _weather(today: Day, *plan: tuple[float, Weather]) -> None:
    """From which hour on the portal does what."""

    def now() -> Weather:
        hour = today.wire.now / HOUR
        return next((weather for begin, weather in reversed(plan) if hour >= begin), Weather.FINE)

    today.wire.weather = now


@pytest.mark.parametrize(
    ("weather", "hours"),
    [(Weather.REFUSED, 24), (Weather.EXPIRED, 8), (Weather.TIME_LIMIT, 4), (Weather.LIMIT, 1)],
    ids=lambda one: getattr(one, "name", ""),
)
def test_a_day_without_bitrix24_loses_nothing_and_leaves_nothing_to_do(
    tmp_path: Path, weather: Weather, hours: float
) -> None:
    async def story() -> None:
        async with day(tmp_path / "bridge.db") as today:
            _weather(today, (0.01, weather), (hours, Weather.FINE))
            made = await _calls(today, hours + 1)
            await today.emptied()
            _check(today, made)
            assert today.portal.live == []
            assert await today.store.outbox.aside() == []

    virtual_time.run(story())


@pytest.mark.parametrize("weather", [Weather.HANGS, Weather.BAD_GATEWAY], ids=lambda one: one.name)
def test_a_day_of_silence_leaves_a_handful_to_decide_and_a_person_can(tmp_path: Path, weather: Weather) -> None:
    """Registers without an answer can't be told from unfinished calls after 30 minutes; most calls never get that far."""

    async def story() -> None:
        async with day(tmp_path / "bridge.db") as today:
            _weather(today, (0.01, weather), (24, Weather.FINE))
            made = await _calls(today, 25)
            await today.emptied()
            aside = [promise for promise in await today.store.outbox.aside() if promise.kind is Kind.REGISTER]
            assert len(aside) <= WIDTH[Slot.RING]
            assert all("looked up" in promise.last_error for promise in aside)
            assert len(today.portal.statistics) == len(made) - len(aside)
            await today.telephony.retry(None)
            await today.emptied()
            _check(today, made)

    virtual_time.run(story())


def test_carried_out_without_an_answer_for_twenty_minutes_is_recognised(tmp_path: Path) -> None:
    async def story() -> None:
        async with day(tmp_path / "bridge.db") as today:
            _weather(today, (0.01, Weather.HANGS_AFTERWARDS), (0.34, Weather.FINE))
            made = await _calls(today, 2)
            await today.emptied()
            _check(today, made)
            assert today.portal.live == []
            assert await today.store.outbox.aside() == []

    virtual_time.run(story())


def test_tokens_lost_and_a_login_in_the_evening(tmp_path: Path) -> None:
    async def story() -> None:
        async with day(tmp_path / "bridge.db") as today:
            _weather(today, (1, Weather.LOGGED_OUT), (12, Weather.FINE))
            calls = asyncio.create_task(_calls(today, 24))
            await asyncio.sleep(20 * HOUR)
            asked = len(today.wire.sent)
            await asyncio.sleep(HOUR / 2)
            assert len(today.wire.sent) == asked, "nobody asks a portal that needs a login"
            await today.log_in()
            made = await calls
            await today.emptied()
            _check(today, made)

    virtual_time.run(story())


def test_a_portal_that_comes_back_gets_the_calls_in_order(tmp_path: Path) -> None:
    async def story() -> None:
        async with day(tmp_path / "bridge.db") as today:
            _weather(today, (0.01, Weather.REFUSED), (6, Weather.FINE))
            made = await _calls(today, 6.5)
            await today.emptied()
            _check(today, made)
            good = [(method, params) for at, method, params in today.wire.told if at >= 6 * HOUR]
            first = [params["EXTERNAL_CALL_ID"] for method, params in good if method == REGISTER]
            assert first == sorted(first, key=lambda name: int(name[1:]))
            cards = {row["CALL_ID"]: row["EXTERNAL_CALL_ID"] for row in today.portal.statistics}
            for name in made[1:]:
                told = [m for m, p in good if name in {p.get("EXTERNAL_CALL_ID"), cards.get(p.get("CALL_ID", ""))}]
                assert told == [REGISTER, FINISH]

    virtual_time.run(story())
