"""The composition root: the one place that knows every room."""

from __future__ import annotations

import os
import secrets
import stat
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from . import collector, roster
from .calls import commands as do
from .calls.events import CallbackAsked, CallId, Event, Operator, OperatorDialled
from .calls.extension import ExtensionState
from .calls.routing import TrunkPolicy, account_of, colleagues_of
from .capacity import Capacity
from .config import Keys, Line, Media, Settings, Trunk, portal_id
from .control import Control, socket_path
from .directory import directory, music_path
from .errors import ConfigError, OursError, RefusedError
from .heap import trimmed
from .journal import Journal
from .media import music
from .media.engine.rtpengine import RtpengineVoice
from .media.objection import objection
from .media.recording.archive import Archive, Retention
from .media.recording.recorder import Shelf
from .media.session import Voice
from .media.sound import read
from .media.workers.workers import Workers
from .metrics import Metrics, Present, served
from .operators.channel import Channel
from .operators.protocol import Loaded
from .operators.turn import Turn
from .portal.caretaker import facts_of
from .portal.guardian import Load
from .portal.office import Office, Outside
from .portal.standing import checks, people, slow_loads, summary
from .sip.trunk import Trunks
from .store.database import Store
from .switchboard import Switchboard
from .tickets import PageTicket, Seal, SessionTicket, new_key

log = structlog.get_logger()

TAB_COLUMNS = ("operator", "tab", "kind", "capture", "sight", "lead")


class Bridge:
    """Everything, wired together from the settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        keys = read_keys(settings.keys)
        self._seal = Seal(keys)
        self._journal = Journal(journal_path(settings))
        self._metrics = Metrics()
        self._store = Store(settings.store.url, self._seal)
        self._office = Office(
            settings=settings,
            seal=self._seal,
            store=self._store,
            pages=pages_dir(),
            outside=Outside(
                post=self._post,
                reassign=self._reassign,
                retire=lambda: self._channel.retire(),
                dismiss=lambda portal: self._channel.dismiss(portal),
                clicked=self._clicked,
                callback=self._callback_asked,
                doze=lambda *who: self._channel.doze(*who),
                registered=self._registered,
                online=lambda: self._channel.online(),
            ),
        )
        widths = {portal.id: portal.phone_width for portal in settings.portal}
        self._channel = Channel(
            seal=self._seal,
            identify=self._office.identity.identify,
            post=self._post,
            phone_width=lambda portal: widths[portal],
            new_call_id=new_call_id,
            loaded=self._loaded,
            is_open=self._office.is_open,
            why_not=self._office.staff.why_not,
            reachable=self._colleagues,
            lamps=self._lamps,
            clicked=self._office.clicks,
            notify=self._office.notices.unpaid_call,
            rouse=self._office.wake.rouse,
            mixes=settings.media.engine != "rtpengine",
            turn=_turn_of(settings.media),
        )
        check_announcements(settings)
        self._voice = voice_room(settings, self._post, shelf_of(settings, keys))
        self._trunks = Trunks(
            sip=settings.sip,
            trunks=settings.trunk,
            accounts=settings.operator,
            lines=settings.line,
            post=self._post,
            new_call_id=new_call_id,
            obstacle=lambda: self._capacity.obstacle or self._voice.obstacle,
            objection=self._objection,
            voicemail=self._voicemail,
            moved=self._redirect,
        )
        self._switchboard = Switchboard(
            directory=directory(settings, {}, self._office.region_of),
            online=self._channel.online,
            journal=self._journal,
            handled=self._metrics.handled,
        )
        self._capacity = Capacity(
            most_calls=settings.calls.most,
            most_cpu=settings.calls.most_cpu,
            late_seconds=settings.calls.late_seconds,
            calls=lambda: len(self._switchboard.calls),
        )
        self._archive = Archive(
            directory=recordings_dir(settings),
            engine_spool=settings.media.rtpengine_recordings,
            retention=Retention(
                kind=settings.recordings.format,
                sealing=settings.recordings.encrypted,
                keep_seconds=settings.recordings.keep_days * 86_400,
                most_bytes=int(settings.recordings.most_gb * (1 << 30)),
            ),
            keys=keys,
            is_live=self._switchboard.has,
            promise=self._office.telephony.perform,
            promised=self._office.telephony.unattached,
            alarm=self._office.notices.recording_failed,
        )
        self._control = Control(
            path=socket_path(settings.state_dir),
            calls=lambda: self._switchboard.calls,
            post=self._post,
            ticket=self._robot_ticket,
            status=self._status,
            more={
                **self._office.answers,
                "operators": lambda request: roster.answer(self._office.staff, request),
                "recordings": self._archive.answer,
            },
        )
        self.url = settings.http.public_url

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Bridge]:
        """Serves until left; then ends every call in an orderly way, records included."""
        async with AsyncExitStack() as stack:
            stack.callback(self._journal.close)
            await stack.enter_async_context(self._store.running())
            self._reassign()
            await stack.enter_async_context(self._office.running())
            await stack.enter_async_context(self._switchboard.running(self._rooms()))
            await stack.enter_async_context(self._archive.running())
            await stack.enter_async_context(self._voice.running())
            runner = await stack.enter_async_context(self._web())
            # Inside the web server's life: its sockets are gone before the server waits for them.
            await stack.enter_async_context(self._channel.running())
            await stack.enter_async_context(served(self.settings.metrics, self._metrics, self._present))
            await stack.enter_async_context(self._listening(runner))
            await stack.enter_async_context(self._capacity.watched())
            await stack.enter_async_context(trimmed())
            await stack.enter_async_context(self._trunks.running())
            await stack.enter_async_context(self._control.running())
            await stack.enter_async_context(collector.tidied(self._is_quiet))
            collector.calm()
            log.info("bridge_started", url=self.url, portals=len(self.settings.portal), trunks=len(self.settings.trunk))
            try:
                yield self
            finally:
                await self._switchboard.stop()

    def _rooms(self) -> dict[type[do.Command], Any]:
        return {
            do.PbxCommand: self._trunks,
            do.MediaCommand: self._voice,
            do.OperatorsCommand: self._channel,
            **self._office.rooms,
        }

    @asynccontextmanager
    async def _web(self) -> AsyncIterator[web.AppRunner]:
        app = web.Application()
        self._office.attach(app)
        self._channel.attach(app)
        app.router.add_get("/healthz", _healthy)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
        await runner.setup()
        try:
            yield runner
        finally:
            await runner.cleanup()

    @asynccontextmanager
    async def _listening(self, runner: web.AppRunner) -> AsyncIterator[None]:
        http = self.settings.http
        site = web.TCPSite(runner, http.host, http.port, backlog=1024)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(f"http: can't listen on {http.host}:{http.port}: {error.strerror}") from None
        try:
            yield
        finally:
            await site.stop()

    def _post(self, event: Event) -> None:
        self._switchboard.post(event)

    def _reassign(self) -> None:
        """Other accounts, or other people behind them: the next call is theirs, those that live go on."""
        manned = self._office.staff.manned
        self._redirect()
        self._trunks.assign(account for accounts in manned.values() for account in accounts)
        self._channel.retire()

    def _redirect(self) -> None:
        """What the next calls are told of the settings, and of where the PBXs are met."""
        manned = self._office.staff.manned
        self._switchboard.directory = directory(self.settings, manned, self._office.region_of, self._trunks.met_at)

    def _registered(self) -> dict[tuple[str, str], tuple[str, str]]:
        return {(each.trunk, each.account): (each.state, each.why) for each in self._trunks.registrations}

    def _clicked(self, operator: Operator, number: str, card: str, call_list: int) -> None:
        """Somebody clicked a number in the portal, which has registered the call."""
        call = new_call_id()
        dialled = OperatorDialled(
            call=call, operator=operator, number=number, voice=None, card=card, call_list=call_list
        )
        self._post(dialled)

    def _callback_asked(self, operators: Sequence[Operator], number: str, line: str, text: str) -> None:
        asked = CallbackAsked(call=new_call_id(), operators=tuple(operators), number=number, line=line, text=text)
        self._post(asked)

    def _colleagues(self, operator: Operator) -> dict[int, str]:
        return colleagues_of(self._switchboard.directory, operator)

    def _lamps(self, operator: Operator) -> dict[int, ExtensionState]:
        trunk, _ = account_of(self._switchboard.directory, operator) or ("", "")
        return {user: self._trunks.extension(trunk, number) for user, number in self._colleagues(operator).items()}

    def _loaded(self, operator: Operator, load: Loaded) -> None:
        """A page tells how long its frame took, in milliseconds since it began."""
        seconds = Load(
            total=load.duration / 1000,
            waiting=load.fetch_start / 1000,
            connecting=max(0.0, load.request_start - load.fetch_start) / 1000,
            answering=max(0.0, load.response_start - load.request_start) / 1000,
            transferring=max(0.0, load.response_end - load.response_start) / 1000,
        )
        self._office.caretaker.loaded(operator.portal, operator.user, seconds)

    def _objection(self, trunk: str, offer: bytes) -> tuple[int, str] | None:
        policy = self._switchboard.directory.trunks.get(trunk, TrunkPolicy())
        return objection(offer, policy.codecs, policy.media.srtp, ipv6=self.settings.media.has_ipv6)

    def _voicemail(self, trunk: str, account: str, new: int) -> None:
        """New voice messages wait at the PBX for whoever has this account."""
        if operator := self._switchboard.directory.accounts.get((trunk, account)):
            self._channel.voicemail(operator, new)

    def _robot_ticket(self, portal: str, user: int) -> dict[str, str]:
        """For a headless operator on this machine: whoever can open the control socket may stand in for an operator.

        A session without a portal behind it; no door ever seals one, so no POST can forge it. The page ticket is an expired
        one: it is there for the form, and nobody is asked about it.
        """
        known = portal_id(portal) or portal
        accounts = self._office.staff.manned.get(Operator(known, user))
        if accounts is None:
            raise RefusedError(
                f"user {user} of {portal} is no operator: neither the configuration nor an import names them"
            )
        name = accounts[0].extension
        page = PageTicket(auth_id="", member_id="", domain=known, app_sid="", uri="", placement="")
        session = SessionTicket(member_id="", portal=known, user=user, name=name)
        sealed = self._seal.seal(page, 0), self._seal.seal(session, time.time())
        return {"url": self.url, "ticket": sealed[0], "session": sealed[1]}

    async def _present(self) -> Present:
        return Present(
            calls=self._switchboard.calls,
            online=self._channel.online(),
            registrations=[(each.trunk, each.state) for each in self._trunks.registrations],
            trunks={trunk.trunk: trunk.health for trunk in self._trunks.healths},
            promises=await self._store.outbox.counts(),
            full=bool(self._capacity.obstacle or self._voice.obstacle),
            dropped=self._trunks.counts,
        )

    def _is_quiet(self) -> bool:
        """Nobody hears it if everything stands still for a moment."""
        return not self._switchboard.calls and len(self._channel.tabs()) <= collector.FEW

    def _status(self) -> dict[str, Any]:
        return {
            "registrations": [account._asdict() for account in self._trunks.registrations],
            "trunks": [trunk._asdict() for trunk in self._trunks.healths],
            "tabs": [dict(zip(TAB_COLUMNS, row, strict=True)) for row in self._channel.tabs()],
            "workers": self._voice.report,
        }


def voice_room(settings: Settings, post: Callable[[Event], None], shelf: Shelf) -> Voice | Workers | RtpengineVoice:
    """The voice in this process, in several of their own, or in an rtpengine."""
    if settings.media.engine == "rtpengine":
        return RtpengineVoice(media=settings.media, post=post, shelf=shelf)
    files = [music_path(file) for file in settings.music]
    if settings.media.workers <= 1:
        return Voice(media=settings.media, post=post, shelf=shelf, music=files)
    return Workers(media=settings.media, post=post, most_cpu=settings.calls.most_cpu, shelf=shelf, music=files)


def _turn_of(media: Media) -> Turn | None:
    if not media.turn_urls:
        return None
    return Turn(urls=media.turn_urls, secret=media.turn_secret.get_secret_value(), seconds=media.turn_seconds)


def check_announcements(settings: Settings) -> None:
    """ConfigError for a file that nobody could hear."""
    places: list[Trunk | Line] = [*settings.trunk, *settings.line]
    for place in places:
        if place.early_media == "announce" and place.announcement is not None:
            read(place.announcement)
    for file, where in settings.music.items():
        try:
            music.read(file)
        except ConfigError as error:
            raise ConfigError(f"{settings.place(where)}: {error}") from None


def recordings_dir(settings: Settings) -> Path:
    return settings.recordings.directory or settings.state_dir / "recordings"


def shelf_of(settings: Settings, keys: Sequence[str]) -> Shelf:
    """Where the tapes of calls are written."""
    return Shelf(
        directory=recordings_dir(settings),
        keys=tuple(keys) if settings.recordings.encrypted else (),
        least_free=settings.recordings.least_free_mb << 20,
    )


def new_call_id() -> CallId:
    """Sortable by time, unguessable, and short enough to read over the telephone."""
    return CallId(f"{int(time.time()):x}-{secrets.token_hex(6)}")


def journal_path(settings: Settings) -> Path:
    return settings.state_dir / "journal.jsonl"


def pages_dir() -> Path:
    """The built pages: beside the package in a wheel, in `widget_static/dist` of a checkout."""
    here = Path(__file__).resolve().parent
    for place in (here / "widget", here.parent / "widget_static" / "dist"):
        if (place / "worker.html").exists():
            return place
    raise OursError("the pages are not built: run make setup")


def read_keys(keys: Keys) -> Sequence[str]:
    """From the environment, else from the file, which is made if it is missing."""
    if value := os.environ.get(keys.env):
        return [key.strip() for key in value.split(",") if key.strip()]
    if keys.file is None:
        raise ConfigError(f"keys: set {keys.env} in the environment (bridge keys makes one), or name a file in [keys]")
    try:
        if not keys.file.exists():
            keys.file.parent.mkdir(parents=True, exist_ok=True)
            keys.file.touch(stat.S_IRUSR | stat.S_IWUSR)
            keys.file.write_text(new_key() + "\n")
        return keys.file.read_text().split()
    except OSError as error:
        raise ConfigError(f"keys.file: {keys.file}: {error.strerror}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalReport:
    """One portal for `bridge portals`."""

    row: tuple[str, ...]
    """Portal, state, domain, administrators, slow loads today, promises waiting and set aside."""
    todo: tuple[str, ...]
    """What a person has to do, a sentence each."""


async def portal_reports(settings: Settings) -> list[PortalReport]:
    store = Store(settings.store.url, Seal(read_keys(settings.keys)))
    async with store.running():
        counts = await store.outbox.counts()
        reports: list[PortalReport] = []
        for portal in settings.portal:
            facts = await facts_of(portal, settings.worker, store.portals, store.worker_history, time.time())
            domain = facts.enrolled.domain if facts.enrolled else ""
            promises = [str(count) for count in counts.get(portal.id, (0, 0))]
            row = portal.id, summary(facts), domain, people(facts), slow_loads(facts), *promises
            todo = tuple(f"{check.name}: {check.text}" for check in checks(facts) if not check.ok)
            reports.append(PortalReport(row=row, todo=todo))
        return reports


async def _healthy(request: web.Request) -> web.Response:
    return web.Response(text="ok\n")
