"""Bitrix24's REST methods: one leaky bucket per portal, errors read from the body, an expired token refreshed once.

Nothing is retried here beyond that: whoever owns the promise owns the retries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import NetworkError, RefusedError
from .bucket import Bucket, Lane
from .http import Http, UnansweredError
from .oauth import OAuth, PortalClosedError

MOVED = "MOVED"
"""Our own code for a redirect: the portal was renamed. A POST must not follow it; a refresh tells the new address."""
STALE = {"EXPIRED_TOKEN", "INVALID_TOKEN", "NO_AUTH_FOUND", MOVED}
BUSY = {"QUERY_LIMIT_EXCEEDED", "OVERLOAD_LIMIT", "OPERATION_TIME_LIMIT"}
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


class PortalRefusedError(RefusedError):
    """Bitrix24 answered with an error; `code` is upper-case, `text` its description."""

    def __init__(self, method: str, code: str, text: str) -> None:
        super().__init__(f"{method}: {code}{f' ({text})' if text else ''}")
        self.code = code
        self.text = text


class PortalBusyError(NetworkError):
    """The portal is at its limit and did not carry the request out; `until` is when it says to come back, 0 if it doesn't."""

    def __init__(self, method: str, code: str, until: float) -> None:
        super().__init__(f"{method}: {code}")
        self.code = code
        self.until = until


class Rest:
    """Calls REST methods of enrolled portals; `call_as` with the token of a page instead of ours."""

    def __init__(self, *, http: Http, oauth: OAuth) -> None:
        self._http = http
        self._oauth = oauth
        self._buckets: dict[str, Bucket] = {}

    async def call(self, portal: str, method: str, params: Mapping[str, Any], lane: Lane = Lane.OTHER) -> Any:
        """The method's result, or PortalRefusedError, PortalClosedError, or one of the NetworkErrors of this room."""
        enrolled = self._oauth.usable(portal)
        for _ in range(2):
            try:
                return await self.call_as(portal, enrolled.client_endpoint, method, params, enrolled.access, lane)
            except PortalRefusedError as error:
                if error.code in NOT_NOW - STALE:
                    raise PortalClosedError(str(error)) from None
                if error.code not in STALE:
                    raise
                stale = error
            enrolled = await self._oauth.refreshed(portal, enrolled.access)
        raise PortalClosedError(str(stale))

    async def call_as(
        self, portal: str, endpoint: str, method: str, params: Mapping[str, Any], token: str, lane: Lane
    ) -> Any:
        """`endpoint` must come from the store or the configuration, never from a request."""
        bucket = self._buckets.setdefault(portal, Bucket())
        await bucket.turn(lane)
        reply = await self._http.post(endpoint + method, {**params, "auth": token})
        if reply.moved:
            raise PortalRefusedError(method, MOVED, "the portal answers with a redirect")
        try:
            return result_of(method, reply.status, reply.body)
        except PortalBusyError:
            bucket.overflowed()
            raise


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
    if code in BUSY or status == 429:
        time = body.get("time")
        until = time.get("operating_reset_at") if isinstance(time, dict) else None
        return PortalBusyError(method, code, float(until) if isinstance(until, int | float) else 0.0)
    if status >= 500 and code not in NOT_NOW:
        return UnansweredError(f"{method}: {code} with status {status}")
    return PortalRefusedError(method, code, text)
