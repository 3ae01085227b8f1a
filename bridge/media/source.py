"""Whose packets a PBX leg believes, and where its voice goes (symmetric RTP); pure."""

from __future__ import annotations

from typing import Final

from ..calls.commands import Latch
from .sdp import Address

LATCH_PACKETS: Final = 4
"""Packets in a row from elsewhere before we believe in it."""


class Source:
    """One source is believed at a time, and it is fixed by its first packets.

    What the PBX announced is believed at once, and so is whom we believed before it announced the same again. Another
    port of its host, or another host, depends on the trunk; it needs several packets of one stream in a row, and comes too
    late as soon as the announced address has spoken. Only a new description opens the question again.
    """

    def __init__(self, latch: Latch = Latch.PORT) -> None:
        self.latch = latch
        self.remote: Address | None = None
        """Where voice goes."""
        self.fixed: Address | None = None
        """Who is believed; None while it is open."""
        self.announced: Address | None = None
        """Where the PBX's description wants it."""
        self._before: Address | None = None
        self._suspect: Address | None = None
        self._next = (0, 0)
        """SSRC and sequence number that the suspect must go on with."""
        self._run = 0

    def follow(self, announced: Address | None) -> None:
        """What the PBX's newest description says; None for no (new) address."""
        if announced is not None and announced != self.announced:
            self.announced = self.remote = announced
            self._before = None
        else:
            self._before = self.fixed or self._before
        self.fixed = self._suspect = None

    def remember(self, remote: Address) -> None:
        """Whom we believed in another process, under the same description."""
        self._before = self.remote = remote

    def believes(self, address: Address, ssrc: int, sequence: int, *, voice: bool) -> bool:
        """Whether a packet counts; `voice` says that it bears the payload type agreed."""
        if self.fixed is not None:
            return address == self.fixed
        if address != self.announced and address != self._before:
            if not voice or not self._allowed(address) or not self._proven(address, ssrc, sequence):
                return False
        elif not voice:
            return True
        self.fixed = self.remote = address
        return True

    def may_report(self, host: str) -> bool:
        """Whether RTCP from this host is read."""
        return self.remote is not None and host == self.remote[0]

    def _allowed(self, address: Address) -> bool:
        if self.announced is None or self.latch is Latch.NEVER:
            return False
        return self.latch is Latch.ADDRESS or address[0] == self.announced[0]

    def _proven(self, address: Address, ssrc: int, sequence: int) -> bool:
        goes_on = address == self._suspect and (ssrc, sequence) == self._next
        self._run = self._run + 1 if goes_on else 1
        self._suspect, self._next = address, (ssrc, (sequence + 1) & 0xFFFF)
        return self._run >= LATCH_PACKETS
