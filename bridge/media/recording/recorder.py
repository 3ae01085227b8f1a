"""Writes the tapes of all calls: a thread of its own takes what came in the last second to the disk, whatever that takes."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

import structlog

from ... import sealed
from ...tickets import Seal
from . import tape
from .tape import Label

log = structlog.get_logger()

FLUSH_SECONDS: Final = 1.0
"""What a crash may cost of a recording."""
MOST_WAITING: Final = 3_000
"""Packets of one call, thirty seconds of them: a disk that has not taken them by then never will in time."""
PART, DONE = ".part", ".tape"
"""While it is written, and when it is whole."""
FULL: Final = "full"
"""A file of this name says that the recordings take all the room that they may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Where tapes are put."""

    directory: Path
    keys: tuple[str, ...] = field(default=(), repr=False)
    """What tapes are sealed with; none: they lie open."""
    least_free: int = 500 << 20
    """Bytes that the disk must have left; the calls' own records need room, too."""


class Reel:
    """One tape on its way to the disk. `failed(why)` is called in the event loop, once, if it can't get there."""

    def __init__(self, label: Label, failed: Callable[[str], None]) -> None:
        self.label = label
        self._waiting: deque[bytes] = deque()
        self.put = self._waiting.append
        """Takes a record; costs nothing but memory."""
        self.failed = failed
        self.ended = False
        """Nothing more comes."""
        self._writer: sealed.Writer | None = None
        self._file: BinaryIO | None = None
        self._path = Path()
        self.put(tape.label(label))

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    # ---- in the thread

    def write(self, shelf: Shelf, seal: Seal | None) -> None:
        """Take what waits to the disk; OSError."""
        if self._writer is None:
            self._open(shelf, seal)
        assert self._writer is not None
        pieces = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if pieces:
            self._writer.append(b"".join(pieces))

    def _open(self, shelf: Shelf, seal: Seal | None) -> None:
        folder = shelf.directory / _safe(self.label.portal)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = folder / f"{_safe(self.label.call)}.{secrets.token_hex(4)}{PART}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._file = os.fdopen(os.open(self._path, flags, 0o600), "wb", buffering=0)
        self._writer = sealed.Writer(self._file, seal)

    def finish(self) -> None:
        """Close the file, whatever is in it; OSError."""
        self._waiting.clear()
        file, self._file = self._file, None
        if file is not None:
            with file:
                os.fsync(file.fileno())
            self._path.rename(self._path.with_suffix(DONE))


def _safe(name: str) -> str:
    return re.sub(r"[^\w.:@-]", "_", name).lstrip(".") or "_"


class Recorder:
    """All reels, and the thread that writes them."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._seal = Seal(shelf.keys) if shelf.keys else None
        self._reels: list[Reel] = []
        self._lock = threading.Lock()
        """For the list alone: nobody waits for a disk with it."""
        self._wake = threading.Event()
        self._stopped = False
        self._loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """What was recorded is on the disk when this is left."""
        self._loop = asyncio.get_running_loop()
        thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopped = True
            self._wake.set()
            await asyncio.to_thread(thread.join, 10.0)

    def reel(self, label: Label, failed: Callable[[str], None]) -> Reel:
        reel = Reel(label, failed)
        with self._lock:
            self._reels.append(reel)
        self._wake.set()  # what is wrong with the disk is known at once
        return reel

    def end(self, reel: Reel) -> None:
        reel.ended = True
        self._wake.set()

    # ---- in the thread

    def _run(self) -> None:
        while not self._stopped:
            self._wake.wait(FLUSH_SECONDS)
            self._wake.clear()
            self._round()
        for reel in self._reels:
            reel.ended = True
        self._round()

    def _round(self) -> None:
        with self._lock:
            reels = list(self._reels)
        obstacle = self._obstacle() if reels else ""
        for reel in reels:
            ended = reel.ended  # before the rest is taken: nothing comes after it
            try:
                if obstacle and not ended:
                    self._give_up(reel, obstacle)
                    continue
                reel.write(self._shelf, self._seal)
                if ended:
                    reel.finish()
            except OSError as error:
                self._give_up(reel, f"{self._shelf.directory} can't be written: {error.strerror}")
                continue
            if ended:
                self._remove(reel)

    def _obstacle(self) -> str:
        """Why nothing may be written, "" if it may."""
        directory = self._shelf.directory
        if (directory / FULL).exists():
            return "the recordings take all the room that the settings give them"
        with suppress(OSError):  # a directory that is not there yet
            disk = os.statvfs(directory)
            free = disk.f_bavail * disk.f_frsize
            if free < self._shelf.least_free:
                return f"the disk of {directory} has only {free >> 20} MB left"
        return ""

    def _give_up(self, reel: Reel, why: str) -> None:
        """What is on the disk stays there."""
        with suppress(OSError):
            reel.finish()
        self._remove(reel)
        log.error("recording_failed", call=reel.label.call, portal=reel.label.portal, why=why)
        if self._loop is not None and not self._stopped:
            self._loop.call_soon_threadsafe(reel.failed, why)

    def _remove(self, reel: Reel) -> None:
        with self._lock:
            if reel in self._reels:
                self._reels.remove(reel)
