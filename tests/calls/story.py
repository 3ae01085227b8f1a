"""A call, told event by event."""

from __future__ import annotations

from typing import Any

from bridge.calls import commands as do
from bridge.calls import events as on
from bridge.calls.call import Call, World
from bridge.calls.commands import Command
from bridge.calls.events import CallId, Event, Operator, TabId
from bridge.calls.routing import Directory, TrunkPolicy
from bridge.calls.step import step

ID = CallId("call-1")
ANNA, BORIS = Operator("portal", 1), Operator("portal", 2)
TAB, OTHER = TabId("tab-1"), TabId("tab-2")
DIRECTORY = Directory(
    accounts={("pbx", "1001"): ANNA}, trunks={"pbx": TrunkPolicy()}, ring_seconds=30, rejoin_seconds=30
)
INVITED = on.PbxInvited(
    call=ID, trunk="pbx", account="1001", line="100", caller="+49301", caller_name="C", offer=b"v=0"
)
OFFERED = on.MediaOffered(call=ID, operator=ANNA, tab=TAB, offer="o1", sdp="v=0")
ANSWERED = on.OperatorAnswered(call=ID, operator=ANNA, tab=TAB, voice=TAB)
READY = on.MediaReady(call=ID, tab=TAB, sdp=b"answer")


class Story:
    """What happened, and what was done about it."""

    def __init__(self, *, online: frozenset[Operator] = frozenset({ANNA}), directory: Directory = DIRECTORY) -> None:
        self.call = Call(id=ID)
        self.now = 1000.0
        self.online = online
        self.directory = directory
        self.busy: frozenset[Operator] = frozenset()
        self.others: dict[CallId, Call] = {}
        """Calls that are live beside this one."""
        self.done: list[Command] = []

    def tell(self, *events: Event, after: float = 0) -> list[Command]:
        commands: list[Command] = []
        self.now += after
        for event in events:
            world = World(
                now=self.now,
                online=self.online,
                directory=self.directory,
                busy=self.busy,
                calls={**self.others, self.call.id: self.call},
            )
            self.call, new = step(self.call, event, world)
            commands += new
        self.done += commands
        return commands

    def of(self, kind: type[Command]) -> list[Any]:
        return [command for command in self.done if isinstance(command, kind)]

    @property
    def state(self) -> str:
        return self.call.state.value

    @property
    def record(self) -> do.FinishCall:
        (record,) = self.of(do.FinishCall)
        assert isinstance(record, do.FinishCall)
        return record


def names(commands: list[Command]) -> list[str]:
    return [type(command).__name__ for command in commands if not isinstance(command, do.ShowCall)]
