"""Whose turn it is to ring: the one who looks after the client first, where a line is set so; then the group.

  look-up runs ──CallerFound, or its time is over──► the responsible rings alone ──no answer, decline──► the group rings
   (nobody rings)                                 └── nobody, away, in a call, off work ────────────────►

The PBX has heard 180 all the while. `call.reserve` are those whose turn is still to come.
"""

from __future__ import annotations

from . import commands as do
from . import ending
from . import events as on
from .call import Call, State, Step, World
from .change import changed
from .commands import Command
from .events import Event, Operator
from .outcome import Ending


def found(call: Call, event: on.CallerFound, world: World) -> Step:
    known = changed(call, client=event.client)
    is_awaited = call.state is State.RINGING and not call.operators
    return _first(known, world) if is_awaited else (known, [])


def over(call: Call, event: Event, world: World) -> Step:
    """The time of this turn is over, or that of the whole ringing."""
    if call.turn_until is None or world.now >= call.ring_until:
        return ending.end(call, Ending.NOBODY_ANSWERED, world)
    return group(call, world) if call.operators else _first(call, world)


def group(call: Call, world: World, otherwise: Ending = Ending.NOBODY_ONLINE) -> Step:
    """Everybody else joins in; `otherwise` is how the call ends when nobody is there."""
    others = tuple(each for each in call.reserve if each in world.online and each not in call.operators)
    if not others and not call.operators:
        return ending.end(call, otherwise, world)
    ringing = changed(
        call, operators=(*call.operators, *others), reserve=(), turn_until=None, deadline=_deadline(call, None)
    )
    return _ring(ringing, others) if others else (ringing, [])


def card_for(call: Call, operators: tuple[Operator, ...]) -> list[Command]:
    """Raise the portal's card for these, once it has one; without turns the registration has raised it for one of them."""
    first = call.registered_for or call.owner
    others = operators if call.in_turns else tuple(each for each in operators if each != first)
    return [do.ShowCard(call=call.id, card=call.card, operators=others)] if call.card and others else []


def _first(call: Call, world: World) -> Step:
    """The look-up is over: with whom does the ringing begin?"""
    first = _responsible(call, world)
    if first is None:
        return group(call, world)
    reserve = tuple(each for each in call.reserve if each != first)
    until = min(world.now + world.directory.responsible_seconds, call.ring_until) if reserve else None
    ringing = changed(call, operators=(first,), reserve=reserve, turn_until=until, deadline=_deadline(call, until))
    return _ring(ringing, (first,))


def _responsible(call: Call, world: World) -> Operator | None:
    """Whoever looks after the client, if a call can reach them now."""
    client = call.client
    if client is None or client.responsible is None or not client.at_work:
        return None
    who = client.responsible
    can_ring = who in world.online and who not in world.busy and who in world.directory.accounts.values()
    return who if can_ring else None


def _ring(call: Call, operators: tuple[Operator, ...]) -> Step:
    return call, [do.RingOperators(call=call.id, operators=operators), *card_for(call, operators)]


def _deadline(call: Call, turn_until: float | None) -> float:
    return call.ring_until if turn_until is None else min(turn_until, call.ring_until)
