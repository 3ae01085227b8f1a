"""Bitrix24's leaky bucket, kept on our side so that the portal never has to refuse, with lanes for what matters more.

2 requests per second leak out, 50 may be in it (5 and 250 on the Enterprise plan); counted per portal and source address.
"""

from __future__ import annotations

import asyncio
import heapq
from enum import IntEnum

from ..errors import NetworkError

PER_SECOND = 2.0
BURST = 50
RESERVED = 0.2
"""The share of the burst that is left for calls when everything else has taken its own,"""
RESERVED_FOR_RINGING = 0.1
"""and that which is left for calls that ring."""
LONGEST_QUEUE = 1_000


class Lane(IntEnum):
    """Who goes first when the bucket is full. Showing and hiding a card goes with REGISTER."""

    REGISTER = 0
    """A call that rings."""
    FINISH = 1
    """The records of calls that are over, in batches as well."""
    PROFILE = 2
    ATTACH = 3
    OTHER = 4
    """Look-ups, and all that nobody waits for."""


class BucketFullError(NetworkError):
    """Too many requests wait for this portal already."""


class Bucket:
    """One portal's bucket; `turn` returns when a request of this lane may go out."""

    def __init__(self, *, per_second: float = PER_SECOND, burst: int = BURST) -> None:
        self._per_second = per_second
        self._burst = burst
        self._level = 0.0
        self._at = 0.0
        self._waiting: list[tuple[Lane, int, asyncio.Future[None]]] = []
        self._serial = 0
        self._timer: asyncio.TimerHandle | None = None

    async def turn(self, lane: Lane) -> None:
        loop = asyncio.get_running_loop()
        self._leak(loop.time())
        if not self._waiting and self._fits(lane):
            self._level += 1
            return
        if len(self._waiting) >= LONGEST_QUEUE:
            raise BucketFullError("too many requests wait for this portal")
        self._serial += 1
        mine: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._waiting, (lane, self._serial, mine))
        self._serve()
        await mine

    def overflowed(self) -> None:
        """The portal refused: its bucket is fuller than ours, because other applications share it."""
        self._leak(asyncio.get_running_loop().time())
        self._level = float(self._burst)

    def _leak(self, now: float) -> None:
        self._level = max(0.0, self._level - (now - self._at) * self._per_second)
        self._at = now

    def _fits(self, lane: Lane) -> bool:
        return self._level + 1 <= self._room(lane)

    def _room(self, lane: Lane) -> float:
        if lane is Lane.REGISTER:
            return self._burst
        reserved = RESERVED_FOR_RINGING if lane is Lane.FINISH else RESERVED
        return max(1.0, self._burst * (1 - reserved))

    def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        self._leak(loop.time())
        while self._waiting:
            lane, _, first = self._waiting[0]
            if not first.done() and not self._fits(lane):
                break
            heapq.heappop(self._waiting)
            if not first.done():  # given up meanwhile
                self._level += 1
                first.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            overfull = self._level + 1 - self._room(self._waiting[0][0])
            self._timer = loop.call_later(max(overfull / self._per_second, 0.001), self._serve)
