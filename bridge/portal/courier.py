"""Carries the outbox's promises to the portals: the one owner of retries.

The rules: a promise is marked as sent before it goes out; what certainly was not carried out is simply sent again; what
may have been carried out is sent again as well, because Bitrix24 recognises a repeated register for 30 minutes and a
repeated finish for ever. A register of unknown outcome that is older is looked up and never repeated unseen. What Bitrix24
refuses for good, or fails at while it carries out others, is set aside for a person.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from ..calls.events import CallRegistered, Event
from ..errors import NetworkError
from ..store.outbox import Outbox
from ..store.promises import Kind, Promise
from ..store.writer import StoreDownError
from .bucket import BucketFullError, Lane
from .deeds import FINISH, REGISTER, Deeds, HopelessError, UndecidedError
from .http import UnreachableError
from .lane import BACK_OFF, CLOSED_SECONDS, PortalLane, Verdict
from .oauth import PortalClosedError
from .rest import MethodClosedError, PortalBusyError, PortalRefusedError, Rest

log = structlog.get_logger()

RECOGNISED_SECONDS = 30 * 60 - 60
"""A repeated register is recognised for 30 minutes; a minute is left for its way."""
REQUEST_SECONDS = 60.0
"""Longer than that no request runs at a portal."""
LONGEST_PAUSE = 3600.0
POISON_ATTEMPTS = 12
"""So many failures (about seven minutes of them) while requests of the same kind succeed, and it is the promise's fault."""
DEFECTS = 5
"""So many times a defect of ours may meet a promise before it is set aside."""
_CALLS = {REGISTER, FINISH}
QUESTION = "server.time"
"""Needs no scope and changes nothing."""


class Courier:
    def __init__(
        self, *, outbox: Outbox, rest: Rest, post: Callable[[Event], None], clock: Callable[[], float] = time.time
    ) -> None:
        self._outbox = outbox
        self._rest = rest
        self._deeds = Deeds(rest)
        self._post = post
        self._clock = clock
        self._lanes: dict[str, PortalLane] = {}
        self._succeeded: dict[tuple[str, Kind], float] = {}
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
            lane.wake()
        elif self._group is not None:
            lane = self._lanes[portal] = PortalLane(portal, self._outbox, self, self._group, self._clock)
            lane.start()

    def reopen(self, portal: str) -> None:
        """The portal was installed or logged in: what waited for that goes out now."""
        if lane := self._lanes.get(portal):
            lane.reopen()
        self.wake(portal)

    # ---- for the lanes

    @property
    def forgotten(self) -> float:
        """A register sent before this time is not recognised any more."""
        return self._clock() - RECOGNISED_SECONDS

    async def is_back(self, portal: str) -> Verdict:
        """Asks a portal that was silent something harmless."""
        try:
            await self._rest.call(portal, QUESTION, {}, Lane.REGISTER)
        except PortalClosedError as error:
            return self._closed(portal, error)
        except PortalBusyError:
            return Verdict(busy=True)
        except PortalRefusedError:
            return Verdict()
        except NetworkError as error:
            log.warning("portal_silent", portal=portal, why=str(error))
            return Verdict(silent=True)
        return Verdict()

    async def carry(self, promise: Promise) -> Verdict:
        """One attempt."""
        try:
            return await self._attempt(promise)
        except StoreDownError:
            raise
        except (HopelessError, UndecidedError) as error:
            await self._set_aside(promise, str(error))
        except MethodClosedError as error:
            return await self._method_closed(promise, error)
        except PortalClosedError as error:
            await self._outbox.postpone(promise, self._clock(), str(error), untouched=True)
            return self._closed(promise.portal, error)
        except PortalRefusedError as error:
            return await self._refused(promise, error)
        except PortalBusyError as error:
            return await self._busy(promise, error)
        except NetworkError as error:
            await self._unanswered(promise, error)
            return Verdict(silent=not isinstance(error, BucketFullError))
        except Exception as error:
            # A defect of ours: the promise stays, the others must not suffer.
            log.exception("promise_failed", call=promise.call, portal=promise.portal, kind=promise.kind)
            await self._defect(promise, error)
        return Verdict()

    async def _attempt(self, promise: Promise) -> Verdict:
        if promise.kind is Kind.REGISTER and promise.first_sent is not None and promise.first_sent < self.forgotten:
            card = await self._deeds.registered_as(promise)
            log.warning("call_found", call=promise.call, portal=promise.portal, card=card)
            await self._registered(promise, card)
            return Verdict()
        await self._outbox.sending(promise, self._clock())
        match promise.kind:
            case Kind.REGISTER:
                card = await self._deeds.register(promise)
                # An earlier request may still be under way there, and must find the call unfinished when it arrives.
                in_doubt = promise.first_sent is not None
                await self._registered(promise, card, self._clock() + REQUEST_SECONDS if in_doubt else None)
            case Kind.FINISH:
                await self._deeds.finish(promise)
                await self._kept(promise, "call_logged")
            case Kind.RECORD:
                await self._deeds.record(promise)
                await self._kept(promise, "record_attached")
                if promise.payload["delete"]:
                    await asyncio.to_thread(Path(promise.payload["path"]).unlink, missing_ok=True)
            case Kind.TRANSCRIPT:
                await self._deeds.transcript(promise)
                await self._kept(promise, "transcript_attached")
        self._succeeded[promise.portal, promise.kind] = self._clock()
        return Verdict()

    async def _registered(self, promise: Promise, card: str, settles: float | None = None) -> None:
        alive = await self._outbox.registered(promise, card, settles)
        log.info("call_registered", call=promise.call, portal=promise.portal, card=card)
        if alive:
            self._post(CallRegistered(call=promise.call, card=card))

    async def _kept(self, promise: Promise, what: str) -> None:
        await self._outbox.kept(promise)
        log.info(what, call=promise.call, portal=promise.portal)

    # ---- what went wrong

    def _closed(self, portal: str, error: Exception) -> Verdict:
        log.warning("portal_closed", portal=portal, why=str(error))
        return Verdict(closed_until=self._clock() + CLOSED_SECONDS)

    async def _method_closed(self, promise: Promise, error: MethodClosedError) -> Verdict:
        """Calls wait until an administrator has repaired it; what is beside them must not hold them up."""
        if error.method not in _CALLS:
            await self._set_aside(promise, str(error))
            return Verdict()
        await self._outbox.postpone(promise, self._clock(), str(error), untouched=True)
        return self._closed(promise.portal, error)

    async def _refused(self, promise: Promise, error: PortalRefusedError) -> Verdict:
        attached = promise.kind in {Kind.RECORD, Kind.TRANSCRIPT}
        if attached and error.code == "ERROR_CORE" and promise.attempts < POISON_ATTEMPTS:
            # Statistics may know a call only a while after its finish: "not found" is no last word here.
            await self._postpone(promise, str(error), untouched=False)
        elif error.code == "ERROR_METHOD_NOT_FOUND" and error.method in _CALLS:
            await self._outbox.postpone(promise, self._clock(), str(error), untouched=True)
            return self._closed(promise.portal, error)
        else:
            await self._set_aside(promise, str(error))
        return Verdict()

    async def _busy(self, promise: Promise, error: PortalBusyError) -> Verdict:
        now = self._clock()
        if error.until > now:
            until = min(error.until, now + LONGEST_PAUSE)
            await self._outbox.postpone(promise, until, str(error), untouched=True)
            return Verdict()
        await self._outbox.postpone(promise, now, str(error), untouched=True)
        return Verdict(busy=True)

    async def _unanswered(self, promise: Promise, error: NetworkError) -> None:
        untouched = isinstance(error, UnreachableError | BucketFullError)
        others = self._succeeded.get((promise.portal, promise.kind), float("-inf"))
        if not untouched and promise.attempts + 1 >= POISON_ATTEMPTS and others > (promise.first_sent or others):
            await self._set_aside(
                promise, f"Bitrix24 failed at it {promise.attempts + 1} times, and at no other: {error}"
            )
        else:
            await self._postpone(promise, str(error), untouched=untouched)

    async def _defect(self, promise: Promise, error: Exception) -> None:
        why = f"a defect of the bridge: {type(error).__name__}"
        if promise.attempts + 1 >= DEFECTS:
            await self._set_aside(promise, why)
        else:
            await self._postpone(promise, why, untouched=False)

    async def _postpone(self, promise: Promise, why: str, *, untouched: bool) -> None:
        pause = BACK_OFF[min(promise.attempts, len(BACK_OFF) - 1)]
        await self._outbox.postpone(promise, self._clock() + pause, why, untouched=untouched)
        named = {"call": promise.call, "portal": promise.portal, "kind": promise.kind}
        log.warning("promise_postponed", **named, why=why, seconds=pause)

    async def _set_aside(self, promise: Promise, why: str) -> None:
        await self._outbox.set_aside(promise, why)
        log.error("promise_set_aside", call=promise.call, portal=promise.portal, kind=promise.kind, why=why)
