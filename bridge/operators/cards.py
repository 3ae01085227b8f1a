"""Who draws an operator's call cards: the portal's pages, or, where none of them does, Bitrix24's desktop application. Pure."""

from __future__ import annotations

from ..calls.events import Operator

DRAW_SECONDS = 8.0
"""From the call's registration to its card: a push and a page's script, on a slow machine as well."""
STAY_SECONDS = 70.0
"""How long a card may outlive its call (a comment is being written), and keep the next one from being drawn."""
MAX_SHOWN = 8
"""Cards of one operator that are remembered."""


class Cards:
    def __init__(self) -> None:
        self._due: dict[tuple[Operator, str], float] = {}
        self._shown: dict[Operator, list[str]] = {}
        self._taken: dict[Operator, float] = {}
        """Until when a page may still have the card of an earlier call."""
        self._desktop: set[Operator] = set()

    def expect(self, operator: Operator, card: str, now: float) -> None:
        """The portal was told to raise this card, and a page of the operator is there to draw it."""
        if card not in self._shown.get(operator, []) and self._taken.get(operator, now) <= now:
            self._due.setdefault((operator, card), now + DRAW_SECONDS)

    def shown(self, operator: Operator, card: str) -> bool:
        """A page has drawn it; True if this says something new about who draws cards."""
        self._due.pop((operator, card), None)
        others = [one for one in self._shown.get(operator, []) if one != card]
        self._shown[operator] = [*others, card][-MAX_SHOWN:]
        if operator not in self._desktop:
            return False
        self._desktop.discard(operator)
        return True

    def over(self, operator: Operator, card: str, now: float) -> None:
        """The call ended: a card that has not come needs to come no more."""
        self._due.pop((operator, card), None)
        if card in self._shown.get(operator, []):
            self._taken[operator] = now + STAY_SECONDS

    def tick(self, now: float) -> list[Operator]:
        """Operators whose cards are drawn elsewhere, as has just become clear."""
        late = [key for key, due in self._due.items() if due <= now]
        for key in late:
            del self._due[key]
        found = {operator for operator, _ in late} - self._desktop
        self._desktop |= found
        return sorted(found)

    @property
    def deadline(self) -> float | None:
        return min(self._due.values(), default=None)

    def elsewhere(self, operator: Operator) -> bool:
        """The desktop application draws this operator's cards, as far as is known."""
        return operator in self._desktop
