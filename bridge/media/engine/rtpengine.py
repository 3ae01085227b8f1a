"""The voice room with an rtpengine as the voice: the same commands in, the same events out."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any, Final

import structlog

from ... import config
from ...calls.commands import (
    AcceptPbxAnswer,
    CloseMedia,
    ConnectBrowser,
    HoldMedia,
    JoinConference,
    JoinMedia,
    MediaCommand,
    OfferMedia,
    PauseRecording,
    ReofferMedia,
    ResumeRecording,
    SendDigits,
    SpeakEarly,
    StartRecording,
)
from ...calls.events import CallId, Event
from ...errors import BridgeError, ConfigError, OursError
from ..equipment import Patience
from ..recording.recorder import Recorder, Shelf
from ..recording.spool import FOLDER
from .call import EngineCall
from .engines import Engines
from .line import EngineLine
from .ng import EngineSilentError
from .spooler import Spooler

log = structlog.get_logger()

LOOK_SECONDS: Final = 0.5
"""Between two looks at a call: one request each."""
MOST_AT_ONCE: Final = 50
"""Looks that are open at a time."""


class RtpengineVoice:
    """Every call in one rtpengine, or one of several."""

    def __init__(
        self,
        *,
        media: config.Media,
        post: Callable[[Event], None],
        patience: Patience | None = None,
        shelf: Shelf | None = None,
    ) -> None:
        """`shelf`: where recordings go; None: there are none."""
        self._media = media
        self._recorder = Recorder(shelf) if shelf and media.rtpengine_recordings else None
        self._sealing = self._recorder is not None and shelf is not None and bool(shelf.keys)
        self._post = post
        self._patience = patience or Patience()
        self._calls: dict[CallId, EngineCall] = {}
        self._engines = Engines(media.engine_addresses)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Talk to the engines until left, then have every call forgotten; ConfigError if none answers."""
        check_spool(self._media)
        if self._sealing:
            log.warning(
                "recordings_lie_open_until_the_call_ends",
                folder=str(self._media.rtpengine_recordings),
                why="rtpengine seals nothing",
                remedy="let it lie on an encrypted disk",
            )
        recording = self._recorder.running() if self._recorder else nullcontext()
        async with self._engines.running(), recording, asyncio.TaskGroup() as tasks:
            watcher = tasks.create_task(self._watch())
            try:
                yield
            finally:
                watcher.cancel()
                for call in list(self._calls):
                    await self._close(call)

    @property
    def obstacle(self) -> str:
        """Why no further call can be carried now, "" if one can."""
        return "" if any(engine.answers for engine in self._engines.all) else "rtpengine does not answer"

    @property
    def report(self) -> list[dict[str, Any]]:
        """One row for each, for `bridge status`."""
        calls = Counter(call.engine for call in self._calls.values())
        return [
            {"worker": engine.name, "state": "live" if engine.answers else "silent", "calls": calls[engine.name]}
            for engine in self._engines.all
        ]

    async def perform(self, command: MediaCommand) -> None:
        """Carry out one command; SdpError, DigitsError, EngineError or EngineSilentError if it can't be done."""
        if isinstance(command, CloseMedia):
            await self._close(command.call)
            return
        call = self._calls.get(command.call)
        if call is None:
            if not isinstance(command, ConnectBrowser | JoinMedia | SpeakEarly):
                return
            call = self._calls[command.call] = self._call(command.call)
        async with call.turn:
            try:
                await _obey(call, command)
            finally:
                if call.idle:
                    self._calls.pop(command.call, None)

    def _call(self, name: CallId) -> EngineCall:
        line = EngineLine(name, self._engines.pick)
        spooler = Spooler(name, line, self._recorder, self._media.rtpengine_recordings, self._post)
        return EngineCall(name, line, spooler, self._post, self._patience, time.monotonic)

    async def _close(self, name: CallId) -> None:
        call = self._calls.pop(name, None)
        if call is None:
            return
        async with call.turn:
            try:
                await call.close()
            except EngineSilentError:
                log.warning("rtpengine_call_left", call=name, why="it does not answer; its own timeout ends the call")

    # ---- what goes on by itself

    async def _watch(self) -> None:
        turn = asyncio.Semaphore(MOST_AT_ONCE)
        while True:
            await asyncio.sleep(min(LOOK_SECONDS, self._patience.browser / 4))
            async with asyncio.TaskGroup() as looks:
                for call in list(self._calls.values()):
                    looks.create_task(self._look(call, turn))

    async def _look(self, call: EngineCall, turn: asyncio.Semaphore) -> None:
        if call.turn.locked():
            return
        async with turn, call.turn:
            try:
                await call.look()
            except BridgeError as error:
                log.warning("media_look_failed", call=call.call, why=str(error))
            except Exception:  # a fault in one call must not leave the others unwatched
                log.exception("media_look_failed", call=call.call)


async def _obey(call: EngineCall, command: MediaCommand) -> None:
    match command:
        case ConnectBrowser():
            await call.connect(command)
        case SpeakEarly():
            await call.speak_early(command)
        case JoinMedia():
            await call.join(command.tab, speaks=command.speaks)
        case ReofferMedia():
            await call.reoffer(command)
        case AcceptPbxAnswer():
            await call.accept(command)
        case HoldMedia():
            await call.hold(command)
        case OfferMedia():
            await call.offer()
        case SendDigits():
            await call.press(command)
        case StartRecording() | PauseRecording() | ResumeRecording():
            await call.record(command)
        case JoinConference():
            raise OursError("rtpengine carries the voice, and the bridge can't mix what it never sees")


def check_spool(media: config.Media) -> None:
    """ConfigError for a folder that holds no recordings of an rtpengine, or from which none could be taken away."""
    spool = media.rtpengine_recordings
    if spool is not None and not os.access(spool / FOLDER, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigError(
            f"media.rtpengine_recordings: {spool / FOLDER} is not there, or may not be written; it must be the folder that "
            f"rtpengine was started with as --recording-dir"
        )
