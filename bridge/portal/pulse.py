"""Whether a portal is there: after a few silences in a row nothing is risked any more, a harmless request asks first (pure).

A portal that hangs for a day thereby leaves a handful of registers whose outcome nobody knows, not a day's.
"""

from __future__ import annotations

from dataclasses import dataclass

SILENCES = 3
"""So many requests in a row without an answer, and the portal is taken for gone."""
ASK_AGAIN = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
"""Seconds between the questions whether it is back; the last one for ever."""
ASK_FOR_A_CALL = 5.0
"""A new call asks at once, but not more often than this."""
PAUSES = (1.0, 2.0, 5.0, 10.0)
"""Seconds of rest after an answer that the portal is at its limit, by how many such answers came in a row."""


@dataclass(slots=True)
class Pulse:
    """One portal's."""

    silences: int = 0
    refusals: int = 0
    asked: int = 0

    @property
    def is_gone(self) -> bool:
        return self.silences >= SILENCES

    @property
    def is_weak(self) -> bool:
        """Its last answer was none, or that it is at its limit: one thing at a time."""
        return self.refusals > 0 or self.silences > 0

    def answered(self) -> None:
        self.silences = self.refusals = self.asked = 0

    def silent(self) -> None:
        self.silences += 1

    def closed(self) -> None:
        """Not installed, not logged in: ask before anything is tried again."""
        self.silences = SILENCES

    def busy(self) -> float:
        """Seconds to leave it alone."""
        self.silences = self.asked = 0
        self.refusals += 1
        return PAUSES[min(self.refusals, len(PAUSES)) - 1]

    def still_gone(self) -> float:
        """Seconds until the next question."""
        self.asked += 1
        return ASK_AGAIN[min(self.asked, len(ASK_AGAIN)) - 1]
