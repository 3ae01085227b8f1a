"""Calls in Bitrix24's words: registered when they ring, finished when they end, exactly once whatever dies in between.

What the commands ask for is promised durably and carried out by the courier beside the call. A call that the portal
registered itself (click-to-call) is taken over with its CALL_ID and never registered again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO

import structlog

from ..calls.commands import (
    AttachRecord,
    AttachTranscript,
    Direction,
    FinishCall,
    PortalCommand,
    RecordAnswer,
    RegisterCall,
)
from ..calls.events import CallId, Event
from ..errors import RefusedError
from ..store.database import Store
from ..store.promises import CallRecord, Kind, Promise, Slot
from ..store.writer import StoreDownError
from . import words
from .courier import Courier
from .rest import Rest

log = structlog.get_logger()

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
        opened: Callable[[Path], BinaryIO] = lambda path: path.open("rb"),
        line_of: Callable[[str, str], str] = lambda portal, dialled: "",
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._line_of = line_of
        self._sleep = sleep
        self._outbox = store.outbox
        self._clock = clock
        self._answered: dict[CallId, RecordAnswer] = {}
        self._courier = Courier(outbox=store.outbox, rest=rest, post=post, opened=opened, clock=clock)

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
                self._answered.setdefault(command.call, command)
                await self._outbox.answer(command.call, command.operator.user, command.answered)
            case FinishCall():
                await self._finish(command)
            case AttachRecord():
                await self._attach(command, Kind.RECORD, await asyncio.to_thread(words.recording, command))
            case AttachTranscript():
                await self._attach(command, Kind.TRANSCRIPT, words.transcript(command))

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
            return
        portal = command.operator.portal
        words_of_call = words.registration(command, self._line_of(portal, command.line))
        await self._outbox.register(record, words_of_call, now)
        # Also if it was written by an attempt that the store did not acknowledge.
        self._courier.wake(portal, [Slot.RING])

    async def _finish(self, command: FinishCall) -> None:
        status, duration, reason = command.status, command.duration, command.reason
        answered = self._answered.get(command.call)
        if answered is not None and status != words.ANSWERED:
            # Whatever a later leg came to: somebody has talked with the caller, and that is what the record says.
            status, duration = words.ANSWERED, round(command.ended - answered.answered)
        payload = words.finishing(command.operator.user, status, duration, reason)
        due = self._clock() + command.card_stays
        await self._outbox.finish(
            command.call, payload, status=status, ended=command.ended, now=due, verdicts=command.verdicts
        )
        self._answered.pop(command.call, None)
        # A register that waits still is that of a call which is over from now on.
        self._courier.wake(command.operator.portal, [Slot.REGISTER, Slot.FINISH])

    async def _attach(self, command: PortalCommand, kind: Kind, payload: dict[str, Any]) -> None:
        portal = await self._outbox.promise(command.call, kind, payload, self._clock())
        if portal is None:
            raise RefusedError(f"no call {command.call} is known here; calls are kept for {KEPT_DAYS} days")
        self._courier.wake(portal, [Slot.SLOW])

    # ---- for people

    async def promises(self, limit: int = 1_000) -> list[Promise]:
        """What Bitrix24 was not told yet: what was set aside first, then what waits."""
        return await self._outbox.open_promises(limit)

    async def unattached(self) -> set[str]:
        """Paths of the recordings that Bitrix24 has not got yet."""
        return {str(payload.get("path")) for payload in await self._outbox.payloads(Kind.RECORD)}

    async def retry(self, promise: int | None) -> list[Promise]:
        """Puts one promise that was set aside, or all of them, back among those that wait."""
        again = await self._outbox.retry(promise, self._clock())
        for portal in {one.portal for one in again}:
            self._courier.reopen(portal)
        return again

    async def _recover(self) -> None:
        """A crash ends every call: what was known of it last becomes its record."""
        for record in await self._outbox.unfinished():
            status, duration = _last_known(record)
            user = record.user if record.answered_by is None else record.answered_by
            payload = words.finishing(user, status, duration, RESTARTED)
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


def _last_known(record: CallRecord) -> tuple[str, int]:
    if record.answered is None:
        return ("304" if record.direction is Direction.INBOUND else "503"), 0
    return "200", max(0, int(record.seen - record.answered))
