"""Carries the outbox's promises to the portals: the one owner of retries.

Each portal has its own lane of a few concurrent requests, so neither a hanging request nor a dead portal delays others.
The rules: a promise is marked as sent before it goes out; what certainly was not carried out is simply sent again; what
may have been carried out is sent again as well, because Bitrix24 recognises a repeated register for 30 minutes and a
repeated finish for ever; what Bitrix24 refuses for good is set aside for a person.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog

from ..calls.events import CallRegistered, Event
from ..errors import NetworkError
from ..store.outbox import Kind, Outbox, Promise
from .bucket import BucketFullError, Lane
from .http import UnreachableError
from .oauth import PortalClosedError
from .rest import PortalBusyError, PortalRefusedError, Rest

log = structlog.get_logger()

CONCURRENT = 4
BACK_OFF = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
CLOSED_SECONDS = 60.0
"""How often a portal that is not installed or needs a login is looked at; `reopen` is quicker."""
RECOGNISED_SECONDS = 30 * 60 - 60
"""A repeated register is recognised for 30 minutes; a minute is left for its way."""
LONGEST_WAIT = 600.0
GRACE_SECONDS = 3.0

METHODS = {Kind.REGISTER: "telephony.externalCall.register", Kind.FINISH: "telephony.externalCall.finish"}
LANES = {Kind.REGISTER: Lane.REGISTER, Kind.FINISH: Lane.FINISH}


class Courier:
    def __init__(
        self, *, outbox: Outbox, rest: Rest, post: Callable[[Event], None], clock: Callable[[], float] = time.time
    ) -> None:
        self._outbox = outbox
        self._rest = rest
        self._post = post
        self._clock = clock
        self._lanes: dict[str, _PortalLane] = {}
        self._group: asyncio.TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """On the way out, requests under way get a moment; whatever is cut off stays promised."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for portal in await self._outbox.waiting_portals():
                self.wake(portal)
            try:
                yield
            finally:
                self._group = None
                await asyncio.gather(*(lane.stop() for lane in self._lanes.values()))
                self._lanes.clear()

    def wake(self, portal: str) -> None:
        """Something new is promised to this portal."""
        if lane := self._lanes.get(portal):
            lane.woken.set()
        elif self._group is not None:
            lane = self._lanes[portal] = _PortalLane(portal, self, self._group)
            lane.start()

    def reopen(self, portal: str) -> None:
        """The portal was installed or logged in: what waited for that goes out now."""
        if lane := self._lanes.get(portal):
            lane.closed_until = 0.0
        self.wake(portal)

    # ---- used by the lanes

    async def due(self, portal: str, limit: int, busy: set[int]) -> list[Promise]:
        return await self._outbox.due(portal, self._clock(), limit, busy)

    async def seconds_until_next(self, portal: str, busy: set[int]) -> float:
        next_at = await self._outbox.next_at(portal, busy)
        return LONGEST_WAIT if next_at is None else min(max(next_at - self._clock(), 0.0), LONGEST_WAIT)

    def now(self) -> float:
        return self._clock()

    async def carry(self, promise: Promise) -> float:
        """One attempt. Until when the portal is closed, 0 if it is open."""
        now = self._clock()
        if _too_late(promise, now):
            await self._set_aside(
                promise, "whether it was registered is unknown and 30 minutes have passed: look it up"
            )
            return 0.0
        await self._outbox.sending(promise, now)
        try:
            result = await self._rest.call(promise.portal, METHODS[promise.kind], _params(promise), LANES[promise.kind])
        except PortalClosedError as error:
            await self._outbox.postpone(promise, now, str(error), untouched=True)
            log.warning("portal_closed", portal=promise.portal, why=str(error))
            return self._clock() + CLOSED_SECONDS
        except PortalRefusedError as error:
            await self._refused(promise, error)
        except NetworkError as error:
            await self._postpone(promise, error)
        else:
            await self._kept(promise, result)
        return 0.0

    async def _kept(self, promise: Promise, result: Any) -> None:
        if promise.kind is Kind.FINISH:
            await self._outbox.kept(promise)
            log.info("call_logged", call=promise.call, portal=promise.portal)
            return
        card = result.get("CALL_ID") if isinstance(result, dict) else None
        if not isinstance(card, str) or not card:
            await self._set_aside(promise, "Bitrix24 registered the call without a CALL_ID")
            return
        alive = await self._outbox.registered(promise, card)
        log.info("call_registered", call=promise.call, portal=promise.portal, card=card)
        self.wake(promise.portal)
        if alive:
            self._post(CallRegistered(call=promise.call, card=card))

    async def _refused(self, promise: Promise, error: PortalRefusedError) -> None:
        if promise.kind is Kind.FINISH and _finished_already(error):
            await self._outbox.kept(promise)
            log.info("call_logged_before", call=promise.call, portal=promise.portal)
        else:
            await self._set_aside(promise, str(error))

    async def _postpone(self, promise: Promise, error: NetworkError) -> None:
        untouched = isinstance(error, UnreachableError | PortalBusyError | BucketFullError)
        now = self._clock()
        pause = BACK_OFF[min(promise.attempts, len(BACK_OFF) - 1)]
        next_at = now + pause
        if isinstance(error, PortalBusyError):
            next_at = max(next_at, min(error.until, now + LONGEST_WAIT))
        await self._outbox.postpone(promise, next_at, str(error), untouched=untouched)
        log.warning(
            "promise_postponed",
            call=promise.call,
            portal=promise.portal,
            kind=promise.kind,
            why=str(error),
            seconds=pause,
        )

    async def _set_aside(self, promise: Promise, why: str) -> None:
        await self._outbox.set_aside(promise, why)
        log.error("promise_set_aside", call=promise.call, portal=promise.portal, kind=promise.kind, why=why)


class _PortalLane:
    """One portal's promises: at most CONCURRENT under way, the others wait for their time."""

    def __init__(self, portal: str, courier: Courier, group: asyncio.TaskGroup) -> None:
        self.portal = portal
        self.woken = asyncio.Event()
        self.closed_until = 0.0
        self._courier = courier
        self._group = group
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._runner: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._runner = self._group.create_task(self._run())

    async def stop(self) -> None:
        if self._runner is not None:
            self._runner.cancel()
        if self._busy:
            await asyncio.wait(self._busy.values(), timeout=GRACE_SECONDS)
        for task in self._busy.values():
            task.cancel()

    async def _run(self) -> None:
        while True:
            self.woken.clear()
            pause = LONGEST_WAIT
            try:
                pause = await self._dispatch()
            except Exception:
                log.exception("outbox_unreadable", portal=self.portal)
                pause = BACK_OFF[2]
            try:
                async with asyncio.timeout(pause):
                    await self.woken.wait()
            except TimeoutError:
                continue

    async def _dispatch(self) -> float:
        """Starts what is due; the seconds until there may be more."""
        closed = self.closed_until - self._courier.now()
        if closed > 0:
            return closed
        free = CONCURRENT - len(self._busy)
        if free == 0:
            return LONGEST_WAIT
        for promise in await self._courier.due(self.portal, free, set(self._busy)):
            self._busy[promise.id] = self._group.create_task(self._carry(promise))
        if len(self._busy) == CONCURRENT:
            return LONGEST_WAIT
        return await self._courier.seconds_until_next(self.portal, set(self._busy))

    async def _carry(self, promise: Promise) -> None:
        try:
            self.closed_until = max(self.closed_until, await self._courier.carry(promise))
        except Exception:
            # A store that fails: the promise is still in it, the other promises must not suffer.
            log.exception("promise_failed", call=promise.call, portal=self.portal)
            self.closed_until = max(self.closed_until, self._courier.now() + BACK_OFF[2])
        finally:
            del self._busy[promise.id]
            self.woken.set()


def _too_late(promise: Promise, now: float) -> bool:
    sent = promise.first_sent
    return promise.kind is Kind.REGISTER and sent is not None and now - sent > RECOGNISED_SECONDS


def _params(promise: Promise) -> dict[str, Any]:
    if promise.kind is Kind.FINISH:
        return {**promise.payload, "CALL_ID": promise.card}
    if promise.ended:
        return {**promise.payload, "SHOW": 0}  # no card for a call that nobody can take any more
    return dict(promise.payload)


def _finished_already(error: PortalRefusedError) -> bool:
    """A finish deletes the portal's call: a second one finds nothing (ERROR_CORE, "Call is not found…")."""
    return "call is not found" in error.text.lower()
