"""A stream of ours on a buffer, and what its packets tell."""

from __future__ import annotations

from itertools import pairwise

from bridge.media.comfort import QUIET
from bridge.media.packet import BUFFER_BYTES
from bridge.media.stream import Stream

from .stage import Packet


class Wire:
    """A stream on a buffer; `put` returns what leaves."""

    def __init__(self, clock_rate: int = 8000, sequence: int = 65_000, timestamp: int = 2**32 - 1000) -> None:
        self.buffer = bytearray(BUFFER_BYTES)
        self.stream = Stream(
            memoryview(self.buffer),
            ssrc=99,
            sequence=sequence,
            timestamp=timestamp,
            payload_type=8,
            clock_rate=clock_rate,
        )

    def put(self, raw: bytes, now: float = 0.0) -> Packet | None:
        self.buffer[: len(raw)] = raw
        length = self.stream.rewrite(len(raw), now)
        return Packet.read(bytes(self.buffer[:length])) if length else None

    def silence(self, now: float) -> Packet | None:
        length = self.stream.silence(QUIET["PCMA"][0], now)
        return Packet.read(bytes(self.buffer[:length])) if length else None


def steps(packets: list[Packet]) -> list[tuple[int, int]]:
    pairs = pairwise(packets)
    return [((b.sequence - a.sequence) & 0xFFFF, (b.timestamp - a.timestamp) & 0xFFFFFFFF) for a, b in pairs]
