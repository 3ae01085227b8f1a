"""The Chrome DevTools Protocol over one WebSocket, with sessions side by side."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import aiohttp

from .waiting import PATIENCE

Listener = Callable[[str, str, dict[str, Any]], Awaitable[None]]
"""Takes session, method and parameters of an event; must not wait for an answer of the same connection."""


class BrowserError(Exception):
    """The browser refused a command, or the page it was meant for is gone."""


class Cdp:
    """A connection to a browser."""

    def __init__(self) -> None:
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None
        self._ids = itertools.count(1)
        self._waiting: dict[int, tuple[str, asyncio.Future[dict[str, Any]]]] = {}
        self._listeners: dict[str, Listener] = {}

    async def connect(self, url: str) -> None:
        self._http = aiohttp.ClientSession()
        self._socket = await self._http.ws_connect(url, max_msg_size=0)
        self._reader = asyncio.create_task(self._read(self._socket), name="cdp")

    async def close(self) -> None:
        """Harmless when it is closed already."""
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
            self._reader = None
        if self._socket is not None:
            await self._socket.close()
        if self._http is not None:
            await self._http.close()

    def listen(self, session: str, listener: Listener) -> None:
        """Opens the session for commands; its events go there."""
        self._listeners[session] = listener

    def forget(self, session: str) -> None:
        """The session is over: whoever waits for an answer from it gets an error."""
        self._listeners.pop(session, None)
        self._fail(number for number, (owner, _) in list(self._waiting.items()) if owner == session)

    async def command(
        self, method: str, session: str = "", parameters: dict[str, Any] | None = None, timeout: float = PATIENCE
    ) -> dict[str, Any]:
        """One command and its result; BrowserError if it is refused or not answered in `timeout` seconds."""
        number, answer = await self.send(method, session, parameters)
        try:
            async with asyncio.timeout(timeout):
                message = await answer
        except TimeoutError:
            self._waiting.pop(number, None)
            raise BrowserError(f"{method}: no answer in {timeout:g} s") from None
        if "error" in message:
            raise BrowserError(f"{method}: {message['error'].get('message')}")
        result: dict[str, Any] = message["result"]
        return result

    async def send(
        self, method: str, session: str = "", parameters: dict[str, Any] | None = None
    ) -> tuple[int, asyncio.Future[dict[str, Any]]]:
        """Sends a command without waiting; its number, and the answer to come."""
        if self._socket is None or self._socket.closed:
            raise BrowserError(f"{method}: the browser is gone")
        if session and session not in self._listeners:
            raise BrowserError(f"{method}: the page is gone")
        number = next(self._ids)
        message = {"id": number, "method": method, "params": parameters or {}}
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = session, answer
        await self._socket.send_str(json.dumps(message | ({"sessionId": session} if session else {})))
        return number, answer

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for frame in socket:
            message = json.loads(frame.data)
            if "id" in message:
                _, answer = self._waiting.pop(message["id"], ("", None))
                if answer is not None and not answer.done():
                    answer.set_result(message)
            elif listener := self._listeners.get(message.get("sessionId", "")):
                with contextlib.suppress(BrowserError):  # the browser went away while its event was being answered
                    await listener(message["sessionId"], message["method"], message["params"])
        self._fail(list(self._waiting))

    def _fail(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            _, answer = self._waiting.pop(number)
            if not answer.done():
                answer.set_result({"error": {"message": "the page or the browser is gone"}})
