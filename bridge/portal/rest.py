"""Bitrix24's REST methods: its two limits kept per portal, errors read from the body, an expired token refreshed once.

Nothing is retried here beyond that: whoever owns the promise owns the retries.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import NetworkError, RefusedError
from ..store.portals import EnrolledPortal
from . import batch
from .batch import Command, Outcome, Refusal
from .bucket import Bucket, Lane
from .budget import Budget
from .http import Content, CutOffError, Http, Reply, UnansweredError, UnreachableError
from .keyring import Keyring
from .oauth import PortalClosedError, origin_of
from .trouble import PERSONAL, Trouble, of_rest

MOVED = "MOVED"
"""Our own code for a redirect: the portal was renamed. A POST must not follow it; a refresh tells the new address."""
STALE = {"EXPIRED_TOKEN", "INVALID_TOKEN", "NO_AUTH_FOUND", MOVED}
TIME_LIMIT = "OPERATION_TIME_LIMIT"
BUSY = {"QUERY_LIMIT_EXCEEDED", "OVERLOAD_LIMIT", TIME_LIMIT}
NOT_NOW = STALE | {
    "ACCESS_DENIED",
    "INSUFFICIENT_SCOPE",
    "INVALID_CREDENTIALS",
    "PAYMENT_REQUIRED",
    "PORTAL_DELETED",
    "USER_ACCESS_ERROR",
    "WRONG_AUTH_TYPE",
}
"""Faults of the portal's settings, not of the request: an administrator can repair them."""
HARMLESS_TWICE = {
    "profile",
    "server.time",
    "telephony.externalCall.searchCrmEntities",
    "telephony.externalCall.show",
    "user.get",
    "voximplant.statistic.get",
}
"""Asked once more at once when our own address has gone under the request; about anything else its owner decides."""
LONGEST_REQUEST = 60.0
"""Seconds after which Bitrix24 ends a request; a batch may take that long."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a portal's tariff allows: requests a second, and at once."""

    per_second: float
    burst: int


ORDINARY, ENTERPRISE = Plan(2, 50), Plan(5, 250)


class PortalRefusedError(RefusedError):
    """Bitrix24 answered with an error; `code` is upper-case, `text` its description."""

    def __init__(self, method: str, code: str, text: str) -> None:
        super().__init__(f"{method}: {code}{f' ({text})' if text else ''}")
        self.method = method
        self.code = code
        self.text = text


class PortalBusyError(NetworkError):
    """The portal is at its limit and did not carry the request out; `until` is when it says to come back, 0 if it doesn't."""

    def __init__(self, method: str, code: str, until: float) -> None:
        super().__init__(f"{method}: {code}")
        self.code = code
        self.until = until


class MethodClosedError(PortalClosedError):
    """This method is refused for a fault of the portal's settings: a scope, a right, a plan. `method` is the one."""

    def __init__(self, error: PortalRefusedError) -> None:
        super().__init__(str(error))
        self.method = error.method


class Rest:
    """Calls REST methods of enrolled portals; `call_as` with the token of a page instead of ours."""

    def __init__(
        self,
        *,
        http: Http,
        keyring: Keyring,
        plans: Mapping[str, Plan] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`plans` by portal; a portal without one has the ordinary."""
        self._http = http
        self._keyring = keyring
        self._plans = plans or {}
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}
        self._budgets: dict[str, Budget] = {}

    async def call(self, portal: str, method: str, params: Mapping[str, Any], lane: Lane = Lane.OTHER) -> Any:
        """The method's result, or PortalRefusedError, PortalClosedError, or one of the NetworkErrors of this room."""
        enrolled = self._keyring.usable(portal)
        tried: set[str] = set()
        while True:
            try:
                result = await self.call_as(portal, enrolled.client_endpoint, method, params, enrolled.access, lane)
            except PortalRefusedError as error:
                if error.code not in NOT_NOW:
                    raise
                enrolled = await self._admitted(enrolled, error, method, tried)
                continue
            if enrolled.trouble:
                await self._keyring.well(portal)
            return result

    async def together(self, portal: str, commands: Sequence[Command], lane: Lane) -> list[Outcome]:
        """What became of each command of one `batch`; errors of the batch itself as those of `call`."""
        budget, now = self._budget(portal), self._clock()
        for method in {command.method for command in commands}:
            if (until := budget.until(method, lane, now)) > 0:
                raise PortalBusyError(method, TIME_LIMIT, until)
        answer = await self.call(portal, "batch", batch.encoded(commands), lane)
        for method, block in batch.spent(commands, answer):
            budget.note(method, block)
        found = batch.outcomes(commands, answer)
        for command, outcome in zip(commands, found, strict=True):
            if isinstance(outcome, Refusal) and outcome.code == TIME_LIMIT:
                budget.exceeded(command.method, 0.0, self._clock())
        return found

    async def _admitted(
        self, asked: EnrolledPortal, error: PortalRefusedError, method: str, before: set[str]
    ) -> EnrolledPortal:
        """The portal as it may be asked once more, or PortalClosedError. `before`: what this request has tried already."""
        if (trouble := of_rest(error.code, error.text)) is not None:
            raise await self._keyring.troubled(asked.id, trouble)
        remedy = "refresh" if error.code in STALE else "another administrator"
        if remedy in before or error.code not in STALE | PERSONAL:
            if error.code == MOVED:
                raise await self._keyring.troubled(asked.id, Trouble.MOVED)
            raise MethodClosedError(error) if error.code not in STALE else PortalClosedError(str(error))
        before.add(remedy)
        try:
            if error.code in STALE:
                return await self._keyring.refreshed(asked.id, asked.access)
            if method == "profile" or not await self._is_administrator(asked):
                changed = await self._keyring.another(asked.id, asked.access)
                if changed is not None:
                    return changed
        except UnansweredError as unanswered:
            raise UnreachableError(str(unanswered)) from None  # the method itself was refused: nothing was carried out
        raise MethodClosedError(error)

    async def _is_administrator(self, asked: EnrolledPortal) -> bool:
        """Is the owner of the token in use still one? Who may not even ask for a profile meets no person's fault."""
        try:
            profile = await self.call_as(asked.id, asked.client_endpoint, "profile", {}, asked.access, Lane.OTHER)
        except PortalRefusedError as error:
            if error.code == "ACCESS_DENIED":
                raise await self._keyring.troubled(asked.id, Trouble.PLAN) from None
            return False
        return isinstance(profile, dict) and profile.get("ADMIN") is True

    async def call_as(
        self, portal: str, endpoint: str, method: str, params: Mapping[str, Any], token: str, lane: Lane
    ) -> Any:
        """`endpoint` must come from the store or the configuration, never from a request."""
        bucket, budget = self._bucket(portal), self._budget(portal)
        if (until := budget.until(method, lane, self._clock())) > 0:
            raise PortalBusyError(method, TIME_LIMIT, until)
        reply = await self._posted(bucket, endpoint, method, {**params, "auth": token}, lane)
        if reply.moved:
            raise PortalRefusedError(method, MOVED, "the portal answers with a redirect")
        budget.note(method, reply.body.get("time"))
        try:
            return result_of(method, reply.status, reply.body)
        except PortalBusyError as error:
            if error.code != TIME_LIMIT:
                bucket.overflowed()
                raise
            budget.exceeded(method, error.until, self._clock())
            raise PortalBusyError(method, TIME_LIMIT, budget.until(method, lane, self._clock())) from None

    async def _posted(self, bucket: Bucket, endpoint: str, method: str, body: Mapping[str, Any], lane: Lane) -> Reply:
        await bucket.turn(lane)
        patience = LONGEST_REQUEST if method == "batch" else None
        try:
            return await self._http.post(endpoint + method, body, seconds=patience)
        except CutOffError:
            if method not in HARMLESS_TWICE:
                raise
        await bucket.turn(lane)
        return await self._http.post(endpoint + method, body)

    async def upload(self, portal: str, url: str, field: str, content: Content) -> None:
        """Sends a file to the address that a method of this portal has named: at this portal, nowhere else."""
        if origin_of(url) != origin_of(self._keyring.usable(portal).client_endpoint):
            raise PortalRefusedError("upload", "UPLOAD_ELSEWHERE", "the file should go to another host than the portal")
        await self._bucket(portal).turn(Lane.ATTACH)
        reply = await self._http.upload(url, field, content)
        try:
            result_of("upload", reply.status, reply.body)
        except PortalRefusedError as error:
            if error.code in STALE:
                raise UnansweredError("the address to upload to is not valid any more") from None
            raise

    def _budget(self, portal: str) -> Budget:
        return self._budgets.setdefault(portal, Budget())

    def _bucket(self, portal: str) -> Bucket:
        plan = self._plans.get(portal, ORDINARY)
        return self._buckets.setdefault(portal, Bucket(per_second=plan.per_second, burst=plan.burst))


def result_of(method: str, status: int, body: Mapping[str, Any]) -> Any:
    """The `result` of an answer, or the error in it: at the top or inside the result, whatever the HTTP status."""
    result = body.get("result")
    nested = result if isinstance(result, dict) and isinstance(result.get("error"), str) else {}
    code = body.get("error") or nested.get("error")
    if code or status >= 400:
        named = str(code or f"HTTP {status}")[:100]
        text = str(body.get("error_description") or nested.get("error_description") or "")[:300]
        raise _failure(method, status, named.upper(), text, body)
    if "result" not in body:
        raise UnansweredError(f"{method}: an answer without a result")
    return result


def _failure(method: str, status: int, code: str, text: str, body: Mapping[str, Any]) -> Exception:
    if status == 429 and code not in BUSY:
        code = TIME_LIMIT
    if code in BUSY:
        block = body.get("time")
        until = block.get("operating_reset_at") if isinstance(block, dict) else None
        return PortalBusyError(method, code, float(until) if isinstance(until, int | float) else 0.0)
    if status >= 500 and code not in NOT_NOW:
        return UnansweredError(f"{method}: {code} with status {status}")
    return PortalRefusedError(method, code, text)
