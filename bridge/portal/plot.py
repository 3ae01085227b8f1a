"""Mean opinion scores over time as inline SVG; pure."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 720
HEIGHT: Final = 220
LEFT: Final = 34
BOTTOM: Final = 24
TOP: Final = 8
LOWEST, HIGHEST = 1.0, 4.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    at: float
    """0 to 1 of the width."""
    mos: float
    title: str
    bad: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """A line that stays until its next point."""

    name: str
    points: Sequence[tuple[float, float]]
    """Where (0 to 1 of the width) a score begins to hold."""


def drawn(description: str, *, ticks: Sequence[str], dots: Iterable[Dot] = (), lines: Iterable[Steps] = ()) -> str:
    """An <svg> whose `ticks` stand evenly below it; colours come from the page's style."""
    parts = [_axis(score) for score in (1, 2, 3, 4)]
    parts += [
        f'<text class="tick" x="{_x(at / max(1, len(ticks) - 1)):.1f}" y="{HEIGHT - 6}">{html.escape(tick)}</text>'
        for at, tick in enumerate(ticks)
    ]
    parts += [_steps(line, number) for number, line in enumerate(lines)]
    parts += [
        f'<circle class="{"bad" if dot.bad else "good"}" cx="{_x(dot.at):.1f}" cy="{_y(dot.mos):.1f}" r="4">'
        f"<title>{html.escape(dot.title)}</title></circle>"
        for dot in dots
    ]
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(description)}">{"".join(parts)}</svg>'
    )


def _x(at: float) -> float:
    return LEFT + max(0.0, min(1.0, at)) * (WIDTH - LEFT - 22)


def _y(mos: float) -> float:
    share = (max(LOWEST, min(HIGHEST, mos)) - LOWEST) / (HIGHEST - LOWEST)
    return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


def _axis(score: int) -> str:
    y = _y(score)
    return (
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="score" x="{LEFT - 8}" y="{y + 4:.1f}">{score}</text>'
    )


def _steps(line: Steps, number: int) -> str:
    path, before = [], None
    for at, mos in line.points:
        x, y = _x(at), _y(mos)
        path.append(f"M{x:.1f} {y:.1f}" if before is None else f"H{x:.1f}V{y:.1f}")
        before = y
    path.append(f"H{_x(1):.1f}")
    return f'<path class="line{number}" d="{"".join(path)}"><title>{html.escape(line.name)}</title></path>'
