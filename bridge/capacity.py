"""Whether one more call can be taken before those that run suffer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog

log = structlog.get_logger()

LOOK_SECONDS: Final = 0.5
MEMORY: Final = 0.3
"""How much a new look counts against what was known: two seconds or so until a burst is believed."""
CALM: Final = 0.85
"""Calls are admitted again below this share of a limit, so that the answer does not flutter."""


class Capacity:
    """What this process bears: calls at once, CPU, and how late its loop is.

    A call that runs is never touched; only new ones are refused.
    """

    def __init__(self, *, most_calls: int, most_cpu: float, late_seconds: float, calls: Callable[[], int]) -> None:
        self._most_calls, self._most_cpu, self._most_late, self._calls = most_calls, most_cpu, late_seconds, calls
        self._cpu = self._late = 0.0
        self._full = False

    def looked(self, *, cpu: float, late: float) -> None:
        """One look: share of a core since the one before, and by how many seconds it came too late."""
        self._cpu += (cpu - self._cpu) * MEMORY
        self._late += (late - self._late) * MEMORY
        worst = max(self._cpu / self._most_cpu, self._late / self._most_late)
        if worst >= 1 and not self._full:
            log.warning("bridge_full", cpu=round(self._cpu, 2), late_ms=round(self._late * 1000), calls=self._calls())
        if worst >= 1 or worst < CALM:
            self._full = worst >= 1

    @property
    def obstacle(self) -> str:
        """Why no further call is taken now, "" if it is."""
        if self._calls() >= self._most_calls:
            return f"{self._most_calls} calls at once are the limit (calls.most)"
        return "the bridge has no CPU left for another call" if self._full else ""

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Looks every half second until left."""
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self._watch())
            try:
                yield
            finally:
                task.cancel()

    async def _watch(self) -> None:
        at, used = time.monotonic(), time.process_time()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            before, at = at, time.monotonic()
            used_before, used = used, time.process_time()
            passed = at - before
            self.looked(cpu=(used - used_before) / passed, late=max(0.0, passed - LOOK_SECONDS))
