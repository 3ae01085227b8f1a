"""Calls in Bitrix24's words: registered when they ring, finished when they end, exactly once whatever dies in between.

What the commands ask for is promised durably and carried out by the courier beside the call. Choices that Bitrix24
leaves to us:

- CRM_CREATE 0: an unknown caller does not become a lead by himself; that is a company's policy, not a telephone's.
- A withheld or non-numeric caller is sent as WITHHELD: Bitrix24 strips letters and refuses what is left of "anonymous",
  and a short number could be somebody's extension, which would make the call an internal one without CRM.
- No LINE_NUMBER: Bitrix24 refuses a line that the application did not add, and none is added yet.
- ADD_TO_CHAT is always sent: portals differ in what its absence means.
- A call that the portal registered itself (click-to-call) is taken over with its CALL_ID and never registered again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import structlog

from ..calls.commands import Direction, FinishCall, PortalCommand, RecordAnswer, RegisterCall
from ..calls.events import Event
from ..store.database import Store
from ..store.outbox import CallRecord, StoreDownError
from .courier import Courier
from .rest import Rest

log = structlog.get_logger()

WITHHELD = "0000000"
TYPES = {Direction.OUTBOUND: 1, Direction.INBOUND: 2}
SEEN_SECONDS = 2.0
"""How far the talk time of a call may fall short that a crash of the bridge has ended."""
KEPT_DAYS = 30
PRUNE_SECONDS = 3600.0
STORE_WAITS = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds between attempts to write while the store is down; the last one for ever."""
RESTARTED = "bridge restarted"


class Telephony:
    """The Bitrix24 room. `post` takes its events."""

    def __init__(
        self,
        *,
        store: Store,
        rest: Rest,
        post: Callable[[Event], None],
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._sleep = sleep
        self._outbox = store.outbox
        self._clock = clock
        self._courier = Courier(outbox=store.outbox, rest=rest, post=post, clock=clock)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Closes the calls that an earlier life left open, then keeps promises until the end. One process per store."""
        await self._recover()
        async with self._courier.running(), asyncio.TaskGroup() as group:
            keeper = group.create_task(self._keep_house())
            try:
                yield
            finally:
                keeper.cancel()

    async def perform(self, command: PortalCommand) -> None:
        """Durable at return; what Bitrix24 makes of it comes later. While the store is down it is tried again."""
        waits = iter(STORE_WAITS)
        while True:
            try:
                return await self._carry_out(command)
            except StoreDownError as error:
                wait = next(waits, STORE_WAITS[-1])
                name = type(command).__name__
                log.error("store_down", call=command.call, command=name, why=str(error), again_in=wait)  # noqa: TRY400
                await self._sleep(wait)

    async def _carry_out(self, command: PortalCommand) -> None:
        match command:
            case RegisterCall():
                await self._register(command)
            case RecordAnswer():
                await self._outbox.answer(command.call, command.operator.user, command.answered)
            case FinishCall():
                await self._finish(command)

    def reopen(self, portal: str) -> None:
        """The portal was installed: promises that waited for that go out now."""
        self._courier.reopen(portal)

    async def _register(self, command: RegisterCall) -> None:
        now = self._clock()
        record = CallRecord(
            id=command.call,
            portal=command.operator.portal,
            user=command.operator.user,
            direction=command.direction,
            number=command.number,
            line=command.line,
            started=command.started,
            seen=now,
            card=command.card,
        )
        if command.card:
            if not await self._outbox.adopt(record):
                log.warning("call_known_already", call=command.call, portal=record.portal, card=record.card)
        elif await self._outbox.register(record, _registration(command), now):
            self._courier.wake(command.operator.portal)

    async def _finish(self, command: FinishCall) -> None:
        payload = _finishing(command.operator.user, command.status, command.duration, command.reason)
        now = self._clock()
        portal = await self._outbox.finish(command.call, payload, status=command.status, ended=command.ended, now=now)
        if portal is not None:
            self._courier.wake(portal)

    async def _recover(self) -> None:
        """A crash ends every call: what was known of it last becomes its record."""
        for record in await self._outbox.unfinished():
            status, duration = _last_known(record)
            user = record.user if record.answered_by is None else record.answered_by
            payload = _finishing(user, status, duration, RESTARTED)
            await self._outbox.finish(record.id, payload, status=status, ended=record.seen, now=self._clock())
            log.warning("call_recovered", call=record.id, portal=record.portal, status=status, duration=duration)

    async def _keep_house(self) -> None:
        pruned_at = float("-inf")
        while True:
            now = self._clock()
            try:
                await self._outbox.touch(now)
                if now - pruned_at >= PRUNE_SECONDS:
                    pruned_at = now
                    await self._prune(now - KEPT_DAYS * 86400)
            except Exception:
                # The store may be back in five seconds; the calls go on meanwhile.
                log.exception("store_failed")
            await asyncio.sleep(SEEN_SECONDS)

    async def _prune(self, before: float) -> None:
        if unkept := await self._outbox.prune(before):
            log.error("promises_given_up", count=unkept, days=KEPT_DAYS)


def _registration(command: RegisterCall) -> dict[str, Any]:
    return {
        "USER_ID": command.operator.user,
        "PHONE_NUMBER": phone_number(command.number),
        "TYPE": TYPES[command.direction],
        "CALL_START_DATE": datetime.fromtimestamp(command.started, UTC).isoformat(timespec="seconds"),
        "CRM_CREATE": 0,
        "SHOW": int(command.show),
        "ADD_TO_CHAT": 1,
        "EXTERNAL_CALL_ID": command.call,
    }


def _finishing(user: int, status: str, duration: int, reason: str) -> dict[str, Any]:
    return {
        "USER_ID": user,
        "DURATION": max(0, duration),
        "STATUS_CODE": status,
        "FAILED_REASON": reason,
        "ADD_TO_CHAT": 1,
    }


def _last_known(record: CallRecord) -> tuple[str, int]:
    if record.answered is None:
        return ("304" if record.direction is Direction.INBOUND else "503"), 0
    return "200", max(0, int(record.seen - record.answered))


def phone_number(number: str) -> str:
    """What Bitrix24 accepts as PHONE_NUMBER: the number as it came, or WITHHELD."""
    numeric = any(sign in "0123456789" for sign in number) and not any(sign.isalpha() for sign in number)
    return number[:64] if numeric else WITHHELD
