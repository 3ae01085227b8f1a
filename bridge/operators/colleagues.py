"""Whom an operator can pass a call to, and whether they are free, as far as the bridge and the PBX know. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..calls.events import Operator
from ..calls.extension import ExtensionState
from . import protocol as say
from .floor import Floor
from .protocol import CallState

Reachable = Callable[[Operator], Mapping[int, str]]
"""The colleagues of an operator by their user id, and what one dials to reach them."""
Lamps = Callable[[Operator], Mapping[int, ExtensionState]]
"""What the PBX of an operator says about those colleagues' extensions; who is missing is not watched."""


def listing(
    operator: Operator,
    reachable: Mapping[int, str],
    lamps: Mapping[int, ExtensionState],
    floor: Floor,
    names: Mapping[Operator, str],
) -> say.Colleagues:
    """In the order of their names; who has no name yet comes under their number."""
    found = []
    for user, number in reachable.items():
        colleague = Operator(operator.portal, user)
        name = names.get(colleague, "")
        state = _state(colleague, floor, lamps.get(user, ExtensionState.UNKNOWN))
        found.append(say.Colleague(user=user, name=name, number=number, state=state))
    return say.Colleagues(colleagues=sorted(found, key=lambda one: (one.name or one.number).casefold()))


def _state(operator: Operator, floor: Floor, lamp: ExtensionState) -> say.ColleagueState:
    """The PBX knows of calls at other telephones, the bridge of those that ring on pages and of who has none open."""
    views = floor.board.of(operator).values()
    if lamp is ExtensionState.TALKING or any(view.answered_by == operator for view in views):
        return say.ColleagueState.BUSY
    if lamp is ExtensionState.RINGING or any(view.state == CallState.RINGING.value for view in views):
        return say.ColleagueState.RINGING
    return say.ColleagueState.FREE if floor.roster.workers(operator) else say.ColleagueState.AWAY
