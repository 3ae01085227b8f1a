"""An hour of ordinary work: half of what one core carries, calls that come and go, nothing killed, nothing at fault.

`python -m tests.soak.endurance --minutes 60 --calls 352`. Each operator has a page, and call after call: two-way voice in
PCMU through ICE, DTLS and SRTP; most are answered and last half a minute to three, some are not; pages hold, press keys,
are reloaded. Four simulated portals grant five requests a second each (Enterprise), and keep to it. In the end PBX, journal,
the bridge's table and the portals' records must agree, no packet may be lost, and memory must be flat: less than 2 % in the
last three quarters, descriptors and tasks where they were before the first call.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp

from bridge.control import ask

from ..bench.load import pages_at
from ..bench.site import several
from ..rig.janus import own_address
from ..rig.process import ROOT
from ..rig.waiting import wait_for
from . import sample as look
from .crowd import Crowd, crowd
from .flat import Trend, quarters, trend
from .journal import JournalReader
from .ledgers import Balance, balance
from .person import Deeds, Person
from .sample import Clocks, Sample, hurry
from .stand import Stand, stand

RESULTS = ROOT / "build" / "soak.json"
HALF = 352
"""Calls at once: half of the 704 that one core carries (README)."""
TALK = 30.0, 180.0
BEGINNING = 6.0
"""Calls that begin in a second until everybody talks."""
SHARE_TALKING = 0.975
"""Of an operator's time."""
SAMPLE_SECONDS = 10.0
HARVEST_SECONDS = 60.0
"""A simulated portal remembers 2,000 calls."""
SETTLE_SECONDS = 300.0
QUIET_SECONDS = 10.0
"""After the last call, and before the first one, for what is let go of late."""
NICE = -10
"""Of bridge, load and portals, where that may be had: nobody else's work on the machine shall be heard in the voice."""
SLACK = 8
"""Descriptors, threads and tasks that may differ between two quiet moments: connections that are kept for a while."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """The bridge with every page open and no call."""

    bridge: look.Process
    tasks: int


@dataclass(kw_only=True)
class Outcome:
    calls: int
    seed: int
    before: Quiet
    after: Quiet
    books: Balance
    deeds: Deeds
    samples: Sequence[Sample]
    full: Sequence[Sample]
    """Those between the beginning and the end, with everybody at work."""
    memory: dict[str, Trend] = field(default_factory=dict)
    parts: dict[str, Trend] = field(default_factory=dict)
    """Of the memory: what to look at when it grows."""
    quarters: Sequence[Trend] = ()
    """Of the resident set."""

    @property
    def kb_a_call(self) -> float:
        """What the resident set grew by for each call, after the warm-up."""
        line = self.memory["rss"]
        calls = self.full[-1].made - next(each.made for each in self.full if each.at >= self.full[-1].at - line.seconds)
        return line.per_hour * line.seconds / 3600 / calls * 1000 if calls else 0.0

    @property
    def failures(self) -> list[str]:
        """Sentences; none for a clean run."""
        deeds, found = self.deeds, []
        if not self.books.is_even:
            found.append(str(self.books))
        for what, count in (
            ("packets were lost", deeds.lost),
            ("packets came twice or out of order", deeds.twice),
            ("packets did not open", deeds.refused),
            ("calls were silent", deeds.silent),
            ("calls had other keys than were pressed", deeds.wrong_keys),
            ("things went otherwise than they should", len(deeds.troubles)),
        ):
            if count:
                found.append(f"{count} {what}")
        for name, line in self.memory.items():
            if not line.is_flat:
                found.append(f"{name} grew by {line.growth * 100:.1f} %, {line.per_hour:.2f} MB an hour")
        for name in ("descriptors", "threads"):
            was, now = getattr(self.before.bridge, name), getattr(self.after.bridge, name)
            if now > was + SLACK:
                found.append(f"{now} {name} without a call, {was} before the first one")
        if self.after.tasks > self.before.tasks + SLACK:
            found.append(f"{self.after.tasks} tasks without a call, {self.before.tasks} before the first one")
        return found


class Run:
    """One endurance run on a stand that is up."""

    def __init__(self, stage: Stand, voices: Crowd, *, seed: int, talk: tuple[float, float], say: Say) -> None:
        self._stage, self._voices, self._seed, self._say = stage, voices, seed, say
        self.deeds = Deeds()
        self.samples: list[Sample] = []
        self.records: dict[str, dict[str, Any]] = {}
        self._journal = JournalReader(stage.state_dir / "journal.jsonl")
        self._database = stage.state_dir / "bridge.db"
        self._clocks = Clocks()
        self._begun = time.monotonic()
        self._people = [
            Person(desk, voices, self.deeds, random.Random(f"{seed}-{desk.account}"), talk) for desk in stage.desks
        ]

    async def quiet(self) -> Quiet:
        await asyncio.sleep(QUIET_SECONDS)
        vitals = await ask(self._stage.state_dir, do="vitals")
        return Quiet(bridge=look.process(self._stage.bridge.pid), tasks=vitals["tasks"])

    async def go(self, seconds: float, calls: int) -> Outcome:
        await several([person.sit_down for person in self._people])
        before = await self.quiet()
        self._say(f"{len(self._people)} pages are open: {before}")
        self._begun = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            watching = [tasks.create_task(self._watch()), tasks.create_task(self._harvest_often())]
            work = []
            for person in self._people:
                work.append(tasks.create_task(person.work()))
                await asyncio.sleep(1 / BEGINNING)
            started = time.monotonic() - self._begun
            await asyncio.sleep(max(0.0, seconds - started))
            for person in self._people:
                person.closing.set()
            ended = time.monotonic() - self._begun
            await asyncio.wait(work)
            for task in watching:
                task.cancel()
        await self._settle()
        after = await self.quiet()
        for person in self._people:
            person.leave()
        full = [each for each in self.samples if started < each.at < ended]
        books = balance(self.deeds.made, self._journal.callers, look.callers(self._database), [*self.records.values()])
        outcome = Outcome(
            calls=calls, seed=self._seed, before=before, after=after, books=books,
            deeds=self.deeds, samples=self.samples, full=full,
        )  # fmt: skip
        if len(full) > 2:
            times = [each.at for each in full]
            for name in ("rss", "uss"):
                outcome.memory[name] = trend(times, [getattr(each.bridge, name) for each in full])
            for part in fields(look.Parts):
                outcome.parts[part.name] = trend(times, [getattr(each.parts, part.name) for each in full])
            outcome.quarters = quarters(times, [each.bridge.rss for each in full])
        return outcome

    async def _watch(self) -> None:
        self._voices.look()
        for pid in (self._stage.bridge.pid, os.getpid(), 0):
            self._clocks.share(pid)
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            self.samples.append(await self._sample())
            self._say(str(self.samples[-1]))

    async def _sample(self) -> Sample:
        vitals = await ask(self._stage.state_dir, do="vitals")
        await asyncio.to_thread(self._journal.read)
        sound, pid = self._voices.look(), self._stage.bridge.pid
        bridge = await asyncio.to_thread(look.process, pid)
        return Sample(
            at=time.monotonic() - self._begun,
            voices=sound.voices,
            live=vitals["calls"],
            made=len(self.deeds.made),
            tasks=vitals["tasks"],
            bridge=bridge,
            parts=look.parts(vitals["heap"], bridge.uss),
            cpu=self._clocks.share(pid),
            load_cpu=self._clocks.share(os.getpid()),
            load_rss=look.process(os.getpid()).rss,
            portals_rss=look.process(self._stage.portals_pid).rss,
            machine_cpu=self._clocks.share(0),
            sent=sound.heard.sent,
            arrived=sound.heard.arrived,
            lost=self.deeds.lost,
            twice=self.deeds.twice,
            refused=self.deeds.refused,
            p50=sound.p50,
            p99=sound.p99,
            behind=round(sound.behind, 2),
            unforwarded=sound.unforwarded,
            tables=await asyncio.to_thread(look.tables, self._database),
        )

    async def _harvest_often(self) -> None:
        while True:
            await asyncio.sleep(HARVEST_SECONDS)
            await self._harvest()

    async def _harvest(self) -> None:
        """The portals' records, by their ids."""
        async with aiohttp.ClientSession() as http:
            for portal in self._stage.portals:
                async with http.get(f"{portal}/sim/calls") as answer:
                    self.records |= {record["call_id"]: record for record in await answer.json()}

    async def _settle(self) -> None:
        """No call, no promise left; what the portals know by then is judged."""
        await self._stage.desks[0].site.calls_over()

        async def kept() -> bool:
            promises = (await ask(self._stage.state_dir, do="promises"))["promises"]
            await self._harvest()
            return not promises and all(record["finished"] is not None for record in self.records.values())

        with suppress(AssertionError):
            await wait_for(kept, SETTLE_SECONDS, "every promise to be kept")
        self._journal.read()


@asynccontextmanager
async def _prepared(directory: Path, calls: int, **how: Any) -> AsyncIterator[Run]:
    operators = max(1, round(calls / SHARE_TALKING))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard > 0 else soft, hard))
    with pages_at(own_address()):
        async with stand(directory, operators=operators) as stage, crowd(operators) as voices:
            hurried = [hurry(pid, NICE) for pid in (stage.bridge.pid, stage.portals_pid, os.getpid())]
            how["say"](f"ahead of others: {hurried}; the voices in real time: {voices.hurried}")
            yield Run(stage, voices, **how)


async def endure(
    directory: Path, *, seconds: float, calls: int, seed: int, talk: tuple[float, float] = TALK, say: Say = print
) -> Outcome:
    """`calls` at once on average, once all have begun."""
    async with _prepared(directory, calls, seed=seed, talk=talk, say=say) as run:
        return await run.go(seconds, calls)


def keep(outcome: Outcome, path: Path = RESULTS) -> None:
    """For the plot, and for whoever asks later."""
    deeds = asdict(outcome.deeds)
    del deeds["made"]
    content = {
        "calls": outcome.calls,
        "seed": outcome.seed,
        "before": asdict(outcome.before),
        "after": asdict(outcome.after),
        "books": asdict(outcome.books),
        "deeds": deeds,
        "ends": _ends(outcome),
        "memory": {name: {**asdict(line), "growth": line.growth} for name, line in outcome.memory.items()},
        "parts": {name: asdict(line) for name, line in outcome.parts.items()},
        "quarters": [line.per_hour for line in outcome.quarters],
        "failures": outcome.failures,
        "samples": [asdict(each) for each in outcome.samples],
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _ends(outcome: Outcome) -> dict[str, int]:
    ends: dict[str, int] = {}
    for made in outcome.deeds.made:
        ends[made.end] = ends.get(made.end, 0) + 1
    return ends


def told(outcome: Outcome) -> list[str]:
    """The lines at the end."""
    lines = [str(outcome.books), f"ends {_ends(outcome)}, acts {outcome.deeds.acts}"]
    lines += [f"before {outcome.before}", f"after  {outcome.after}"]
    for name, line in outcome.memory.items():
        lines.append(
            f"{name}: {line.begin:.1f} MB and {line.per_hour:+.2f} MB an hour, "
            f"{line.growth * 100:+.2f} % in {line.seconds / 60:.0f} minutes"
        )
    if outcome.parts:
        parts = ", ".join(
            f"{name.replace('_', ' ')} {line.begin:.1f} {line.per_hour:+.2f}" for name, line in outcome.parts.items()
        )
        lines.append(f"of this, MB and MB an hour: {parts}")
    if outcome.quarters:
        steps = ", ".join(f"{line.per_hour:+.1f}" for line in outcome.quarters)
        lines.append(f"rss by quarters: {steps} MB an hour; {outcome.kb_a_call:.2f} KB a call after the warm-up")
    for each in (
        *outcome.books.lost,
        *outcome.books.doubled,
        *outcome.books.wrong,
        *outcome.books.turned_away,
        *outcome.deeds.troubles,
    ):
        lines.append(f"  {each}")
    return lines + (outcome.failures or ["clean"])


def main() -> int:
    words = argparse.ArgumentParser(prog="python -m tests.soak.endurance", description=__doc__)
    words.add_argument("--minutes", type=float, default=60)
    words.add_argument("--calls", type=int, default=HALF, help="at once")
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--keep", type=Path, metavar="DIRECTORY", help="where to leave the bridge's log and journal")
    given = words.parse_args()
    with TemporaryDirectory(prefix="bridge-endurance-") as folder:
        outcome = asyncio.run(
            endure(given.keep or Path(folder), seconds=given.minutes * 60, calls=given.calls, seed=given.seed)
        )
    keep(outcome)
    with suppress(BrokenPipeError):
        print("\n".join(told(outcome)), flush=True)
    return 1 if outcome.failures else 0


if __name__ == "__main__":
    sys.exit(main())
