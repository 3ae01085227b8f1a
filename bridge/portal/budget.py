"""Bitrix24's second limit: the run time of a method, summed over ten minutes; every answer tells how much is used (pure).

480 seconds a method in the cloud. At the limit a portal answers 429 until `operating_reset_at`.
"""

from __future__ import annotations

from typing import Any

from .bucket import Lane

ALLOWED_SECONDS = 480.0
SPARED_SHARE = 0.8
"""From here on only calls go on: the rest of the budget is for them."""
UNTOLD_SECONDS = 60.0
"""How long a method rests whose portal did not say until when."""


class Budget:
    """One portal's; times in Unix seconds."""

    def __init__(self) -> None:
        self._used: dict[str, tuple[float, float]] = {}
        self._blocked: dict[str, float] = {}

    def note(self, method: str, time: Any) -> None:
        """The `time` block of an answer; anything else is ignored."""
        if not isinstance(time, dict):
            return
        used, reset = time.get("operating"), time.get("operating_reset_at")
        if isinstance(used, int | float) and isinstance(reset, int | float):
            self._used[method] = float(used), float(reset)

    def exceeded(self, method: str, until: float, now: float) -> None:
        self._blocked[method] = until if until > now else now + UNTOLD_SECONDS

    def until(self, method: str, lane: Lane, now: float) -> float:
        """When this method may be called again in this lane; 0 for now."""
        blocked = self._blocked.get(method, 0.0)
        if blocked > now:
            return blocked
        used, reset = self._used.get(method, (0.0, 0.0))
        scarce = used >= ALLOWED_SECONDS * SPARED_SHARE and reset > now
        return reset if scarce and lane > Lane.FINISH else 0.0
