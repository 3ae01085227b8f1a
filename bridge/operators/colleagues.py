"""Whom an operator can pass a call to, and whether they are free, as far as the bridge itself knows. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..calls.events import Operator
from . import protocol as say
from .floor import Floor
from .protocol import CallState

Reachable = Callable[[Operator], Mapping[int, str]]
"""The colleagues of an operator by their user id, and what one dials to reach them."""


def listing(
    operator: Operator, reachable: Mapping[int, str], floor: Floor, names: Mapping[Operator, str]
) -> say.Colleagues:
    """In the order of their names; who has no name yet comes under their number."""
    found = []
    for user, number in reachable.items():
        colleague = Operator(operator.portal, user)
        name = names.get(colleague, "")
        found.append(say.Colleague(user=user, name=name, number=number, state=_state(colleague, floor)))
    return say.Colleagues(colleagues=sorted(found, key=lambda one: (one.name or one.number).casefold()))


def _state(operator: Operator, floor: Floor) -> say.ColleagueState:
    views = floor.board.of(operator).values()
    if any(view.answered_by == operator for view in views):
        return say.ColleagueState.BUSY
    if any(view.state == CallState.RINGING.value for view in views):
        return say.ColleagueState.RINGING
    return say.ColleagueState.FREE if floor.roster.workers(operator) else say.ColleagueState.AWAY
