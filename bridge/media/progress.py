"""How far the streams of a PBX leg have come, for whoever goes on with them elsewhere as if nothing had happened; pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from .sdp import Address

SLACK: Final = 5
"""Packets that may have left since the last look beyond those that the time in between accounts for."""
CIPHERED_SLACK: Final = 50
"""The same where a number used twice would weaken the encryption: a second of voice that had been held up and came at once."""
REPORT_SECONDS: Final = 2.0
"""No two reports of ours follow one another faster."""


class Cycles:
    """A sequence number with its cycles above: the index of RFC 3711, 3.3.1.

    Whoever looks at least every 32,000 packets misses no cycle.
    """

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index

    @classmethod
    def after(cls, newest: int) -> Cycles:
        """A new key counts from the packet that follows this one."""
        return cls(((newest + 1) & 0xFFFF) - 1)

    def follow(self, sequence: int) -> int:
        self.index += ((sequence - self.index + 0x8000) & 0xFFFF) - 0x8000
        return self.index


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Of one call's PBX leg at one moment."""

    at: float
    """Monotonic seconds, which all processes of a machine share."""
    ssrc: int
    sequence: int
    """Of the newest packet that we sent, with its cycles above."""
    timestamp: int
    spoke: float
    """When that was sent, monotonic; below 0 for never."""
    packets: int
    octets: int
    reports: int
    """Sent so far."""
    ciphered: bool
    """By keys that go on being used."""
    remote: Address | None
    """Where the voice goes."""
    heard: tuple[int, int] | None
    """The PBX's SSRC and its newest sequence number, with the cycles above; None before it spoke."""

    def skipped(self, now: float, ptime: int) -> int:
        """Packets of `ptime` milliseconds to leave out, so that no number is used twice whatever was sent since."""
        passed = math.ceil(max(0.0, now - self.at) * 1000 / ptime)
        return passed + (CIPHERED_SLACK if self.ciphered else SLACK)

    def skipped_reports(self, now: float) -> int:
        return self.reports + 1 + math.ceil(max(0.0, now - self.at) / REPORT_SECONDS)
