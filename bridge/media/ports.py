"""Our UDP ports towards PBXs."""

from __future__ import annotations

import errno
import socket
from typing import Any

from ..errors import OursError
from .sdp import Address, is_ipv6

Pair = tuple[socket.socket, socket.socket]
"""For RTP and RTCP, bound."""


class PortsExhaustedError(OursError):
    """Every port pair of the configured range is taken."""


class NoWayError(OursError):
    """This machine has no address that the PBX could be reached from."""


class PortPairs:
    """RTP on an even port, RTCP on the next (RFC 3550, 11); a freed pair is taken again as late as possible."""

    def __init__(self, ports: tuple[int, int]) -> None:
        first, last = ports
        self._even = range(first + first % 2, last, 2)
        self._next = 0

    def bind(self, host: str, at: Address | None = None) -> Pair:
        """Two sockets at this address of ours; at a former place if that is there to be had. PortsExhaustedError."""
        if at is not None and (pair := _pair_again(*at)):
            return pair
        if not host:
            raise NoWayError("there is no way to the PBX from any address of this machine")
        for _ in self._even:
            port = self._even[self._next]
            self._next = (self._next + 1) % len(self._even)
            if pair := _pair(host, port):
                return pair
        raise PortsExhaustedError("no free pair of ports towards the PBX: widen media.pbx_ports")


def _pair_again(host: str, port: int) -> Pair | None:
    try:
        return _pair(host, port)
    except OSError:  # the address is not ours any more
        return None


def _pair(host: str, port: int) -> Pair | None:
    pair = _open(host), _open(host)
    try:
        for offset, sock in enumerate(pair):
            sock.setblocking(False)
            sock.bind((host, port + offset))
    except OSError as error:
        for sock in pair:
            sock.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return pair


def _open(host: str) -> socket.socket:
    if is_ipv6(host):
        return _Ipv6Socket(socket.AF_INET6, socket.SOCK_DGRAM)
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


class _Ipv6Socket(socket.socket):
    """Its addresses look like those of IPv4, without flow and scope: the way of a packet is one for both."""

    def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> tuple[int, Address]:
        length, address = super().recvfrom_into(buffer, nbytes, flags)
        return length, address[:2]

    def getsockname(self) -> Address:
        host, port, *_ = super().getsockname()
        return host, port
