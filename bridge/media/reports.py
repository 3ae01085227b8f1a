"""The RTCP of one leg: what we say of it, and what the other side says; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from . import rtcp
from .reception import Reception

_NTP_EPOCH: Final = 2_208_988_800
"""Seconds from 1900 to 1970."""


class Sent(Protocol):
    """A stream that we send on the leg."""

    ssrc: int

    @property
    def packets(self) -> int: ...
    @property
    def octets(self) -> int: ...
    def time_at(self, now: float) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How the other side hears us, in its newest report."""

    expected: int
    """Packets that it should have had since the report before."""
    lost: int
    """Of those."""
    jitter: float
    """Seconds."""


class Reports:
    """Our reports of one leg, and the other side's.

    `ssrc` is who we are while we send nothing; `wall` is what must be added to the monotonic time for Unix time; fixed, so that a step of the clock bends no round trip.
    """

    def __init__(self, *, cname: str, ssrc: int, clock_rate: int, wall: float) -> None:
        self.reception = Reception(clock_rate)
        self.told: Told | None = None
        self.round_trip: float | None = None
        """Seconds, by the newest report that tells it."""
        self.heard = 0
        """Reports of the other side."""
        self.broken = 0
        self.written = 0
        """Reports of ours."""
        self.cname = cname
        self._ssrc, self._rate, self._wall = ssrc, clock_rate, wall
        self.due = 0.0
        """When the next report is to be sent."""
        self._last_report, self._last_report_at = 0, 0.0
        self._highest_told: tuple[int, int] | None = None
        self._lost_told = 0

    def tune(self, clock_rate: int) -> None:
        self._rate = clock_rate
        self.reception.tune(clock_rate)

    def put_off(self, now: float, pause: float) -> bool:
        """The next report comes `pause` seconds later, the first one after half of it: False if nothing is sent before it."""
        first = self.due == 0
        self.due = now + (pause / 2 if first else pause)
        return not first

    def write(self, sent: Sent | None, now: float, *, goodbye: bool = False) -> bytes:
        """A sender report if anything was sent, else a receiver report; what came since the last one counts as told."""
        self.written += 1
        block = self._block(now)
        sender = None
        if sent is not None and sent.packets:
            sender = rtcp.Sender(
                ntp=self._ntp(now), timestamp=sent.time_at(now), packets=sent.packets, octets=sent.octets
            )
        ssrc = sent.ssrc if sent is not None else self._ssrc
        report = rtcp.Report(ssrc=ssrc, sender=sender, blocks=(block,) if block else ())
        return rtcp.write(report, self.cname, goodbye=goodbye)

    def _block(self, now: float) -> rtcp.Block | None:
        reception = self.reception
        if reception.ssrc < 0:
            return None
        expected, lost = reception.interval()
        heard = self._last_report != 0
        return rtcp.Block(
            ssrc=reception.ssrc,
            fraction=min(255, lost * 256 // expected) if expected > 0 else 0,
            lost=reception.lost_of_source,
            highest=reception.highest,
            jitter=round(reception.jitter * self._rate),
            last_report=self._last_report,
            delay=round((now - self._last_report_at) * 65536) if heard else 0,
        )

    def read(self, data: bytes, ssrc: int, now: float) -> None:
        """Take in what the other side says of our stream `ssrc`; broken packets are counted."""
        try:
            compound = rtcp.parse(data)
        except rtcp.RtcpError:
            self.broken += 1
            return
        for report in compound.reports:
            self.heard += 1
            if report.sender is not None and report.ssrc == self.reception.ssrc:
                self._last_report = report.sender.ntp >> 16 & 0xFFFFFFFF
                self._last_report_at = now
            for block in report.blocks:
                if block.ssrc == ssrc:
                    self._take(block, now)

    def _take(self, block: rtcp.Block, now: float) -> None:
        if block.last_report:
            trip = (self._ntp(now) >> 16) - block.last_report - block.delay & 0xFFFFFFFF
            if trip < 0x80000000:  # a clock that runs fast makes it negative
                self.round_trip = trip / 65536
        before, self._highest_told = self._highest_told, (block.ssrc, block.highest)
        lost, self._lost_told = block.lost - self._lost_told, block.lost
        if before is not None and before[0] == block.ssrc:
            expected = block.highest - before[1] & 0xFFFFFFFF
        else:  # what it heard before its first report is not known: its own share tells
            expected, lost = 256, block.fraction
        if 0 < expected < 0x80000000:
            self.told = Told(expected=expected, lost=min(max(0, lost), expected), jitter=block.jitter / self._rate)

    def _ntp(self, now: float) -> int:
        return round((now + self._wall + _NTP_EPOCH) * 65536) << 16 & 0xFFFFFFFFFFFFFFFF
