"""The socket towards an rtpengine."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from ...addresses import SocketName
from .bencode import Value
from .ng import Answer, Requests, Words


class NgClient(asyncio.DatagramProtocol):
    """Asks an rtpengine from whatever address is ours at the time: a connected socket would keep the one that it began with."""

    def __init__(self, engine: SocketName) -> None:
        self._engine = engine
        self._requests = Requests(lambda: secrets.token_hex(6))
        self._waiting: dict[str, asyncio.Future[Words]] = {}
        self._transport: asyncio.DatagramTransport
        self._timer: asyncio.TimerHandle | None = None

    async def ask(self, command: str, **words: Value) -> Words:
        """The answer, or EngineError or EngineSilentError; words with a hyphen are written with `_`."""
        loop = asyncio.get_running_loop()
        said: Words = {"command": command, **{word.replace("_", "-"): value for word, value in words.items()}}
        cookie, datagram = self._requests.begin(said, loop.time())
        answered: asyncio.Future[Words] = loop.create_future()
        self._waiting[cookie] = answered
        self._transport.sendto(datagram, self._engine)
        self._set_timer()
        try:
            return await answered
        finally:
            self._requests.forget(cookie)
            del self._waiting[cookie]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: SocketName) -> None:
        if addr[:2] == self._engine[:2] and (answer := self._requests.received(data)):
            self._settle(answer)

    def error_received(self, exc: Exception) -> None:
        """There is no way there now: as silent as a lost datagram."""

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._transport.close()

    def _settle(self, answer: Answer) -> None:
        answered = self._waiting.get(answer.cookie)
        if answered is None or answered.done():
            return
        if answer.error is not None:
            answered.set_exception(answer.error)
        else:
            answered.set_result(answer.words or {})

    def _set_timer(self) -> None:
        deadline = self._requests.deadline
        if self._timer:
            self._timer.cancel()
        self._timer = None
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._woken)

    def _woken(self) -> None:
        again, given_up = self._requests.wake(asyncio.get_running_loop().time())
        for datagram in again:
            self._transport.sendto(datagram, self._engine)
        for answer in given_up:
            self._settle(answer)
        self._timer = None
        self._set_timer()


@asynccontextmanager
async def ng_client(host: str, port: int) -> AsyncIterator[NgClient]:
    loop = asyncio.get_running_loop()
    family, _, _, _, engine = (await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM))[0]
    _, client = await loop.create_datagram_endpoint(lambda: NgClient(engine), family=family)
    try:
        yield client
    finally:
        client.close()
