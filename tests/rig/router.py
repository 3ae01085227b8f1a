"""The way of one operator's machine to the bridge, which can change: another network, another address, every connection cut."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from .lossy import Way

LOOPBACK = "127.0.0.1"
AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER: closing sends RST."""


class Router:
    """Forwards TCP and UDP to the bridge from an address that `move` exchanges."""

    def __init__(self, address: str, *, tcp_to: int, udp_to: int) -> None:
        self._address = address
        self._tcp_to, self.udp_to = tcp_to, udp_to
        self._server: asyncio.Server | None = None
        self._udp: asyncio.DatagramTransport | None = None
        self._pipes: set[asyncio.StreamWriter] = set()
        self._deaf: set[asyncio.StreamWriter] = set()
        """Pipes that nothing comes out of any more, not even their end."""
        self._flows: dict[tuple[str, int], asyncio.DatagramTransport] = {}
        self.tcp = self.udp = 0
        """Where pages send to."""
        self.way = Way()
        """What becomes of datagrams; TCP is never worsened."""
        self.carried = [0, 0]
        """Datagrams since the last move, towards the bridge and back."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Router]:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.tcp = self._server.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(partial(_Inside, self), local_addr=(LOOPBACK, 0))
        self.udp = self._udp.get_extra_info("sockname")[1]
        try:
            yield self
        finally:
            self._server.close()
            self._pipes |= self._deaf
            self.move(self._address)
            self._udp.close()

    def move(self, address: str, *, silently: bool = False) -> None:
        """From now on everything comes from this address; what stood is cut without a word, `silently` without even an RST."""
        self._address, self.carried = address, [0, 0]
        if silently:
            self._deaf |= self._pipes
            self._pipes.clear()
        for pipe in list(self._pipes):
            if sock := pipe.get_extra_info("socket"):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            pipe.close()
        for flow in self._flows.values():
            flow.close()
        self._flows.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(LOOPBACK, self._tcp_to, local_addr=(self._address, 0))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pipe(reader, back))
            tasks.create_task(self._pipe(there, writer))

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._pipes.add(writer)
        with suppress(OSError):  # cut: the other half hears of it too
            while data := await reader.read(65536):
                if writer not in self._deaf:
                    writer.write(data)
                    await writer.drain()
        self._pipes.discard(writer)
        if writer not in self._deaf:
            writer.close()

    async def outward(self, data: bytes, page: tuple[str, int]) -> None:
        flow = self._flows.get(page)
        if flow is None:
            loop = asyncio.get_running_loop()
            flow, _ = await loop.create_datagram_endpoint(
                partial(_Outside, self, page), local_addr=(self._address, 0), remote_addr=(LOOPBACK, self.udp_to)
            )
            self._flows[page] = flow
        self.way.there.pass_on(partial(flow.sendto, data))
        self.carried[0] += 1

    def inward(self, data: bytes, page: tuple[str, int]) -> None:
        if self._udp is not None:
            self.way.back.pass_on(partial(self._udp.sendto, data, page))
            self.carried[1] += 1


class _Inside(asyncio.DatagramProtocol):
    """Where pages send to. One task keeps their order."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._came: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()
        self._task = asyncio.ensure_future(self._forward())

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._came.put_nowait((data, addr))

    def connection_lost(self, exc: Exception | None) -> None:
        self._task.cancel()

    async def _forward(self) -> None:
        while True:
            await self._router.outward(*await self._came.get())


class _Outside(asyncio.DatagramProtocol):
    """What the bridge sends back to one page."""

    def __init__(self, router: Router, page: tuple[str, int]) -> None:
        self._router, self._page = router, page

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._router.inward(data, self._page)
