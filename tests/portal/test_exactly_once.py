"""Whatever fails and whenever the bridge is killed: every call that was promised has exactly one record."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.calls.commands import Direction, FinishCall, PortalCommand, RecordAnswer, RegisterCall
from bridge.calls.events import CallId, Operator
from bridge.portal import lane
from bridge.portal.bucket import Lane
from bridge.portal.budget import Budget
from bridge.portal.http import UnansweredError, UnreachableError
from bridge.portal.rest import PortalBusyError, PortalRefusedError, Rest
from bridge.portal.telephony import Telephony
from bridge.store.database import Store
from bridge.store.promises import Slot
from bridge.tickets import Seal

from .fake import Error, FakePortal
from .house import KEY, Clock, leave_as_killed

PORTAL = "portal"


class Fate(Enum):
    FINE = "fine"
    UNREACHABLE = "unreachable"
    BUSY = "busy"
    ANSWER_LOST = "answer lost"
    HALF = "a batch that ends halfway, without an answer"
    KILLED_BEFORE = "killed before"
    KILLED_AFTER = "killed after"


@dataclass
class Ledger(Rest):
    """Bitrix24 at the other end of every request, with its fate."""

    portal: FakePortal
    fates: list[Fate]
    path: Path
    copy: Path
    killed: asyncio.Event = field(default_factory=asyncio.Event)
    _budgets: dict[str, Budget] = field(default_factory=dict)
    _clock: Clock = field(default_factory=Clock)

    async def call(self, portal: str, method: str, params: Mapping[str, Any], lane: Lane = Lane.OTHER) -> Any:
        await asyncio.sleep(0)
        fate = self.fates.pop(0) if self.fates and not self.killed.is_set() else Fate.FINE
        if self.killed.is_set():
            raise UnreachableError("nothing leaves a dead process")
        if fate is Fate.UNREACHABLE:
            raise UnreachableError("no route")
        if fate is Fate.BUSY:
            raise PortalBusyError(method, "QUERY_LIMIT_EXCEEDED", 0)
        if fate is Fate.KILLED_BEFORE:
            self._kill()
        self.portal.batch_ends_after = len(params["cmd"]) // 2 if fate is Fate.HALF and method == "batch" else None
        result = self._carry_out(method, params)
        if fate is Fate.KILLED_AFTER:
            self._kill()
        if fate in {Fate.ANSWER_LOST, Fate.HALF}:
            raise UnansweredError("broke off")
        return result

    def _carry_out(self, method: str, params: Mapping[str, Any]) -> Any:
        try:
            return self.portal.do(method.lower(), dict(params), "")
        except Error as error:
            raise PortalRefusedError(method, error.code, error.text) from None

    def _kill(self) -> None:
        leave_as_killed(self.path, self.copy)
        self.killed.set()
        raise UnreachableError("nothing leaves a dead process")


def _commands(call: str, started: float, card: str) -> list[PortalCommand]:
    operator, name = Operator(PORTAL, 7), CallId(call)
    return [
        RegisterCall(
            call=name,
            operator=operator,
            direction=Direction.OUTBOUND if card else Direction.INBOUND,
            number="+7495",
            line="1",
            started=started,
            show=True,
            card=card,
        ),
        RecordAnswer(call=name, operator=operator, answered=started + 1),
        FinishCall(call=name, operator=operator, status="200", duration=5, reason="", ended=started + 6),
    ]


@dataclass
class World:
    fates: list[Fate]
    order: list[int]
    folder: Path
    clock: Clock = field(default_factory=Clock)
    piled: bool = False
    """All calls are over before the first request goes out."""
    must: set[str] = field(default_factory=set)
    """Calls that have to have a record: they ended, or the bridge died under them."""
    aside: int = 0
    lives: int = 0

    def __post_init__(self) -> None:
        self.portal = FakePortal(clock=self.clock)

    async def story(self) -> None:
        calls = {number: self._call(number) for number in set(self.order)}
        while not await self._live(calls):
            # The calls of the dead process are gone; only new ones come.
            calls = {number: rest for number, rest in calls.items() if len(rest) == 3}

    def _call(self, number: int) -> list[PortalCommand]:
        """Every other one is a click-to-call, registered by the portal."""
        name = f"c{number}"
        return _commands(name, self.clock.now, self.portal.clicked("+7495", name=name) if number % 2 else "")

    async def _live(self, calls: dict[int, list[PortalCommand]]) -> bool:
        """One life of the bridge; True when it reached the end of the story."""
        path, copy = self.folder / f"{self.lives}.db", self.folder / f"{self.lives + 1}.db"
        self.lives += 1
        store = Store(f"sqlite+aiosqlite:///{path}", Seal([KEY]))
        ledger = Ledger(self.portal, self.fates, path, copy)
        telephony = Telephony(store=store, rest=ledger, post=lambda _event: None, clock=self.clock)
        promised: set[str] = set()
        async with store.running():
            if self.piled:
                await self._pile_up(telephony, calls)
            await self._talk(store, telephony, ledger, calls, promised)
        if ledger.killed.is_set():
            self.must |= promised
        return not ledger.killed.is_set()

    async def _pile_up(self, telephony: Telephony, calls: dict[int, list[PortalCommand]]) -> None:
        for commands in calls.values():
            while commands:
                command = commands.pop(0)
                await telephony.perform(command)
                self.must.add(command.call)

    async def _talk(
        self,
        store: Store,
        telephony: Telephony,
        ledger: Ledger,
        calls: dict[int, list[PortalCommand]],
        promised: set[str],
    ) -> None:
        async with telephony.running():
            for number in self.order:
                if calls.get(number) and not ledger.killed.is_set():
                    command = calls[number].pop(0)
                    await telephony.perform(command)
                    if not ledger.killed.is_set():
                        (self.must if isinstance(command, FinishCall) else promised).add(command.call)
                await asyncio.sleep(0)
            await self._settle(store, telephony, ledger)
            self.aside = len(await store.outbox.aside())

    async def _settle(self, store: Store, telephony: Telephony, ledger: Ledger) -> None:
        async with asyncio.timeout(10):
            while not ledger.killed.is_set() and await store.outbox.waiting_portals():
                self.clock.now += 1
                telephony.reopen(PORTAL)
                with suppress(TimeoutError):
                    await asyncio.wait_for(ledger.killed.wait(), 0.005)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    fates=st.lists(st.sampled_from(Fate), max_size=12),
    order=st.lists(st.integers(0, 3), min_size=1, max_size=14),
)
def test_every_promised_call_has_exactly_one_record(fates: list[Fate], order: list[int]) -> None:
    _tell(fates, order, piled=False)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fates=st.lists(st.sampled_from(Fate), max_size=12), calls=st.integers(3, 20))
def test_every_call_of_a_backlog_has_exactly_one_record(fates: list[Fate], calls: int) -> None:
    """It goes in batches, which end halfway, stay without an answer, or see the bridge die."""
    _tell(fates, list(range(calls)), piled=True)


def _tell(fates: list[Fate], order: list[int], *, piled: bool) -> None:
    narrow = {Slot.REGISTER: 1, Slot.FINISH: 1}  # two that are due go in a batch
    with tempfile.TemporaryDirectory() as folder, patch.dict(lane.WIDTH, narrow):
        world = World(fates, order, Path(folder), piled=piled)
        asyncio.run(world.story())
    recorded = [row["EXTERNAL_CALL_ID"] for row in world.portal.statistics]
    assert len(recorded) == len(set(recorded)), "a call with two records"
    open_calls = {str(entry.params["EXTERNAL_CALL_ID"]) for entry in world.portal.live}
    assert not open_calls & set(recorded)
    assert world.must <= set(recorded), "a call without a record"
    assert world.aside == 0
