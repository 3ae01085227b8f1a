"""Names below `localhost` are this machine (RFC 6761, 6.3); glibc does not know that, browsers do."""

from __future__ import annotations

import socket

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver


class LocalhostResolver(AbstractResolver):
    """The default resolver, except for `localhost` and `*.localhost`."""

    def __init__(self) -> None:
        self._default = DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        name = host.lower().rstrip(".")
        if name != "localhost" and not name.endswith(".localhost"):
            return await self._default.resolve(host, port, family)
        addresses = [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)]
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for address, kind in addresses
            if family in {kind, socket.AF_UNSPEC}
        ]

    async def close(self) -> None:
        await self._default.close()
