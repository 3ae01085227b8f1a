"""How a call sounds, and why: a mean opinion score per direction from what both legs count and are told; pure.

The score is the E-model's (ITU-T G.107) with its default values, so only delay, loss and codec move it. Loss and jitter that
come in on one leg are passed on to the other, as a relay repairs nothing: what the far end of a direction tells is the whole
way's, and the difference to what we saw coming in is the second half's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..calls.events import Quality, Trouble
from .reports import Reports

WINDOW: Final = 5.0
"""Seconds that one verdict is about."""
FEWEST: Final = 100
"""Packets that a window must have held; less is no base for a share."""
NOTICEABLE: Final = 0.3
"""Points of the score; smaller changes are not worth telling."""

R_BEST: Final = 93.2
LOST_BADLY: Final = 0.01
UNEVEN_BADLY: Final = 0.020
FAR: Final = 0.3
"""Share of packets, seconds of mean jitter, and seconds of round trip of one leg from which on a leg is named as the cause."""
FRAME: Final = 0.02
BUFFER: Final = 0.08
"""Seconds that a receiver's buffer waits at most before it gives a packet up."""

# What a codec costs without any loss, and how well it bears it: Ie and Bpl of ITU-T G.113, appendix I; for opus and G.722 on
# the narrow-band scale there is no standard value, these are of the same order as measured ones.
_CODECS: Final[Mapping[str, tuple[float, float]]] = {
    "PCMU": (0, 25.1),
    "PCMA": (0, 25.1),
    "G722": (0, 17),
    "opus": (0, 30),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What became of a stream up to one point."""

    loss: float
    """Share of the packets."""
    jitter: float
    """Seconds."""

    def beyond(self, before: Way) -> Way:
        """What was added since an earlier point."""
        return Way(loss=max(0.0, self.loss - before.loss), jitter=max(0.0, self.jitter - before.jitter))


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One leg: what came from it, and what its far end says of what went there."""

    came: Way
    went: Way | None
    """The whole way from the other leg's far end; None as long as nobody tells."""
    round_trip: float | None
    """Seconds."""


def score(codec: str, loss: float, jitter: float, delay: float) -> float:
    """The mean opinion score of one direction, 1 to 4.5; `delay` in seconds from mouth to ear without the receiver's buffer."""
    burden, robustness = _CODECS[codec]
    late = math.exp(-BUFFER / jitter) if jitter > 0 else 0.0
    lost = 100 * min(1.0, loss + (1 - loss) * late)
    ear = 1000 * (delay + FRAME + min(3 * jitter, BUFFER))
    tardiness = 0.024 * ear + (0.11 * (ear - 177.3) if ear > 177.3 else 0.0)
    r = R_BEST - tardiness - burden - (95 - burden) * lost / (lost + robustness)
    if r <= 0:
        return 1.0
    return max(1.0, min(4.5, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6))


def judge(page: Side, pbx: Side, codec: str) -> Quality:
    """How both sides hear each other, and what is worst about it."""
    delay = ((page.round_trip or 0.0) + (pbx.round_trip or 0.0)) / 2
    to_page, to_pbx = page.went or pbx.came, pbx.went or page.came
    return Quality(
        heard=round(score(codec, to_page.loss, to_page.jitter, delay), 1),
        said=round(score(codec, to_pbx.loss, to_pbx.jitter, delay), 1),
        trouble=_trouble(page, pbx),
    )


def _trouble(page: Side, pbx: Side) -> Trouble:
    """The leg and the fault that lie furthest above what is bearable."""
    operator = [page.came, *([page.went.beyond(pbx.came)] if page.went else [])]
    trunk = [pbx.came, *([pbx.went.beyond(page.came)] if pbx.went else [])]
    faults = {
        Trouble.OPERATOR_LOSS: max(way.loss for way in operator) / LOST_BADLY,
        Trouble.OPERATOR_JITTER: max(way.jitter for way in operator) / UNEVEN_BADLY,
        Trouble.OPERATOR_DELAY: (page.round_trip or 0.0) / FAR,
        Trouble.PBX_LOSS: max(way.loss for way in trunk) / LOST_BADLY,
        Trouble.PBX_JITTER: max(way.jitter for way in trunk) / UNEVEN_BADLY,
        Trouble.PBX_DELAY: (pbx.round_trip or 0.0) / FAR,
    }
    worst = max(faults, key=lambda trouble: faults[trouble])
    return worst if faults[worst] >= 1 else Trouble.NONE


class Ear:
    """Listens to one call, window after window, and speaks up when something has changed."""

    def __init__(self) -> None:
        self.last: Quality | None = None
        self._since: float | None = None
        self._marks: tuple[tuple[int, int], ...] = ()

    def rest(self) -> None:
        """Somebody holds or is gone: what comes now says nothing, and the next window begins anew."""
        self._since = None

    def listen(self, page: Reports, pbx: Reports, codec: str, now: float) -> Quality | None:
        """A verdict at the end of a window, if it is the first or noticeably another."""
        if self._since is not None and now - self._since < WINDOW:
            return None
        counts = tuple((side.reception.expected, side.reception.packets) for side in (page, pbx))
        if self._since is None:
            self._since, self._marks = now, counts
            page.told = pbx.told = None  # from before, or of a hold
            return None
        (page_mark, pbx_mark), self._marks, self._since = self._marks, counts, now
        sides = _side(page, page_mark), _side(pbx, pbx_mark)
        if sides[0] is None or sides[1] is None:
            return None
        verdict, before = judge(sides[0], sides[1], codec), self.last
        if before is not None and is_alike(verdict, before):
            return None
        self.last = verdict
        return verdict


def is_alike(one: Quality, other: Quality) -> bool:
    """The difference is not worth telling."""
    change = max(abs(one.heard - other.heard), abs(one.said - other.said))
    return one.trouble is other.trouble and change < NOTICEABLE


def _side(reports: Reports, mark: tuple[int, int]) -> Side | None:
    reception, told = reports.reception, reports.told
    expected = reception.expected - mark[0]
    if expected < FEWEST:
        return None
    lost = max(0, expected - (reception.packets - mark[1]))
    return Side(
        came=Way(loss=lost / expected, jitter=reception.jitter),
        went=Way(loss=told.lost / told.expected, jitter=told.jitter) if told else None,
        round_trip=reports.round_trip,
    )
