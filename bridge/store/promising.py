"""Promises are made: each function carries out the same change for several calls at once, on one connection, in few statements."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, case, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..calls.events import CallId
from .promises import CallRecord, Kind, State
from .tables import calls, outbox

REGISTRATION_LOST = "its registration was set aside"
RECORD_LOST = "the call's record was set aside"
BASIS = (Kind.REGISTER, Kind.FINISH)
"""What a recording or a transcript needs to be kept first."""


@dataclass(frozen=True, slots=True)
class NewCall:
    record: CallRecord
    payload: Mapping[str, Any]
    now: float


@dataclass(frozen=True, slots=True)
class CallEnd:
    call: CallId
    payload: Mapping[str, Any]
    status: str
    ended: float
    now: float
    verdicts: str


@dataclass(frozen=True, slots=True)
class More:
    call: str
    kind: Kind
    payload: Mapping[str, Any]
    now: float


async def register(connection: AsyncConnection, items: Sequence[NewCall]) -> list[bool]:
    known = await _known(connection, [item.record.id for item in items])
    fresh = dict[CallId, NewCall]()
    results = []
    for item in items:
        results.append(item.record.id not in known and item.record.id not in fresh)
        if results[-1]:
            fresh[item.record.id] = item
    if fresh:
        await connection.execute(insert(calls), [_row(item.record) for item in fresh.values()])
        promises = [_promised(call, i.record.portal, Kind.REGISTER, i.payload, i.now) for call, i in fresh.items()]
        await connection.execute(insert(outbox), promises)
    return results


async def adopt(connection: AsyncConnection, records: Sequence[CallRecord]) -> list[bool]:
    results = []
    for record in records:
        taken = or_(calls.c.id == record.id, and_(calls.c.portal == record.portal, calls.c.card == record.card))
        free = (await connection.execute(select(calls.c.id).where(taken).limit(1))).first() is None
        if free:
            await connection.execute(insert(calls), [_row(record)])
        results.append(free)
    return results


async def answer(connection: AsyncConnection, items: Sequence[Mapping[str, Any]]) -> list[None]:
    first = and_(calls.c.id == bindparam("of"), calls.c.answered.is_(None), calls.c.ended.is_(None))
    at = bindparam("at", type_=calls.c.answered.type)
    values: dict[str, Any] = {
        "answered": at,
        "answered_by": bindparam("user_"),
        "seen": case((calls.c.seen < at, at), else_=calls.c.seen),
    }
    rows = [{"of": item["of"], "user_": item["user"], "at": item["at"]} for item in items]
    await connection.execute(update(calls).where(first).values(**values), rows)
    return [None] * len(items)


async def finish(connection: AsyncConnection, items: Sequence[CallEnd]) -> list[str | None]:
    # The row locks order this against `set_aside` on another connection.
    named = [item.call for item in items]
    living = select(calls.c.id, calls.c.portal, calls.c.settles).where(calls.c.id.in_(named), calls.c.ended.is_(None))
    found = (await connection.execute(living.with_for_update())).all()
    portals = {call: str(portal) for call, portal, _ in found}
    settles = {call: settles or 0.0 for call, _, settles in found}
    first = {item.call: item for item in reversed(items) if item.call in portals}
    results = [portals[item.call] if first.get(item.call) is item else None for item in items]
    if not first:
        return results
    lost = await _set_aside_kinds(connection, list(first), (Kind.REGISTER,))
    ends = [
        {"of": call, "ended_": item.ended, "status_": item.status, "verdicts_": item.verdicts}
        for call, item in first.items()
    ]
    names = ("ended", "status", "verdicts")
    values: dict[str, Any] = {name: bindparam(f"{name}_") for name in names}
    await connection.execute(update(calls).where(calls.c.id == bindparam("of")).values(**values), ends)
    promises = [
        _promised(
            call,
            portals[call],
            Kind.FINISH,
            i.payload,
            max(i.now, settles[call]),
            lost=REGISTRATION_LOST if call in lost else "",
        )
        for call, i in first.items()
    ]
    await connection.execute(insert(outbox), promises)
    return results


async def promise_more(connection: AsyncConnection, items: Sequence[More]) -> list[str | None]:
    results: list[str | None] = []
    for item in items:
        named = or_(calls.c.id == item.call, and_(calls.c.card == item.call, calls.c.card != ""))
        row = (await connection.execute(select(calls.c.id, calls.c.portal).where(named).limit(1))).first()
        if row is not None:
            lost = RECORD_LOST if await _set_aside_kinds(connection, [row[0]], BASIS) else ""
            new = _promised(row[0], row[1], item.kind, item.payload, item.now, lost=lost)
            await connection.execute(insert(outbox), [new])
        results.append(None if row is None else str(row[1]))
    return results


async def _known(connection: AsyncConnection, named: Collection[CallId]) -> set[str]:
    return set((await connection.scalars(select(calls.c.id).where(calls.c.id.in_(named)))).all())


async def _set_aside_kinds(connection: AsyncConnection, named: Collection[str], kinds: Iterable[Kind]) -> set[str]:
    """Which of these calls have a promise of these kinds set aside."""
    aside = and_(outbox.c.call.in_(named), outbox.c.kind.in_(kinds), outbox.c.state == State.SET_ASIDE)
    return set((await connection.scalars(select(outbox.c.call).where(aside))).all())


def _row(record: CallRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in CallRecord.__slots__} | {"direction": record.direction.value}


def _promised(
    call: str, portal: str, kind: Kind, payload: Mapping[str, Any], now: float, *, lost: str = ""
) -> dict[str, Any]:
    """A row of the outbox; `lost` sets it aside from the start."""
    return {
        "call": call,
        "portal": portal,
        "kind": kind,
        "payload": json.dumps(payload),
        "attempts": 0,
        "next_at": now,
        "last_error": lost,
        "state": State.SET_ASIDE if lost else State.PENDING,
    }
