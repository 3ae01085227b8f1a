"""A page reduced to its socket: engine.io and socket.io over WebSocket, as little of each as a page of the bridge needs.

A full client costs more than the page it stands for; five thousand of these fit beside the bridge. All the same they share a
process and a core, and wait there for one another as pages on their operators' machines do not: a message counts as arrived when
the kernel had it for the page, not when this process came round to reading it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

Listener = Callable[[str, Any, float], None]
"""Takes event, payload and the time at which it came (on the scale of `time.monotonic()`)."""
JOIN_SECONDS = 30
READ_BYTES = 64 * 1024
_SO_TIMESTAMPNS = 35
_STAMP = struct.Struct("qq")
_HANDSHAKE = "\r\n".join(
    (
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1",
        "Host: bridge.localhost",
        "Connection: Upgrade",
        "Pragma: no-cache",
        "Cache-Control: no-cache",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
        "Upgrade: websocket",
        "Origin: http://bridge.localhost",
        "Sec-WebSocket-Version: 13",
        "Accept-Encoding: gzip, deflate, br, zstd",
        "Accept-Language: en-US,en;q=0.9",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        "\r\n",
    )
).encode()
"""As Chromium says it: the bridge keeps some of it as long as the page."""
_TEXT, _PING, _PONG = 1, 9, 10


class TabError(Exception):
    """The bridge did not let the page in."""


class Tab:
    """One connected page. `hello` is the `auth` of the page protocol."""

    def __init__(self, hello: dict[str, Any], listener: Listener | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self.joined: asyncio.Future[None] = self._loop.create_future()
        self._hello = hello
        self._listener = listener
        self._buffer = b""
        self._upgraded = False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    async def connect(self, host: str, port: int) -> None:
        """Returns once the bridge has let it in; TabError if it does not."""
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        async with asyncio.timeout(JOIN_SECONDS):
            await self._loop.sock_connect(self._socket, (host, port))
            self._loop.add_reader(self._socket, self._readable)
            self._socket.send(_HANDSHAKE)
            await self.joined

    def emit(self, event: str, payload: dict[str, Any]) -> None:
        self._write(f"42{json.dumps([event, payload])}")

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    # ---- the wire

    def _readable(self) -> None:
        try:
            data, notes, _, _ = self._socket.recvmsg(READ_BYTES, 64)
        except BlockingIOError:
            return
        except OSError:
            data, notes = b"", []
        if not data:
            self._lost()
            return
        at = time.monotonic()
        if notes:
            seconds, nanoseconds = _STAMP.unpack(notes[0][2][: _STAMP.size])
            at -= time.time() - (seconds + nanoseconds / 1e9)
        self._received(data, at)

    def _lost(self) -> None:
        self.close()
        if not self.joined.done():
            self.joined.set_exception(TabError(f"the bridge closed the connection: {self._buffer[:200]!r}"))

    def _received(self, data: bytes, at: float) -> None:
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
        if self._socket.fileno() >= 0:
            self._socket.send(bytes((0x80 | kind,)) + size + b"\0\0\0\0" + data)
