"""The portal's room: Bitrix24's doors, what is told to it and asked of it, and who works in it, wired together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from ..calls import commands as do
from ..calls.events import Event, Operator
from ..config import Settings
from ..sealed import open_plain
from ..store.database import Store
from ..tickets import Seal
from .callback import Callbacks
from .callers import Callers
from .cards import Cards
from .caretaker import Caretaker
from .clerk import Clerk
from .click import Clicks
from .doors import Doors
from .errands import Errands
from .hearing_door import HearingDoor
from .http import Http
from .identity import Identity
from .installation import Installation
from .keyring import Keyring
from .lines import Lines
from .notices import Notices
from .oauth import OAuth
from .people import People
from .placement import Placement
from .reports import Reports
from .rest import ENTERPRISE, Rest
from .settings_door import SettingsDoor
from .staff import Staff
from .telephony import Telephony
from .transcripts import Transcripts
from .wake import Wake


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What this room tells the rest of the bridge, and asks it."""

    post: Callable[[Event], None]
    reassign: Callable[[], None]
    """Other accounts, or other people behind them: the next call is theirs."""
    retire: Callable[[], None]
    """Somebody came, went, or has another extension."""
    dismiss: Callable[[str], None]
    """The application was removed from this portal."""
    clicked: Callable[[Operator, str, str, int], None]
    """Somebody clicked a number: operator, number, card, call list."""
    callback: Callable[[Sequence[Operator], str, str, str], None]
    """A client asks to be called: operators, number, line, text."""
    doze: Callable[[Operator, float], None]
    registered: Callable[[], Mapping[tuple[str, str], tuple[str, str]]]
    """State and reason of every SIP account, by trunk and account."""
    online: Callable[[], frozenset[Operator]]


class _Part(Protocol):
    """Of the room, with a door of its own."""

    def attach(self, app: web.Application) -> None: ...


class Office:
    """Everything that knows Bitrix24."""

    def __init__(self, *, settings: Settings, seal: Seal, store: Store, pages: Path, outside: Outside) -> None:
        self._outside = outside
        self._portals = store.portals
        self._http = Http()
        oauth = OAuth(settings=settings, http=self._http)
        keyring = Keyring(settings=settings, portals=store.portals, oauth=oauth, succeeded=self._administrator_lost)
        plans = {portal.id: ENTERPRISE for portal in settings.portal if portal.plan == "enterprise"}
        rest = Rest(http=self._http, keyring=keyring, plans=plans)

        self._people = People(
            rest=rest, portals=[portal.id for portal in settings.portal], changed=self._people_changed
        )
        self.staff = Staff(settings=settings, accounts=store.accounts, people=self._people, changed=outside.reassign)
        self.identity = Identity(settings=settings, portals=store.portals, rest=rest, why_not=self.staff.why_not)

        lines = Lines(settings=settings, portals=store.portals, rest=rest)
        self.telephony = Telephony(
            store=store, rest=rest, post=outside.post, line_of=lines.of, opened=partial(open_plain, seal=seal)
        )
        self._callers = Callers(rest=rest, name=self._people.name, post=outside.post)
        self._cards = Cards(rest)
        self.notices = Notices(portals=store.portals, rest=rest)
        self.wake = Wake(seal=seal, rest=rest, dozes=outside.doze)
        self.clicks = Clicks(
            settings=settings,
            dialled=outside.clicked,
            known=store.outbox.may_have_registered,
            why_not=self.staff.why_not,
        )

        placement = Placement(settings=settings, seal=seal, rest=rest)
        self.caretaker = Caretaker(
            settings=settings,
            portals=store.portals,
            history=store.worker_history,
            placement=placement,
            keyring=keyring,
            rest=rest,
            tell=self.notices.tell,
            reopened=self.telephony.reopen,
        )
        installation = Installation(
            settings=settings,
            portals=store.portals,
            rest=rest,
            oauth=oauth,
            keyring=keyring,
            placement=placement,
            lines=lines,
            caretaker=self.caretaker,
            installed=self._installed,
            uninstalled=outside.dismiss,
        )

        self._errands = Errands()
        callbacks = Callbacks(
            settings=settings,
            operators=self.staff.operators,
            responsible=self._callers.responsible,
            asked=outside.callback,
        )
        self._doors: list[_Part] = [
            Doors(
                settings=settings,
                seal=seal,
                pages=pages,
                portals=store.portals,
                installation=installation,
                caretaker=self.caretaker,
                errands=self._errands,
            ),
            Reports(
                portals=store.portals,
                installation=installation,
                caretaker=self.caretaker,
                clicks=self.clicks,
                colleague_came=self._people.look_again,
                errands=self._errands,
                callbacks=callbacks,
            ),
            SettingsDoor(
                seal=seal,
                administrator=self.identity.administrator,
                staff=self.staff,
                people=self._people,
                registered=outside.registered,
                online=outside.online,
            ),
            HearingDoor(seal=seal, hearings=store.hearings, people=self._people),
            self.wake,
        ]
        if (token := settings.transcripts.token) is not None:
            self._doors.append(Transcripts(token=token.get_secret_value(), attach=self.telephony.perform))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keeps promises and looks after the portals until the end; the store runs already."""
        async with AsyncExitStack() as stack:
            for part in (
                self._http,
                self.telephony,
                self._people,
                self.notices,
                self.wake,
                self._errands,
                self.caretaker,
            ):
                await stack.enter_async_context(part.running())
            yield

    def attach(self, app: web.Application) -> None:
        for door in self._doors:
            door.attach(app)

    @property
    def rooms(self) -> dict[type[do.Command], Any]:
        """Who carries out which commands."""
        return {
            do.PortalCommand: self.telephony,
            do.CallerCommand: self._callers,
            do.CardCommand: self._cards,
            do.NoticeCommand: self.notices,
        }

    @property
    def answers(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        """For the control socket."""
        return Clerk(self.telephony).answers

    def region_of(self, portal: str) -> str:
        """As chosen in the portal's settings, "" if nobody did."""
        known = self._portals.get(portal)
        return known.region if known else ""

    def is_open(self, portal: str) -> bool:
        known = self._portals.get(portal)
        return known is not None and known.installed

    def _installed(self, portal: str) -> None:
        self.telephony.reopen(portal)
        self._people.look_again(portal)

    async def _people_changed(self, portal: str) -> None:
        await self.staff.settle(portal)
        self._outside.retire()

    def _administrator_lost(self, portal: str, user: int) -> None:
        self.caretaker.administrator_lost(portal, user)
