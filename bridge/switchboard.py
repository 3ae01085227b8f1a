"""Carries events to calls and commands to rooms.

Events are handled one after the other, in the order they were reported. Each call has one lane per room: order is kept within a
room, and a slow room (a hanging portal, a browser that thinks) never delays another room's command, a hang-up least of all.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from .calls.call import Call, State, World
from .calls.commands import Command, DialPbx, FollowPbxReferral, PortalCommand, TransferPbx
from .calls.events import (
    BridgeStopped,
    CallbackAsked,
    CallId,
    CommandFailed,
    ConferenceOver,
    DeadlinePassed,
    Event,
    Operator,
    OperatorDialled,
    PbxInvited,
)
from .calls.routing import Directory
from .calls.step import step
from .calls.tolls import WINDOW_SECONDS, Dialled
from .errors import BridgeError
from .journal import Journal

log = structlog.get_logger()

STOP_SECONDS = 5.0
"""What the rooms get to carry out their last commands when the bridge is shut down."""


class Room(Protocol):
    """A neighbour: `perform` carries out one command; commands of one call come in order, those of several calls at once."""

    async def perform(self, command: Any, /) -> None: ...


class Switchboard:
    """All live calls."""

    def __init__(
        self,
        *,
        directory: Directory,
        online: Callable[[], frozenset[Operator]],
        journal: Journal,
        handled: Callable[[Event, Call | None, Call], None] = lambda event, before, after: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.directory = directory
        """May be replaced at any time; what was decided with the old one stays decided."""
        self._online = online
        self._engaged: Counter[Operator] = Counter()
        """How many calls each operator is in."""
        self._outgoing: Counter[str] = Counter()
        """How many calls that were dialled each portal has."""
        self._dialled: deque[Dialled] = deque()
        """Within the last minute."""
        self._journal = journal
        self._handled = handled
        """Is told of each event, with the call before (None: there was none) and after it."""
        self._clock = clock
        self._rooms: dict[type[Command], Room] = {}
        self._bases: dict[type[Command], type[Command]] = {}
        """Of each class of commands, the one that names its room."""
        self._calls: dict[CallId, Call] = {}
        self._mail: deque[Event] = deque()
        self._delivering = False
        self._lanes: dict[tuple[CallId, type[Command]], _Lane] = {}
        self._timers: dict[CallId, asyncio.TimerHandle] = {}
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def calls(self) -> tuple[Call, ...]:
        return tuple(self._calls.values())

    def has(self, call: CallId) -> bool:
        """This call goes on."""
        return call in self._calls

    @asynccontextmanager
    async def running(self, rooms: Mapping[type[Command], Room]) -> AsyncIterator[None]:
        """Carries commands to these rooms, by the base class of the command, until the end; then every call is ended."""
        self._rooms = dict(rooms)
        async with asyncio.TaskGroup() as self._tasks:
            try:
                yield
            finally:
                await self.stop()

    async def stop(self) -> None:
        for call in self.calls:
            self.post(BridgeStopped(call=call.id))
        deadline = self._clock() + STOP_SECONDS
        while self._lanes and (left := deadline - self._clock()) > 0:
            await asyncio.wait([lane.task for lane in self._lanes.values()], timeout=left)
        for lane in self._lanes.values():
            lane.task.cancel()
        for timer in self._timers.values():
            timer.cancel()

    def post(self, event: Event) -> None:
        """Reports a fact. Returns after every consequence was decided; commands are carried out afterwards."""
        self._mail.append(event)
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._mail:
                self._deliver(self._mail.popleft())
        finally:
            self._delivering = False
            self._journal.flush()

    def _deliver(self, event: Event) -> None:
        before = call = self._calls.get(event.call)
        if call is None:
            if not isinstance(event, PbxInvited | OperatorDialled | CallbackAsked):
                return
            call = Call(id=event.call)
        now = self._clock()
        while self._dialled and self._dialled[0].at <= now - WINDOW_SECONDS:
            self._dialled.popleft()
        world = World(
            now=now,
            online=self._online(),
            directory=self.directory,
            busy=self._engaged.keys(),
            dialled=self._dialled,
            outgoing=self._outgoing,
            calls=self._calls,
        )
        try:
            after, commands = step(call, event, world)
        except Exception:
            # A defect in one call must not silence the others; its neighbours' own deadlines will end it.
            log.exception("call_step_failed", call=event.call, event_name=type(event).__name__)
            return
        self._journal.event(event, after, now)
        self._handled(event, before, after)
        self._keep(after, now)
        for command in commands:
            if isinstance(command, DialPbx | TransferPbx | FollowPbxReferral):
                self._dialled.append(Dialled(call.id, after.owner, now))
            self._journal.command(command, after, now)
            self._send(command)

    def _keep(self, call: Call, now: float) -> None:
        before = self._calls.get(call.id)
        self._engage(before.answered_by if before else None, None if call.state is State.ENDED else call.answered_by)
        if before is not None and before.conference and before.conference != call.conference:
            hung_up = call.state is State.ENDED
            self._mail.append(ConferenceOver(call=before.conference.other, other=call.id, hung_up=hung_up))
        was_out = before is not None and before.dialled
        is_out = call.dialled and call.state is not State.ENDED
        if was_out != is_out:
            self._outgoing[call.owner.portal] += 1 if is_out else -1
        if call.state is State.ENDED:
            self._calls.pop(call.id, None)
        else:
            self._calls[call.id] = call
        if before is None or before.deadline != call.deadline:
            if timer := self._timers.pop(call.id, None):
                timer.cancel()
            if call.deadline is not None:
                loop = asyncio.get_running_loop()
                self._timers[call.id] = loop.call_later(max(0.0, call.deadline - now), self._ring, call.id)

    def _engage(self, before: Operator | None, after: Operator | None) -> None:
        if before == after:
            return
        if after is not None:
            self._engaged[after] += 1
        if before is not None:
            self._engaged[before] -= 1
            if not self._engaged[before]:
                del self._engaged[before]

    def _ring(self, call: CallId) -> None:
        self._timers.pop(call, None)
        self.post(DeadlinePassed(call=call))

    def _send(self, command: Command) -> None:
        kind = type(command)
        base = self._bases.get(kind)
        if base is None:
            base = self._bases[kind] = next(base for base in self._rooms if issubclass(kind, base))
        lane = self._lanes.get((command.call, base))
        if lane is not None:
            lane.commands.append(command)
            return
        assert self._tasks is not None, "running() comes first"
        commands = deque([command])
        task = self._tasks.create_task(self._serve(command.call, base, commands))
        self._lanes[command.call, base] = _Lane(commands=commands, task=task)

    async def _serve(self, call: CallId, base: type[Command], commands: deque[Command]) -> None:
        room = self._rooms[base]
        while commands:
            command = commands[0]
            if command.after_record and (promising := self._lanes.get((call, PortalCommand))):
                await asyncio.wait([promising.task], timeout=command.after_record)
            try:
                await room.perform(command)
            except Exception as error:
                name = type(command).__name__
                log.warning("command_failed", call=call, command=name, why=str(error), exc_info=_unexpected(error))
                self.post(CommandFailed(call=call, command=name, why=str(error)))
            commands.popleft()
        del self._lanes[call, base]


@dataclass(slots=True, kw_only=True)
class _Lane:
    """What a room has still to do for one call, the first of it under way."""

    commands: deque[Command]
    task: asyncio.Task[None]


def _unexpected(error: Exception) -> Exception | None:
    return None if isinstance(error, BridgeError) else error
