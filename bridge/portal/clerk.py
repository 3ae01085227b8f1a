"""What people ask of the call log over the control socket: what Bitrix24 was not told yet, another try, a recording by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ..calls.commands import AttachRecord
from ..calls.events import CallId
from ..errors import RefusedError
from ..store.promises import Promise, State
from .telephony import Telephony

MOST_LISTED = 1_000


class Clerk:
    """Its answers run in the bridge itself, so nothing that it touches is under way at the same time."""

    def __init__(self, telephony: Telephony) -> None:
        self._telephony = telephony
        self.answers: Mapping[str, Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]] = {
            "promises": self._list,
            "retry": self._retry,
            "attach": self._attach,
        }

    async def _list(self, _request: dict[str, Any]) -> dict[str, Any]:
        return {"promises": [_row(promise) for promise in await self._telephony.promises(MOST_LISTED)]}

    async def _retry(self, request: dict[str, Any]) -> dict[str, Any]:
        wanted = request["promise"]
        again = await self._telephony.retry(None if wanted == "all" else int(wanted))
        if not again and wanted != "all":
            raise RefusedError(f"promise {wanted} was not set aside; bridge promises lists what was")
        return {"retried": [promise.id for promise in again]}

    async def _attach(self, request: dict[str, Any]) -> dict[str, Any]:
        call, path, name = str(request["call"]), str(request["path"]), str(request["name"])
        await self._telephony.perform(AttachRecord(call=CallId(call), path=path, name=name))
        return {}


def _row(promise: Promise) -> dict[str, Any]:
    return {
        "id": promise.id,
        "portal": promise.portal,
        "call": promise.call,
        "number": promise.number,
        "what": promise.kind.value,
        "aside": promise.state is State.SET_ASIDE,
        "tries": promise.attempts,
        "next": promise.next_at,
        "why": promise.last_error,
    }
