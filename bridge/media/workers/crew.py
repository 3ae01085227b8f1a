"""One media worker as the bridge sees it: its process, its stream, and what was asked of it."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from ...calls.commands import MediaCommand
from ...errors import OursError
from .wire import Done, FromWorker, Perform, ToWorker, Unfit, packed, received

START_SECONDS: Final = 30.0
"""Until its first word: much is read from disk before."""
SILENT_SECONDS: Final = 10.0
"""Without a pulse, which comes twice a second: it hangs."""
LEAVE_SECONDS: Final = 3.0
"""For saying goodbye to pages and PBXs when the bridge ends."""
DIE_SECONDS: Final = 1.0
"""Until a killed one is gone."""
INHERITED: Final = ("PATH", "PYTHONPATH", "HOME", "LANG", "TZ", "TMPDIR")
"""Of the environment: no secrets."""


class WorkerLostError(OursError):
    """The worker died before it had done what it was told."""


class Mate:
    """One incarnation of a worker, from its start to its end."""

    def __init__(
        self,
        slot: int,
        incarnation: int,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.slot, self.incarnation = slot, incarnation
        self.pid = process.pid
        self._process = process
        self._asked: dict[int, asyncio.Future[None]] = {}
        self._count = 0
        self._reader, self._writer = reader, writer

    def tell(self, message: ToWorker) -> None:
        self._writer.write(packed(message))

    async def ask(self, command: MediaCommand) -> None:
        """Have a command carried out; its error, or WorkerLostError."""
        self._count += 1
        done = self._asked[self._count] = asyncio.get_running_loop().create_future()
        self.tell(Perform(number=self._count, command=command))
        await done

    async def listen(self, heard: Callable[[FromWorker], None]) -> str:
        """Hand on what it says until it is gone; why it went, for the log."""
        seconds = START_SECONDS
        while True:
            try:
                async with asyncio.timeout(seconds):
                    message = await received(self._reader)
            except TimeoutError:
                return f"silent for {seconds:g} s"
            seconds = SILENT_SECONDS
            match message:
                case None:
                    return "gone"
                case Unfit(why=why):
                    return why
                case Done():
                    self._settle(message)
                case _:
                    heard(message)  # type: ignore[arg-type]  # what comes is the worker's half

    def _settle(self, message: Done) -> None:
        done = self._asked.pop(message.number)
        if done.cancelled():
            return
        if message.error is None:
            done.set_result(None)
        else:
            done.set_exception(message.error)

    def give_up(self) -> None:
        """Nothing that was asked will be done."""
        for done in self._asked.values():
            if not done.done():
                done.set_exception(WorkerLostError("the media worker died"))
        self._asked.clear()

    async def leave(self) -> None:
        """The end of the stream tells it to go; whoever hangs is killed."""
        self._writer.close()
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()

    async def die(self) -> None:
        """Afterwards its ports are free, if the system lets go of it in time."""
        self.kill()
        with suppress(TimeoutError):
            async with asyncio.timeout(DIE_SECONDS):
                await self._process.wait()

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()


@asynccontextmanager
async def started(slot: int, incarnation: int) -> AsyncIterator[Mate]:
    """A new worker process, which ends when this is left."""
    ours, theirs = socket.socketpair()
    with theirs:
        reader, writer = await asyncio.open_connection(sock=ours)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bridge.media.workers.worker",
            str(theirs.fileno()),
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            env={name: os.environ[name] for name in INHERITED if name in os.environ},
        )
    mate = Mate(slot, incarnation, process, reader, writer)
    try:
        yield mate
    finally:
        mate.give_up()
        try:
            await asyncio.shield(mate.leave())
        finally:
            mate.kill()
