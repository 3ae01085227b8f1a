"""Calls and the promises they made to their portals: one `register` and one `finish` each, kept in this order.

A call that the portal registered itself (click-to-call) has its CALL_ID from the start and promises a `finish` only.

A promise is written in the transaction that gives rise to it and removed in the one that records its effect. The payload
is the portal's business; nobody here reads it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ..calls.commands import Direction
from ..calls.events import CallId
from ..errors import NetworkError
from .tables import calls, outbox

REGISTRATION_LOST = "its registration was set aside"


class StoreDownError(NetworkError):
    """The database can't be written now."""


class Kind(StrEnum):
    REGISTER = "register"
    FINISH = "finish"


class State(StrEnum):
    PENDING = "pending"
    SET_ASIDE = "set_aside"
    """Can't be kept by trying again; waits for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """What a crash must not take with it."""

    id: CallId
    portal: str
    user: int
    direction: Direction
    number: str
    line: str
    started: float
    seen: float
    """The bridge was alive with this call at this time."""
    answered: float | None = None
    answered_by: int | None = None
    ended: float | None = None
    status: str = ""
    card: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    id: int
    call: CallId
    portal: str
    kind: Kind
    payload: Mapping[str, Any]
    attempts: int
    first_sent: float | None
    """When it was first sent without us learning the outcome; None while we know that it was not carried out."""
    state: State
    last_error: str
    card: str
    """The call's CALL_ID, "" until it is registered."""
    ended: bool
    """The call is over."""


class Outbox:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction; StoreDownError for what may pass by itself: a full disk, a database that is away."""
        try:
            async with self._engine.begin() as connection:
                yield connection
        except (OperationalError, InterfaceError, OSError) as error:
            raise StoreDownError(str(getattr(error, "orig", None) or error).splitlines()[0]) from error

    # ---- promising

    async def register(self, record: CallRecord, payload: Mapping[str, Any], now: float) -> bool:
        """The call and its first promise; False when the call is known already."""
        try:
            async with self._begin() as connection:
                await self._write(connection, record)
                await self._promise(connection, record.id, record.portal, Kind.REGISTER, payload, now)
        except IntegrityError:
            return False
        return True

    async def adopt(self, record: CallRecord) -> bool:
        """A call that its portal has registered as `record.card`; False when the call or its CALL_ID is known already."""
        same = and_(calls.c.portal == record.portal, calls.c.card == record.card)
        try:
            async with self._begin() as connection:
                if (await connection.execute(select(calls.c.id).where(same).limit(1))).first():
                    return False
                await self._write(connection, record)
        except IntegrityError:
            return False
        return True

    async def answer(self, call: CallId, user: int, answered: float) -> None:
        """The first answer of a living call; a later one changes nothing."""
        first = and_(calls.c.id == call, calls.c.answered.is_(None), calls.c.ended.is_(None))
        seen = case((calls.c.seen < answered, answered), else_=calls.c.seen)
        async with self._begin() as connection:
            values = {"answered": answered, "answered_by": user, "seen": seen}
            await connection.execute(update(calls).where(first).values(**values))

    async def finish(
        self, call: CallId, payload: Mapping[str, Any], *, status: str, ended: float, now: float
    ) -> str | None:
        """The end of a living call and its last promise. The portal that has to hear it, None when nothing was alive."""
        alive = and_(calls.c.id == call, calls.c.ended.is_(None))
        async with self._begin() as connection:
            changed = await connection.execute(update(calls).where(alive).values(ended=ended, status=status))
            if changed.rowcount == 0:
                return None
            portal = str(await connection.scalar(select(calls.c.portal).where(calls.c.id == call)))
            lost = and_(outbox.c.call == call, outbox.c.state == State.SET_ASIDE)
            aside = await connection.scalar(select(func.count()).select_from(outbox).where(lost))
            await self._promise(connection, call, portal, Kind.FINISH, payload, now, lost=bool(aside))
            return portal

    @staticmethod
    async def _write(connection: AsyncConnection, record: CallRecord) -> None:
        row = {name: getattr(record, name) for name in CallRecord.__slots__}
        await connection.execute(insert(calls).values(**row | {"direction": record.direction.value}))

    async def _promise(
        self,
        connection: AsyncConnection,
        call: CallId,
        portal: str,
        kind: Kind,
        payload: Mapping[str, Any],
        now: float,
        *,
        lost: bool = False,
    ) -> None:
        await connection.execute(
            insert(outbox).values(
                call=call,
                portal=portal,
                kind=kind,
                payload=json.dumps(payload),
                attempts=0,
                next_at=now,
                last_error=REGISTRATION_LOST if lost else "",
                state=State.SET_ASIDE if lost else State.PENDING,
            )
        )

    # ---- keeping

    async def due(self, portal: str, now: float, limit: int, busy: Collection[int] = ()) -> list[Promise]:
        """What can be kept now: registers before finishes, a finish only once its call has a CALL_ID."""
        query = _promises().where(self._open(portal, busy), outbox.c.next_at <= now)
        rank = case((outbox.c.kind == Kind.REGISTER, 0), else_=1)
        async with self._begin() as connection:
            rows = await connection.execute(query.order_by(rank, outbox.c.next_at, outbox.c.id).limit(limit))
            return [_promise(row) for row in rows.mappings()]

    async def next_at(self, portal: str, busy: Collection[int] = ()) -> float | None:
        """When the next promise falls due, None when there is none."""
        query = select(func.min(outbox.c.next_at)).select_from(outbox.join(calls)).where(self._open(portal, busy))
        async with self._begin() as connection:
            found = await connection.scalar(query)
        return None if found is None else float(found)

    async def waiting_portals(self) -> list[str]:
        async with self._begin() as connection:
            rows = await connection.execute(select(outbox.c.portal).where(outbox.c.state == State.PENDING).distinct())
            return [str(portal) for (portal,) in rows]

    async def sending(self, promise: Promise, now: float) -> None:
        """From now on the outcome is unknown, whatever happens to us."""
        values = {"attempts": outbox.c.attempts + 1, "first_sent": func.coalesce(outbox.c.first_sent, now)}
        await self._change(promise, values)

    async def registered(self, promise: Promise, card: str) -> bool:
        """The portal's CALL_ID is known, the promise is kept. True while the call lives."""
        async with self._begin() as connection:
            await connection.execute(update(calls).where(calls.c.id == promise.call).values(card=card))
            await connection.execute(delete(outbox).where(outbox.c.id == promise.id))
            ended = await connection.execute(select(calls.c.ended).where(calls.c.id == promise.call))
            row = ended.first()
        return row is not None and row[0] is None

    async def kept(self, promise: Promise) -> None:
        async with self._begin() as connection:
            await connection.execute(delete(outbox).where(outbox.c.id == promise.id))

    async def postpone(self, promise: Promise, next_at: float, error: str, *, untouched: bool) -> None:
        """Try again later. `untouched`: the portal certainly did not carry it out, so what was known before still holds."""
        values: dict[str, Any] = {"next_at": next_at, "last_error": error}
        if untouched:
            values["first_sent"] = promise.first_sent
        await self._change(promise, values)

    async def set_aside(self, promise: Promise, error: str) -> None:
        """Out of the way, for a person to look at; a finish that waits for this registration goes with it."""
        async with self._begin() as connection:
            # The row lock orders this against a `finish` of the same call on another connection.
            await connection.execute(select(calls.c.id).where(calls.c.id == promise.call).with_for_update())
            aside = {"state": State.SET_ASIDE, "last_error": error}
            await connection.execute(update(outbox).where(outbox.c.id == promise.id).values(**aside))
            if promise.kind is Kind.REGISTER:
                rest = and_(outbox.c.call == promise.call, outbox.c.id != promise.id)
                await connection.execute(update(outbox).where(rest).values(**aside | {"last_error": REGISTRATION_LOST}))

    async def aside(self, limit: int = 100) -> list[Promise]:
        """What a person should look at, oldest first."""
        query = _promises().where(outbox.c.state == State.SET_ASIDE).order_by(outbox.c.id).limit(limit)
        async with self._begin() as connection:
            return [_promise(row) for row in (await connection.execute(query)).mappings()]

    async def counts(self) -> dict[str, tuple[int, int]]:
        """For each portal that has any: promises that wait, promises set aside."""
        count = select(outbox.c.portal, outbox.c.state, func.count()).group_by(outbox.c.portal, outbox.c.state)
        found: dict[str, tuple[int, int]] = {}
        async with self._begin() as connection:
            for portal, state, number in await connection.execute(count):
                waiting, aside = found.get(portal, (0, 0))
                found[portal] = (waiting, aside + number) if state == State.SET_ASIDE else (waiting + number, aside)
        return found

    async def _change(self, promise: Promise, values: Mapping[str, Any]) -> None:
        async with self._begin() as connection:
            await connection.execute(update(outbox).where(outbox.c.id == promise.id).values(**values))

    @staticmethod
    def _open(portal: str, busy: Collection[int]) -> ColumnElement[bool]:
        possible = or_(outbox.c.kind == Kind.REGISTER, calls.c.card != "")
        return and_(outbox.c.portal == portal, outbox.c.state == State.PENDING, outbox.c.id.not_in(busy), possible)

    # ---- surviving

    async def touch(self, now: float) -> None:
        """All living calls were alive at this moment."""
        async with self._begin() as connection:
            await connection.execute(update(calls).where(calls.c.ended.is_(None)).values(seen=now))

    async def unfinished(self) -> list[CallRecord]:
        """The calls that nobody ended."""
        async with self._begin() as connection:
            rows = await connection.execute(select(calls).where(calls.c.ended.is_(None)).order_by(calls.c.started))
            return [_record(row) for row in rows.mappings()]

    async def call(self, call: CallId) -> CallRecord | None:
        async with self._begin() as connection:
            row = (await connection.execute(select(calls).where(calls.c.id == call))).mappings().first()
        return None if row is None else _record(row)

    async def may_have_registered(self, portal: str, user: int, card: str) -> bool:
        """Is this CALL_ID one of ours, or could it be: that of an outgoing call of this user that is just being registered?"""
        waits = and_(outbox.c.call == calls.c.id, outbox.c.kind == Kind.REGISTER, outbox.c.state == State.PENDING)
        nameless = and_(calls.c.user == user, calls.c.direction == Direction.OUTBOUND.value, exists().where(waits))
        ours = and_(calls.c.portal == portal, or_(calls.c.card == card, nameless))
        async with self._begin() as connection:
            return (await connection.execute(select(calls.c.id).where(ours).limit(1))).first() is not None

    async def prune(self, before: float) -> int:
        """Forget calls that ended before this time. The number of promises that went unkept with them."""
        old = select(calls.c.id).where(calls.c.ended < before)
        async with self._begin() as connection:
            unkept = await connection.execute(delete(outbox).where(outbox.c.call.in_(old)))
            await connection.execute(delete(calls).where(calls.c.ended < before))
        return unkept.rowcount


def _promises() -> Any:
    return select(outbox, calls.c.card, calls.c.ended).select_from(outbox.join(calls))


def _promise(row: Mapping[Any, Any]) -> Promise:
    return Promise(
        id=row["id"],
        call=CallId(row["call"]),
        portal=row["portal"],
        kind=Kind(row["kind"]),
        payload=json.loads(row["payload"]),
        attempts=row["attempts"],
        first_sent=row["first_sent"],
        state=State(row["state"]),
        last_error=row["last_error"],
        card=row["card"],
        ended=row["ended"] is not None,
    )


def _record(row: Mapping[Any, Any]) -> CallRecord:
    fields = {str(name): value for name, value in row.items()}
    return CallRecord(**fields | {"id": CallId(fields["id"]), "direction": Direction(fields["direction"])})
