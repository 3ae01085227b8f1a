"""One portal's promises under way: each slot has its own width, so nothing stands before a ringing call.

Where more is due than a slot has room for, it goes together in a batch: what came up while Bitrix24 was down. What was in a
batch once goes alone, whatever became of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from ..store.outbox import Look, Outbox
from ..store.promises import Kind, Promise, Slot
from .agenda import Agenda
from .batch import LARGEST, Size
from .pulse import ASK_FOR_A_CALL, Pulse

log = structlog.get_logger()

WIDTH = {Slot.RING: 4, Slot.REGISTER: 2, Slot.FINISH: 4, Slot.SLOW: 1}
"""Requests under way at once; a batch takes a slot for itself."""
LARGEST_BATCH = {Slot.REGISTER: 20, Slot.FINISH: LARGEST}
"""Registers without an answer can't be decided after half an hour: no more than this may be in doubt together."""
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
    async def carry_together(self, promises: Sequence[Promise], size: Size) -> Verdict: ...
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
        self._agenda = Agenda()
        self._closed_until = 0.0
        self._asked_at = 0.0
        self._pulse = Pulse()
        self._sizes = {slot: Size(most=most) for slot, most in LARGEST_BATCH.items()}
        self._busy: dict[asyncio.Task[None], tuple[Slot, frozenset[int]]] = {}
        self._runner: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._runner = self._group.create_task(self._run())

    async def stop(self) -> None:
        if self._runner is not None:
            self._runner.cancel()
        tasks = list(self._busy)
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE_SECONDS)
        for task in tasks:
            task.cancel()

    def wake(self, slots: Collection[Slot] = tuple(Slot)) -> None:
        """There may be something due in these."""
        self._agenda.open(slots)
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
                self._agenda.open()

    async def _dispatch(self) -> float:
        """Starts what is due; the seconds until there may be more."""
        if (closed := self._closed_until - self._clock()) > 0:
            return closed
        if self._pulse.is_gone:
            self._asked_at = self._clock()
            self._judge(await self._carrier.is_back(self._portal), asked=True)
            return 0.0
        free, forgotten = self._free(), self._carrier.forgotten
        slots = self._agenda.take(free)
        if slots:
            room = {slot: free[slot] if self._pulse.is_weak else max(free[slot], self._batch(slot)) for slot in slots}
            look = await self._look(room, forgotten)
            due = look.due[:1] if self._pulse.is_weak else look.due
            for slot in room:
                self._start(slot, [promise for promise in due if slot_of(promise, forgotten) is slot], free[slot])
            self._note(room, look, forgotten)
        wait = self._agenda.next_at(self._free()) - self._clock()
        return min(max(wait, 0.0), LONGEST_WAIT)

    async def _look(self, room: Mapping[Slot, int], forgotten: float) -> Look:
        try:
            return await self._outbox.look(
                self._portal, self._clock(), room, busy=self._promises(), forgotten=forgotten
            )
        except BaseException:
            self._agenda.open(room)
            raise

    def _note(self, room: Mapping[Slot, int], look: Look, forgotten: float) -> None:
        """What was not started, and what there was no room to see, has to be looked at once more."""
        self._agenda.saw(room, look.next_at)
        begun, found = self._promises(), [slot_of(promise, forgotten) for promise in look.due]
        left = {slot for slot, promise in zip(found, look.due, strict=True) if promise.id not in begun}
        self._agenda.open(left | {slot for slot, limit in room.items() if found.count(slot) >= limit})

    def _start(self, slot: Slot, promises: Sequence[Promise], places: int) -> None:
        """Each alone where they have room; else those that were tried before go first, and the others together."""
        if len(promises) <= places:
            alone, together = promises, list[Promise]()
        else:
            alone = [promise for promise in promises if promise.attempts][:places]
            together = [promise for promise in promises if not promise.attempts]
        for promise in alone:
            self._begin(slot, [promise])
        if together and len(alone) < places:
            self._begin(slot, together)

    def _begin(self, slot: Slot, promises: Sequence[Promise]) -> None:
        task = self._group.create_task(self._carry(slot, promises))
        self._busy[task] = slot, frozenset(promise.id for promise in promises)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._busy[task]
        self._agenda.open()
        self._woken.set()

    def _promises(self) -> set[int]:
        return {promise for _, promises in self._busy.values() for promise in promises}

    def _batch(self, slot: Slot) -> int:
        return self._sizes[slot].next if slot in self._sizes else 0

    def _free(self) -> dict[Slot, int]:
        """Places by slot, none where there is none. A portal that is weak gets one thing at a time, a ringing call beside it."""
        taken = [slot for slot, _ in self._busy.values()]
        if self._pulse.is_weak:
            return {slot: 1 for slot in Slot if slot not in taken and (slot is Slot.RING or not taken)}
        full = {slot for slot, promises in self._busy.values() if len(promises) > 1}
        return {
            slot: WIDTH[slot] - taken.count(slot)
            for slot in Slot
            if slot not in full and taken.count(slot) < WIDTH[slot]
        }

    async def _carry(self, slot: Slot, promises: Sequence[Promise]) -> None:
        try:
            if len(promises) == 1:
                verdict = await self._carrier.carry(promises[0])
            else:
                verdict = await self._carrier.carry_together(promises, self._sizes[slot])
            self._judge(verdict)
        except Exception:
            # A store that fails: the promises are still in it.
            log.exception("promise_not_written", calls=[promise.call for promise in promises], portal=self._portal)
            await asyncio.sleep(STORE_PAUSE)

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


def slot_of(promise: Promise, forgotten: float) -> Slot:
    if promise.kind is Kind.REGISTER:
        lost = promise.first_sent is not None and promise.first_sent < forgotten
        return Slot.SLOW if lost else Slot.REGISTER if promise.ended else Slot.RING
    return Slot.FINISH if promise.kind is Kind.FINISH else Slot.SLOW
