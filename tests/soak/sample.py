"""What is looked at every few seconds while the endurance run goes on."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bench.proc import TICKS, cpu_ns

_MEMORY = re.compile(r"^(Rss|Pss|Private_Clean|Private_Dirty):\s+(\d+) kB", re.MULTILINE)
TABLES = ("calls", "outbox", "worker_history")


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """As the kernel sees it; memory in MB of 1,000,000 bytes."""

    rss: float
    pss: float
    uss: float
    descriptors: int
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Whose the bridge's memory is, as itself knows; MB."""

    thousand_blocks: float
    """Python's small objects: thousands of them, no MB."""
    used: float
    """By malloc given out, large pieces in mappings of their own included."""
    free: float
    """By malloc kept; whole pages of it are the system's again, and count in no set."""
    rest: float
    """The unique set without what malloc has in use: Python's arenas, stacks, and what is free in pieces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    at: float
    """Seconds since the first call."""
    voices: int
    """Calls with two ends that speak."""
    live: int
    """Calls as the bridge counts them."""
    made: int
    tasks: int
    bridge: Process
    parts: Parts
    cpu: float
    """Of the bridge since the sample before: cores."""
    load_cpu: float
    load_rss: float
    portals_rss: float
    machine_cpu: float
    """Of the whole machine: cores."""
    sent: int
    """Packets since the sample before, both directions, that were counted."""
    arrived: int
    lost: int
    """Of calls that are over, since the first one."""
    twice: int
    refused: int
    p50: float
    p99: float
    behind: float
    unforwarded: int
    tables: dict[str, int]

    def __str__(self) -> str:
        bridge, parts = self.bridge, self.parts
        return (
            f"{self.at / 60:5.1f} min  {self.live} calls ({self.voices} speak, {self.made} made)  "
            f"CPU {self.cpu * 100:.0f} %  RSS {bridge.rss:.1f}  USS {bridge.uss:.1f} MB  "
            f"({parts.thousand_blocks:.1f} thousand blocks, malloc {parts.used:.2f} used {parts.free:.2f} free)  "
            f"{bridge.descriptors} files  {bridge.threads} threads  {self.tasks} tasks  "
            f"{self.sent} sent, {self.lost} lost, {self.twice} twice  p50 {self.p50} p99 {self.p99} ms  "
            f"outbox {self.tables.get('outbox', 0)}  load {self.load_cpu * 100:.0f} % {self.load_rss:.0f} MB, "
            f"late {self.behind:.1f} ms  machine {self.machine_cpu * 100:.0f} %"
        )


def process(pid: int) -> Process:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    mb = {name: int(kb) * 1024 / 1e6 for name, kb in _MEMORY.findall(rollup)}
    return Process(
        rss=mb["Rss"],
        pss=mb["Pss"],
        uss=mb["Private_Clean"] + mb["Private_Dirty"],
        descriptors=len(os.listdir(f"/proc/{pid}/fd")),
        threads=len(os.listdir(f"/proc/{pid}/task")),
    )


def parts(heap: Mapping[str, Any], uss: float) -> Parts:
    """From the bridge's vitals; `uss` in MB."""
    malloc = heap["malloc"] or {"used": 0, "free": 0, "mapped": 0}
    used, free = (malloc["used"] + malloc["mapped"]) / 1e6, malloc["free"] / 1e6
    return Parts(thousand_blocks=heap["blocks"] / 1000, used=used, free=free, rest=uss - used)


def tables(database: Path) -> dict[str, int]:
    """Rows."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in TABLES}


def callers(database: Path) -> list[str]:
    """The other side's number of every call that the bridge has kept."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return [number for (number,) in connection.execute("SELECT number FROM calls")]


def hurry(pid: int, nice: int) -> bool:
    """Lets a process go before others; False if that is not allowed here."""
    try:
        os.setpriority(os.PRIO_PROCESS, pid, nice)
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setscheduler(int(thread), os.SCHED_RR, os.sched_param(1))
        # A session competes as one with other sessions, and the niceness of its processes counts among them only (sched(7)).
        if (group := Path(f"/proc/{pid}/autogroup")).exists():
            group.write_text(f"{nice}\n")
    except OSError:
        return False
    return True


class Clocks:
    """Shares of a core since the last look, by process id; 0 is the whole machine."""

    def __init__(self) -> None:
        self._before: dict[int, tuple[float, float]] = {}

    def share(self, pid: int) -> float:
        now, used = time.monotonic(), cpu_ns(pid) / 1e9 if pid else _busy_seconds()
        then, before = self._before.get(pid, (now, used))
        self._before[pid] = now, used
        return (used - before) / (now - then) if now > then else 0.0


def _busy_seconds() -> float:
    user, nice, system, _idle, _wait, interrupts, soft, *_ = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + interrupts + soft) / TICKS
