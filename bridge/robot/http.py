"""The HTTP client of a headless operator."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver

CONNECT_SECONDS = 20


class _Localhost(AbstractResolver):
    """`*.localhost` is this machine (RFC 6761, 6.3), which glibc does not know; everything else as usual."""

    def __init__(self) -> None:
        self._usual = DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        known = host.rstrip(".").lower().endswith(".localhost")
        return await self._usual.resolve("127.0.0.1" if known else host, port, family)

    async def close(self) -> None:
        await self._usual.close()


@asynccontextmanager
async def http_client() -> AsyncIterator[aiohttp.ClientSession]:
    """A client without a deadline for answers: one of them is the WebSocket."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=_Localhost()), timeout=timeout) as http:
        yield http
