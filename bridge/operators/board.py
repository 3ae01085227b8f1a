"""Which calls are on show for whom, and whose application still has to be opened. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ..calls.commands import CallView, Direction
from ..calls.events import CallId, Operator
from .protocol import CallState, Ended

MAX_RINGS = 10_000
MAX_UNPAID = 10_000


class Board:
    def __init__(self) -> None:
        self._calls: dict[Operator, dict[CallId, CallView]] = {}
        self._audience: dict[CallId, set[Operator]] = {}
        self._rings: dict[CallId, dict[Operator, bool]] = {}
        """Whose application shall be opened for a call, and whether it was."""
        self._unpaid: dict[tuple[Operator, CallId], CallView] = {}
        """Calls that nobody paid for, the oldest first."""

    def show(self, view: CallView, operators: Iterable[Operator]) -> set[Operator]:
        """Put the call up for these operators only; returns those who see it no more.

        An ended call is taken down for these operators and stays for the others: one may decline while others still ring.
        """
        listed = set(operators)
        audience = self._audience.setdefault(view.id, set())
        ended = CallState(view.state) is CallState.ENDED
        if ended:
            leaving = listed
        else:
            leaving = audience - listed
            audience |= listed
            for operator in listed:
                self._calls.setdefault(operator, {})[view.id] = view
        audience -= leaving
        for operator in leaving:
            self._take_down(operator, view.id)
            if ended and view.ending == Ended.NO_FUNDS.value:
                self._remember(operator, view)
        if not audience:
            del self._audience[view.id]
            self._rings.pop(view.id, None)
        return leaving

    def of(self, operator: Operator) -> dict[CallId, CallView]:
        """The live calls that an operator sees."""
        return self._calls.get(operator, {})

    def operators(self) -> list[Operator]:
        """Those who see a live call."""
        return list(self._calls)

    def rings(self, operator: Operator) -> bool:
        return any(view.state == CallState.RINGING.value for view in self.of(operator).values())

    def registering(self, operator: Operator) -> bool:
        """Has this operator dialled, and the portal not named the call yet? Its card may be the next that is drawn."""
        return any(view.direction is Direction.OUTBOUND and not view.card for view in self.of(operator).values())

    def unpaid(self, operator: Operator, call: CallId) -> CallView | None:
        """A call of this operator that nobody paid for, for some time after its end."""
        return self._unpaid.get((operator, call))

    def ring(self, call: CallId, operators: Iterable[Operator]) -> None:
        """Remember whose application to open; the call may be shown later than this."""
        ring = self._rings.setdefault(call, {})
        for operator in operators:
            ring.setdefault(operator, False)
        if len(self._rings) > MAX_RINGS:
            del self._rings[next(iter(self._rings))]

    def unopened(self, operator: Operator) -> list[CallView]:
        """Calls that ring for this operator and whose application was not opened yet."""
        ringing = [view for view in self.of(operator).values() if view.state == CallState.RINGING.value]
        return [view for view in ringing if self._rings.get(view.id, {}).get(operator) is False]

    def opened(self, call: CallId, operator: Operator) -> None:
        self._rings.setdefault(call, {})[operator] = True  # what the operator has dialled never rang

    def _remember(self, operator: Operator, view: CallView) -> None:
        self._unpaid[operator, view.id] = view
        if len(self._unpaid) > MAX_UNPAID:
            del self._unpaid[next(iter(self._unpaid))]

    def _take_down(self, operator: Operator, call: CallId) -> None:
        calls = self._calls.get(operator, {})
        calls.pop(call, None)
        if not calls:
            self._calls.pop(operator, None)
