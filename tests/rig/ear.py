"""Where a scripted PBX takes the voice: a UDP port that knows whether somebody speaks to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SILENCE_SECONDS = 0.5


class Ear(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.port = 0
        self._heard = float("-inf")

    @property
    def hears(self) -> bool:
        """A packet came within the last half second."""
        return time.monotonic() - self._heard < SILENCE_SECONDS

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self.port = transport.get_extra_info("sockname")[1]
        try:
            yield
        finally:
            transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._heard = time.monotonic()
