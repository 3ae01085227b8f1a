"""What becomes of a promise whose attempt failed, and what the failure says of its portal."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from ..errors import NetworkError
from ..store.outbox import Outbox
from ..store.promises import Kind, Promise
from .bucket import BucketFullError
from .deeds import FINISH, REGISTER, HopelessError, UndecidedError
from .http import UnreachableError
from .lane import BACK_OFF, CLOSED_SECONDS, Verdict
from .oauth import PortalClosedError
from .rest import MethodClosedError, PortalBusyError, PortalRefusedError

log = structlog.get_logger()

LONGEST_PAUSE = 3600.0
POISON_ATTEMPTS = 12
"""So many failures (about seven minutes of them) while requests of the same kind succeed, and it is the promise's fault."""
DEFECTS = 5
"""So many times a defect of ours may meet a promise before it is set aside."""
_CALLS = {REGISTER, FINISH}


class Setbacks:
    def __init__(self, outbox: Outbox, clock: Callable[[], float]) -> None:
        self._outbox = outbox
        self._clock = clock
        self._succeeded: dict[tuple[str, Kind], float] = {}

    def succeeded(self, promise: Promise) -> None:
        """Others of its kind can be kept at this portal now."""
        self._succeeded[promise.portal, promise.kind] = self._clock()

    async def met(self, promise: Promise, error: Exception) -> Verdict:
        """After an attempt that ended with this error."""
        match error:
            case HopelessError() | UndecidedError():
                await self._set_aside(promise, str(error))
            case MethodClosedError():
                return await self._method_closed(promise, error)
            case PortalClosedError():
                await self._outbox.postpone(promise, self._clock(), str(error), untouched=True)
                return self.closed(promise.portal, error)
            case PortalRefusedError():
                return await self._refused(promise, error)
            case PortalBusyError():
                return await self._busy(promise, error)
            case NetworkError():
                await self._unanswered(promise, error)
                return Verdict(silent=not isinstance(error, BucketFullError))
            case _:
                # A defect of ours: the promise stays, the others must not suffer.
                named = {"call": promise.call, "portal": promise.portal, "kind": promise.kind}
                log.error("promise_failed", **named, exc_info=error)
                await self._defect(promise, error)
        return Verdict()

    def closed(self, portal: str, error: Exception) -> Verdict:
        """It is not installed, or needs a login or a right: it is asked again later."""
        log.warning("portal_closed", portal=portal, why=str(error))
        return Verdict(closed_until=self._clock() + CLOSED_SECONDS)

    async def _method_closed(self, promise: Promise, error: MethodClosedError) -> Verdict:
        """Calls wait until an administrator has repaired it; what is beside them must not hold them up."""
        if error.method not in _CALLS:
            await self._set_aside(promise, str(error))
            return Verdict()
        await self._outbox.postpone(promise, self._clock(), str(error), untouched=True)
        return self.closed(promise.portal, error)

    async def _refused(self, promise: Promise, error: PortalRefusedError) -> Verdict:
        attached = promise.kind in {Kind.RECORD, Kind.TRANSCRIPT}
        if attached and error.code == "ERROR_CORE" and promise.attempts < POISON_ATTEMPTS:
            # Statistics may know a call only a while after its finish: "not found" is no last word here.
            await self._postpone(promise, str(error), untouched=False)
        elif error.code == "ERROR_METHOD_NOT_FOUND" and error.method in _CALLS:
            await self._outbox.postpone(promise, self._clock(), str(error), untouched=True)
            return self.closed(promise.portal, error)
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
