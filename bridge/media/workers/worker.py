"""`python -m bridge.media.workers.worker FD`: a voice room in a process of its own, driven through the stream at this descriptor.

It ends when the stream does: a bridge that is gone leaves no worker behind.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
import time
from collections import deque
from typing import Final

import structlog

from ... import logs
from ...calls.events import CallId, Event
from ...errors import BridgeError, OursError
from ...heap import keep_trimming
from ..progress import Progress
from ..session import Voice
from .wire import Done, Duty, FromWorker, Happened, Kept, Perform, Pulse, Ready, Restore, Unfit, packed, received

log = structlog.get_logger()

PULSE_SECONDS: Final = 0.5


class Worker:
    """Carries out what comes, in order within a call, and tells what comes of it."""

    def __init__(self, writer: asyncio.StreamWriter, duty: Duty) -> None:
        self._writer = writer
        self._voice = Voice(
            media=duty.media, post=self._happened, patience=duty.patience, shelf=duty.shelf, music=duty.music
        )
        self._lanes: dict[CallId, deque[Perform | Restore]] = {}
        self._kept: dict[CallId, bytes] = {}
        self._tasks = asyncio.TaskGroup()

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Until the stream ends; ConfigError if the sockets can't be opened."""
        async with self._voice.running(), self._tasks:
            self._tell(Ready())
            idle = [self._tasks.create_task(work) for work in (self._pulse(), keep_trimming())]
            while (message := await received(reader)) is not None:
                assert isinstance(message, Perform | Restore)
                self._take(message)
            for task in idle:
                task.cancel()

    def _take(self, message: Perform | Restore) -> None:
        call = message.call if isinstance(message, Restore) else message.command.call
        lane = self._lanes.get(call)
        if lane is None:
            lane = self._lanes[call] = deque([message])
            self._tasks.create_task(self._work(call, lane))
        else:
            lane.append(message)

    async def _work(self, call: CallId, lane: deque[Perform | Restore]) -> None:
        while lane:
            message, error = lane[0], None
            try:
                if isinstance(message, Restore):
                    self._voice.restore(call, message.memory, message.progress)
                else:
                    await self._voice.perform(message.command)
            except BridgeError as refused:
                error = refused
            except Exception as fault:
                log.exception("media_command_failed", call=call)
                error = OursError(f"{type(fault).__name__} in a media worker")
            self._keep(call)
            if isinstance(message, Perform):
                self._tell(Done(number=message.number, error=error))
            elif error is not None:
                log.error("call_not_restored", call=call, why=str(error))
            lane.popleft()
        del self._lanes[call]

    def _happened(self, event: Event) -> None:
        self._keep(event.call)
        self._tell(Happened(event=event))

    def _keep(self, call: CallId) -> None:
        """Tell what has changed of what has to be remembered."""
        memory = self._voice.memory(call)
        if memory == self._kept.get(call, b""):
            return
        if memory:
            self._kept[call] = memory
        else:
            del self._kept[call]
        self._tell(Kept(call=call, memory=memory, progress=self._voice.progress(call)))

    def _progress(self) -> dict[CallId, Progress]:
        known = ((call, self._voice.progress(call)) for call in self._kept)
        return {call: progress for call, progress in known if progress is not None}

    def _tell(self, message: FromWorker) -> None:
        self._writer.write(packed(message))

    async def _pulse(self) -> None:
        at, used = time.monotonic(), time.process_time()
        while True:
            await asyncio.sleep(PULSE_SECONDS)
            before, at = at, time.monotonic()
            used_before, used = used, time.process_time()
            self._tell(Pulse(cpu=(used - used_before) / (at - before), progress=self._progress()))


async def serve(stream: socket.socket) -> None:
    """Works for whoever is at the other end of the stream until it ends."""
    reader, writer = await asyncio.open_connection(sock=stream)
    duty = await received(reader)
    if not isinstance(duty, Duty):
        return
    logs.to_stderr()
    gc.collect()
    gc.freeze()  # a full collection stops every voice; what was made by now stays
    try:
        await Worker(writer, duty).serve(reader)
    except* BridgeError as errors:
        writer.write(packed(Unfit(why=str(errors.exceptions[0]))))
    finally:
        writer.close()


def main() -> None:
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # they are meant for the bridge, which ends the stream when it is done
        signal.signal(number, signal.SIG_IGN)
    asyncio.run(serve(socket.socket(fileno=int(sys.argv[1]))))


if __name__ == "__main__":
    main()
