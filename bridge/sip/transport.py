"""Sockets, connections and one timer around a user agent: all that a SIP room needs of the outside world."""

from __future__ import annotations

import asyncio
import socket
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from ssl import SSLContext

import structlog

from .agent import UserAgent
from .certificate import Certificate
from .connections import Connections, Door
from .datagrams import Datagrams, family_of
from .flow import Flow, Protocol
from .owner import Report
from .tls import Link
from .transaction import Send

log = structlog.get_logger()

BACKLOG = 128
MOST_TRIES = 20
"""Until a port is found that is free for UDP and TCP alike, where any will do."""


class AnybodyMayCome:
    """A door that is open, for a stage without secrets."""

    def link(self, name: str) -> Link:
        return Link()

    def link_of(self, source: Flow, certificate: Certificate) -> str | None:
        return ""

    def is_used(self, flow: Flow) -> bool:
        return False

    def lost(self, flow: Flow) -> None:
        pass


class Transport:
    """Owns the sockets: bind, give it an agent, close. What happens to calls is told to `report`.

    UDP and TCP share the port (RFC 3261 18.2.1), on every host of `hosts`; TLS listens where there is a certificate for it.
    OSError if a port is taken.
    """

    def __init__(
        self,
        hosts: str | Sequence[str],
        port: int,
        report: Callable[[Report], None],
        *,
        door: Door | None = None,
        tls_port: int = 0,
        tls: SSLContext | None = None,
    ) -> None:
        self._report = report
        self._door = door or AnybodyMayCome()
        self._tls = tls
        self._datagrams, self._listeners = _bind([hosts] if isinstance(hosts, str) else hosts, port, self._datagram)
        try:
            self._secure = [_listener(host, tls_port) for host, _ in self.addresses] if tls else []
        except BaseException:
            for one in self._listeners:
                one.close()
            for datagrams in self._datagrams:
                datagrams.discard()
            raise
        self._connections = Connections(self, self._door, self.now)
        self._agent: UserAgent | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at: float | None = None
        self._flushing = False
        self.faults = 0
        """Messages dropped by an exception that nobody expected."""

    @property
    def address(self) -> tuple[str, int]:
        """Of the first host."""
        return self.addresses[0]

    @property
    def addresses(self) -> list[tuple[str, int]]:
        return [datagrams.address for datagrams in self._datagrams]

    def place(self, to: Flow) -> tuple[str, int]:
        """Where a peer at the other end of a flow would reach us: our address of its family, and the port of its protocol."""
        family = family_of(to.host)
        host, port = next((d.address for d in self._datagrams if d.family == family), self.address)
        if to.protocol is not Protocol.TLS:
            return host, port
        secure = next((one for one in self._secure if one.family == family), None)
        if secure is not None:
            return host, secure.getsockname()[1]
        # Nobody can connect to us: what is left to be named is the connection that stands.
        return self._connections.local(to) or (host, port)

    @staticmethod
    def now() -> float:
        return time.monotonic()

    async def open(self, agent: UserAgent) -> None:
        self._agent = agent
        for datagrams in self._datagrams:
            await datagrams.open()
        for listener in self._listeners:
            await self._connections.listen(listener, None)
        for listener in self._secure:
            await self._connections.listen(listener, self._tls)
        self.flush()

    async def close(self) -> None:
        """Returns when the ports are free again; harmless when repeated."""
        self._agent = None
        if self._timer:
            self._timer.cancel()
        await self._connections.close()
        for listener in (*self._listeners, *self._secure):
            listener.close()
        for datagrams in self._datagrams:
            await datagrams.close()

    def send(self, item: Send) -> bool:
        """False if the network refused it at once; a stream may still come back with it later."""
        if item.to.protocol.is_reliable:
            return self._connections.send(item)
        family = family_of(item.to.host)
        datagrams = next((one for one in self._datagrams if one.family == family), None)
        return datagrams is not None and datagrams.send(item.data, item.to)

    def keep_flow(self, way: Flow, seconds: int) -> None:
        """The peer wants a sign of life so often on that stream, 0: as usual, and answers each (RFC 5626 4.4.1)."""
        self._connections.keep_flow(way, seconds)

    def leave(self, host: str, own: str) -> None:
        """Connections to that host from another address of ours than this one are over."""
        self._connections.leave(host, own)

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
                    elif not self.send(item):
                        self._guarded(self._agent.unsent, item, self.now())
        finally:
            self._flushing = False
        self._set_timer()

    # ---- what sockets and connections tell

    def _datagram(self, data: bytes, source: Flow) -> None:
        self.received(data, source)
        self.flush()

    def received(self, data: bytes, source: Flow) -> None:
        if self._agent is not None:
            self._guarded(self._agent.receive, data, source, self.now())

    def spoilt(self, data: bytes, status: int, why: str, source: Flow) -> None:
        if self._agent is not None:
            self._guarded(self._agent.spoilt, data, status, why, source)
            self.flush()

    def read(self) -> None:
        self.flush()

    def unsent(self, items: Iterable[Send]) -> None:
        if self._agent is not None:
            for item in items:
                self._guarded(self._agent.unsent, item, self.now())
            self.flush()

    def lost(self, flow: Flow) -> None:
        if self._agent is not None:
            self._guarded(self._agent.lost, flow, self.now())
            self.flush()

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
    with closing(socket.socket(family_of(host), socket.SOCK_DGRAM)) as probe:
        probe.connect((host, 9))
        own: str = probe.getsockname()[0]
        return own


def _bind(
    hosts: Sequence[str], port: int, received: Callable[[bytes, Flow], None]
) -> tuple[list[Datagrams], list[socket.socket]]:
    """UDP and TCP on the same port of every host."""
    for attempt in range(MOST_TRIES):
        datagrams: list[Datagrams] = []
        listeners: list[socket.socket] = []
        try:
            for host in hosts:
                datagrams.append(Datagrams(host, port if not datagrams else datagrams[0].address[1], received))
                listeners.append(_listener(host, datagrams[0].address[1]))
        except OSError:
            for listener in listeners:
                listener.close()
            for one in datagrams:
                one.discard()
            if port or attempt == MOST_TRIES - 1:
                raise
        else:
            return datagrams, listeners
    raise AssertionError("the last attempt returns or raises")


def _listener(host: str, port: int) -> socket.socket:
    """A port that was in use a moment ago may be bound again: TCP forgets slowly."""
    listener = socket.socket(family_of(host), socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listener.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setblocking(False)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener
