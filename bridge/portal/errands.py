"""What portals report is done after they were answered: in order for each portal, and one that hangs holds up no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from ..errors import BridgeError

log = structlog.get_logger()

LONGEST_QUEUE = 100
"""Of each portal."""

Errand = Callable[[], Awaitable[object]]


class Errands:
    """Portals are those of the configuration, so their number is bounded. Inside `running()` they are worked off."""

    def __init__(self) -> None:
        self._queues: dict[str, asyncio.Queue[Errand]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._workers: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            self._group = group
            for queue in self._queues.values():
                self._begin(queue)
            try:
                yield
            finally:
                self._group = None
                for worker in self._workers:
                    worker.cancel()

    def put(self, portal: str, errand: Errand) -> None:
        if (queue := self._queues.get(portal)) is None:
            queue = self._queues[portal] = asyncio.Queue(LONGEST_QUEUE)
            self._begin(queue)
        try:
            queue.put_nowait(errand)
        except asyncio.QueueFull:
            log.warning("report_dropped", portal=portal, why="too many wait")

    async def settled(self) -> None:
        """Returns when everything that was reported so far is handled."""
        for queue in list(self._queues.values()):
            await queue.join()

    def _begin(self, queue: asyncio.Queue[Errand]) -> None:
        if self._group is not None:
            self._workers.append(self._group.create_task(self._work(queue)))

    async def _work(self, queue: asyncio.Queue[Errand]) -> None:
        while True:
            errand = await queue.get()
            try:
                await errand()
            except BridgeError as error:
                log.warning("report_not_handled", why=str(error))
            except Exception:
                log.exception("report_not_handled")
            finally:
                queue.task_done()
