"""How much of whom is listened to: allowances per source, and patience with wrong passwords (pure).

What is remembered is bounded: a flood from invented addresses pushes out others' entries, it never adds any.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

MOST_REMEMBERED = 10_000


class Allowance:
    """So many a second on average for each source, and so many at once."""

    def __init__(self, rate: float, burst: float, most: int = MOST_REMEMBERED) -> None:
        self._rate = rate
        self._burst = burst
        self._most = most
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """What was left, and when."""

    def take(self, source: str, now: float) -> bool:
        """Whether there is still one for this source."""
        left, then = self._left.pop(source, (self._burst, now))
        left = min(self._burst, left + (now - then) * self._rate)
        self._left[source] = (left - 1 if left >= 1 else left), now
        if len(self._left) > self._most:
            self._left.popitem(last=False)
        return left >= 1

    def __len__(self) -> int:
        return len(self._left)


@dataclass(slots=True)
class _Record:
    failures: int
    last: float


class Patience:
    """Whoever shows wrong credentials a few times is not heard for a minute, then for two, four …, an hour at most."""

    FREE = 5
    FIRST_SECONDS = 60.0
    MOST_SECONDS = 3600.0
    FORGET_SECONDS = 24 * 3600.0

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        self._known: OrderedDict[str, _Record] = OrderedDict()

    def fail(self, source: str, now: float) -> None:
        record = self._known.pop(source, None)
        if record is None or now - record.last > self.FORGET_SECONDS:
            record = _Record(0, now)
        self._known[source] = _Record(record.failures + 1, now)
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    def succeed(self, source: str) -> None:
        self._known.pop(source, None)

    def is_exhausted(self, source: str, now: float) -> bool:
        record = self._known.get(source)
        if record is None or record.failures < self.FREE:
            return False
        doublings = min(record.failures - self.FREE, 10)
        pause = min(self.MOST_SECONDS, self.FIRST_SECONDS * (1 << doublings))
        return now - record.last < pause
