"""Conversion off the event loop: a thread decodes and encodes for all calls, and lets go of the interpreter while it does.

Packets go over in batches: one wake-up of the thread, and one of the loop, for whatever has come in the meantime.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog

log = structlog.get_logger()

MOST_WAITING: Final = 4_000
"""Packets of all calls; a machine that is further behind than that speaks too late anyhow."""
BATCH: Final = 16
"""Packets that are delivered with one wake-up, about a millisecond of work."""

Work = Callable[[bytes], list[bytes]]
"""Makes packets of a packet, in the thread."""
Deliver = Callable[[bytes], None]
"""Gets an RTP packet, in the event loop."""


class Transcoder:
    def __init__(self) -> None:
        self._asked: deque[tuple[Work, bytes, Deliver]] = deque()
        self._done: deque[tuple[bytes, Deliver]] = deque()
        self._wake = threading.Event()
        self._stopped = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.dropped = 0
        """Packets that there was no time for."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The thread starts with the first packet, and ends when this is left."""
        self._loop = asyncio.get_running_loop()
        try:
            yield
        finally:
            self._stopped = True
            self._wake.set()
            if self._thread is not None:
                await asyncio.to_thread(self._thread.join)

    def take(self, work: Work, packet: bytes, deliver: Deliver) -> None:
        """Have a packet worked on; what comes of it is delivered in the order of the packets."""
        if len(self._asked) >= MOST_WAITING:
            self.dropped += 1
            return
        self._asked.append((work, packet, deliver))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="transcoder", daemon=True)
            self._thread.start()
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._stopped:
                return
            while self._asked:
                for _ in range(min(len(self._asked), BATCH)):
                    self._work(*self._asked.popleft())
                if self._done and self._loop is not None and not self._stopped:
                    self._loop.call_soon_threadsafe(self._deliver)

    def _work(self, work: Work, packet: bytes, deliver: Deliver) -> None:
        try:
            self._done.extend((each, deliver) for each in work(packet))
        except Exception:  # one call's voice must not end all the others'
            log.exception("conversion_failed")

    def _deliver(self) -> None:
        done = self._done
        for _ in range(len(done)):
            packet, deliver = done.popleft()
            deliver(packet)
