"""One UDP socket and one timer around a user agent: all that a SIP room needs of the outside world."""

from __future__ import annotations

import asyncio
import socket
import time
import traceback
from collections.abc import Callable
from contextlib import closing
from typing import Any

import structlog

from .agent import Report, UserAgent
from .flow import Flow
from .transaction import Send

log = structlog.get_logger()

RECEIVE_BUFFER = 4 * 1024 * 1024
"""Bytes the kernel keeps while we are busy: a PBX that restarts greets all accounts at once."""
MOST_DATAGRAM = 65536


class Transport(asyncio.DatagramProtocol):
    """Owns the socket: bind, give it an agent, close. What happens to calls is told to `report`.

    The port is bound without SO_REUSEADDR: on UDP that would let a second process steal our calls, and no port has to
    wait after a crash.
    """

    def __init__(self, host: str, port: int, report: Callable[[Report], None]) -> None:
        self._report = report
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            self._socket.setblocking(False)
            self._socket.bind((host, port))
        except BaseException:
            self._socket.close()
            raise
        self._agent: UserAgent | None = None
        self._udp: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at: float | None = None
        self._flushing = False
        self._lost = asyncio.Event()
        self._failed = False
        self.faults = 0
        """Messages dropped by an exception that nobody expected."""

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._socket.getsockname()
        return host, port

    @staticmethod
    def now() -> float:
        return time.monotonic()

    async def open(self, agent: UserAgent) -> None:
        self._agent = agent
        loop = asyncio.get_running_loop()
        udp, _ = await loop.create_datagram_endpoint(lambda: self, sock=self._socket)
        self._udp = udp
        if hasattr(udp, "max_size"):
            udp.max_size = MOST_DATAGRAM  # asyncio allocates four times that for every datagram
        self.flush()

    async def close(self) -> None:
        """Returns when the port is free again; harmless when repeated."""
        self._agent = None
        if self._timer:
            self._timer.cancel()
        if self._udp:
            self._udp.close()
            await self._lost.wait()
        self._socket.close()

    def send(self, data: bytes, to: Flow) -> bool:
        """Send a datagram; False if the network refused it. An unreachable peer is noticed by its silence."""
        if self._udp is None or self._udp.is_closing():
            return True
        self._failed = False
        try:
            self._udp.sendto(data, (to.host, to.port))
        except (OSError, ValueError) as error:
            self.error_received(error)
        return not self._failed

    def flush(self) -> None:
        """Send and report what the agent has ready, and set the timer anew."""
        if self._agent is None or self._flushing:
            return
        self._flushing = True
        try:
            while drained := self._agent.drain():
                for item in drained:
                    if not isinstance(item, Send):
                        self._guarded(self._report, item)
                    elif not self.send(item.data, item.to):
                        self._guarded(self._agent.unsent, item, self.now())
        finally:
            self._flushing = False
        self._set_timer()

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        if self._agent is not None:
            self._guarded(self._agent.receive, data, Flow(addr[0], addr[1]), self.now())
            self.flush()

    def error_received(self, exc: Exception) -> None:
        """Called from within `sendto` too."""
        log.warning("sip_socket_error", why=str(exc))
        self._failed = True

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            log.error("sip_socket_lost", why=str(exc))
        self._lost.set()

    def _guarded(self, step: Callable[..., None], *arguments: object) -> None:
        try:
            step(*arguments)
        except Exception as error:  # noqa: BLE001 - one bad message must not end the others' calls
            self.faults += 1
            # Not log.exception: some renderers show local variables, and a password may be among them.
            where = traceback.format_tb(error.__traceback__)[-3:]
            log.error("sip_message_dropped", why=repr(error), where=where, faults=self.faults)  # noqa: TRY400

    def _set_timer(self) -> None:
        when = self._agent.next_deadline if self._agent else None
        if when == self._wakes_at:
            return
        if self._timer:
            self._timer.cancel()
        self._wakes_at, self._timer = when, None
        if when is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, when - self.now()), self._tick)

    def _tick(self) -> None:
        self._wakes_at = None
        if self._agent is not None:
            self._guarded(self._agent.tick, self.now())
            self.flush()


def local_address(host: str) -> str:
    """The address of this machine that packets to `host` leave from; nothing is sent."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        probe.connect((host, 9))
        own: str = probe.getsockname()[0]
        return own
