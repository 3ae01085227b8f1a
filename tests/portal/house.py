"""The room with everything it needs, built as the composition root builds it, against the tests' own portal."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bridge.calls.commands import Direction, FinishCall, RegisterCall
from bridge.calls.events import CallId, Event, Operator
from bridge.config import Settings
from bridge.portal.caretaker import Caretaker, rule_of
from bridge.portal.guardian import Rule
from bridge.portal.http import Http
from bridge.portal.identity import Identity
from bridge.portal.installation import Installation
from bridge.portal.keyring import Keyring
from bridge.portal.lines import Lines
from bridge.portal.notices import Notice
from bridge.portal.oauth import OAuth
from bridge.portal.people import People
from bridge.portal.placement import Placement
from bridge.portal.rest import Rest
from bridge.portal.staff import Staff
from bridge.portal.telephony import Telephony
from bridge.sealed import open_plain
from bridge.store.database import Store
from bridge.store.portals import EnrolledPortal, Spare
from bridge.tickets import Seal, new_key

from ..rig.empty_store import prepare
from ..rig.waiting import PATIENCE
from .fake import APPLICATION_TOKEN, CLIENT_ID, MEMBER, FakePortal

SECRET_ENV = "TEST_CLIENT_SECRET"
NOW = 1_800_000_000.0
KEY = new_key()


@dataclass
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


def leave_as_killed(path: Path, copy: Path) -> None:
    """What a kill -9 at this moment would leave of the store: all that is committed, nothing else."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def portal_settings(fake: FakePortal, **more: Any) -> dict[str, Any]:
    return {"url": fake.url, "client_id": CLIENT_ID, "client_secret_env": SECRET_ENV, **more}


def settings_for(fake: FakePortal, **more: Any) -> Settings:
    values: dict[str, Any] = {
        "portal": [portal_settings(fake)],
        "trunk": [{"name": "pbx", "server": "127.0.0.1"}],
        "operator": [
            {
                "portal": fake.url,
                "user_id": 7,
                "extension": "107",
                "trunk": "pbx",
                "sip_user": "107",
                "password_env": "TEST_SIP_PASSWORD",
            }
        ],
        "oauth_hosts": [fake.oauth],
    }
    return Settings(**values | more)


def enrolled(fake: FakePortal, **changes: Any) -> EnrolledPortal:
    """The portal after an installation; its tokens are known to the fake."""
    fake.users.setdefault("access-0", ("1", True))
    fake.refresh_tokens.setdefault("refresh-0", "1")
    values: dict[str, Any] = {
        "id": urlsplit(fake.url).netloc,
        "member_id": MEMBER,
        "domain": urlsplit(fake.url).netloc,
        "client_endpoint": f"{fake.url}/rest/",
        "server_endpoint": f"{fake.oauth}/rest/",
        "access": "access-0",
        "refresh": "refresh-0",
        "expires": NOW + 3600,
        "admin_user": 1,
        "application_token": APPLICATION_TOKEN,
        "installed": True,
    }
    return EnrolledPortal(**values | changes)


def spare(fake: FakePortal, user: int = 2, **changes: Any) -> Spare:
    """Another administrator's pair, known to the fake."""
    fake.users.setdefault(f"access-of-{user}", (str(user), True))
    fake.refresh_tokens.setdefault(f"refresh-of-{user}", str(user))
    values: dict[str, Any] = {
        "portal": urlsplit(fake.url).netloc,
        "user": user,
        "access": f"access-of-{user}",
        "refresh": f"refresh-of-{user}",
        "expires": NOW + 3600,
    }
    return Spare(**values | changes)


@dataclass
class House:
    path: Path
    fake: FakePortal
    settings: Settings
    seal: Seal
    clock: Clock
    store: Store
    oauth: OAuth
    rest: Rest
    telephony: Telephony
    placement: Placement
    lines: Lines
    caretaker: Caretaker
    keyring: Keyring
    installation: Installation
    identity: Identity
    events: list[Event] = field(default_factory=list)
    lost: list[tuple[str, int]] = field(default_factory=list)
    """Administrators whose tokens died."""
    notices: list[Notice] = field(default_factory=list)
    """What the portal's administrators shall be told."""

    @property
    def portal(self) -> str:
        return self.settings.portal[0].id

    @property
    def rule(self) -> Rule:
        return rule_of(self.settings.worker)

    def register(self, call: str, **changes: Any) -> RegisterCall:
        values: dict[str, Any] = {
            "call": CallId(call),
            "operator": Operator(self.portal, 7),
            "direction": Direction.INBOUND,
            "number": "+74951234567",
            "line": "100",
            "started": self.clock.now,
            "show": True,
        }
        return RegisterCall(**values | changes)

    def finish(self, call: str, **changes: Any) -> FinishCall:
        values: dict[str, Any] = {
            "call": CallId(call),
            "operator": Operator(self.portal, 7),
            "status": "200",
            "duration": 12,
            "reason": "",
            "ended": self.clock.now + 12,
        }
        return FinishCall(**values | changes)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Lets the loop run until something has happened; the limit only ends a test that failed."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await asyncio.sleep(0.002)

    async def until_later(self, condition: Callable[[], bool], step: float = 61) -> None:
        """The same, while minutes pass."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self.later(step)
                await asyncio.sleep(0.005)

    def is_empty(self) -> bool:
        """No promise is pending."""
        with closing(sqlite3.connect(self.path)) as database:
            found = database.execute("SELECT count(*) FROM outbox WHERE state = 'pending'").fetchone()
        return bool(found[0] == 0)

    def is_aside(self, count: int = 1) -> bool:
        with closing(sqlite3.connect(self.path)) as database:
            found = database.execute("SELECT count(*) FROM outbox WHERE state = 'set_aside'").fetchone()
        return bool(found[0] >= count)

    async def logged(self, count: int = 1) -> None:
        await self.until(lambda: len(self.fake.statistics) >= count)

    async def emptied(self) -> None:
        """Until no promise is pending."""
        async with asyncio.timeout(PATIENCE):
            while await self.store.outbox.waiting_portals():
                await asyncio.sleep(0.002)

    async def until_postponed(self) -> None:
        """Until every pending promise has met an obstacle and waits."""
        async with asyncio.timeout(PATIENCE):
            while not self._all_postponed():
                await asyncio.sleep(0.002)

    def _all_postponed(self) -> bool:
        with closing(sqlite3.connect(self.path)) as database:
            rows = database.execute("SELECT last_error FROM outbox WHERE state = 'pending'").fetchall()
        return bool(rows) and all(error for (error,) in rows)

    async def until_aside(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(await self.store.outbox.aside()) < count:
                await asyncio.sleep(0.002)

    def later(self, seconds: float) -> None:
        """Time passes, and the room notices."""
        self.clock.now += seconds
        self.telephony.reopen(self.portal)


async def nothing(portal: str) -> None:
    """Nobody wants to hear of a change."""


@asynccontextmanager
async def house(
    fake: FakePortal,
    path: Path,
    *,
    clock: Clock | None = None,
    seconds: float = 20.0,
    worker: dict[str, Any] | None = None,
    **portal: Any,
) -> AsyncIterator[House]:
    """Opened, but the room itself is not running yet. Opening the same path again is what follows a kill -9.

    `worker` is the [worker] of the settings, `portal` more of its [[portal]].
    """
    clock = clock or Clock()
    settings = settings_for(fake, portal=[portal_settings(fake, **portal)], worker=worker or {})
    seal = Seal([KEY])
    await prepare(path)
    store = Store(f"sqlite+aiosqlite:///{path}", seal)
    http = Http(seconds=seconds)
    async with store.running(), http.running():
        oauth = OAuth(settings=settings, http=http, clock=clock)
        lost: list[tuple[str, int]] = []
        keyring = Keyring(
            settings=settings,
            portals=store.portals,
            oauth=oauth,
            succeeded=lambda portal, user: lost.append((portal, user)),
            clock=clock,
        )
        rest = Rest(http=http, keyring=keyring, clock=clock)
        events: list[Event] = []
        people = People(rest=rest, portals=[portal.id for portal in settings.portal], changed=nothing)
        staff = Staff(settings=settings, accounts=store.accounts, people=people, changed=lambda: None)
        placement = Placement(settings=settings, seal=seal, rest=rest)
        lines = Lines(settings=settings, portals=store.portals, rest=rest)
        telephony = Telephony(
            store=store,
            rest=rest,
            post=events.append,
            line_of=lines.of,
            opened=partial(open_plain, seal=seal),
            clock=clock,
        )
        notices: list[Notice] = []
        caretaker = Caretaker(
            settings=settings,
            portals=store.portals,
            history=store.worker_history,
            placement=placement,
            keyring=keyring,
            rest=rest,
            tell=notices.append,
            reopened=telephony.reopen,
            clock=clock,
        )
        installation = Installation(
            settings=settings,
            portals=store.portals,
            rest=rest,
            oauth=oauth,
            keyring=keyring,
            placement=placement,
            lines=lines,
            caretaker=caretaker,
            installed=telephony.reopen,
            clock=clock,
        )
        identity = Identity(settings=settings, portals=store.portals, rest=rest, why_not=staff.why_not, clock=clock)
        yield House(
            path=path,
            fake=fake,
            settings=settings,
            seal=seal,
            clock=clock,
            store=store,
            oauth=oauth,
            rest=rest,
            telephony=telephony,
            placement=placement,
            lines=lines,
            caretaker=caretaker,
            keyring=keyring,
            installation=installation,
            identity=identity,
            events=events,
            lost=lost,
            notices=notices,
        )
