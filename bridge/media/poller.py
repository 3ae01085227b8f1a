"""Reading all media sockets with few wake-ups: a wake-up costs more than a packet."""

from __future__ import annotations

import asyncio
import select
import selectors
import socket
import time
from collections.abc import Callable
from typing import Final, Protocol

BUSY: Final = 2500.0
CALM: Final = 1500.0
"""Datagrams per second: above BUSY the sockets are read by timer, below CALM as soon as something comes."""
CROWDED: Final = 20_000.0
TICK: Final = 0.001
LONG_TICK: Final = 0.002
"""Seconds between two looks by timer, the longer one above CROWDED datagrams per second. asyncio rounds up to milliseconds."""
ROUNDS: Final = 8
"""Looks at all sockets per wake-up at most, so that the loop stays fair."""
MEASURE: Final = 0.1

Reader = Callable[[float], int]
"""Reads what is there, gets the monotonic time, returns how many datagrams it was."""


class Gathering(Protocol):
    """Keeps what is to be sent from `gather` to `flush`."""

    def gather(self) -> None: ...
    def flush(self) -> None: ...


class Poller:
    """All media sockets behind one descriptor, the only one that the event loop watches."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._watch: _Watch = _Epoll() if hasattr(select, "epoll") else _Selector()
        self._readers: dict[int, Reader] = {}
        self.gathers: list[Gathering] = []
        """Who sends what it has to send all at once, when everything has been read."""
        self._timer: asyncio.TimerHandle | None = None
        self._tick = TICK
        self._count, self._since = 0, time.monotonic()
        self._read_at_once()

    def __len__(self) -> int:
        return len(self._readers)

    def add(self, sock: socket.socket, read: Reader) -> None:
        self._watch.add(sock.fileno())
        self._readers[sock.fileno()] = read

    def remove(self, sock: socket.socket) -> None:
        self._watch.remove(sock.fileno())
        del self._readers[sock.fileno()]

    def close(self) -> None:
        if self._timer is None:
            self._loop.remove_reader(self._watch.fileno())
        else:
            self._timer.cancel()
        self._watch.close()

    def _read_at_once(self) -> None:
        self._timer = None
        self._loop.add_reader(self._watch.fileno(), self._woken)

    def _woken(self) -> None:
        self._drain()
        if self._rate() > BUSY:
            self._loop.remove_reader(self._watch.fileno())
            self._timer = self._loop.call_later(self._tick, self._timed)

    def _timed(self) -> None:
        self._timer = self._loop.call_later(self._tick, self._timed)
        self._drain()
        rate = self._rate()
        if rate < CALM:
            self._timer.cancel()
            self._read_at_once()

    def _drain(self) -> None:
        for gathering in self.gathers:
            gathering.gather()
        try:
            self._read()
        finally:
            for gathering in self.gathers:
                gathering.flush()

    def _read(self) -> None:
        now, readers, ready = time.monotonic(), self._readers, self._watch.ready
        for _ in range(ROUNDS):
            descriptors = ready()
            if not descriptors:
                return
            for descriptor, _ in descriptors:
                read = readers.get(descriptor)
                if read is not None:  # else: whoever was read before it in this round has closed it
                    self._count += read(now)

    def _rate(self) -> float:
        """Datagrams per second, known every `MEASURE` seconds; in between neither busy nor calm."""
        now = time.monotonic()
        passed = now - self._since
        if passed < MEASURE:
            return (BUSY + CALM) / 2
        rate, self._count, self._since = self._count / passed, 0, now
        self._tick = LONG_TICK if rate > CROWDED else TICK
        return rate


class _Watch(Protocol):
    """Tells which descriptors can be read; the system's own way if it has one that costs little."""

    def add(self, descriptor: int, /) -> None: ...
    def remove(self, descriptor: int, /) -> None: ...
    def ready(self) -> list[tuple[int, int]]: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


class _Epoll:
    """Linux: what epoll returns is taken as it is."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self.fileno, self.close = self._epoll.fileno, self._epoll.close

    def add(self, descriptor: int) -> None:
        self._epoll.register(descriptor, select.EPOLLIN)

    def remove(self, descriptor: int) -> None:
        self._epoll.unregister(descriptor)

    def ready(self) -> list[tuple[int, int]]:
        return self._epoll.poll(0, 1024)


class _Selector:
    """Elsewhere; kqueue has a descriptor, too."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.close = self._selector.close

    def fileno(self) -> int:
        descriptor: int = self._selector.fileno()
        return descriptor

    def add(self, descriptor: int) -> None:
        self._selector.register(descriptor, selectors.EVENT_READ)

    def remove(self, descriptor: int) -> None:
        self._selector.unregister(descriptor)

    def ready(self) -> list[tuple[int, int]]:
        return [(key.fd, mask) for key, mask in self._selector.select(0)]
