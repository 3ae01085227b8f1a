"""Promises on their way: each function carries out the same change for several of them at once, in few statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Update, bindparam, delete, func, select, update

from .desk import Hand
from .promises import Kind, Promise, State
from .promising import RECORD_LOST, REGISTRATION_LOST
from .tables import calls, outbox

_LOST = {Kind.REGISTER: REGISTRATION_LOST, Kind.FINISH: RECORD_LOST}

_SENDING = (
    update(outbox)
    .where(outbox.c.id == bindparam("of"))
    .values(
        attempts=outbox.c.attempts + 1,
        first_sent=func.coalesce(outbox.c.first_sent, bindparam("now_", type_=outbox.c.first_sent.type)),
    )
)
_CARD = (
    update(calls)
    .where(calls.c.id == bindparam("of"))
    .values(card=bindparam("card_"), settles=bindparam("settles_", type_=calls.c.settles.type))
)
_settles = bindparam("settles_", type_=outbox.c.next_at.type)
_FINISH_LATER = (
    update(outbox)
    .where(outbox.c.call == bindparam("of"), outbox.c.kind == Kind.FINISH.value, outbox.c.next_at < _settles)
    .values(next_at=_settles)
)
_LIVING = select(calls.c.id).where(calls.c.id.in_(bindparam("named", expanding=True)), calls.c.ended.is_(None))
_KEPT = delete(outbox).where(outbox.c.id == bindparam("of"))
_TOUCHED = update(calls).where(calls.c.ended.is_(None)).values(seen=bindparam("now_", type_=calls.c.seen.type))
# The row lock orders this against a `finish` of the same call on another connection.
_LOCKED = select(calls.c.id).where(calls.c.id == bindparam("of")).with_for_update()
_REST_ASIDE = (
    update(outbox)
    .where(
        outbox.c.call == bindparam("of"),
        outbox.c.id != bindparam("but"),
        outbox.c.state == State.PENDING.value,
    )
    .values(state=State.SET_ASIDE.value, last_error=bindparam("why"))
)


def sending(hand: Hand, items: Sequence[Mapping[str, Any]]) -> list[None]:
    hand.run(_SENDING, items)
    return [None] * len(items)


def registered(hand: Hand, items: Sequence[tuple[Promise, str, float | None]]) -> list[bool]:
    hand.run(_CARD, [{"of": promise.call, "card_": card, "settles_": settles} for promise, card, settles in items])
    hand.run(_KEPT, [{"of": promise.id} for promise, _, _ in items])
    later = [{"of": promise.call, "settles_": settles} for promise, _, settles in items if settles is not None]
    hand.run(_FINISH_LATER, later)
    living = {call for (call,) in hand.rows(_LIVING, {"named": [promise.call for promise, _, _ in items]})}
    return [promise.call in living for promise, _, _ in items]


def kept(hand: Hand, items: Sequence[int]) -> list[None]:
    hand.run(_KEPT, [{"of": promise} for promise in items])
    return [None] * len(items)


def rewrite(hand: Hand, items: Sequence[tuple[int, Mapping[str, Any]]]) -> list[None]:
    """Each item is a promise and what of its row becomes what."""
    for promise, values in items:
        hand.run(_rewriting(tuple(values)), [{"of": promise} | {f"{name}_": value for name, value in values.items()}])
    return [None] * len(items)


def set_aside(hand: Hand, items: Sequence[tuple[Promise, str]]) -> list[None]:
    for promise, error in items:
        hand.rows(_LOCKED, {"of": promise.call})
        rewrite(hand, [(promise.id, {"state": State.SET_ASIDE.value, "last_error": error})])
        if lost := _LOST.get(promise.kind):
            hand.run(_REST_ASIDE, [{"of": promise.call, "but": promise.id, "why": lost}])
    return [None] * len(items)


def touch(hand: Hand, moments: Sequence[float]) -> list[None]:
    hand.run(_TOUCHED, [{"now_": max(moments)}])
    return [None] * len(moments)


@cache
def _rewriting(names: tuple[str, ...]) -> Update:
    values: dict[str, Any] = {name: bindparam(f"{name}_", type_=outbox.c[name].type) for name in names}
    return update(outbox).where(outbox.c.id == bindparam("of")).values(**values)
