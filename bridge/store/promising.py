"""Promises are made: each function carries out the same change for several calls at once, in few statements."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, case, insert, or_, select, update

from ..calls.events import CallId
from .desk import Hand
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


_IS_KNOWN = select(calls.c.id).where(calls.c.id.in_(bindparam("named", expanding=True)))
_NEW_CALL = insert(calls)
_NEW_PROMISE = insert(outbox)
_ADOPTED = (
    select(calls.c.id)
    .where(
        or_(
            calls.c.id == bindparam("of"),
            and_(calls.c.portal == bindparam("portal_"), calls.c.card == bindparam("card_")),
        )
    )
    .limit(1)
)
_at = bindparam("at", type_=calls.c.answered.type)
_ANSWER = (
    update(calls)
    .where(calls.c.id == bindparam("of"), calls.c.answered.is_(None), calls.c.ended.is_(None))
    .values(answered=_at, answered_by=bindparam("user_"), seen=case((calls.c.seen < _at, _at), else_=calls.c.seen))
)
# The row locks order this against `set_aside` on another connection.
_LIVING = (
    select(calls.c.id, calls.c.portal, calls.c.settles)
    .where(calls.c.id.in_(bindparam("named", expanding=True)), calls.c.ended.is_(None))
    .with_for_update()
)
_END = (
    update(calls)
    .where(calls.c.id == bindparam("of"))
    .values(ended=bindparam("ended_"), status=bindparam("status_"), verdicts=bindparam("verdicts_"))
)
_NAMED = (
    select(calls.c.id, calls.c.portal)
    .where(or_(calls.c.id == bindparam("of"), and_(calls.c.card == bindparam("of"), calls.c.card != "")))
    .limit(1)
)
_ASIDE = select(outbox.c.call).where(
    outbox.c.call.in_(bindparam("named", expanding=True)),
    outbox.c.kind.in_(bindparam("kinds", expanding=True)),
    outbox.c.state == State.SET_ASIDE,
)


def register(hand: Hand, items: Sequence[NewCall]) -> list[bool]:
    known = {call for (call,) in hand.rows(_IS_KNOWN, {"named": [item.record.id for item in items]})}
    fresh = dict[CallId, NewCall]()
    results = []
    for item in items:
        results.append(item.record.id not in known and item.record.id not in fresh)
        if results[-1]:
            fresh[item.record.id] = item
    hand.run(_NEW_CALL, [_row(item.record) for item in fresh.values()])
    promises = [_promised(call, i.record.portal, Kind.REGISTER, i.payload, i.now) for call, i in fresh.items()]
    hand.run(_NEW_PROMISE, promises)
    return results


def adopt(hand: Hand, records: Sequence[CallRecord]) -> list[bool]:
    results = []
    for record in records:
        taken = {"of": record.id, "portal_": record.portal, "card_": record.card}
        results.append(not hand.rows(_ADOPTED, taken))
        if results[-1]:
            hand.run(_NEW_CALL, [_row(record)])
    return results


def answer(hand: Hand, items: Sequence[Mapping[str, Any]]) -> list[None]:
    hand.run(_ANSWER, [{"of": item["of"], "user_": item["user"], "at": item["at"]} for item in items])
    return [None] * len(items)


def finish(hand: Hand, items: Sequence[CallEnd]) -> list[str | None]:
    found = hand.rows(_LIVING, {"named": [item.call for item in items]})
    portals = {call: str(portal) for call, portal, _ in found}
    settles = {call: settles or 0.0 for call, _, settles in found}
    first = {item.call: item for item in reversed(items) if item.call in portals}
    results = [portals[item.call] if first.get(item.call) is item else None for item in items]
    if not first:
        return results
    lost = _set_aside(hand, list(first), (Kind.REGISTER,))
    ends = [
        {"of": call, "ended_": item.ended, "status_": item.status, "verdicts_": item.verdicts}
        for call, item in first.items()
    ]
    hand.run(_END, ends)
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
    hand.run(_NEW_PROMISE, promises)
    return results


def promise_more(hand: Hand, items: Sequence[More]) -> list[str | None]:
    results: list[str | None] = []
    for item in items:
        named = hand.rows(_NAMED, {"of": item.call})
        for call, portal in named:
            lost = RECORD_LOST if _set_aside(hand, [call], BASIS) else ""
            hand.run(_NEW_PROMISE, [_promised(call, portal, item.kind, item.payload, item.now, lost=lost)])
        results.append(str(named[0][1]) if named else None)
    return results


def _set_aside(hand: Hand, named: Collection[str], kinds: Iterable[Kind]) -> set[str]:
    """Which of these calls have a promise of these kinds set aside."""
    return {call for (call,) in hand.rows(_ASIDE, {"named": list(named), "kinds": [kind.value for kind in kinds]})}


def _row(record: CallRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in CallRecord.__slots__} | {"direction": record.direction.value}


def _promised(
    call: str, portal: str, kind: Kind, payload: Mapping[str, Any], now: float, *, lost: str = ""
) -> dict[str, Any]:
    """A row of the outbox; `lost` sets it aside from the start."""
    return {
        "call": call,
        "portal": portal,
        "kind": kind.value,
        "payload": json.dumps(payload),
        "attempts": 0,
        "next_at": now,
        "last_error": lost,
        "state": (State.SET_ASIDE if lost else State.PENDING).value,
    }
