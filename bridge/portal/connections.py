"""TCP connections of the HTTP client, which know when the address that they leave from is not ours any more."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any
from weakref import WeakSet

from aiohttp import ClientRequest, ClientTimeout, TCPConnector
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from ..addresses import is_ours

LOOK_SECONDS = 1.0
"""How often it is asked, while a request is under way, whether its address is ours still."""


class Connections(TCPConnector):
    """`cut_off` counts the requests that were given up because their address had gone."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.cut_off = 0
        self._proven: WeakSet[asyncio.Transport] = WeakSet()
        """Those whose address was ours when they were new: that of no other can go."""
        self._in_use: set[asyncio.Transport] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout) -> Connection:
        """A connection for this request; of those that are kept, none whose address has gone."""
        connection = await super().connect(req, traces, timeout)
        while (kept := connection.transport) is not None and kept in self._proven and _is_stranded(kept):
            kept.abort()
            connection.close()
            connection = await super().connect(req, traces, timeout)
        transport = connection.transport
        if transport is not None and (transport in self._proven or not _is_stranded(transport)):
            self._proven.add(transport)
            self._in_use.add(transport)
            connection.add_callback(partial(self._in_use.discard, transport))
            self._look_later()
        return connection

    def _look_later(self) -> None:
        if self._timer is None and self._in_use:
            self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """Give up what can't be answered any more."""
        self._timer = None
        self._in_use -= {each for each in self._in_use if each.is_closing()}
        for transport in [each for each in self._in_use if _is_stranded(each)]:
            self.cut_off += 1
            transport.abort()
        self._look_later()


def _is_stranded(transport: asyncio.Transport) -> bool:
    name = transport.get_extra_info("sockname")
    return name is not None and not is_ours(name)
