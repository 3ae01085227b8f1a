"""A link that loses and delays, in virtual time and from a seed: the same faults every time."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Link:
    """One direction. What is sent arrives after `delay` and up to `jitter` more, which also reorders; a share is lost."""

    deliver: Callable[[bytes, float], None]
    seed: int = 1
    loss: float = 0.0
    jitter: float = 0.0
    """Seconds."""
    delay: float = 0.0
    _under_way: list[tuple[float, int, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._count = 0

    def send(self, packet: bytes, now: float) -> None:
        self._count += 1
        if self._rng.random() >= self.loss:
            arrives = now + self.delay + self._rng.random() * self.jitter
            heapq.heappush(self._under_way, (arrives, self._count, packet))

    def run(self, now: float) -> None:
        """Deliver what is due."""
        while self._under_way and self._under_way[0][0] <= now:
            arrives, _, packet = heapq.heappop(self._under_way)
            self.deliver(packet, arrives)
