"""One UDP socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import structlog

from .flow import Flow

log = structlog.get_logger()

RECEIVE_BUFFER = 4 * 1024 * 1024
"""Bytes the kernel keeps while we are busy: a PBX that restarts greets all accounts at once."""
MOST_DATAGRAM = 65536


class Datagrams(asyncio.DatagramProtocol):
    """Bound at once, read after `open`. OSError if the port is taken.

    The port is bound without SO_REUSEADDR: on UDP that would let a second process steal our calls, and no port has to
    wait after a crash.
    """

    def __init__(self, host: str, port: int, received: Callable[[bytes, Flow], None]) -> None:
        self._received = received
        self._socket = socket.socket(family_of(host), socket.SOCK_DGRAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            if self._socket.family == socket.AF_INET6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self._socket.setblocking(False)
            self._socket.bind((host, port))
        except BaseException:
            self._socket.close()
            raise
        self._udp: asyncio.DatagramTransport | None = None
        self._lost = asyncio.Event()
        self._failed = False

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._socket.getsockname()[:2]
        return host, port

    @property
    def family(self) -> int:
        return self._socket.family

    async def open(self) -> None:
        udp, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=self._socket)
        self._udp = udp
        if hasattr(udp, "max_size"):
            udp.max_size = MOST_DATAGRAM  # asyncio allocates four times that for every datagram

    async def close(self) -> None:
        """Returns when the port is free again; harmless when repeated."""
        if self._udp:
            self._udp.close()
            await self._lost.wait()
        self._socket.close()

    def discard(self) -> None:
        """Give the port back without ever having been open."""
        self._socket.close()

    def send(self, data: bytes, to: Flow) -> bool:
        """False if the network refused it. An unreachable peer is noticed by its silence."""
        if self._udp is None or self._udp.is_closing():
            return True
        self._failed = False
        try:
            self._udp.sendto(data, (to.host, to.port))
        except (OSError, ValueError) as error:
            self.error_received(error)
        return not self._failed

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._received(data, Flow(addr[0], addr[1]))

    def error_received(self, exc: Exception) -> None:
        """Called from within `sendto` too."""
        log.warning("sip_socket_error", why=str(exc))
        self._failed = True

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            log.error("sip_socket_lost", why=str(exc))
        self._lost.set()


def family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
