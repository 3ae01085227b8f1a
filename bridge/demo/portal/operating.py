"""How long each REST method has run in the last ten minutes: Bitrix24's second limit (pure; time is an argument)."""

from __future__ import annotations

from collections import deque

WINDOW = 600.0


class Operating:
    def __init__(self) -> None:
        self._spent: dict[str, deque[tuple[float, float]]] = {}

    def spend(self, method: str, seconds: float, now: float) -> None:
        self._spent.setdefault(method, deque()).append((now, seconds))

    def used(self, method: str, now: float) -> float:
        """Seconds of run time that still count."""
        spent = self._spent.get(method, deque())
        while spent and spent[0][0] <= now - WINDOW:
            spent.popleft()
        return sum(seconds for _, seconds in spent)

    def reset_at(self, method: str, now: float) -> int:
        """When part of it stops to count, Unix seconds."""
        spent = self._spent.get(method)
        return int((spent[0][0] if spent else now) + WINDOW)
