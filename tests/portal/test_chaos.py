"""The short chaos of `make soak`, in virtual time: every failure there is, the bridge killed again and again, one record a call.

The portal is the tests' own, down to requests that it carries out long after the bridge has given them up.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ..rig import virtual_time
from .fake import FakePortal
from .house import leave_as_killed
from .inprocess import Day, Weather, day

CALLS, KILLS = 100, 6
EVERY = 12.0
"""Seconds between calls, on average."""


@dataclass
class Ledger:
    """What the PBX would know of a call."""

    talked: dict[str, int] = field(default_factory=dict)
    """Seconds, 0 for a missed call."""
    cut: set[str] = field(default_factory=set)
    """Calls that were alive when the bridge was killed, once promised."""
    alive: set[str] = field(default_factory=set)


class Chaos:
    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.portal = FakePortal()
        self.ledger = Ledger()
        self.weather = Weather.FINE
        self.seen: Counter[Weather] = Counter()
        self.made = 0

    async def story(self) -> None:
        storm = asyncio.create_task(self._rage())
        for life in range(KILLS + 1):
            await self._live(life, CALLS * (life + 1) // (KILLS + 1), storm)

    async def _rage(self) -> None:
        while True:
            self.weather = self.chance.choice([*Weather, Weather.HANGS, Weather.HANGS])
            self.seen[self.weather] += 1
            await asyncio.sleep(self.chance.uniform(5, 60))
            self.weather = Weather.FINE
            await asyncio.sleep(self.chance.uniform(2, 30))

    async def _live(self, life: int, until: int, storm: asyncio.Task[None]) -> None:
        """One life of the bridge: until so many calls were made; the last one ends in an orderly way."""
        last = until == CALLS
        path, copy = self.folder / f"{life}.db", self.folder / f"{life + 1}.db"
        async with AsyncExitStack() as stack:
            today = await stack.enter_async_context(day(path, portal=self.portal, fresh=life == 0))
            today.wire.weather = lambda: self.weather
            today.wire.late = self.chance
            if life:
                await today.log_in()
            calls: set[asyncio.Task[None]] = set()
            while self.made < until:
                self.made += 1
                calls.add(asyncio.create_task(self._call(today, f"c{self.made}")))
                await asyncio.sleep(self.chance.expovariate(1 / EVERY))
                if self.weather is Weather.LOGGED_OUT or self.chance.random() < 0.1:
                    await today.log_in()
            if not last:
                self.ledger.cut |= self.ledger.alive
                self.ledger.alive.clear()
                leave_as_killed(path, copy)
                today.wire.cut = True  # nothing leaves a dead process
                for call in calls:
                    call.cancel()
                return
            await asyncio.gather(*calls)
            storm.cancel()
            self.weather = Weather.FINE
            await today.log_in()
            await today.emptied()
            assert await today.store.outbox.aside() == []

    async def _call(self, today: Day, name: str) -> None:
        await today.register(name)
        self.ledger.alive.add(name)
        await asyncio.sleep(self.chance.uniform(0.1, 20))
        talked = 0
        if self.chance.random() < 0.6:
            await today.answer(name)
            talked = self.chance.randint(1, 90)
            await asyncio.sleep(talked)
        self.ledger.talked[name] = talked
        self.ledger.alive.discard(name)
        await today.finish(name, "200" if talked else "304", talked)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_fails_and_whenever_the_bridge_dies_each_call_has_its_one_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr("bridge.portal.telephony.SEEN_SECONDS", 20.0)
    monkeypatch.setattr("bridge.portal.lane.GRACE_SECONDS", 0.0)
    chaos = Chaos(tmp_path, seed)
    virtual_time.run(chaos.story())
    assert len(chaos.seen) >= 8, "a storm of every kind"
    records = {row["EXTERNAL_CALL_ID"]: row for row in chaos.portal.statistics}
    assert len(records) == len(chaos.portal.statistics), "a call with two records"
    assert chaos.portal.live == [], "a call that Bitrix24 takes for unfinished"
    ledger = chaos.ledger
    assert set(ledger.talked) | ledger.cut == set(records), "lost, or made up"
    for name, talked in ledger.talked.items():
        status = records[name]["STATUS_CODE"], records[name]["DURATION"]
        assert status == (("200", talked) if talked else ("304", 0)), name
