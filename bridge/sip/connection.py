"""One connection of a stream transport: TCP or TLS, opened by us or by the peer, read in pieces that can't hold up the loop."""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from .certificate import Certificate, certifies
from .flow import Flow
from .framer import PONG, Framer, Pinged, Whole
from .framer import Lost as Unframed
from .tls import Link

PIECE = 16 * 1024
"""Bytes read at once: some fifty small messages, a few milliseconds of work."""
MOST_UNSENT = 1024 * 1024
"""Bytes that a peer may leave unread before it is given up."""
DEAF_SECONDS = 30
"""After which the kernel gives up a peer that acknowledges nothing."""


class Host(Protocol):
    """Whoever keeps the connections."""

    def made(self, connection: Connection) -> bool:
        """It stands, `flow` may be completed; False: close it."""

    def received(self, connection: Connection, data: bytes) -> None: ...

    def spoilt(self, connection: Connection, head: bytes, status: int, why: str) -> None: ...

    def read(self, connection: Connection) -> None:
        """All that came at once was handed over."""

    def ended(self, connection: Connection, why: str) -> None: ...


class Connection(ABC):
    """`flow` names it once it stands. `ours`: we opened it."""

    def __init__(self, flow: Flow, *, ours: bool) -> None:
        self.flow = flow
        self.ours = ours
        self.local: tuple[str, int] | None = None
        self.is_rooted = False
        """It was made from an address that the system called ours; should it be no more, the connection is dead."""
        self.certificate: Certificate = {}
        self.heard = 0.0
        """When anything came last."""
        self.pinged: float | None = None
        """Since when a ping waits for its pong."""
        self.ping_at = 0.0
        self.flow_timer: int | None = None
        """How many seconds it may be quiet, as a registrar that counts on it says."""
        self.answers_pings = False
        """The peer has answered one: then silence means that the flow is dead (RFC 5626 4.4.1)."""

    @property
    def deadline(self) -> float | None:
        """When what has begun to arrive must be complete."""
        return None

    @abstractmethod
    def write(self, data: bytes) -> bool:
        """False if it is gone already."""

    @abstractmethod
    def close(self, why: str) -> None:
        """What was written is still sent."""

    @abstractmethod
    def abandon(self, why: str) -> None:
        """It is over at once: nothing more can be sent."""


class Stream(Connection, asyncio.BufferedProtocol):
    """TCP and TLS."""

    def __init__(
        self, host: Host, flow: Flow, *, ours: bool, now: Callable[[], float], link: Link | None = None
    ) -> None:
        super().__init__(flow, ours=ours)
        self._host = host
        self._link = link
        self._now = now
        self._framer = Framer()
        self._piece = memoryview(bytearray(PIECE))  # TLS writes into slices of it
        self._transport: asyncio.Transport | None = None
        self._why = ""
        self._stands = False

    @property
    def deadline(self) -> float | None:
        return self._framer.deadline

    def write(self, data: bytes) -> bool:
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() > MOST_UNSENT:
            self._why = "it does not read"
            transport.abort()
            return False
        transport.write(data)
        return True

    def close(self, why: str) -> None:
        self._why = self._why or why
        if self._transport is not None:
            self._transport.close()

    def abandon(self, why: str) -> None:
        if self._transport is not None:
            self._transport.abort()
        if self._stands:
            self._stands = False
            self._host.ended(self, why)

    # ---- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "streams have stream transports"
        self._transport = transport
        self.heard = self._now()
        self.certificate = transport.get_extra_info("peercert") or {}
        _watch(transport.get_extra_info("socket"))
        local = transport.get_extra_info("sockname")
        self.local = (local[0], local[1]) if local else None
        if not self.ours:
            peer = transport.get_extra_info("peername") or ("", 0)
            self.flow = Flow(peer[0], peer[1], self.flow.protocol)
        elif self._link is not None and self.flow.protocol.is_secure:
            wanted = self._link.server_name or self.flow.host
            if not certifies(self.certificate, wanted, wildcards=self._link.wildcards):
                self._why = f"the certificate does not name {wanted}"
                transport.abort()
                return
        self._stands = self._host.made(self)
        if not self._stands:
            transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._piece

    def buffer_updated(self, nbytes: int) -> None:
        self.heard, self.pinged = self._now(), None
        if not bytes(self._piece[:nbytes]).strip(PONG):
            self.answers_pings = self.answers_pings or self.ours
        for item in self._framer.feed(bytes(self._piece[:nbytes]), self.heard):
            match item:
                case Whole(data):
                    self._host.received(self, data)
                case Pinged():
                    self.write(PONG)
                case Unframed(data, why, status):
                    self._host.spoilt(self, data, status, why)
                    self.close(why)
        self._host.read(self)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._stands:
            self._host.ended(self, self._why or (str(exc) if exc else "closed by the peer"))

    @property
    def refusal(self) -> str:
        """Why it does not stand although it was connected, "" if it does."""
        return "" if self._stands else self._why or "not wanted"


def _watch(raw: socket.socket | None) -> None:
    """Let the kernel notice a peer that vanished."""
    if raw is None:
        return
    with suppress(OSError):
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAF_SECONDS * 1000)
