"""Two calls of an operator as one conversation: which belong together, and what may become one. Pure."""

from __future__ import annotations

from collections.abc import Callable

from ..calls import events as on
from ..calls.commands import CallView
from ..calls.events import Event, Operator
from .floor import Floor
from .protocol import Ack, CallState

DONE = Ack(ok=True)
NOT_YOURS = Ack(ok=False, error="You are not on this call.")
NOT_YET = Ack(ok=False, error="This call is not connected yet.")
NO_PARTNER = Ack(ok=False, error="A conference takes a call on hold and one that you are talking on.")
FULL = Ack(ok=False, error="A conference is for three: split it, or hang up with one of them first.")
NO_MIXER = Ack(
    ok=False,
    error="This telephone server can't make conferences: its voice is carried by an rtpengine. “Connect them” works.",
)
SETTLING = Ack(ok=False, error="One of the calls is being held or resumed just now: try again in a moment.")

_STANDS = {CallState.TALKING.value, CallState.HELD.value}


class Conferences:
    """`mixes`: the voice room can let the far ends of two calls hear one another."""

    def __init__(self, *, floor: Floor, post: Callable[[Event], None], mixes: bool) -> None:
        self._floor, self._post, self._mixes = floor, post, mixes

    def members(self, operator: Operator, view: CallView) -> list[CallView]:
        """The call, and the one that is one conversation with it."""
        other = self._floor.board.of(operator).get(view.conference) if view.conference else None
        return [view, other] if other else [view]

    def ends(self, operator: Operator, view: CallView) -> tuple[CallView | None, CallView]:
        """Whom this call is about or together with, None if nobody is there any more; and the call that asks."""
        live = self._floor.board.of(operator)
        other = live.get(view.consults) if view.consults else None
        if other is None and view.conference:
            other = live.get(view.conference)
        if other is not None and other.consults == view.id:
            return view, other
        return other, view

    def merge(self, operator: Operator, view: CallView) -> Ack:
        if view.answered_by != operator:
            return NOT_YOURS
        if not self._mixes:
            return NO_MIXER
        if view.conference:
            return DONE
        if view.state not in _STANDS:
            return NOT_YET
        partner = self._partner(operator, view)
        if partner is None:
            return NO_PARTNER
        if partner.conference:
            return FULL
        muted = (partner if view.held else view).muted
        for one, other in ((view, partner), (partner, view)):
            self._post(on.OperatorMerged(call=one.id, operator=operator, other=other.id))
            self._post(on.OperatorMuted(call=one.id, operator=operator, muted=muted))
        return DONE

    def split(self, operator: Operator, view: CallView) -> Ack:
        if view.answered_by != operator:
            return NOT_YOURS
        if any(each.state == CallState.TRANSFERRING.value for each in self.members(operator, view)):
            return SETTLING
        self._post(on.OperatorSplit(call=view.id, operator=operator))
        return DONE

    def _partner(self, operator: Operator, view: CallView) -> CallView | None:
        """The other one of a held call and one that is talked on."""
        mine = [
            other
            for other in self._floor.board.of(operator).values()
            if other.answered_by == operator and other.state in _STANDS and other.id != view.id
        ]
        asked, _ = self.ends(operator, view)
        if asked in mine:
            return asked
        others = [other for other in mine if other.held != view.held]
        if len(others) > 1 and not others[0].conference:
            return None  # which of them?
        return others[0] if others else None
