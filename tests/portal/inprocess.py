"""A portal in the same process, for stories that take a day: the room is the real one down to its HTTP client."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl

from sqlalchemy.pool import QueuePool

from bridge.calls.commands import Direction, FinishCall, RecordAnswer, RegisterCall
from bridge.calls.events import CallId, Event, Operator
from bridge.demo.portal.forms import nest
from bridge.portal.http import Http, Reply, UnansweredError, UnreachableError
from bridge.portal.keyring import Keyring
from bridge.portal.oauth import OAuth
from bridge.portal.rest import ORDINARY, Plan, Rest
from bridge.portal.telephony import Telephony
from bridge.store.database import Store
from bridge.store.sqlite_desk import SqliteDesk
from bridge.tickets import Seal

from ..rig.empty_store import prepare
from ..rig.virtual_time import VirtualTimeLoop
from .fake import Error, FakePortal
from .house import KEY, NOW, enrolled, settings_for

ANSWER_SECONDS = 0.2
PATIENCE = 20.0
LONGEST_REQUEST = 60.0


class Weather(Enum):
    """What the portal does with every request."""

    FINE = auto()
    REFUSED = auto()
    """No connection."""
    HANGS = auto()
    HANGS_AFTERWARDS = auto()
    """Carries it out and says nothing."""
    BAD_GATEWAY = auto()
    LIMIT = auto()
    """503 QUERY_LIMIT_EXCEEDED."""
    TIME_LIMIT = auto()
    """429 with operating_reset_at in ten minutes."""
    EXPIRED = auto()
    """expired_token for every token."""
    LOGGED_OUT = auto()
    """expired_token, and invalid_grant for the refresh."""


@dataclass
class Wire(Http):
    """Time is the loop's."""

    portal: FakePortal
    weather: Callable[[], Weather] = lambda: Weather.FINE
    seconds: Callable[[str], float] = lambda method: ANSWER_SECONDS
    """How long the portal takes for a method."""
    spent: Callable[[], dict[str, Any]] = dict
    """The `time` block of its answers."""
    late: random.Random | None = None
    """With it, a hanging portal may carry a request out long after it was given up."""
    cut: bool = False
    """Nothing leaves any more."""
    under_way: set[asyncio.Task[None]] = field(default_factory=set)
    sent: list[tuple[float, str, dict[str, Any]]] = field(default_factory=list)
    """When, which method, with what."""

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    @property
    def told(self) -> list[tuple[float, str, dict[str, Any]]]:
        """`sent` with each batch taken apart."""
        found = list[tuple[float, str, dict[str, Any]]]()
        for at, method, params in self.sent:
            for command in params["cmd"].values() if method == "batch" else []:
                name, _, query = command.partition("?")
                found.append((at, name.lower(), nest(parse_qsl(query, keep_blank_values=True))))
            if method != "batch":
                found.append((at, method, params))
        return found

    async def post(self, url: str, body: Mapping[str, Any], *, seconds: float | None = None) -> Reply:
        method = url.rpartition("/")[2].lower()
        params = {name: value for name, value in body.items() if name != "auth"}
        if self.cut:
            raise UnreachableError("the process is dead")
        self.sent.append((self.now, method, params))
        self.portal.note(method, params)
        weather = self.weather()
        if weather is Weather.REFUSED:
            raise UnreachableError("no connection")
        if weather in {Weather.HANGS, Weather.HANGS_AFTERWARDS}:
            if weather is Weather.HANGS_AFTERWARDS:
                self._do(method, params)
            elif self.late and self.late.random() < 0.8:
                self.under_way.add(asyncio.create_task(self._do_late(method, params)))
            await asyncio.sleep(seconds or PATIENCE)
            raise UnansweredError("no answer")
        commands = params["cmd"].values() if method == "batch" else [method]
        await asyncio.sleep(sum(self.seconds(command.partition("?")[0].lower()) for command in commands))
        if weather is Weather.BAD_GATEWAY:
            raise UnansweredError("502 without JSON")
        if weather is Weather.LIMIT:
            return Reply(503, {"error": "QUERY_LIMIT_EXCEEDED"})
        if weather is Weather.TIME_LIMIT:
            reset = {"operating": 481, "operating_reset_at": NOW + self.now + 600}
            return Reply(429, {"error": "OPERATION_TIME_LIMIT", "time": reset})
        if weather in {Weather.EXPIRED, Weather.LOGGED_OUT}:
            return Reply(401, {"error": "expired_token"})
        return self._do(method, params)

    async def get(self, url: str, query: Mapping[str, str]) -> Reply:
        await asyncio.sleep(ANSWER_SECONDS)
        if self.weather() is Weather.LOGGED_OUT:
            return Reply(400, {"error": "invalid_grant"})
        tokens = {"access_token": f"access-{self.now}", "refresh_token": f"refresh-{self.now}"}
        return Reply(200, {**tokens, "expires_in": 3600, "member_id": self.portal.member})

    async def _do_late(self, method: str, params: dict[str, Any]) -> None:
        assert self.late is not None
        await asyncio.sleep(self.late.uniform(0, LONGEST_REQUEST))
        self._do(method, params)

    def _do(self, method: str, params: dict[str, Any]) -> Reply:
        try:
            return Reply(200, {"result": self.portal.do(method, params, ""), "time": self.spent()})
        except Error as error:
            return Reply(error.status, {"error": error.code, "error_description": error.text})


@dataclass
class Day:
    portal: FakePortal
    wire: Wire
    store: Store
    rest: Rest
    telephony: Telephony
    operator: Operator
    events: list[Event]

    @property
    def now(self) -> float:
        return NOW + self.wire.now

    async def register(self, call: str, *, user: int = 7) -> None:
        command = RegisterCall(
            call=CallId(call),
            operator=Operator(self.operator.portal, user),
            direction=Direction.INBOUND,
            number="+74951234567",
            line="100",
            started=self.now,
            show=True,
        )
        await self.telephony.perform(command)

    async def answer(self, call: str) -> None:
        await self.telephony.perform(RecordAnswer(call=CallId(call), operator=self.operator, answered=self.now))

    async def finish(self, call: str, status: str, duration: int, *, user: int = 7) -> None:
        operator = Operator(self.operator.portal, user)
        command = FinishCall(
            call=CallId(call), operator=operator, status=status, duration=duration, reason="", ended=self.now
        )
        await self.telephony.perform(command)

    async def emptied(self) -> None:
        while await self.store.outbox.waiting_portals():
            await asyncio.sleep(1)

    async def log_in(self) -> None:
        """An administrator opens the application."""
        await self.store.portals.save(enrolled(self.portal, access=f"login-{self.wire.now}"))
        self.telephony.reopen(self.operator.portal)


@asynccontextmanager
async def day(
    path: Path, plan: Plan = ORDINARY, *, portal: FakePortal | None = None, fresh: bool = True
) -> AsyncIterator[Day]:
    """The room on its first morning, or on a later one over what is left of its store; run in virtual time."""
    loop = asyncio.get_running_loop()

    def clock() -> float:
        return NOW + loop.time()

    portal = portal or FakePortal()
    portal.clock, portal.url, portal.oauth = clock, "http://portal.localhost", "http://oauth.localhost"
    wire, settings = Wire(portal), settings_for(portal)
    await prepare(path)
    store = Store(f"sqlite+aiosqlite:///{path}", Seal([KEY]))
    events: list[Event] = []
    assert isinstance(loop, VirtualTimeLoop)
    pool, desk = cast(QueuePool, store._engine.pool), cast(SqliteDesk, store._desk)
    loop.hold(lambda: pool.checkedout() > 0 or desk.under_way > 0)
    async with store.running():
        if fresh:
            await store.portals.save(enrolled(portal))
        oauth = OAuth(settings=settings, http=wire, clock=clock)
        keyring = Keyring(settings=settings, portals=store.portals, oauth=oauth, clock=clock)
        rest = Rest(http=wire, keyring=keyring, plans={"portal.localhost": plan}, clock=clock)
        telephony = Telephony(store=store, rest=rest, post=events.append, clock=clock)
        async with telephony.running():
            yield Day(portal, wire, store, rest, telephony, Operator("portal.localhost", 7), events)
    assert not portal.wrong, portal.wrong
