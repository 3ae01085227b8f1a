"""Many timers, one next deadline: a heap whose outdated entries are dropped when they surface (pure)."""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)


class Deadlines(Generic[_Key]):
    """When each of many things wants to be woken."""

    def __init__(self) -> None:
        self._when: dict[_Key, float] = {}
        self._heap: list[tuple[float, int, _Key]] = []
        self._order = count()

    def set(self, key: _Key, when: float | None) -> None:
        """Wake `key` at `when` and no earlier; None: not at all."""
        if when is None:
            self._when.pop(key, None)
        elif self._when.get(key) != when:
            self._when[key] = when
            heappush(self._heap, (when, next(self._order), key))
            self._compact()

    def pop(self, now: float) -> _Key | None:
        """The key that is due first, which is then no longer set; None if nothing is due."""
        if (when := self.next) is None or when > now:
            return None
        key = heappop(self._heap)[2]
        del self._when[key]
        return key

    @property
    def next(self) -> float | None:
        while self._heap and self._when.get(self._heap[0][2]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _compact(self) -> None:
        if len(self._heap) > 4 * len(self._when) + 64:
            self._heap = [entry for entry in self._heap if self._when.get(entry[2]) == entry[0]]
            heapify(self._heap)
