"""Does a quantity grow? A slope that a few odd samples can't bend (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

WARM_UP = 0.25
"""The share of a run that is not judged: caches fill, pools find their size."""
MOST_GROWTH = 0.02
"""Of what there was after the warm-up, in the time after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """Of one quantity after the warm-up."""

    begin: float
    """The line's value where it begins."""
    per_hour: float
    seconds: float

    @property
    def growth(self) -> float:
        """As a share of the beginning, over the whole of it."""
        return self.per_hour * self.seconds / 3600 / self.begin if self.begin else 0.0

    @property
    def is_flat(self) -> bool:
        return self.growth < MOST_GROWTH


def trend(times: Sequence[float], values: Sequence[float]) -> Trend:
    """Theil and Sen: the median of the slopes between all pairs. `times` in seconds, ascending."""
    first = times[0] + (times[-1] - times[0]) * WARM_UP
    return line([(at, value) for at, value in zip(times, values, strict=True) if at >= first])


def quarters(times: Sequence[float], values: Sequence[float]) -> list[Trend]:
    """Four lines, one after the other: what fills and is full bends them, a leak does not."""
    span = (times[-1] - times[0]) / 4
    parts: list[list[tuple[float, float]]] = [[] for _ in range(4)]
    for at, value in zip(times, values, strict=True):
        parts[min(int((at - times[0]) / span), 3)].append((at, value))
    return [line(part) for part in parts if part]


def line(points: Sequence[tuple[float, float]]) -> Trend:
    slopes = [
        (later - value) / (after - at)
        for number, (at, value) in enumerate(points)
        for after, later in points[number + 1 :]
        if after > at
    ]
    slope = median(slopes) if slopes else 0.0
    start = points[0][0]
    return Trend(
        begin=median(value - slope * (at - start) for at, value in points),
        per_hour=slope * 3600,
        seconds=points[-1][0] - start,
    )
