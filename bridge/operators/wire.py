"""engine.io as the pages speak it: WebSocket only, one task for each connection, one ping after the other.

The library's own server keeps five tasks, three timers and a queue for every page, and a message wakes two of the tasks on its
way out: 10 KB and half of what a message costs (measured with 2,000 pages). socket.io above it is the library's.
"""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from typing import Any

import engineio
from aiohttp import WSMsgType, web
from engineio.packet import Packet

SLOTS = 200
"""Parts of a ping interval: everybody is pinged in one of them."""
GOLDEN = 0.618034
"""Of an interval between the pings of one page and the next that comes: however many there are, they are spread evenly."""
MAX_STRIDE = 1.0
"""Seconds for which pings are made up when the loop stood still: the answers to the last ones have to be read first."""
_READY = {"_read_ready_cb", "_write_ready"}
"""Private names of asyncio's transports."""
_OPEN, _CLOSE, _PING, _MESSAGE = "0", "1", "2", "4"


def frame(text: str) -> bytes:
    """A text message of a server (RFC 6455 section 5.2)."""
    data = text.encode()
    size = len(data)
    if size < 126:
        return struct.pack("!BB", 0x81, size) + data
    if size < 65_536:
        return struct.pack("!BBH", 0x81, 126, size) + data
    return struct.pack("!BBQ", 0x81, 127, size) + data


PING = frame(_PING)


class Wire:
    """One connection, as engine.io's server knows it."""

    __slots__ = ("_parted", "_transport", "answered", "closed", "is_read", "sid", "why")
    upgraded = True

    def __init__(self, sid: str, transport: asyncio.Transport) -> None:
        self.sid = sid
        self.closed = False
        self.answered = True
        """The page has said something since the last ping."""
        self.is_read = False
        """What it says is read now: while its last word is carried out, an answer may lie there unseen."""
        self.why = "transport close"
        """How it ended."""
        self._transport = transport
        self._parted = False

    def write(self, data: bytes) -> None:
        """Write a frame, now; what the page does not read is kept, see `backlog`. Nothing after the last word."""
        if not self._parted and not self._transport.is_closing():
            self._transport.write(data)

    @property
    def backlog(self) -> int:
        """Bytes that the page has not read."""
        return self._transport.get_write_buffer_size()

    def part(self) -> None:
        """Say that nothing more comes. The page closes: closed from here, a word of its own on the way would cost it our last ones."""
        self._parted = True
        if not self._transport.is_closing():
            self._transport.write_eof()

    def cut(self, why: str) -> None:
        """End it without waiting for the page."""
        self.why = why
        self._transport.abort()

    # ---- what engine.io's server calls

    async def send(self, packet: Packet) -> None:
        self.write(frame(packet.encode()))

    async def close(self, *, reason: str, **_: Any) -> None:
        self.why = reason
        self.part()


class Wires(engineio.AsyncServer):  # type: ignore[misc]  # the library has no types
    """Everybody who is connected."""

    sockets: dict[str, Wire]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._slots: list[set[Wire]] = [set() for _ in range(SLOTS)]
        """Who is pinged when: those of thousands never come at once, also when all of them have come at once."""
        self._gone = asyncio.Event()
        """Somebody has left."""
        self._come = 0
        """Connections so far."""
        self._hand = 0.0
        """Where we are in the interval, in slots."""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """A connection from its beginning to its end."""
        if (request.query.get("EIO"), request.query.get("transport")) != ("4", "websocket"):
            return web.Response(status=400, text="engine.io version 4 over WebSocket is spoken here.")
        # Deflate would cost every page some 300 KB of state, for messages of a few hundred bytes.
        socket = web.WebSocketResponse(compress=False, max_msg_size=self.max_http_buffer_size)
        await socket.prepare(request)
        if transport := request.transport:
            await self._converse(Wire(self.generate_id(), transport), socket)
            await socket.close()
            _let_go(transport, socket)
        return socket

    async def keep_alive(self) -> None:
        """Ping everybody once in a ping interval; who has not answered by then is gone."""
        loop = asyncio.get_running_loop()
        before = loop.time()
        while True:
            await asyncio.sleep(self.ping_interval / SLOTS)
            now = loop.time()
            self.beat(min(now - before, MAX_STRIDE))
            before = now

    async def part(self, seconds: float) -> None:
        """Nothing more comes for anybody; who has not closed after so many seconds is cut off."""
        for wire in list(self.sockets.values()):
            wire.part()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.sockets:
                    self._gone.clear()
                    await self._gone.wait()
        for wire in list(self.sockets.values()):
            wire.cut("the bridge stops")

    def beat(self, seconds: float) -> None:
        """Ping those whose turn it is when so much time has passed."""
        before, self._hand = self._hand, self._hand + seconds / self.ping_interval * SLOTS
        for slot in range(int(before), int(self._hand)):
            for wire in list(self._slots[slot % SLOTS]):
                if wire.answered or not wire.is_read:
                    wire.answered = False
                    wire.write(PING)
                else:
                    wire.cut("ping timeout")

    async def _converse(self, wire: Wire, socket: web.WebSocketResponse) -> None:
        self.sockets[wire.sid] = wire
        slot = self._slots[int(self._come * GOLDEN * SLOTS) % SLOTS]
        self._come += 1
        slot.add(wire)
        try:
            await wire.send(Packet(int(_OPEN), self._greeting(wire.sid)))
            await self._trigger_event("connect", wire.sid, {"wire": wire})
            while True:
                wire.is_read = True
                message = await socket.receive()
                wire.is_read, wire.answered = False, True
                if message.type is WSMsgType.BINARY:
                    await self._trigger_event("message", wire.sid, message.data)
                elif message.type is not WSMsgType.TEXT or message.data == _CLOSE:
                    break
                elif message.data.startswith(_MESSAGE):
                    await self._trigger_event("message", wire.sid, message.data[1:])
        finally:
            wire.closed = True
            slot.discard(wire)
            self.sockets.pop(wire.sid, None)
            self._gone.set()
            await self._trigger_event("disconnect", wire.sid, wire.why)

    def _greeting(self, sid: str) -> dict[str, Any]:
        return {
            "sid": sid,
            "upgrades": [],
            "pingInterval": int(self.ping_interval * 1000),
            "pingTimeout": int(self.ping_timeout * 1000),
            "maxPayload": self.max_http_buffer_size,
        }


def _let_go(transport: asyncio.Transport, socket: web.WebSocketResponse) -> None:
    """What is closed holds nothing that holds it, or all of it would wait for the garbage collector: 25 KB a page.

    aiohttp keeps the error that a page leaves which just vanishes, with a traceback to itself; asyncio its own methods.
    """
    error = socket.exception()
    while error is not None:
        error.__traceback__ = None
        error = error.__context__
    for name in _READY & vars(transport).keys():
        setattr(transport, name, None)
