"""What is asked of Bitrix24 to keep a promise, one request or two for each kind; all of them may be repeated.

A repeated register is recognised for 30 minutes, a repeated finish finds no call any more, a recording replaces the one
before it, a transcript is looked for first.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import structlog

from ..errors import RefusedError, TicketError
from ..sealed import plain_size
from ..store.promises import Kind, Promise
from .batch import Command, Done, Outcome, Refusal
from .bucket import Lane
from .http import Content
from .rest import PortalRefusedError, Rest

log = structlog.get_logger()

REGISTER = "telephony.externalCall.register"
FINISH = "telephony.externalCall.finish"
ATTACH_RECORD = "telephony.externalCall.attachRecord"
ATTACH_TRANSCRIPT = "telephony.call.attachTranscription"
STATISTICS = "voximplant.statistic.get"

LARGEST_INLINE = 1024 * 1024
"""Bytes of a recording that go into the request itself; larger ones are uploaded."""


class HopelessError(RefusedError):
    """The promise can't be kept, and it isn't for want of trying."""


class UndecidedError(RefusedError):
    """What became of a request can't be found out."""


class Deeds:
    def __init__(self, rest: Rest, opened: Callable[[Path], BinaryIO]) -> None:
        self._rest, self._opened = rest, opened

    async def register(self, promise: Promise) -> str:
        """The portal's CALL_ID."""
        params = dict(_command(promise).params)
        lane = Lane.FINISH if promise.ended else Lane.REGISTER
        try:
            result = await self._rest.call(promise.portal, REGISTER, params, lane)
        except PortalRefusedError as error:
            # "Could not find line with number …": somebody deleted it in the portal. The call counts more than its line.
            if "LINE_NUMBER" not in params or "find line" not in error.text.lower():
                raise
            log.warning(
                "line_unknown_to_portal", portal=promise.portal, call=promise.call, line=params.pop("LINE_NUMBER")
            )
            result = await self._rest.call(promise.portal, REGISTER, params, lane)
        if not (card := card_in(result)):
            raise HopelessError("Bitrix24 registered the call without a CALL_ID")
        return card

    async def together(self, promises: Sequence[Promise]) -> list[Outcome]:
        """Registers or finishes of calls that are over, in one request: all of one portal."""
        commands = [_command(promise) for promise in promises]
        found = await self._rest.together(promises[0].portal, commands, Lane.FINISH)
        pairs = zip(promises, found, strict=True)
        return [Done(None) if promise.kind is Kind.FINISH and _is_gone(got) else got for promise, got in pairs]

    async def registered_as(self, promise: Promise) -> str:
        """The CALL_ID under which the call was recorded, long after its registration; UndecidedError if that can't be told.

        The statistics know finished calls only: a call that was registered and never finished is not among them.
        """
        wanted = {"FILTER": {"EXTERNAL_CALL_ID": promise.call}}
        rows = [row for row in await self._look_up(promise, wanted) if row.get("EXTERNAL_CALL_ID") == promise.call]
        cards = {str(row.get("CALL_ID") or "") for row in rows} - {""}
        if len(cards) == 1:
            return cards.pop()
        if cards:
            raise UndecidedError(f"Bitrix24 has {len(cards)} records of this call: {', '.join(sorted(cards))}")
        raise UndecidedError(
            "the request to register it got no answer, and 30 minutes later Bitrix24 would not recognise a second one;"
            " Bitrix24 has no record of the call (looked up), but it may know it as unfinished"
        )

    async def finish(self, promise: Promise) -> None:
        try:
            await self._rest.call(promise.portal, FINISH, _command(promise).params, Lane.FINISH)
        except PortalRefusedError as error:
            if not _is_gone(Refusal(error.code, error.text)):
                raise

    async def record(self, promise: Promise) -> None:
        path, name = Path(promise.payload["path"]), promise.payload["name"]
        try:
            size = await asyncio.to_thread(plain_size, path)
            content = await asyncio.to_thread(self._read, path) if size <= LARGEST_INLINE else None
        except (OSError, TicketError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise HopelessError(f"the recording {path} can't be read: {why}") from None
        params = {"CALL_ID": promise.card, "FILENAME": name}
        if content is not None:
            params["FILE_CONTENT"] = base64.b64encode(content).decode()
        result = await self._rest.call(promise.portal, ATTACH_RECORD, params, Lane.ATTACH)
        if content is None:
            await self._upload(promise, result, Content(name=name, bytes=size, open=lambda: self._opened(path)))

    def _read(self, path: Path) -> bytes:
        with self._opened(path) as file:
            return file.read()

    async def _upload(self, promise: Promise, result: Any, content: Content) -> None:
        url = result.get("uploadUrl") if isinstance(result, dict) else None
        if not isinstance(url, str) or not url:
            raise HopelessError("Bitrix24 named no address to upload the recording to")
        await self._rest.upload(promise.portal, url, str(result.get("fieldName") or "file"), content)

    async def transcript(self, promise: Promise) -> None:
        if promise.first_sent is not None and await self._has_transcript(promise):
            return
        await self._rest.call(
            promise.portal, ATTACH_TRANSCRIPT, {**promise.payload, "CALL_ID": promise.card}, Lane.ATTACH
        )

    async def _has_transcript(self, promise: Promise) -> bool:
        rows = await self._look_up(promise, {"FILTER": {"CALL_ID": promise.card}})
        return any(row.get("TRANSCRIPT_ID") for row in rows if row.get("CALL_ID") == promise.card)

    async def _look_up(self, promise: Promise, wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
        rows = await self._rest.call(promise.portal, STATISTICS, wanted, Lane.OTHER)
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _command(promise: Promise) -> Command:
    if promise.kind is Kind.FINISH:
        return Command(FINISH, {**promise.payload, "CALL_ID": promise.card})
    # No card for a call that nobody can take any more.
    return Command(REGISTER, {**promise.payload, "SHOW": 0} if promise.ended else promise.payload)


def fits_a_batch(promise: Promise) -> bool:
    return _command(promise).may_be_batched


def card_in(result: Any) -> str:
    """The CALL_ID of a register's result, "" for none."""
    card = result.get("CALL_ID") if isinstance(result, dict) else None
    return card if isinstance(card, str) else ""


def _is_gone(outcome: Outcome) -> bool:
    """A finish deletes the portal's call: a second one finds nothing (ERROR_CORE, "Call is not found…")."""
    return isinstance(outcome, Refusal) and "call is not found" in outcome.text.lower()
