"""Who draws an operator's call cards: the portal's pages, or, where none of them does, Bitrix24's desktop application. Pure."""

from __future__ import annotations

from typing import NamedTuple

from ..calls.events import Operator

AGAIN_SECONDS = 3.0
"""From the call's registration to the second try: a page that still had the card of the call before has drawn none."""
DRAW_SECONDS = 8.0
"""From there to a card: a push and a page's script, on a slow machine as well."""
STAY_SECONDS = 70.0
"""How long a card may outlive its call (a comment is being written), and keep the next one from being drawn."""
MAX_SHOWN = 8
"""Cards of one operator that are remembered."""


class _Awaited(NamedTuple):
    due: float
    tells: bool
    """That it does not come says something about the desktop application."""
    again: bool
    """The portal was asked a second time."""


class Cards:
    def __init__(self) -> None:
        self._awaited: dict[tuple[Operator, str], _Awaited] = {}
        self._again: list[tuple[Operator, str]] = []
        self._shown: dict[Operator, list[str]] = {}
        self._taken: dict[Operator, float] = {}
        """Until when a page may still have the card of an earlier call."""
        self._desktop: set[Operator] = set()

    def expect(self, operator: Operator, card: str, now: float) -> None:
        """The portal was told to raise this card, and a page of the operator is there to draw it."""
        if card not in self._shown.get(operator, []):
            awaited = _Awaited(now + AGAIN_SECONDS, self._taken.get(operator, now) <= now, again=False)
            self._awaited.setdefault((operator, card), awaited)

    def shown(self, operator: Operator, card: str) -> bool:
        """A page has drawn it; True if this says something new about who draws cards."""
        self._awaited.pop((operator, card), None)
        others = [one for one in self._shown.get(operator, []) if one != card]
        self._shown[operator] = [*others, card][-MAX_SHOWN:]
        if operator not in self._desktop:
            return False
        self._desktop.discard(operator)
        return True

    def over(self, operator: Operator, card: str, now: float) -> None:
        """The call ended: a card that has not come needs to come no more."""
        self._awaited.pop((operator, card), None)
        if card in self._shown.get(operator, []):
            self._taken[operator] = now + STAY_SECONDS

    def tick(self, now: float) -> list[Operator]:
        """Operators whose cards are drawn elsewhere, as has just become clear."""
        late = {key: self._awaited.pop(key) for key, awaited in list(self._awaited.items()) if awaited.due <= now}
        for key, awaited in late.items():
            if not awaited.again:
                self._again.append(key)
            if not awaited.again and awaited.tells:
                self._awaited[key] = _Awaited(now + DRAW_SECONDS, tells=True, again=True)
        found = {operator for (operator, _), awaited in late.items() if awaited.again} - self._desktop
        self._desktop |= found
        return sorted(found)

    @property
    def deadline(self) -> float | None:
        return min((awaited.due for awaited in self._awaited.values()), default=None)

    def again(self) -> list[tuple[Operator, str]]:
        """Cards that the portal shall raise once more."""
        again, self._again = self._again, []
        return again

    def elsewhere(self, operator: Operator) -> bool:
        """The desktop application draws this operator's cards, as far as is known."""
        return operator in self._desktop
