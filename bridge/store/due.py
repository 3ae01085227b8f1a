"""Which promises are due: of each slot those that nothing stands in the way of, in order of time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, func, literal, or_, select, union_all

from ..calls.events import CallId
from .promises import Kind, Promise, Slot, State
from .promising import BASIS
from .tables import calls, outbox

NEXT_AT = list(outbox.c).index(outbox.c.next_at)
_earlier = outbox.alias()


def _first() -> Select[Any]:
    waits = and_(
        outbox.c.portal == bindparam("portal_"),
        outbox.c.state == State.PENDING,
        outbox.c.id.not_in(bindparam("busy_", expanding=True)),
    )
    parts = [
        promises()
        .add_columns(literal(slot.value).label("slot"))
        .where(waits, _of_slot(slot))
        .order_by(outbox.c.next_at, outbox.c.id)
        .limit(bindparam(f"room_{slot.value}"))
        .subquery()
        for slot in Slot
    ]
    together: Select[Any] = select(union_all(*(select(part) for part in parts)).subquery())
    return together


def _of_slot(slot: Slot) -> ColumnElement[bool]:
    """What can be kept with nothing before it in the way."""
    forgotten = bindparam("forgotten_", type_=outbox.c.first_sent.type)
    lost = and_(outbox.c.kind == Kind.REGISTER, func.coalesce(outbox.c.first_sent, forgotten) < forgotten)
    match slot:
        case Slot.RING:
            return and_(outbox.c.kind == Kind.REGISTER, ~lost, calls.c.ended.is_(None))
        case Slot.REGISTER:
            return and_(outbox.c.kind == Kind.REGISTER, ~lost, calls.c.ended.is_not(None))
        case Slot.FINISH:
            return and_(outbox.c.kind == Kind.FINISH, calls.c.card != "")
        case Slot.SLOW:
            of_call = _earlier.c.call == outbox.c.call
            basis = exists().where(of_call, _earlier.c.kind.in_(BASIS))
            older = and_(
                _earlier.c.kind == outbox.c.kind, _earlier.c.id < outbox.c.id, _earlier.c.state == State.PENDING
            )
            unkept = exists().where(of_call, older)
            more = and_(outbox.c.kind.not_in(BASIS), calls.c.ended.is_not(None), ~basis, ~unkept)
            return or_(lost, more)


def promises() -> Any:
    return select(outbox, calls.c.card, calls.c.number, calls.c.ended).select_from(outbox.join(calls))


FIRST = _first()
"""For any slots: the others have no room, which costs the database nothing. Every other statement would cost 10 ms once."""


def promise_in(row: Sequence[Any], *, lenient: bool = False) -> Promise:
    """ValueError for a row that can't be read, unless `lenient`: then as far as it can be."""
    id_, call, portal, kind, payload, attempts, next_at, last_error, state, first_sent, card, number, ended = row
    return Promise(
        id=id_,
        call=CallId(call),
        portal=portal,
        kind=Kind(kind),
        payload={} if lenient else json.loads(payload),
        attempts=attempts,
        next_at=next_at,
        first_sent=first_sent,
        state=State(state),
        last_error=last_error,
        card=card,
        number=number,
        ended=ended is not None,
    )
