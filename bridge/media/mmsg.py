"""recvmmsg and sendmmsg of Linux: their structures, and slots for the datagrams of one call."""

from __future__ import annotations

import ctypes
import socket
import sys
from typing import Any, Final

from .packet import LONGEST_DATAGRAM
from .sdp import Address
from .slot import Slot

MOST: Final = 64
"""Datagrams per system call."""
SLOT: Final = 29 * 64
"""Octets from one datagram to the next: an odd number of cache lines, so that their heads do not push one another out."""


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """`struct msghdr`."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("iovec", ctypes.c_void_p),
        ("iovecs", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Header(ctypes.Structure):
    """`struct mmsghdr`."""

    _fields_ = (("message", _Message), ("length", ctypes.c_uint32))


class Slots:
    """Room for as many datagrams as go into one system call, and what the system wants to know of them."""

    def __init__(self) -> None:
        libc: Any = ctypes.CDLL(None)
        self._recvmmsg, self._sendmmsg = libc.recvmmsg, libc.sendmmsg
        memory = (ctypes.c_char * (MOST * SLOT))()
        names = (ctypes.c_uint64 * (2 * MOST))()  # of struct sockaddr_in, whose second half is idle
        iovecs = (_Iovec * MOST)()
        self._headers = (_Header * MOST)()
        for at, header in enumerate(self._headers):
            iovecs[at] = _Iovec(ctypes.addressof(memory) + at * SLOT, LONGEST_DATAGRAM)
            message = header.message
            message.name, message.name_length = ctypes.addressof(names) + at * 16, 16
            message.iovec, message.iovecs = ctypes.addressof(iovecs) + at * ctypes.sizeof(_Iovec), 1
        view = memoryview(memory).cast("B")
        self.slots = [Slot(view[at * SLOT : (at + 1) * SLOT]) for at in range(MOST)]
        self.names = memoryview(names).cast("B").cast("Q")[::2]
        self.wanted = memoryview(iovecs).cast("B").cast("L")[1::2]
        """Lengths, as we tell them …"""
        words = memoryview(self._headers).cast("B").cast("I")
        self.lengths = words[_Header.length.offset // 4 :: ctypes.sizeof(_Header) // 4]
        """… and as we are told."""

    def receive(self, descriptor: int) -> int:
        """How many datagrams it was, negative if there was none."""
        return int(self._recvmmsg(descriptor, self._headers, MOST, 0, None))

    def send(self, descriptor: int, first: int, end: int) -> int:
        """How many of these were sent, negative if the first of them could not be."""
        at = ctypes.byref(self._headers, first * ctypes.sizeof(_Header))
        return int(self._sendmmsg(descriptor, at, end - first, 0))


def written(address: Address) -> int:
    """An IPv4 address as the first half of a `sockaddr_in`; OSError."""
    host, port = address
    raw = socket.AF_INET.to_bytes(2, sys.byteorder) + port.to_bytes(2, "big") + socket.inet_aton(host)
    return int.from_bytes(raw, sys.byteorder)


def read(name: int) -> Address:
    raw = name.to_bytes(8, sys.byteorder)
    return socket.inet_ntoa(raw[4:]), int.from_bytes(raw[2:4], "big")
