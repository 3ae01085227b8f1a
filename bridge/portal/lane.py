"""One portal's promises under way: each slot has its own width, so recordings never stand before a ringing call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from ..store.outbox import Outbox
from ..store.promises import Kind, Promise, Slot
from .pulse import ASK_FOR_A_CALL, Pulse

log = structlog.get_logger()

WIDTH = {Slot.REGISTER: 4, Slot.FINISH: 4, Slot.SLOW: 1}
"""Requests under way at once."""
BACK_OFF = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
"""Seconds until the next attempt, the last one for ever."""
STORE_PAUSE = 2.0
CLOSED_SECONDS = 60.0
"""How often a portal that is not installed or needs a login is looked at; `reopen` is quicker."""
LONGEST_WAIT = 600.0
GRACE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one attempt says of its portal; nothing in particular: it answered."""

    silent: bool = False
    busy: bool = False
    closed_until: float = 0.0


class Carrier(Protocol):
    @property
    def forgotten(self) -> float: ...
    async def carry(self, promise: Promise) -> Verdict: ...
    async def is_back(self, portal: str) -> Verdict: ...


class PortalLane:
    def __init__(
        self, portal: str, outbox: Outbox, carrier: Carrier, group: asyncio.TaskGroup, clock: Callable[[], float]
    ) -> None:
        self._portal = portal
        self._outbox = outbox
        self._carrier = carrier
        self._group = group
        self._clock = clock
        self._woken = asyncio.Event()
        self._closed_until = 0.0
        self._asked_at = 0.0
        self._pulse = Pulse()
        self._busy: dict[int, tuple[Slot, asyncio.Task[None]]] = {}
        self._runner: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._runner = self._group.create_task(self._run())

    async def stop(self) -> None:
        if self._runner is not None:
            self._runner.cancel()
        tasks = [task for _, task in self._busy.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE_SECONDS)
        for task in tasks:
            task.cancel()

    def wake(self) -> None:
        if self._pulse.is_gone:
            self._closed_until = min(self._closed_until, self._asked_at + ASK_FOR_A_CALL)
        self._woken.set()

    def reopen(self) -> None:
        self._closed_until = 0.0
        self._pulse.answered()

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            try:
                pause = await self._dispatch()
            except Exception:
                log.exception("outbox_unreadable", portal=self._portal)
                await asyncio.sleep(STORE_PAUSE)
                continue
            try:
                async with asyncio.timeout(pause):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _dispatch(self) -> float:
        """Starts what is due; the seconds until there may be more."""
        if (closed := self._closed_until - self._clock()) > 0:
            return closed
        if self._pulse.is_gone:
            self._asked_at = self._clock()
            self._judge(await self._carrier.is_back(self._portal), asked=True)
            return 0.0
        free = self._free()
        if not free:
            return LONGEST_WAIT
        forgotten, busy = self._carrier.forgotten, set(self._busy)
        found = await self._outbox.due(self._portal, self._clock(), free, busy=busy, forgotten=forgotten)
        for promise in found[:1] if self._pulse.is_weak else found:
            slot = _slot(promise, forgotten)
            self._busy[promise.id] = slot, self._group.create_task(self._carry(promise))
        free = self._free()
        if not free:
            return LONGEST_WAIT
        next_at = await self._outbox.next_at(self._portal, tuple(free), busy=set(self._busy), forgotten=forgotten)
        return LONGEST_WAIT if next_at is None else min(max(next_at - self._clock(), 0.0), LONGEST_WAIT)

    def _free(self) -> dict[Slot, int]:
        if self._pulse.is_weak:
            return {} if self._busy else dict.fromkeys(Slot, 1)
        free = {slot: WIDTH[slot] - sum(taken is slot for taken, _ in self._busy.values()) for slot in Slot}
        return {slot: places for slot, places in free.items() if places > 0}

    async def _carry(self, promise: Promise) -> None:
        try:
            self._judge(await self._carrier.carry(promise))
        except Exception:
            # A store that fails: the promise is still in it.
            log.exception("promise_not_written", call=promise.call, portal=self._portal)
            await asyncio.sleep(STORE_PAUSE)
        finally:
            del self._busy[promise.id]
            self._woken.set()

    def _judge(self, verdict: Verdict, *, asked: bool = False) -> None:
        pause = 0.0
        if verdict.busy:
            pause = self._pulse.busy()
        elif verdict.silent and asked:
            pause = self._pulse.still_gone()
        elif verdict.silent:
            self._pulse.silent()
        elif verdict.closed_until:
            self._pulse.closed()
        else:
            self._pulse.answered()
        self._closed_until = max(self._closed_until, verdict.closed_until, self._clock() + pause if pause else 0.0)


def _slot(promise: Promise, forgotten: float) -> Slot:
    if promise.kind is Kind.REGISTER:
        lost = promise.first_sent is not None and promise.first_sent < forgotten
        return Slot.SLOW if lost else Slot.REGISTER
    return Slot.FINISH if promise.kind is Kind.FINISH else Slot.SLOW
