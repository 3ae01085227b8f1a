"""The recording of a call that an rtpengine carries: it writes down what comes in, and our tape says which file that is.

The engine's files hold one page and one codec each: with every other page, every hold and every pause a new one begins.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ...calls.commands import StartRecording
from ...calls.events import CallId, Event, RecordingFailed
from ..recording import tape
from ..recording.recorder import Recorder, Reel
from ..recording.spool import written
from ..recording.tape import Channel, Kind, Label, Spooled, Tuned
from ..sdp import Codec
from .line import EngineLine
from .ng import EngineError, EngineSilentError

FILE_SECONDS: Final = 3.0
"""Until its new file must be seen in the folder that we share."""
LOOK_SECONDS: Final = 0.05
ENOUGH: Final = 200
"""Packets with which a file must have grown; the engine holds 4 KiB back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """Who is to be heard, where in the engine that comes in, and under which payload type."""

    caller: Codec
    caller_port: int
    operator: Codec
    operator_port: int
    """0: not to be heard."""


class Spooler:
    """Whoever calls its methods has the call's turn: they wait for the engine."""

    def __init__(
        self,
        call: CallId,
        line: EngineLine,
        recorder: Recorder | None,
        spool: Path | None,
        post: Callable[[Event], None],
    ) -> None:
        """`spool`: the engine's `--recording-dir`; None: nothing can be recorded."""
        self._call, self._line, self._post = call, line, post
        self._recorder, self._spool = recorder, spool
        self._reel: Reel | None = None
        self._began = 0.0
        self._paused = False
        self._running: Sound | None = None
        self._file: Path | None = None
        self._size = self._packets = 0
        """Of the file when it was last seen to grow, and how many had come in by then."""

    @property
    def begun(self) -> bool:
        """It runs, or is paused."""
        return self._reel is not None

    # ---- commands

    def start(self, order: StartRecording) -> None:
        """On a tape of its own, from the next `follow` on."""
        if self._recorder is None or self._spool is None:
            self._post(RecordingFailed(call=self._call, why="this bridge has no place for recordings"))
            return
        self._began = time.time()
        label = Label(call=self._call, portal=order.portal, began=self._began)
        self._reel = self._recorder.reel(label, self._failed)
        self._paused = False

    def pause(self, *, paused: bool) -> None:
        """From the next `follow` on."""
        if self._reel is not None and self._paused != paused:
            self._paused = paused
            self._reel.put(tape.mark(Kind.PAUSED if paused else Kind.RESUMED, self._since()))

    async def follow(self, sound: Sound | None) -> None:
        """Have this written down from now on, None for nothing; what can't be recorded ends the recording, not the call."""
        wanted = sound if self._reel is not None and not self._paused else None
        if wanted == self._running:
            return
        try:
            if self._running is not None:
                self._running = self._file = None
                await self._line.record(on=False)
            if wanted is not None:
                await self._begin(wanted)
        except (EngineError, EngineSilentError, OSError, TimeoutError) as error:
            self._failed(str(error) or "the folder of rtpengine's recordings does not answer")

    async def _begin(self, sound: Sound) -> None:
        assert self._spool is not None
        async with asyncio.timeout(FILE_SECONDS):
            before = await asyncio.to_thread(written, self._spool, self._call)
            await self._line.record(on=True)
            self._running = sound
            new: set[Path] = set()
            while not new:
                new = await asyncio.to_thread(written, self._spool, self._call) - before
                await asyncio.sleep(0 if new else LOOK_SECONDS)
        self._file = new.pop()
        self._size = self._packets = -1
        self._write(sound, self._file)

    def _write(self, sound: Sound, file: Path) -> None:
        if self._reel is None:
            return
        since = self._since()
        for channel, codec in ((Channel.CALLER, sound.caller), (Channel.OPERATOR, sound.operator)):
            tuned = Tuned(channel=channel, payload_type=codec.payload_type, codec=codec.name)
            self._reel.put(tape.tuned(tuned, since))
        where = str(file.absolute())
        spooled = Spooled(at=since, path=where, caller=sound.caller_port, operator=sound.operator_port)
        self._reel.put(tape.spooled(spooled))

    # ---- going on

    async def look(self, packets: int) -> None:
        """Give up on a file that stopped growing; `packets` counts what came in, and what came in before."""
        if self._reel is None:
            await self.follow(None)
        elif self._file is not None:
            await self._watch(self._file, packets)

    async def _watch(self, file: Path, packets: int) -> None:
        if self._packets < 0:
            self._packets = packets
        if packets - self._packets < ENOUGH:
            return
        size = await asyncio.to_thread(_size, file)
        if size > self._size:
            self._size, self._packets = size, packets
        else:
            self._failed(f"rtpengine writes no more into {file}: its disk may be full")

    def forgotten(self) -> None:
        """The engine knows nothing of the call any more, and writes nothing."""
        self._running = self._file = None

    def close(self) -> None:
        """To be called when the engine is done with the call."""
        reel, self._reel = self._reel, None
        if reel is not None and self._recorder is not None:
            reel.put(tape.mark(Kind.END, self._since()))
            self._recorder.end(reel)

    def _since(self) -> float:
        return max(0.0, time.time() - self._began)

    def _failed(self, why: str) -> None:
        """What was written until now is kept."""
        if self._reel is None:
            return
        self.close()
        self._file = None
        self._post(RecordingFailed(call=self._call, why=why))


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
