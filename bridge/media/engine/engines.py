"""The rtpengines that carry the voice, and which of them answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import structlog

from ...errors import ConfigError
from ..sdp import Address
from .bencode import Value
from .ng import EngineError, EngineSilentError, Words
from .ng_client import NgClient, ng_client

log = structlog.get_logger()

PING_SECONDS: Final = 2.0


class Engine:
    """One of them."""

    def __init__(self, address: Address, client: NgClient) -> None:
        self.name = f"rtpengine {address[0]}:{address[1]}"
        self.answers = True
        self._client = client

    async def ask(self, command: str, **words: Value) -> Words:
        """The answer, or EngineError or EngineSilentError."""
        try:
            return await self._client.ask(command, **words)
        except EngineSilentError:
            self._set(answers=False)
            raise

    async def ping(self) -> None:
        """Find out whether it answers."""
        try:
            await self._client.ask("ping")
        except (EngineError, EngineSilentError):
            self._set(answers=False)
        else:
            self._set(answers=True)

    def _set(self, *, answers: bool) -> None:
        before, self.answers = self.answers, answers
        if before and not answers:
            log.error("rtpengine_silent", engine=self.name, remedy="it gets no calls until it answers again")
        elif answers and not before:
            log.info("rtpengine_answers", engine=self.name)


class Engines:
    """`pick` is for a running room."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._addresses = addresses
        self._all: list[Engine] = []
        self._picked = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Ask them again and again; ConfigError if none answers."""
        async with AsyncExitStack() as stack:
            for host, port in self._addresses:
                client = await stack.enter_async_context(ng_client(host, port))
                self._all.append(Engine((host, port), client))
            await self._ping()
            if not any(engine.answers for engine in self._all):
                where = ", ".join(f"{host}:{port}" for host, port in self._addresses)
                raise ConfigError(f"media.rtpengine: nothing answers at {where} as an rtpengine does")
            async with asyncio.TaskGroup() as tasks:
                pinging = tasks.create_task(self._keep_pinging())
                try:
                    yield
                finally:
                    pinging.cancel()

    def pick(self) -> Engine:
        """For a new call, or one whose engine is lost: each of those that answer in turn."""
        live = [engine for engine in self._all if engine.answers] or self._all
        self._picked += 1
        return live[self._picked % len(live)]

    @property
    def all(self) -> Sequence[Engine]:
        return self._all

    async def _ping(self) -> None:
        await asyncio.gather(*(engine.ping() for engine in self._all))

    async def _keep_pinging(self) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            await self._ping()
