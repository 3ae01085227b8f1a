"""What arrives of a stream, counted packet by packet (RFC 3550, A.1, A.3 and A.8); pure."""

from __future__ import annotations

from typing import Final

from .relay import MAX_DROPOUT, MAX_MISORDER

_LONGEST_STEP: Final = 1.0
"""Seconds; a longer one is a pause or a new start, not jitter."""


class Reception:
    """One source at a time: a new SSRC, or numbers that leap, begin a new count beside the total.

    `take` lies in the hot path: plain integers and floats, nothing is built.
    """

    __slots__ = (
        "_at",
        "_base",
        "_newest",
        "_rate",
        "_reported_expected",
        "_reported_packets",
        "_source_packets",
        "_timestamp",
        "_total_expected",
        "highest",
        "jitter",
        "octets",
        "packets",
        "ssrc",
    )

    def __init__(self, clock_rate: int) -> None:
        self.ssrc = -1
        self.packets = 0
        """Of all sources."""
        self.octets = 0
        """Of payload."""
        self.highest = 0
        """The highest sequence number of the source, with its cycles above."""
        self.jitter = 0.0
        """Seconds."""
        self._rate = clock_rate
        self._base = 0
        self._newest = 0
        self._at = 0.0
        self._timestamp = 0
        self._source_packets = 0
        self._total_expected = 0
        self._reported_expected = self._reported_packets = 0

    def tune(self, clock_rate: int) -> None:
        """The clock of what comes from now on, in Hz."""
        self._rate = clock_rate

    def take(self, sequence: int, timestamp: int, ssrc: int, octets: int, now: float) -> None:
        """Count a packet of the voice."""
        step = (sequence - self._newest) & 0xFFFF
        if step == 1 and ssrc == self.ssrc:  # as most do
            self.packets += 1
            self.octets += octets
            self._newest = sequence
            self.highest += 1
            self._source_packets += 1
        elif not self._count(sequence, ssrc, octets):
            self._at, self._timestamp = now, timestamp
            return
        clock = ((timestamp - self._timestamp + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        late = now - self._at - clock / self._rate
        if -_LONGEST_STEP < late < _LONGEST_STEP:
            self.jitter += ((late if late >= 0 else -late) - self.jitter) / 16
        self._at, self._timestamp = now, timestamp

    def pass_over(self, sequence: int, ssrc: int, octets: int) -> None:
        """Count a packet whose timestamp says nothing about its arrival, such as a telephone-event."""
        self._count(sequence, ssrc, octets)

    def _count(self, sequence: int, ssrc: int, octets: int) -> bool:
        """False for the first packet of a source."""
        self.packets += 1
        self.octets += octets
        step = (sequence - self._newest) & 0xFFFF
        if ssrc == self.ssrc:
            if 0 < step <= MAX_DROPOUT:
                self._newest = sequence
                self.highest += step
                self._source_packets += 1
                return True
            if step == 0 or 0x10000 - step <= MAX_MISORDER:
                self._source_packets += 1
                return True
        self._begin(sequence, ssrc)
        return False

    def _begin(self, sequence: int, ssrc: int) -> None:
        self._total_expected = self.expected
        self.ssrc, self._newest, self._base, self.highest = ssrc, sequence, sequence, sequence
        self._source_packets = 1
        self.jitter = 0.0

    @property
    def expected(self) -> int:
        """Packets of all sources that should have come."""
        return self._total_expected + (self.highest - self._base + 1 if self.ssrc >= 0 else 0)

    @property
    def lost(self) -> int:
        """Of all sources; repetitions make it smaller, even negative."""
        return self.expected - self.packets

    @property
    def lost_of_source(self) -> int:
        return self.highest - self._base + 1 - self._source_packets if self.ssrc >= 0 else 0

    def interval(self) -> tuple[int, int]:
        """Packets that should have come, and those that were lost, since the last call."""
        expected = self.expected - self._reported_expected
        lost = expected - (self.packets - self._reported_packets)
        self._reported_expected, self._reported_packets = self.expected, self.packets
        return expected, max(0, lost)
