"""All connections of a SIP room: found again, opened, accepted, kept alive, given up."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import count
from socket import socket as Socket  # noqa: N812 - a class, whatever its name
from ssl import SSLContext
from typing import Protocol as Interface

import structlog
from aiohttp import ClientError, ClientSession

from ..addresses import is_ours
from .certificate import Certificate
from .connection import Connection, Stream
from .flow import Flow, Protocol
from .framer import PING
from .tls import Link
from .transaction import Send
from .websocket import new_session, open_websocket

log = structlog.get_logger()

OPEN_SECONDS = 5.0
"""For TCP and TLS together."""
SWEEP_SECONDS = 1.0
GOODBYE_SECONDS = 2.0
IDLE_SECONDS = 300.0
"""A connection that no call and no registration uses is closed after so much silence …"""
STRANGERS_IDLE_SECONDS = 30.0
"""… and one of somebody who has not proven who he is after so much."""
PING_SECONDS = 95.0, 120.0
"""RFC 5626 4.4.1, at random between."""
PONG_SECONDS = 10.0
MOST_ACCEPTED = 2_000
MOST_OF_A_STRANGER = 4
MOST_OF_A_HOST = 500
MOST_WAITING = 200
"""Messages for a connection that is being opened."""
_random = random.SystemRandom()


class Door(Interface):
    """Who may come in, and how we go out."""

    def link(self, name: str) -> Link:
        """How connections to that trunk are made."""

    def link_of(self, source: Flow, certificate: Certificate) -> str | None:
        """The trunk that a connection comes from, "" for somebody who may still prove who he is; None closes it."""

    def is_used(self, flow: Flow) -> bool:
        """Whether a registration or a call needs that connection."""

    def lost(self, flow: Flow) -> None:
        """A connection has ended that we did not close ourselves."""


class Ears(Interface):
    """Whoever takes the messages."""

    def received(self, data: bytes, source: Flow) -> None: ...
    def spoilt(self, data: bytes, status: int, why: str, source: Flow) -> None: ...
    def unsent(self, items: Iterable[Send]) -> None: ...
    def read(self) -> None:
        """All that came at once was handed over."""

    def lost(self, flow: Flow) -> None:
        """Nothing comes from that connection any more."""


class Connections:
    """Not those of datagrams, which have none."""

    def __init__(self, ears: Ears, door: Door, now: Callable[[], float]) -> None:
        self._ears = ears
        self._door = door
        self._now = now
        self._numbers = count(1)
        self._standing: dict[int, Connection] = {}
        self._by_place: dict[Flow, Connection] = {}
        """Those that we opened, and those of known trunks by where they come from."""
        self._waiting: dict[Flow, list[Send]] = {}
        """By the place that is being connected to."""
        self._accepted: Counter[str] = Counter()
        """Open ones by host."""
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: ClientSession | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed = False

    async def listen(self, listener: Socket, context: SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        protocol = Protocol.TLS if context else Protocol.TCP
        timeout = OPEN_SECONDS if context else None

        def accept() -> Stream:
            return Stream(self, Flow("", 0, protocol), ours=False, now=self._now)

        self._servers.append(
            await loop.create_server(accept, sock=listener, ssl=context, ssl_handshake_timeout=timeout)
        )

    async def close(self) -> None:
        """Harmless when repeated."""
        self._closed = True
        if self._sweeping:
            self._sweeping.cancel()
        for server in self._servers:
            server.close()
        for connection in list(self._standing.values()):
            connection.close("")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GOODBYE_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session:
            await self._session.close()
            self._session = None

    # ---- out

    def send(self, item: Send) -> bool:
        """False if it can't be sent; what can't be sent later comes back through `unsent`."""
        connection = self._standing.get(item.to.connection) or self._by_place.get(item.to.place)
        if connection is not None and connection.write(item.data):
            return True
        if self._closed or (item.to.connection and not item.to.link and connection is None and item.key is None):
            return False  # an answer to a stranger who did not wait for it
        return self._connect(item)

    def keep_flow(self, way: Flow, seconds: int) -> None:
        """A peer that counts on the connection: it is pinged so often, 0: as usual, and a ping without a pong ends it."""
        connection = self._by_place.get(way.place)
        if connection is not None and connection.flow_timer != seconds:
            connection.flow_timer, connection.answers_pings = seconds, True
            connection.ping_at = min(connection.ping_at, self._now() + self._pause(connection))

    def local(self, flow: Flow) -> tuple[str, int] | None:
        """Our end of the connection to that place, if it stands."""
        connection = self._standing.get(flow.connection) or self._by_place.get(flow.place)
        return connection.local if connection else None

    def _connect(self, item: Send) -> bool:
        place = item.to.place
        waiting = self._waiting.setdefault(place, [])
        if len(waiting) >= MOST_WAITING:
            return False
        waiting.append(item)
        if len(waiting) == 1:
            task = asyncio.get_running_loop().create_task(self._open(place))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return True

    async def _open(self, place: Flow) -> None:
        """Connect, and stay with a WebSocket until it ends."""
        why = "not connected"
        socket = None
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                if place.protocol.is_websocket:
                    self._session = self._session or new_session()
                    socket = await open_websocket(self._session, self, place, self._door.link(place.link), self._now)
                    if not self.made(socket):
                        raise ConnectionError("the bridge is about to stop")
                else:
                    await self._open_stream(place, self._door.link(place.link))
            why = ""
        except TimeoutError:
            why = "no answer"
        except (OSError, ClientError, ValueError) as error:
            why = str(error) or type(error).__name__
        finally:
            unsent = self._waiting.pop(place, [])
            if why and not self._closed:
                log.warning("sip_not_connected", to=str(place), trunk=place.link, why=why)
                self._ears.unsent(unsent)
        if socket is not None:
            await socket.run()

    async def _open_stream(self, place: Flow, link: Link) -> None:
        """OSError if it can't be had."""
        loop = asyncio.get_running_loop()
        context = link.context if place.protocol.is_secure else None
        _, stream = await loop.create_connection(
            lambda: Stream(self, place, ours=True, now=self._now, link=link),
            place.host,
            place.port,
            ssl=context,
            server_hostname=(link.server_name or place.host) if context else None,
        )
        if stream.refusal:
            raise ConnectionError(stream.refusal)

    # ---- what connections tell

    def made(self, connection: Connection) -> bool:
        flow = replace(connection.flow, connection=next(self._numbers))
        if not connection.ours:
            link = self._door.link_of(flow, connection.certificate)
            if link is None or self._is_crowded(flow.host, link):
                return False
            flow = replace(flow, link=link)
            self._accepted[flow.host] += 1
        if self._closed:
            return False
        connection.flow = flow
        connection.is_rooted = connection.local is not None and is_ours(connection.local)
        connection.heard = self._now()
        connection.ping_at = connection.heard + _random.uniform(*PING_SECONDS)
        self._standing[flow.connection] = self._by_place[flow.place] = connection
        for item in self._waiting.pop(flow.place, []) if connection.ours else ():
            connection.write(item.data)
        log.info("sip_connected", to=str(flow), trunk=flow.link, ours=connection.ours)
        if self._sweeping is None:
            self._sweep()
        return True

    def received(self, connection: Connection, data: bytes) -> None:
        self._ears.received(data, connection.flow)

    def spoilt(self, connection: Connection, head: bytes, status: int, why: str) -> None:
        self._ears.spoilt(head, status, why, connection.flow)

    def read(self, connection: Connection) -> None:
        self._ears.read()

    def ended(self, connection: Connection, why: str) -> None:
        flow = connection.flow
        self._standing.pop(flow.connection, None)
        if self._by_place.get(flow.place) is connection:
            del self._by_place[flow.place]
        if not connection.ours:
            self._accepted[flow.host] -= 1
            self._accepted += Counter()  # forget the hosts that have none
        if not self._closed:
            log.info("sip_disconnected", to=str(flow), trunk=flow.link, why=why)
            self._ears.lost(flow)
            self._door.lost(flow)

    def _is_crowded(self, host: str, link: str) -> bool:
        most = MOST_OF_A_HOST if link else MOST_OF_A_STRANGER
        return self._accepted[host] >= most or self._accepted.total() >= MOST_ACCEPTED

    # ---- time

    def _pause(self, connection: Connection) -> float:
        """Until the next ping; a little less than the peer allows, where it says so (RFC 5626 4.4)."""
        if connection.flow_timer:
            return connection.flow_timer * _random.uniform(0.8, 1)
        return _random.uniform(*PING_SECONDS)

    def _sweep(self) -> None:
        """Look after every connection once a second, as long as there is one."""
        self._sweeping = None
        if self._closed or not self._standing:
            return
        self._abandon_stranded()
        now = self._now()
        for connection in list(self._standing.values()):
            self._look_after(connection, now)
        self._sweeping = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)

    def leave(self, host: str, own: str) -> None:
        """Over with those to that host that we opened from another address of ours than this one."""
        for connection in list(self._standing.values()):
            from_elsewhere = connection.local is not None and connection.local[0] != own
            if connection.ours and connection.flow.host == host and from_elsewhere:
                connection.abandon("this machine has another address now")

    def _abandon_stranded(self) -> None:
        """Nothing goes out from an address that is not ours any more, and nothing says so for half a minute."""
        ours: dict[str, bool] = {}
        for connection in list(self._standing.values()):
            if connection.local is None or not connection.is_rooted:
                continue
            host = connection.local[0]
            if host not in ours:
                ours[host] = is_ours(connection.local)
            if not ours[host]:
                connection.abandon("its address is not ours any more")

    def _look_after(self, connection: Connection, now: float) -> None:
        idle = IDLE_SECONDS if connection.flow.link else STRANGERS_IDLE_SECONDS
        if connection.deadline is not None and now >= connection.deadline:
            connection.close("a message that never ends")
        elif connection.pinged is not None and connection.answers_pings and now - connection.pinged > PONG_SECONDS:
            connection.close("no pong")
        elif now - connection.heard > idle and not self._door.is_used(connection.flow):
            connection.close("idle")
        elif connection.ours and not connection.flow.protocol.is_websocket and now >= connection.ping_at:
            connection.ping_at = now + self._pause(connection)
            connection.pinged = now if connection.pinged is None else connection.pinged
            connection.write(PING)
