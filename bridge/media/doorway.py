"""The socket of one PBX leg: little enough of the leg to stay in the cache with the other legs'."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

from .datagrams import Datagrams
from .lane import Lane
from .packet import LONGEST_DATAGRAM
from .sdp import Address
from .slot import Slot


class Doorway:
    """Reads each datagram into the slot that it can be sent on from, and sends from slots.

    What comes from where the lane's packets come is given to the lane first, the rest to `arrived(slot, length, address, now)`.
    `unsent(error)` is called for what the system did not take.
    """

    __slots__ = ("_arrived", "_buffer", "_onward", "_receive_into", "_sendto", "_unsent", "lane", "source")

    def __init__(
        self,
        sock: socket.socket,
        buffer: Slot,
        onward: Datagrams,
        *,
        arrived: Callable[[Slot, int, Address, float], None],
        unsent: Callable[[OSError], None],
    ) -> None:
        """`buffer`: where it is wanted while there is no lane; `onward`: what the lane's packets are sent on by."""
        self._buffer = buffer
        self._receive_into: Final = sock.recvfrom_into
        self._sendto: Final = sock.sendto
        self._onward, self._arrived, self._unsent = onward, arrived, unsent
        self.lane: Lane | None = None
        self.source: Address | None = None
        """Of the lane's packets."""

    def close(self) -> None:
        """Hold nothing that holds this."""
        self.lane, self._arrived, self._unsent = None, _nobody, _unheard

    def read(self, now: float) -> int:
        """One datagram: the poller comes back for the next, which costs less than reading until nothing is left."""
        lane = self.lane
        slot = self._onward.vacant if lane is not None else self._buffer
        try:
            length, address = self._receive_into(slot.view, LONGEST_DATAGRAM)
        except OSError:  # nothing there, or an ICMP error that belongs to what we sent
            return 0
        if lane is None or address != self.source or not lane.carry(slot, length, now):
            self.lane = None
            self._arrived(slot, length, address, now)
        return 1

    def post(self, slot: Slot, length: int, to: Address) -> None:
        try:
            self._sendto(slot.view[:length], to)
        except OSError as error:  # full buffer or unreachable: media is not repeated
            self._unsent(error)


def _nobody(slot: Slot, length: int, address: Address, now: float) -> None:
    """Takes what comes after the end."""


def _unheard(error: OSError) -> None:
    """Nobody counts any more."""
