"""A measured figure, and the goal it is held against."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of `bench.json`."""

    name: str
    value: float
    unit: str
    against: str | None = None
    """The peer whose value this is; None for ours."""
    ratio: float | None = None
    """Ours to the peer's."""
    note: str = ""
    """How it came about, for whoever reads the table."""

    def row(self) -> dict[str, Any]:
        value = float(f"{self.value:.4g}")
        return {"name": self.name, "value": value, "unit": self.unit, "against": self.against, "ratio": self.ratio}

    @property
    def goal(self) -> Goal | None:
        return GOALS.get(self.name) if self.against is None else None


@dataclass(frozen=True, slots=True)
class Goal:
    sign: str
    limit: float

    def is_met(self, value: float) -> bool:
        return _COMPARE[self.sign](value, self.limit)

    def __str__(self) -> str:
        return f"{self.sign} {self.limit:g}"


_COMPARE: Mapping[str, Callable[[float, float], bool]] = {"≤": operator.le, "≥": operator.ge}

GOALS: Mapping[str, Goal] = {
    "ring.ms.p50": Goal("≤", 10),
    "ring.ms.p99": Goal("≤", 40),
    "answer.ms.p50": Goal("≤", 45),
    "answer.ms.p95": Goal("≤", 90),
    "answer_cold.ms.p50": Goal("≤", 80),
    "answer_cold.ms.p95": Goal("≤", 120),
    "rejoin.ms.p50": Goal("≤", 250),
    "rejoin.ms.p95": Goal("≤", 500),
    "takeover.ms.p50": Goal("≤", 120),
    "takeover.ms.p95": Goal("≤", 200),
    "worker.load_ms.p99": Goal("≤", 100),
    "worker.posts_per_s": Goal("≥", 3000),
    "worker.before_load_kb": Goal("≤", 4),
    "worker.bundle_kb": Goal("≤", 22),
    "tabs.kb_each": Goal("≤", 35),
    "tabs.emit_ms.p99": Goal("≤", 20),
    "sip.calls_per_s": Goal("≥", 500),
    "sip.hostile_ms.max": Goal("≤", 5),
    "call.cpu_ms": Goal("≤", 8),
    "transcode.calls_per_core": Goal("≥", 150),
    "relay.calls_per_core": Goal("≥", 500),
    "relay.lost": Goal("≤", 0),
    "relay.added_ms.p50": Goal("≤", 1),
    "relay.added_ms.p99": Goal("≤", 4),
    "relay.added_ms_at_10.p50": Goal("≤", 0.2),
    "relay.added_ms_at_10.p99": Goal("≤", 2),
}


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: a value that was measured."""
    ordered = sorted(values)
    return ordered[max(0, ceil(share / 100 * len(ordered)) - 1)]


def spread(name: str, values: Sequence[float], *shares: int, unit: str = "ms", note: str = "") -> list[Figure]:
    """`name.p50` and so on."""
    said = f"n={len(values)}, max {max(values):.1f}{f'; {note}' if note else ''}"
    return [Figure(name=f"{name}.p{s}", value=percentile(values, s), unit=unit, note=said) for s in shares]
