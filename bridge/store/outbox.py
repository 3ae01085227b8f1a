"""Calls and the promises they made to their portals: one `register`, one `finish`, then recordings and transcripts.

A call that the portal registered itself (click-to-call) has its CALL_ID from the start and promises a `finish` only. What
belongs to the finished call waits until register and finish are kept.

A promise is written in the transaction that gives rise to it and removed in the one that records its effect. The payload
is the portal's business; nobody here reads it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from sqlalchemy import and_, case, delete, exists, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ..calls.commands import Direction
from ..calls.events import CallId, Verdict
from . import keeping, promising
from .desk import Desk
from .due import FIRST, NEXT_AT, promise_in, promises
from .hearings import written
from .promises import CallRecord, Kind, Promise, Slot, State
from .tables import calls, outbox
from .transaction import reading, unbroken
from .writer import Writer, down, may_pass

BUSY_STEP = 16


class Look(NamedTuple):
    """What a portal's promises are about to need."""

    due: list[Promise]
    next_at: dict[Slot, float]
    """When the next one falls due, of the slots that have room left."""


class Outbox:
    def __init__(self, engine: AsyncEngine, desk: Desk, writer: Writer) -> None:
        self._engine = engine
        self._desk = desk
        self._reads = reading(engine)
        self._writer = writer

    @asynccontextmanager
    async def _begin(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        """A transaction; StoreDownError for what may pass by itself."""
        try:
            async with engine.begin() as connection:
                yield connection
        except Exception as error:
            if may_pass(error):
                raise down(error) from error
            raise

    # ---- promising

    async def register(self, record: CallRecord, payload: Mapping[str, Any], now: float) -> bool:
        """The call and its first promise; False when the call is known already."""
        try:
            return await self._writer.write(promising.register, promising.NewCall(record, payload, now))
        except IntegrityError:
            return False

    async def adopt(self, record: CallRecord) -> bool:
        """A call that its portal has registered as `record.card`; False when the call or its CALL_ID is known already."""
        try:
            return await self._writer.write(promising.adopt, record)
        except IntegrityError:
            return False

    async def answer(self, call: CallId, user: int, answered: float) -> None:
        """The first answer of a living call; a later one changes nothing."""
        await self._writer.write(promising.answer, {"of": call, "user": user, "at": answered}, at_once=True)

    async def finish(
        self,
        call: CallId,
        payload: Mapping[str, Any],
        *,
        status: str,
        ended: float,
        now: float,
        verdicts: Sequence[Verdict] = (),
    ) -> str | None:
        """The end of a living call and its last promise. The portal that has to hear it, None when nothing was alive."""
        return await self._writer.write(
            promising.finish, promising.CallEnd(call, payload, status, ended, now, written(verdicts))
        )

    async def promise(self, call: str, kind: Kind, payload: Mapping[str, Any], now: float) -> str | None:
        """A recording or a transcript of a call, named by our id or by its CALL_ID. Its portal, None for an unknown call."""
        return await self._writer.write(promising.promise_more, promising.More(call, kind, payload, now))

    # ---- keeping

    async def look(
        self, portal: str, now: float, free: Mapping[Slot, int], *, busy: Collection[int] = (), forgotten: float = 0.0
    ) -> Look:
        """What can be kept now and when there will be more, so many of each slot, ringing calls first.

        A register whose outcome is unknown since before `forgotten` is slow. A promise that nobody can read any more is set
        aside on the way.
        """
        rows = await self._first(portal, free, busy=busy, forgotten=forgotten)
        found, next_at = list[Promise](), dict[Slot, float]()
        for slot in free:
            mine = [row[:-1] for row in rows if row[-1] == slot.value]
            due = [row for row in mine if row[NEXT_AT] <= now][: free[slot]]
            if len(mine) > len(due) < free[slot]:
                next_at[slot] = mine[len(due)][NEXT_AT]
            for row in due:
                try:
                    found.append(promise_in(row))
                except (ValueError, TypeError) as error:
                    aside = {"state": State.SET_ASIDE, "last_error": f"this version can't read it: {error}"}
                    await self._writer.write(keeping.rewrite, (row[0], aside))
                    next_at[slot] = now  # there may be more behind it
        return Look(found, next_at)

    async def _first(
        self, portal: str, free: Mapping[Slot, int], *, busy: Collection[int], forgotten: float
    ) -> Sequence[Sequence[Any]]:
        """Of each slot one more than there is room for, in order of time: a row that is not due says when the next one is."""
        room = {f"room_{slot.value}": free[slot] + 1 if slot in free else 0 for slot in Slot}
        alike = [0] * (BUSY_STEP - len(busy) % BUSY_STEP)  # so that there are few statements of different lengths
        given = {"portal_": portal, "busy_": [*busy, *alike], "forgotten_": forgotten, **room}
        try:
            rows = await self._desk.read(lambda hand: hand.rows(FIRST, given))
        except Exception as error:
            if may_pass(error):
                raise down(error) from error
            raise
        return sorted(rows, key=lambda row: (row[NEXT_AT], row[0]))

    @unbroken
    async def waiting_portals(self) -> list[str]:
        async with self._begin(self._reads) as connection:
            rows = await connection.execute(select(outbox.c.portal).where(outbox.c.state == State.PENDING).distinct())
            return [str(portal) for (portal,) in rows]

    async def sending(self, promise: Promise, now: float) -> None:
        """From now on the outcome is unknown, whatever happens to us."""
        await self._writer.write(keeping.sending, {"of": promise.id, "now_": now})

    async def registered(self, promise: Promise, card: str, settles: float | None = None) -> bool:
        """The portal's CALL_ID is known, the promise is kept. True while the call lives. No finish goes out before `settles`."""
        return await self._writer.write(keeping.registered, (promise, card, settles))

    async def kept(self, promise: Promise) -> None:
        await self._writer.write(keeping.kept, promise.id)

    async def postpone(self, promise: Promise, next_at: float, error: str, *, untouched: bool) -> None:
        """Try again later. `untouched`: the portal certainly did not carry it out, so what was known before still holds."""
        values: dict[str, Any] = {"next_at": next_at, "last_error": error}
        if untouched:
            values |= {"first_sent": promise.first_sent, "attempts": promise.attempts}
        await self._writer.write(keeping.rewrite, (promise.id, values))

    async def single_out(self, promise: Promise, now: float, error: str) -> None:
        """It was not carried out among others: it counts as tried, and its next attempt is its own."""
        tried = {"first_sent": promise.first_sent, "attempts": promise.attempts + 1}
        values = {"next_at": now, "last_error": error, **tried}
        await self._writer.write(keeping.rewrite, (promise.id, values))

    async def set_aside(self, promise: Promise, error: str) -> None:
        """Out of the way, for a person to look at; what can't be without it goes with it."""
        await self._writer.write(keeping.set_aside, (promise, error))

    # ---- for people

    async def aside(self, limit: int = 100) -> list[Promise]:
        """What a person should look at, oldest first."""
        return [promise for promise in await self.open_promises(limit) if promise.state is State.SET_ASIDE]

    @unbroken
    async def open_promises(self, limit: int) -> list[Promise]:
        """What is not kept yet: what was set aside first, then what waits, each oldest first."""
        waits = case((outbox.c.state == State.SET_ASIDE, 0), else_=1)
        query = promises().order_by(waits, outbox.c.id).limit(limit)
        async with self._begin(self._reads) as connection:
            return [promise_in(row, lenient=True) for row in await connection.execute(query)]

    @unbroken
    async def payloads(self, kind: Kind) -> list[Mapping[str, Any]]:
        """Of everything of this kind that is not kept yet, set aside or not."""
        query = select(outbox.c.payload).where(outbox.c.kind == kind)
        async with self._begin(self._reads) as connection:
            return [json.loads(payload) for payload in await connection.scalars(query)]

    @unbroken
    async def retry(self, promise: int | None, now: float) -> list[Promise]:
        """Puts this promise, or all that were set aside, back among those that wait, with what hangs on the same call.

        A register is sent as if for the first time: that is what the person decided.
        """
        async with self._begin(self._engine) as connection:
            aside = outbox.c.state == State.SET_ASIDE
            if promise is not None:
                aside = and_(
                    aside, outbox.c.call.in_(select(outbox.c.call).where(outbox.c.id == promise).scalar_subquery())
                )
            rows = (await connection.execute(promises().where(aside))).all()
            again = {"state": State.PENDING, "next_at": now, "attempts": 0, "first_sent": None, "last_error": ""}
            await connection.execute(update(outbox).where(aside).values(**again))
        return [promise_in(row, lenient=True) for row in rows]

    @unbroken
    async def counts(self) -> dict[str, tuple[int, int]]:
        """For each portal that has any: promises that wait, promises set aside."""
        count = select(outbox.c.portal, outbox.c.state, func.count()).group_by(outbox.c.portal, outbox.c.state)
        found: dict[str, tuple[int, int]] = {}
        async with self._begin(self._reads) as connection:
            for portal, state, number in await connection.execute(count):
                waiting, aside = found.get(portal, (0, 0))
                found[portal] = (waiting, aside + number) if state == State.SET_ASIDE else (waiting + number, aside)
        return found

    # ---- surviving

    async def touch(self, now: float) -> None:
        """All living calls were alive at this moment."""
        await self._writer.write(keeping.touch, now)

    @unbroken
    async def unfinished(self) -> list[CallRecord]:
        """The calls that nobody ended."""
        async with self._begin(self._reads) as connection:
            rows = await connection.execute(select(calls).where(calls.c.ended.is_(None)).order_by(calls.c.started))
            return [_record(row) for row in rows.mappings()]

    @unbroken
    async def call(self, call: CallId) -> CallRecord | None:
        async with self._begin(self._reads) as connection:
            row = (await connection.execute(select(calls).where(calls.c.id == call))).mappings().first()
        return None if row is None else _record(row)

    @unbroken
    async def may_have_registered(self, portal: str, user: int, card: str) -> bool:
        """Is this CALL_ID one of ours, or could it be: that of an outgoing call of this user that is just being registered?"""
        waits = and_(outbox.c.call == calls.c.id, outbox.c.kind == Kind.REGISTER, outbox.c.state == State.PENDING)
        nameless = and_(calls.c.user == user, calls.c.direction == Direction.OUTBOUND.value, exists().where(waits))
        ours = and_(calls.c.portal == portal, or_(calls.c.card == card, nameless))
        async with self._begin(self._reads) as connection:
            return (await connection.execute(select(calls.c.id).where(ours).limit(1))).first() is not None

    @unbroken
    async def prune(self, before: float) -> int:
        """Forget calls that ended before this time. The number of promises that went unkept with them."""
        old = select(calls.c.id).where(calls.c.ended < before)
        async with self._begin(self._engine) as connection:
            unkept = await connection.execute(delete(outbox).where(outbox.c.call.in_(old)))
            await connection.execute(delete(calls).where(calls.c.ended < before))
        return unkept.rowcount


def _record(row: Mapping[Any, Any]) -> CallRecord:
    fields = {str(name): value for name, value in row.items() if name in CallRecord.__slots__}
    return CallRecord(**fields | {"id": CallId(fields["id"]), "direction": Direction(fields["direction"])})
