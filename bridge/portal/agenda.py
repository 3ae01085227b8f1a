"""Which of a portal's slots have to be looked at, so that nobody asks the store for what can't have changed (pure).

A slot is open while something in it may be due; one that was looked at is closed until somebody promises something, a promise
under way comes to its end, or the time of the next one has come.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..store.promises import Slot


class Agenda:
    def __init__(self) -> None:
        self._open = set(Slot)
        self._next_at: dict[Slot, float] = {}

    def open(self, slots: Collection[Slot] = tuple(Slot)) -> None:
        self._open.update(slots)

    def take(self, free: Collection[Slot]) -> set[Slot]:
        """What is to be looked at now, of these. What is opened from now on, during the look, stays open."""
        taken = self._open.intersection(free)
        self._open -= taken
        return taken

    def saw(self, slots: Collection[Slot], next_at: Mapping[Slot, float]) -> None:
        """When the next promise of each slot falls due, of those that have one."""
        for slot in slots:
            self._next_at.pop(slot, None)
        self._next_at.update(next_at)

    def next_at(self, free: Collection[Slot]) -> float:
        """When there will be something to do, of these."""
        return min((at for slot, at in self._next_at.items() if slot in free), default=float("inf"))
