"""The datagrams of one UDP socket: many in a system call where the system can (Linux), one by one elsewhere."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from typing import Final, Protocol

from .mmsg import MOST, SHORT, Slots, read, written
from .packet import LONGEST_DATAGRAM
from .poller import Poller
from .sdp import Address

Name = int | Address
"""An address as the socket writes it: a `sockaddr_in`'s octets as one number, or host and port."""

_ALL: Final = slice(None)


class Datagrams(Protocol):
    """One datagram at a time lies in the shared buffer, which it is read into and sent from."""

    unsent: int
    """Media that the system did not take: it is not repeated."""

    def name(self, address: Address) -> Name: ...
    def address(self, name: Name) -> Address: ...

    def receive(self) -> Iterator[tuple[int, Name]]:
        """Put each datagram that waits into the buffer in turn: its length, and whom it is from."""

    def post(self, length: int, name: Name) -> None:
        """Send what lies in the buffer, at the end of the poller's look at the latest."""

    def close(self) -> None: ...


class OneByOne:
    """Everywhere; at most `most` in one `receive`."""

    def __init__(self, sock: socket.socket, buffer: bytearray, most: int = MOST) -> None:
        self._view = memoryview(buffer)
        self._inlet = self._view[:LONGEST_DATAGRAM]
        self._receive_into, self._sendto, self._most = sock.recvfrom_into, sock.sendto, most
        self.unsent = 0

    def name(self, address: Address) -> Name:
        return address

    def address(self, name: Name) -> Address:
        assert isinstance(name, tuple)
        return name

    def receive(self) -> Iterator[tuple[int, Name]]:
        for _ in range(self._most):
            try:
                yield self._receive_into(self._inlet)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error that belongs to an earlier datagram
                continue

    def post(self, length: int, name: Name) -> None:
        try:
            self._sendto(self._view[:length], self.address(name))
        except OSError:  # full buffer or unreachable
            self.unsent += 1

    def close(self) -> None:
        """Nothing waits."""


class Batched:
    """Linux: up to `MOST` in one call, for an IPv4 socket."""

    def __init__(self, sock: socket.socket, buffer: bytearray, poller: Poller) -> None:
        poller.gathers.append(self)
        self._poller = poller
        self._socket = sock
        self._view = memoryview(buffer)
        self._short = self._view[:SHORT]
        self._in, self._out = Slots(), Slots()
        self._waiting, self._most_waiting = 0, 1
        self.unsent = 0

    def name(self, address: Address) -> Name:
        return written(address)

    def address(self, name: Name) -> Address:
        assert isinstance(name, int)
        return read(name)

    def receive(self) -> Iterator[tuple[int, Name]]:
        slots, short = self._in, self._short
        count = slots.receive(self._socket.fileno())
        if count <= 0:
            return
        lengths, names = slots.lengths[:count].tolist(), slots.names[:count].tolist()
        for head, view, length, name in zip(slots.short, slots.views, lengths, names, strict=False):
            if length <= SHORT:
                short[_ALL] = head
            else:
                self._view[:length] = view[:length]
            yield length, name

    def post(self, length: int, name: Name) -> None:
        slots, at = self._out, self._waiting
        if length <= SHORT:
            slots.short[at][_ALL] = self._short
        else:
            slots.views[at][:length] = self._view[:length]
        slots.wanted[at] = length
        slots.names[at] = name  # type: ignore[assignment]  # ours are numbers
        self._waiting = at = at + 1
        if at >= self._most_waiting:
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
        while sent < count:
            taken = self._out.send(self._socket.fileno(), sent, count)
            if taken <= 0:  # full buffer or unreachable: that one is left out
                self.unsent += 1
            sent += max(1, taken)


def batched(sock: socket.socket, buffer: bytearray, poller: Poller) -> Datagrams:
    """The best that the system has for an IPv4 socket with many peers."""
    return Batched(sock, buffer, poller) if sys.platform == "linux" else OneByOne(sock, buffer)
