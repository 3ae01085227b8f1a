"""A SIP connection over WebSocket, we being the client (RFC 7118): one message per frame, answered in the kind received."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from aiohttp import ClientSession, ClientTimeout, ClientWSTimeout, WSMsgType
from aiohttp.client_ws import ClientWebSocketResponse

from .certificate import certifies
from .connection import Connection, Host
from .flow import Flow, bracketed
from .framer import PING, PONG
from .message import MOST_BYTES
from .tls import Link

PING_SECONDS = 30.0
MOST_QUEUED = 200
"""Messages that wait to be written; a peer that reads so slowly is given up."""
GOODBYE_SECONDS = 1.0
SUBPROTOCOL = "sip"


class WebSocket(Connection):
    """Made by `open_websocket`; `run` reads and writes until it ends."""

    def __init__(self, host: Host, flow: Flow, socket: ClientWebSocketResponse, now: Callable[[], float]) -> None:
        super().__init__(flow, ours=True)
        self._host = host
        self._socket = socket
        self._now = now
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(MOST_QUEUED)
        self._binary = False
        self._why = ""
        self._closing = asyncio.Event()
        self._stands = True

    def write(self, data: bytes) -> bool:
        if self._closing.is_set():
            return False
        try:
            self._queue.put_nowait(data)
        except asyncio.QueueFull:
            self.close("it does not read")
            return False
        return True

    def close(self, why: str) -> None:
        self._why = self._why or why
        self._closing.set()

    def abandon(self, why: str) -> None:
        self._closing.set()
        if self._stands:
            self._stands = False
            self._host.ended(self, why)

    async def run(self) -> None:
        """Returns when it is over; `ended` was told."""
        reading = asyncio.create_task(self._read())
        writing = asyncio.create_task(self._write())
        try:
            await self._closing.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await self._queue.join()
        finally:
            self._closing.set()
            for task in (reading, writing):
                task.cancel()
            await asyncio.gather(reading, writing, return_exceptions=True)
            await self._socket.close()
            if self._stands:
                self._stands = False
                self._host.ended(self, self._why or "closed by the peer")

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                if message.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
                    break
                self._binary = message.type is WSMsgType.BINARY
                self._take(message.data if self._binary else message.data.encode())
                await asyncio.sleep(0)  # aiohttp hands over what it has without a pause
        finally:
            self.close("")

    def _take(self, data: bytes) -> None:
        self.heard = self._now()
        if data == PING:
            self.write(PONG)
        elif data.strip():
            self._host.received(self, data)
            self._host.read(self)

    async def _write(self) -> None:
        try:
            while True:
                data = await self._queue.get()
                if self._binary or not _is_text(data):
                    await self._socket.send_bytes(data)
                else:
                    await self._socket.send_str(data.decode())
                self._queue.task_done()
        except (ConnectionError, RuntimeError) as error:
            self.close(str(error))


async def open_websocket(
    session: ClientSession, host: Host, flow: Flow, link: Link, now: Callable[[], float]
) -> WebSocket:
    """OSError if there is no such server, if it speaks no SIP, or if its certificate names somebody else."""
    name = link.server_name or flow.host
    scheme = "wss" if flow.protocol.is_secure else "ws"
    socket = await session.ws_connect(
        f"{scheme}://{bracketed(flow.host)}:{flow.port}{link.path}",
        protocols=(SUBPROTOCOL,),
        headers={"Host": f"{bracketed(name)}:{flow.port}"},
        heartbeat=PING_SECONDS,
        max_msg_size=MOST_BYTES,
        timeout=ClientWSTimeout(ws_close=1.0),
        ssl=link.context if flow.protocol.is_secure else False,
        server_hostname=name if flow.protocol.is_secure else None,
    )
    connection = WebSocket(host, flow, socket, now)
    connection.certificate = socket.get_extra_info("peercert") or {}
    local = socket.get_extra_info("sockname")
    connection.local = (local[0], local[1]) if local else None
    if socket.protocol != SUBPROTOCOL:
        await socket.close()
        raise ConnectionError("the server does not speak SIP over WebSocket")
    if flow.protocol.is_secure and not certifies(connection.certificate, name, wildcards=link.wildcards):
        await socket.close()
        raise ConnectionError(f"the certificate does not name {name}")
    return connection


def new_session() -> ClientSession:
    return ClientSession(timeout=ClientTimeout(sock_connect=5))


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
