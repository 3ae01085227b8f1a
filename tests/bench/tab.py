"""A page reduced to its socket: engine.io and socket.io over WebSocket, as little of each as a page of the bridge needs.

A full client costs more than the page it stands for; five thousand of these fit beside the bridge.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

Listener = Callable[[str, Any, float], None]
"""Takes event, payload and the time at which it came (`time.monotonic()`)."""
JOIN_SECONDS = 30
_TEXT, _PING, _PONG = 1, 9, 10


class TabError(Exception):
    """The bridge did not let the page in."""


class Tab(asyncio.Protocol):
    """One connected page. `hello` is the `auth` of the page protocol."""

    def __init__(self, hello: dict[str, Any], listener: Listener | None = None) -> None:
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._hello = hello
        self._listener = listener
        self._buffer = b""
        self._upgraded = False
        self._transport: asyncio.Transport | None = None

    async def connect(self, host: str, port: int) -> None:
        """Returns once the bridge has let it in; TabError if it does not."""
        await asyncio.get_running_loop().create_connection(lambda: self, host, port)
        async with asyncio.timeout(JOIN_SECONDS):
            await self.joined

    def emit(self, event: str, payload: dict[str, Any]) -> None:
        self._write(f"42{json.dumps([event, payload])}")

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    # ---- the wire

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: bridge.localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.joined.done():
            self.joined.set_exception(TabError(f"the bridge closed the connection: {self._buffer[:200]!r}"))

    def data_received(self, data: bytes) -> None:
        at = time.monotonic()
        self._buffer += data
        if not self._upgraded:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end or b" 101 " not in head.partition(b"\r\n")[0]:
                return
            self._upgraded, self._buffer = True, rest
        while frame := self._frame():
            self._take(*frame, at)

    def _frame(self) -> tuple[int, bytes] | None:
        """The next whole frame: kind and content."""
        data = self._buffer
        if len(data) < 2:
            return None
        start, size = 2, data[1] & 0x7F
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(data[2:start], "big")
        if len(data) < start + size:
            return None
        self._buffer = data[start + size :]
        return data[0] & 0x0F, data[start : start + size]

    def _take(self, kind: int, content: bytes, at: float) -> None:
        if kind == _PING:
            self._write(content.decode(), kind=_PONG)
        if kind != _TEXT:
            return
        if content == b"2":
            self._write("3")
        elif content.startswith(b"0{"):
            self._write(f"40{json.dumps(self._hello)}")
        elif content.startswith(b"40") and not self.joined.done():
            self.joined.set_result(None)
        elif content.startswith(b"44") and not self.joined.done():
            self.joined.set_exception(TabError(content[2:].decode()))
        elif content.startswith(b"42") and self._listener:
            event, *payload = json.loads(content[2:])
            self._listener(event, payload[0] if payload else None, at)

    def _write(self, text: str, kind: int = _TEXT) -> None:
        data = text.encode()
        size = bytes((0x80 | len(data),)) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
        # A mask of zeros is a mask, and leaves the content as it is.
        if self._transport and not self._transport.is_closing():
            self._transport.write(bytes((0x80 | kind,)) + size + b"\0\0\0\0" + data)
