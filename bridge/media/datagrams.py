"""The datagrams of one UDP socket: many in a system call where the system can (Linux), one by one elsewhere."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterable, Iterator
from typing import Protocol

from .mmsg import MOST, Slots, read, written
from .packet import LONGEST_DATAGRAM
from .poller import Poller
from .sdp import Address
from .slot import Slot

Name = int | Address
"""An address as the socket writes it: a `sockaddr_in`'s octets as one number, or host and port."""


class Datagrams(Protocol):
    """Each lies in a slot, which it is read into and sent from."""

    unsent: int
    """Media that the system did not take: it is not repeated."""

    @property
    def vacant(self) -> Slot:
        """What is written here can be sent without being copied."""

    def name(self, address: Address) -> Name: ...
    def address(self, name: Name) -> Address: ...

    def receive(self) -> Iterable[tuple[Slot, int, Name]]:
        """Each datagram that waits: where it lies until the next, its length, and whom it is from."""

    def post(self, slot: Slot, length: int, name: Name) -> None:
        """Send what lies in the slot, at the end of the poller's look at the latest; the slot is free again."""

    def close(self) -> None: ...


class OneByOne:
    """Everywhere; at most `most` in one `receive`."""

    def __init__(self, sock: socket.socket, slot: Slot, most: int = MOST) -> None:
        self.vacant = slot
        self._inlet = slot.view[:LONGEST_DATAGRAM]
        self._receive_into, self._sendto, self._most = sock.recvfrom_into, sock.sendto, most
        self.unsent = 0

    def name(self, address: Address) -> Name:
        return address

    def address(self, name: Name) -> Address:
        assert isinstance(name, tuple)
        return name

    def receive(self) -> Iterator[tuple[Slot, int, Name]]:
        slot = self.vacant
        for _ in range(self._most):
            try:
                length, address = self._receive_into(self._inlet)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error that belongs to an earlier datagram
                continue
            yield slot, length, address

    def post(self, slot: Slot, length: int, name: Name) -> None:
        try:
            self._sendto(slot.view[:length], self.address(name))
        except OSError:  # full buffer or unreachable
            self.unsent += 1

    def close(self) -> None:
        """Nothing waits."""


class Batched:
    """Linux: up to `MOST` in one call, for an IPv4 socket."""

    def __init__(self, sock: socket.socket, poller: Poller) -> None:
        poller.gathers.append(self)
        self._poller = poller
        self._socket = sock
        self._in, self._out = Slots(), Slots()
        self.vacant = self._out.slots[0]
        self._waiting, self._most_waiting = 0, 1
        self.unsent = 0

    def name(self, address: Address) -> Name:
        return written(address)

    def address(self, name: Name) -> Address:
        assert isinstance(name, int)
        return read(name)

    def receive(self) -> Iterable[tuple[Slot, int, Name]]:
        slots = self._in
        count = slots.receive(self._socket.fileno())
        if count <= 0:
            return ()
        return zip(slots.slots, slots.lengths[:count].tolist(), slots.names[:count].tolist(), strict=False)

    def post(self, slot: Slot, length: int, name: Name) -> None:
        vacant, out, at = self.vacant, self._out, self._waiting
        if slot is not vacant:
            vacant.copy(slot, length)
        out.wanted[at] = length
        out.names[at] = name  # type: ignore[assignment]  # ours are numbers
        self._waiting = at = at + 1
        if at < self._most_waiting:
            self.vacant = out.slots[at]
        else:
            self._send()

    def close(self) -> None:
        self._poller.gathers.remove(self)

    def gather(self) -> None:
        self._most_waiting = MOST

    def flush(self) -> None:
        self._most_waiting = 1
        self._send()

    def _send(self) -> None:
        count, self._waiting, sent = self._waiting, 0, 0
        self.vacant = self._out.slots[0]
        while sent < count:
            taken = self._out.send(self._socket.fileno(), sent, count)
            if taken <= 0:  # full buffer or unreachable: that one is left out
                self.unsent += 1
            sent += max(1, taken)


def batched(sock: socket.socket, slot: Slot, poller: Poller) -> Datagrams:
    """The best that the system has for an IPv4 socket with many peers; `slot` where it comes one by one."""
    return Batched(sock, poller) if sys.platform == "linux" else OneByOne(sock, slot)
