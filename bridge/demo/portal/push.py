"""The portal's push channel: one WebSocket per open page, commands to every page of a user."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from aiohttp import web

_TABS = 500
_WAITING = 200


class Push:
    """Who has which pages open. A page that does not read loses commands, nobody waits for it."""

    def __init__(self) -> None:
        self._tabs: dict[asyncio.Queue[dict[str, Any] | None], int] = {}

    def tabs(self, user: int) -> int:
        return sum(owner == user for owner in self._tabs.values())

    def send(self, users: Iterable[int] | None, command: str, *, delay: float = 0.0, **params: Any) -> None:
        """To all pages of these users (None: of everybody), after `delay` seconds."""
        message = {"module_id": "voximplant", "command": command, "params": params}
        if delay > 0:
            asyncio.get_running_loop().call_later(delay, self._put, None if users is None else set(users), message)
        else:
            self._put(None if users is None else set(users), message)

    async def serve(self, request: web.Request, user: int) -> web.StreamResponse:
        """Keeps one page informed until it goes away."""
        if len(self._tabs) >= _TABS:
            raise web.HTTPServiceUnavailable(text="too many pages are open")
        socket = web.WebSocketResponse(heartbeat=20)
        await socket.prepare(request)
        waiting: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(_WAITING)
        self._tabs[waiting] = user
        try:
            async with asyncio.TaskGroup() as tasks:
                writer = tasks.create_task(self._write(socket, waiting))
                async for _ in socket:
                    pass
                writer.cancel()
        finally:
            del self._tabs[waiting]
        return socket

    async def close(self) -> None:
        for waiting in self._tabs:
            _offer(waiting, None)

    def _put(self, users: set[int] | None, message: dict[str, Any]) -> None:
        for waiting, owner in self._tabs.items():
            if users is None or owner in users:
                _offer(waiting, message)

    @staticmethod
    async def _write(socket: web.WebSocketResponse, waiting: asyncio.Queue[dict[str, Any] | None]) -> None:
        while (message := await waiting.get()) is not None:
            try:
                await socket.send_json(message)
            except ConnectionError:
                return
        await socket.close()


def _offer(waiting: asyncio.Queue[dict[str, Any] | None], message: dict[str, Any] | None) -> None:
    if waiting.full():
        waiting.get_nowait()
    waiting.put_nowait(message)
