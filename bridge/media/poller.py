"""Reading all media sockets with few wake-ups: a wake-up costs more than a packet."""

from __future__ import annotations

import asyncio
import selectors
import socket
import time
from collections.abc import Callable
from typing import Final

BUSY: Final = 600.0
CALM: Final = 300.0
"""Datagrams per second: above BUSY the sockets are read by timer, below CALM as soon as something comes."""
TICK: Final = 0.002
ROUNDS: Final = 8
"""Looks at all sockets per wake-up at most, so that the loop stays fair."""
MEASURE: Final = 0.1

Reader = Callable[[float], int]
"""Reads what is there, gets the monotonic time, returns how many datagrams it was."""


class Poller:
    """All media sockets behind one selector, whose own descriptor is the only one that the event loop watches."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._selector = selectors.DefaultSelector()
        self._timer: asyncio.TimerHandle | None = None
        self._count, self._since = 0, time.monotonic()
        self._watch()

    def add(self, sock: socket.socket, read: Reader) -> None:
        self._selector.register(sock, selectors.EVENT_READ, read)

    def remove(self, sock: socket.socket) -> None:
        self._selector.unregister(sock)

    def close(self) -> None:
        if self._timer is None:
            self._loop.remove_reader(self._descriptor)
        else:
            self._timer.cancel()
        self._selector.close()

    @property
    def _descriptor(self) -> int:
        return self._selector.fileno()  # epoll's and kqueue's have one

    def _watch(self) -> None:
        self._timer = None
        self._loop.add_reader(self._descriptor, self._wake)

    def _wake(self) -> None:
        self._drain()
        if self._rate() > BUSY:
            self._loop.remove_reader(self._descriptor)
            self._timer = self._loop.call_later(TICK, self._tick)

    def _tick(self) -> None:
        self._timer = self._loop.call_later(TICK, self._tick)
        self._drain()
        if self._rate() < CALM:
            self._timer.cancel()
            self._watch()

    def _drain(self) -> None:
        now = time.monotonic()
        for _ in range(ROUNDS):
            ready = self._selector.select(0)
            if not ready:
                return
            for key, _ in ready:
                self._count += key.data(now)

    def _rate(self) -> float:
        """Datagrams per second, known every `MEASURE` seconds; in between neither busy nor calm."""
        now = time.monotonic()
        passed = now - self._since
        if passed < MEASURE:
            return (BUSY + CALM) / 2
        rate, self._count, self._since = self._count / passed, 0, now
        return rate
