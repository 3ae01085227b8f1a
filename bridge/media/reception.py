"""What arrives of a stream, counted packet by packet (RFC 3550, A.1, A.3 and A.8); pure."""

from __future__ import annotations

from math import inf

from .packet import MAX_DROPOUT, MAX_MISORDER


class Reception:
    """One source at a time: a new SSRC, or numbers that leap, begin a new count beside the total.

    `take` lies in the hot path: of a packet that comes in order as little is kept as can be, the rest follows from it.
    """

    __slots__ = (
        "_base",
        "_jitter",
        "_missing",
        "_packets_before",
        "_rate",
        "_reported_expected",
        "_reported_packets",
        "_total_expected",
        "_transit",
        "highest",
        "ssrc",
    )

    def __init__(self, clock_rate: int) -> None:
        self.ssrc = -1
        self.highest = -1
        """The highest sequence number of the source, with its cycles above."""
        self._base = 0
        self._missing = 0
        """Of the source, less what came twice."""
        self._packets_before = self._total_expected = 0
        """Of the sources before it."""
        self._reported_expected = self._reported_packets = 0
        self._rate = clock_rate
        self._transit = inf
        """Of the newest packet, from a moment that does not matter, in clock units."""
        self._jitter = 0.0

    def tune(self, clock_rate: int) -> None:
        """The clock of what comes from now on, in Hz."""
        if clock_rate != self._rate:
            self._jitter *= clock_rate / self._rate
            self._rate, self._transit = clock_rate, inf

    def take(self, sequence: int, timestamp: int, ssrc: int, now: float) -> None:
        """Count a packet of the voice."""
        next_highest = self.highest + 1
        if sequence == next_highest & 0xFFFF and ssrc == self.ssrc:  # as most do
            self.highest = next_highest
        else:
            self._count(sequence, ssrc)
        self.arrive(timestamp, now)

    def arrive(self, timestamp: int, now: float) -> None:
        """How regularly packets come."""
        rate = self._rate
        transit = now * rate - timestamp
        late = transit - self._transit
        self._transit = transit
        if late < 0:
            late = -late
        if late < rate:  # a second; what is later comes after a pause or a new start
            jitter = self._jitter
            self._jitter = jitter + (late - jitter) / 16

    def pass_over(self, sequence: int, ssrc: int) -> None:
        """Count a packet whose timestamp says nothing about its arrival, such as a telephone-event."""
        self._count(sequence, ssrc)

    def _count(self, sequence: int, ssrc: int) -> None:
        step = (sequence - self.highest) & 0xFFFF
        if ssrc != self.ssrc:
            self._begin(sequence, ssrc)
        elif 0 < step <= MAX_DROPOUT:
            self.highest += step
            self._missing += step - 1
        elif step == 0 or 0x10000 - step <= MAX_MISORDER:
            self._missing -= 1
        else:
            self._begin(sequence, ssrc)

    def _begin(self, sequence: int, ssrc: int) -> None:
        self._packets_before, self._total_expected = self.packets, self.expected
        self.ssrc, self._base, self.highest = ssrc, sequence, sequence
        self._missing = 0
        self._transit, self._jitter = inf, 0.0

    @property
    def packets(self) -> int:
        """Of all sources."""
        return self._packets_before + (self.highest - self._base + 1 - self._missing if self.ssrc >= 0 else 0)

    @property
    def jitter(self) -> float:
        """Seconds."""
        return self._jitter / self._rate

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
        return self._missing

    def interval(self) -> tuple[int, int]:
        """Packets that should have come, and those that were lost, since the last call."""
        expected = self.expected - self._reported_expected
        lost = expected - (self.packets - self._reported_packets)
        self._reported_expected, self._reported_packets = self.expected, self.packets
        return expected, max(0, lost)
