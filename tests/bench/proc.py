"""What a process has used, as the kernel counts it."""

from __future__ import annotations

import os
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """User and kernel time of all its threads, to 10 ms."""
    # The name in parentheses may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_kb(pid: int) -> float:
    """Memory that lies in RAM, in units of 1,000 bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 1000


class Crowd:
    """How long a process's main thread could have run and got no core, because others had them all."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._begin = time.monotonic()
        self._before = self._waited()

    def __str__(self) -> str:
        share = (self._waited() - self._before) / (time.monotonic() - self._begin)
        return f"the bridge waited {share * 100:.0f} % of the time for a core"

    def _waited(self) -> float:
        return int(Path(f"/proc/{self._pid}/schedstat").read_text().split()[1]) / 1e9


def cpu_ns(pid: int) -> int:
    """Time on a core of all its threads, kernel's share included, to the nanosecond."""
    used = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            used += int((task / "schedstat").read_text().split()[0])
        except OSError:  # ended meanwhile
            continue
    return used


def cpu_ns_of_family(pid: int) -> int:
    """The same of a process and all that it has started."""
    children = (task / "children" for task in Path(f"/proc/{pid}/task").iterdir())
    return cpu_ns(pid) + sum(cpu_ns_of_family(int(child)) for path in children for child in path.read_text().split())
