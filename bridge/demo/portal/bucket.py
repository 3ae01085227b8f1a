"""The leaky bucket of REST requests, one per source address (pure; time is an argument)."""

from __future__ import annotations


class Bucket:
    """Leaks `leak` requests a second and overflows above `burst`: 2 and 50 on ordinary plans, 5 and 250 on Enterprise."""

    def __init__(self, *, leak: float = 2, burst: int = 50) -> None:
        self.leak = leak
        self.burst = burst
        self._level = 0.0
        self._seen = 0.0

    def admits(self, now: float) -> bool:
        """Whether one more request fits; a refused one does not fill the bucket."""
        self._level = max(0.0, self._level - (now - self._seen) * self.leak)
        self._seen = now
        if self._level + 1 > self.burst:
            return False
        self._level += 1
        return True
