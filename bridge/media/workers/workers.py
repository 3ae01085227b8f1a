"""The voice room spread over several processes: the same commands in, the same events out.

A call lives in one worker. When that dies, its pages are told to offer anew, and another worker goes on with the PBX leg: on the
same port and with the same stream, so that the PBX need not know; what was asked and not done is asked once more there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

import structlog

from ... import config
from ...calls.commands import (
    CloseMedia,
    ConnectBrowser,
    JoinConference,
    JoinMedia,
    LeaveConference,
    MediaCommand,
    SendDigits,
    SpeakEarly,
)
from ...calls.events import BrowserLost, CallId, Event, MediaReady, PbxFellSilent, TabId
from ...errors import ConfigError, OursError
from ..equipment import Patience
from ..recording.recorder import Shelf
from ..session import MAX_CALLS, check_addresses
from .crew import START_SECONDS, Mate, WorkerLostError, started
from .placement import Phase, Placement
from .wire import Duty, FromWorker, Happened, Kept, Pulse, Ready, Restore

log = structlog.get_logger()

HOME_SECONDS: Final = 10.0
"""How long a command waits for a worker that lives."""
TRIES: Final = 2
"""Workers that one command may be given to: it may be what kills them."""


class NoWorkerError(OursError):
    """No media worker lives, or none has room."""


class Workers:
    """`media.workers` processes, each with its share of the ports, kept alive."""

    def __init__(
        self,
        *,
        media: config.Media,
        post: Callable[[Event], None],
        most_cpu: float,
        patience: Patience | None = None,
        shelf: Shelf | None = None,
        music: Sequence[str] = (),
    ) -> None:
        self._media = media
        self._post = post
        self._patience = patience or Patience()
        self._shelf, self._music = shelf, tuple(music)
        first, last = media.share(0).pbx_ports
        self._placement = Placement(
            media.workers, most_calls=min(MAX_CALLS, (last - first + 1) // 2), most_cpu=most_cpu
        )
        self._mates: dict[int, Mate] = {}
        """Slot -> whoever lives there."""
        self._memories: dict[CallId, Kept] = {}
        self._tabs: dict[CallId, dict[TabId, None]] = {}
        """Pages that may have a leg."""
        self._speakers: dict[CallId, TabId] = {}
        """The page that speaks, or spoke last."""
        self._changed = asyncio.Event()
        """Set, and replaced, when a worker comes."""
        self._broken: dict[int, str] = {}
        """Slot -> why its worker did not come up."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start every worker, and keep them alive until left; ConfigError if one can't begin."""
        check_addresses(self._media)
        async with asyncio.TaskGroup() as tasks:
            keepers = [tasks.create_task(self._keep(slot)) for slot in range(self._media.workers)]
            try:
                await self._all_ready()
                yield
            finally:
                for keeper in keepers:
                    keeper.cancel()

    async def _all_ready(self) -> None:
        try:
            async with asyncio.timeout(START_SECONDS):
                while len(self._mates) < self._media.workers:
                    if self._broken:
                        raise ConfigError(next(iter(self._broken.values())))
                    await self._changed.wait()
        except TimeoutError:
            raise OursError(f"the media workers did not start within {START_SECONDS:g} s") from None

    @property
    def obstacle(self) -> str:
        """Why no further call can be carried now, "" if one can."""
        return self._placement.obstacle

    @property
    def report(self) -> list[dict[str, Any]]:
        """A row for each worker, for `bridge status`."""
        return [
            {
                "worker": index,
                "state": "keeps dying" if self._placement.loops(index) else slot.phase.value,
                "pid": self._mates[index].pid if index in self._mates else 0,
                "calls": len(slot.calls),
                "cpu": round(slot.cpu, 2),
            }
            for index, slot in enumerate(self._placement.slots)
        ]

    # ---- commands

    async def perform(self, command: MediaCommand) -> None:
        """Carry out one command; what it raises is the worker's error, NoWorkerError or WorkerLostError."""
        call = command.call
        if isinstance(command, CloseMedia):
            await self._close(command)
            return
        if not isinstance(command, ConnectBrowser | JoinMedia | SpeakEarly) and not self._placement.knows(call):
            return
        if isinstance(command, JoinConference) and not self._placement.tie(call, command.other):
            raise OursError("the two calls are carried by different media workers")
        if isinstance(command, LeaveConference):
            self._placement.untie(call)
        for _ in range(TRIES):
            mate = await self._home(call, self._beside(command))
            if isinstance(command, ConnectBrowser | JoinMedia):
                self._tabs.setdefault(call, {})[command.tab] = None
            try:
                await mate.ask(command)
            except WorkerLostError:
                if isinstance(command, SendDigits):  # nobody knows which keys were heard
                    raise
            else:
                return
        raise WorkerLostError("two media workers died over it")

    async def _close(self, command: CloseMedia) -> None:
        slot = self._placement.forget(command.call)
        self._memories.pop(command.call, None)
        self._tabs.pop(command.call, None)
        self._speakers.pop(command.call, None)
        if slot is not None and slot in self._mates:
            try:
                await self._mates[slot].ask(command)
            except WorkerLostError:
                return  # closed all the same

    def _beside(self, command: MediaCommand) -> CallId | None:
        """The call that a page speaks in already, where it begins another one: the two may become a conference."""
        if not isinstance(command, ConnectBrowser | JoinMedia) or self._placement.knows(command.call):
            return None
        return next((call for call, tab in self._speakers.items() if tab == command.tab), None)

    async def _home(self, call: CallId, beside: CallId | None) -> Mate:
        """The worker of a call, which is chosen now if it has none: that of `beside`, if it can be."""
        try:
            async with asyncio.timeout(HOME_SECONDS):
                while True:
                    slot = self._placement.place(call, beside=beside)
                    if slot is not None and slot in self._mates:
                        return self._mates[slot]
                    await self._changed.wait()
        except TimeoutError:
            raise NoWorkerError(self.obstacle or "no media worker took the call") from None

    # ---- keeping them alive

    async def _keep(self, slot: int) -> None:
        while True:
            incarnation = self._placement.started(slot, time.monotonic())
            try:
                async with started(slot, incarnation) as mate:
                    media = self._media.share(slot)
                    mate.tell(Duty(media=media, patience=self._patience, shelf=self._shelf, music=self._music))
                    why = await mate.listen(lambda message, mate=mate: self._heard(mate, message))  # type: ignore[misc]
                    await mate.die()
                    self._mourn(mate, why)
            except OSError as error:
                self._died(slot, incarnation, f"can't be started: {error.strerror}")
            await asyncio.sleep(max(0.0, self._placement.slots[slot].due - time.monotonic()))

    def _heard(self, mate: Mate, message: FromWorker) -> None:
        match message:
            case Ready():
                self._mates[mate.slot] = mate
                for call in self._placement.ready(mate.slot, mate.incarnation):
                    self._restore(call, mate)
                self._awaken()
            case Pulse(cpu=cpu):
                self._placement.loaded(mate.slot, mate.incarnation, cpu)
                for call, progress in message.progress.items():
                    if self._placement.believes(call, mate.slot, mate.incarnation) and call in self._memories:
                        self._memories[call] = replace(self._memories[call], progress=progress)
            case Kept(call=call) if self._placement.believes(call, mate.slot, mate.incarnation):
                self._memories[call] = message
            case Happened(event=event) if self._placement.believes(event.call, mate.slot, mate.incarnation):
                self._note(event)
                self._post(event)

    def _note(self, event: Event) -> None:
        """Which pages have a leg after it."""
        if isinstance(event, MediaReady):
            self._tabs[event.call] = {event.tab: None}
            self._speakers[event.call] = event.tab
        elif isinstance(event, BrowserLost):
            self._tabs.get(event.call, {}).pop(event.tab, None)

    def _mourn(self, mate: Mate, why: str) -> None:
        """Before what was asked of it fails: whoever asks again finds the call restored."""
        if self._mates.get(mate.slot) is mate:
            del self._mates[mate.slot]
        self._died(mate.slot, mate.incarnation, why)

    def _died(self, slot: int, incarnation: int, why: str) -> None:
        starting = self._placement.slots[slot].phase is Phase.STARTING
        lost = self._placement.ended(slot, incarnation, time.monotonic())
        log.error("media_worker_died", worker=slot, why=why, calls=len(lost), deaths=self._placement.slots[slot].deaths)
        if self._placement.loops(slot):
            log.error("media_worker_keeps_dying", worker=slot, why=why, remedy="read what it wrote before its end")
        if starting:
            self._broken[slot] = why
            self._awaken()
        for call in lost:
            home = self._placement.place(call)
            if home is not None:
                self._restore(call, self._mates[home])
        for call in lost:
            self._tell_pages(call)

    def _restore(self, call: CallId, mate: Mate) -> None:
        if (kept := self._memories.get(call)) and kept.memory:
            mate.tell(Restore(call=call, memory=kept.memory, progress=kept.progress))

    def _tell_pages(self, call: CallId) -> None:
        for tab in self._tabs.pop(call, {}):
            self._post(BrowserLost(call=call, tab=tab, why="the media worker died"))
        if self._placement.is_doomed(call):
            log.error("call_given_up", call=call, why="media workers die wherever it is")
            self._post(PbxFellSilent(call=call))

    def _awaken(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
