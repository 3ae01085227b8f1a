"""The operators' room: one socket.io connection per page, WebSocket only, messages as in `protocol`."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import structlog
from aiohttp import web
from pydantic import ValidationError
from socketio.exceptions import ConnectionRefusedError as ConnectRefused

from ..calls import commands as do
from ..calls import events as on
from ..calls.commands import CallView, OperatorsCommand
from ..calls.events import CallId, Event, Operator, TabId
from ..calls.number import dialable
from ..tickets import SESSION_SECONDS, Seal, SessionTicket
from . import protocol as say
from .admission import Admission, AdmissionError, Identify, Visitor
from .clicks import Clicks, OnCall, OnPast
from .colleagues import Lamps, Reachable, listing
from .conferences import DONE
from .floor import Floor, Outlook
from .page import Page
from .presence import Tab
from .protocol import FROM_PAGE, Ack, CallState, PageKind, Refusal
from .socket_io import SocketIo
from .turn import Turn
from .wire import Wire, Wires, frame

MAX_SOCKETS = 20_000
MAX_TABS = 64
"""Pages of one operator."""
MESSAGE_BYTES = 64 * 1024
MAX_EXCESS = 1_000
"""Messages refused for their rate before the connection is cut."""
MAX_BACKLOG = 256 * 1024
"""Bytes that a page has not read before its connection is cut."""
PING_SECONDS = 10
SWEEP_SECONDS = 20
WATCH_SECONDS = 0.2
"""Between two looks at the deadlines, which are seconds away whenever they are set."""
PART_SECONDS = 0.5
"""For the pages to read the last word and close."""
BREATH = 8
"""Messages to the pages between two turns of everything else: a voice must not wait for fifty of them."""

GONE = Ack(ok=False, error="This page is not connected any more.")

log = structlog.get_logger()


class ClickedCards(Protocol):
    """What the portal knows of cards that it has drawn for clicks on numbers."""

    async def is_click(self, operator: Operator, card: str, line: str) -> bool:
        """May this outgoing card stand for a click, and not for a call that the bridge has registered?"""

    def claim(self, operator: Operator, card: str, number: str) -> bool:
        """True for the first who is to make the call of this card."""


class _Said(NamedTuple):
    """A message that was understood, and who sent it."""

    page: Page
    tab: Tab
    message: say.Message


class Channel:
    def __init__(
        self,
        *,
        seal: Seal,
        identify: Identify,
        post: Callable[[Event], None],
        phone_width: Callable[[str], int],
        new_call_id: Callable[[], CallId],
        reachable: Reachable,
        lamps: Lamps,
        clicked: ClickedCards,
        notify: Callable[[Operator, CallView], None],
        rouse: Callable[[Operator], None],
        mixes: bool = True,
        turn: Turn | None = None,
        loaded: Callable[[Operator, say.Loaded], None] = lambda operator, load: None,
        is_open: Callable[[str], bool] = lambda portal: True,
        why_not: Callable[[Operator], str] = lambda operator: "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._seal = seal
        self._loaded = loaded
        self._why_not = why_not
        self._admission = Admission(seal=seal, identify=identify, is_open=is_open, why_not=why_not, clock=clock)
        self._post = post
        self._phone_width = phone_width
        self._clock = clock
        self._floor = Floor(turn)
        self._reachable, self._lamps = reachable, lamps
        self._clicked = clicked
        self._rouse = rouse
        self._clicks = Clicks(
            floor=self._floor,
            post=post,
            new_call_id=new_call_id,
            reachable=reachable,
            claim=clicked.claim,
            notify=notify,
            mixes=mixes,
        )
        self._pages: dict[str, Page] = {}
        self._by_tab: dict[TabId, Page] = {}
        self._rung: dict[Page, None] = {}
        self._unsent: dict[Page, None] = {}
        """Pages with something to hear, first come, first served; those of people for whom it rings before all others."""
        self._shown: dict[Outlook, bytes] = {}
        """What was just put together, for the next page that shall show the same."""
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._confirming: set[asyncio.Task[None]] = set()
        self._sio = SocketIo(
            self._heard, ping_interval=PING_SECONDS, ping_timeout=PING_SECONDS, max_http_buffer_size=MESSAGE_BYTES
        )
        self._wires: Wires = self._sio.eio
        self._sio.on("connect", self._connected)
        self._sio.on("disconnect", self._disconnected)

    def attach(self, app: web.Application) -> None:
        app.router.add_get("/socket.io/", self._upgrade)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            own = [
                tasks.create_task(work)
                for work in (self._send(), self._sweep(), self._watch(), self._wires.keep_alive())
            ]
            try:
                yield
            finally:
                self._tasks = None
                await self._part()
                for task in [*own, *self._confirming]:
                    task.cancel()

    async def perform(self, command: OperatorsCommand) -> None:
        match command:
            case do.ShowCall():
                self._show(command)
            case do.RingOperators():
                for operator in command.operators:
                    if self._floor.roster.is_asleep(operator, self._clock()):
                        self._rouse(operator)
                self._floor.ring(command.call, command.operators)
                self._publish()
            case do.SendMediaAnswer():
                answer = say.MediaAnswer(call=command.call, offer=command.offer, sdp=command.sdp)
                self._tell(command.call, command.tab, "mediaAnswer", answer)
            case do.AskReoffer():
                self._tell(command.call, command.tab, "reoffer", say.Reoffer(call=command.call, anew=command.anew))

    def doze(self, operator: Operator, until: float) -> None:
        """A page of the operator has no connection and can be woken by `rouse` until then, Unix seconds."""
        self._floor.roster.doze(operator, until)

    def tick(self) -> float | None:
        """Do what is due by now; the next deadline, Unix seconds. The room's own task calls it."""
        due = self._floor.tick(self._clock())
        for operator, call in self._floor.undrawn():
            self._post(on.CardNotDrawn(call=call, operator=operator))
        self._publish()
        return due

    def dismiss(self, portal: str) -> None:
        """The portal has no telephone any more: its pages are cut off."""
        for page in [page for page in self._pages.values() if page.session.portal == portal and page.session.member_id]:
            page.dismissed = True
            self._cut(page, "the application was uninstalled")

    def retire(self) -> None:
        """Pages of people who may not telephone any more are cut off, after their calls; they are told why when they come back."""
        for page in list(self._pages.values()):
            if self._why_not(page.operator) and not self._floor.board.of(page.operator):
                page.dismissed = True
                self._cut(page, "is no operator any more")

    def voicemail(self, operator: Operator, new: int) -> None:
        """So many new voice messages wait for an operator."""
        self._floor.voicemail(operator, new)
        self._publish()

    def online(self) -> frozenset[Operator]:
        """Operators who can be rung: those with a worker page connected, or with one that left just now."""
        return self._floor.roster.online(self._clock())

    def tabs(self) -> tuple[tuple[str, ...], ...]:
        """For displays, one row for each connected page: operator, tab, kind, capture, visible or hidden, lead or not."""
        roster = self._floor.roster
        return tuple(self._row(tab) for operator in roster.operators() for tab in roster.tabs(operator))

    def _row(self, tab: Tab) -> tuple[str, ...]:
        sight = "visible" if tab.visible else "hidden"
        lead = "lead" if self._floor.roster.lead(tab.operator) == tab.id else ""
        return str(tab.operator), tab.id, tab.kind.value, tab.capture.value, sight, lead

    # ---- calls on the pages

    def _show(self, command: do.ShowCall) -> None:
        view = command.view
        ended = view.state == CallState.ENDED.value
        if view.state == CallState.DIALLING.value and view.voice is None:
            # The portal dialled: nobody has asked us, so the other calls are held now.
            for operator in command.operators:
                if view.id not in self._floor.board.of(operator):
                    self._clicks.hold_others(operator)
        leaving = self._floor.show(view, command.operators, self._clock())
        if ended:
            for page in [page for operator in leaving for page in self._pages_of(operator)]:
                page.farewells[view.id] = view
        self._publish()

    def _publish(self) -> None:
        """Tell the pages what the last event changed for them."""
        stale, opens = self._floor.drain()
        if stale:
            self._shown.clear()
        for tab in stale:
            self._write(self._by_tab[tab.id], "state")
        for name, view in opens:
            page = self._by_tab[name]
            width = self._phone_width(page.operator.portal)
            letter = say.Open(
                call=view.id, card=view.card, number=view.number, name=view.name, line=view.line, width=width
            )
            self._write(page, "open", letter)
        self._changed.set()

    async def _watch(self) -> None:
        while True:
            due = self.tick()
            self._changed.clear()
            await asyncio.sleep(WATCH_SECONDS)
            try:
                async with asyncio.timeout(None if due is None else max(0.0, due - self._clock())):
                    await self._changed.wait()
            except TimeoutError:
                pass  # something is due

    # ---- words to the pages

    def _pages_of(self, operator: Operator) -> list[Page]:
        return [self._by_tab[tab.id] for tab in self._floor.roster.tabs(operator)]

    def _tell(self, call: CallId, tab: TabId, event: str, message: say.Message) -> None:
        page = self._by_tab.get(tab)
        if page and call in self._floor.board.of(page.operator):
            self._write(page, event, message)

    def _state(self, page: Page) -> bytes:
        """What the page shall show, put together once for all that shall show the same."""
        tab = self._floor.roster.tab(page.tab)
        if tab is None:  # it has not been seated yet
            return _letter("state", say.State(lead=False, desktop=False, voicemail=0, ice_servers=[], calls=[]))
        outlook = self._floor.outlook(tab, page.farewells)
        if outlook not in self._shown:
            state = self._floor.state(outlook, page.farewells, self._clock())
            self._shown[outlook] = _letter("state", state)
        page.farewells.clear()
        return self._shown[outlook]

    def _welcome(self, page: Page) -> None:
        sealed = self._seal.seal(page.session, self._clock())
        user, name = page.session.user, page.session.name
        self._write(page, "welcome", say.Welcome(session=sealed, renew_in=SESSION_SECONDS // 2, user=user, name=name))

    def _write(self, page: Page, event: str, message: say.Message | None = None) -> None:
        page.write(event, message)
        line = self._rung if self._floor.board.rings(page.operator) else self._unsent
        line[page] = None
        self._wake.set()

    async def _send(self) -> None:
        """The one sender: whatever happens at once, a page hears it in order and never an old state after a new one."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            told = 0
            while line := self._rung or self._unsent:
                page = next(iter(line))
                del line[page]
                try:
                    self._deliver(page)
                except Exception:
                    # One page's trouble must not silence all the others.
                    log.exception("page_not_told", operator=str(page.operator), tab=page.tab)
                told += 1
                if told % BREATH == 0:
                    await asyncio.sleep(0)
            self._shown.clear()  # the seconds of talk go on

    def _deliver(self, page: Page) -> None:
        letters: list[bytes] = []
        try:
            while page.sid in self._pages and (letter := page.next()):
                event, message = letter
                letters.append(_letter(event, message) if message else self._state(page))
        finally:
            page.wire.write(b"".join(letters))
        if page.wire.backlog > MAX_BACKLOG:
            self._cut(page, "does not read")

    # ---- words from the pages

    async def _heard(self, event: str, sid: str, *payload: Any) -> Ack:
        said = self._understand(sid, event, payload[0] if payload else None)
        if isinstance(said, Ack):
            ack = said
        elif isinstance(said.message, say.CardShown):
            ack = await self._card_shown(said.page, said.message)
        else:
            ack = self._grant(said.page, said.tab, event, said.message)
        # What it led to is on show before the next message is read: nobody answers twice in one breath.
        await asyncio.sleep(0)
        return ack

    def _understand(self, sid: str, event: str, payload: Any) -> _Said | Ack:
        page = self._pages.get(sid)
        tab = self._floor.roster.tab(page.tab) if page else None
        if page is None or tab is None:
            return GONE
        if page.exceeds(self._clock()):
            if page.excess == MAX_EXCESS:
                self._cut(page, "floods")
            return Ack(ok=False, error="Too many messages at once.")
        if event not in FROM_PAGE:
            return Ack(ok=False, error="The bridge does not know this message.")
        try:
            message = FROM_PAGE[event].model_validate({} if payload is None else payload)
        except ValidationError as error:
            return Ack(ok=False, error=_explain(error))
        return _Said(page, tab, message)

    async def _card_shown(self, page: Page, message: say.CardShown) -> Ack:
        """The portal has drawn a card; if it stands for a click on a number, its call is made."""
        operator = page.operator
        self._floor.card_shown(operator, message.card)
        self._publish()
        number = dialable(message.number)
        if not (message.outgoing and number) or self._floor.board.registering(operator):
            return DONE
        if not await self._clicked.is_click(operator, message.card, message.line):
            return DONE
        tab = self._floor.roster.tab(page.tab)
        return self._clicks.dial_card(tab, number, message.card) if tab else GONE

    def _grant(self, page: Page, tab: Tab, event: str, message: say.Message) -> Ack:
        if event == "notifyAdmin" and isinstance(message, say.CallCommand):
            return self._clicks.notify_admin(tab, message)
        if isinstance(message, OnPast):
            return self._clicks.on_past(tab, message)
        if isinstance(message, OnCall):
            ack = self._clicks.on_call(tab, event, message, self._clock())
            self._publish()
            return ack
        match message:
            case say.Dial():
                return self._clicks.dial(tab, message)
            case say.Presence(visible=visible, capture=capture, card=card):
                self._place(replace(tab, visible=visible, capture=capture, card=card))
            case say.Loaded():
                if tab.kind is PageKind.WORKER:
                    self._loaded(tab.operator, message)
            case _ if event == "colleagues":
                names = {each.operator: each.session.name for each in self._pages.values()}
                who = page.operator
                listed = listing(who, self._reachable(who), self._lamps(who), self._floor, names)
                self._write(page, "colleagues", listed)
            case _ if event == "renew":
                self._welcome(page)
            case _ if event == "bye":
                self._leave(page)
        return DONE

    # ---- pages come and go

    async def _upgrade(self, request: web.Request) -> web.StreamResponse:
        if self._tasks is None or len(self._wires.sockets) >= MAX_SOCKETS:
            return web.Response(status=503, text="The bridge takes no more connections now.")
        return await self._wires.serve(request)

    async def _connected(self, sid: str, environ: dict[str, Wire], auth: Any) -> None:
        try:
            hello = say.Hello.model_validate(auth)
            visitor = await self._admission.admit(hello)
            page = Page(sid=sid, wire=environ["wire"], tab=TabId(hello.tab), session=self._shared(visitor.session))
            self._seat(page, hello, visitor)
        except ValidationError as error:
            raise ConnectRefused(Refusal.BAD_MESSAGE.value, {"text": _explain(error)}) from None
        except AdmissionError as error:
            log.info("page_refused", why=error.refusal.value)
            raise ConnectRefused(error.refusal.value, {"text": str(error)}) from None

    def _shared(self, session: SessionTicket) -> SessionTicket:
        """The equal ticket of another page of the operator: 400 bytes less for each."""
        others = self._pages_of(Operator(session.portal, session.user))
        return next((page.session for page in others[:1] if page.session == session), session)

    def _seat(self, page: Page, hello: say.Hello, visitor: Visitor) -> None:
        older = self._by_tab.get(page.tab)
        if older and older.operator != page.operator:
            raise AdmissionError(Refusal.BAD_MESSAGE, "This tab belongs to another operator.")
        if self._tasks is None or (older is None and len(self._floor.roster.tabs(page.operator)) >= MAX_TABS):
            raise AdmissionError(Refusal.BUSY, "Too many pages are connected: close some.")
        self._pages[page.sid] = self._by_tab[page.tab] = page
        if older:
            del self._pages[older.sid]
            self._cut(older, "replaced")
        # `_send` has its turn after socket.io has told the page that it is connected.
        self._welcome(page)
        self._write(page, "state")
        self._place(
            Tab(
                id=page.tab,
                browser=sys.intern(hello.browser),
                operator=page.operator,
                kind=hello.page,
                visible=hello.presence.visible,
                capture=hello.presence.capture,
                card=hello.presence.card,
                slider=visitor.slider,
            )
        )
        log.info("page_joined", operator=str(page.operator), tab=page.tab, kind=hello.page.value)
        if visitor.doubt:
            task = self._tasks.create_task(self._confirm(page, visitor))
            self._confirming.add(task)
            task.add_done_callback(self._confirming.discard)

    def _place(self, tab: Tab) -> None:
        self._floor.put(tab, self._clock())
        self._publish()

    def _leave(self, page: Page) -> None:
        del self._pages[page.sid], self._by_tab[page.tab]
        self._floor.remove(page.tab, self._clock(), returns=not page.dismissed)
        online = page.operator in self.online()
        for call in list(self._floor.board.of(page.operator)):
            self._post(on.TabLeft(call=call, operator=page.operator, tab=page.tab, online=online))
        self._publish()

    async def _confirm(self, page: Page, visitor: Visitor) -> None:
        try:
            genuine = await self._admission.confirm(visitor)
        except Exception:
            # A fault in the portal's room must not end this one.
            log.exception("page_not_confirmed", operator=str(page.operator), tab=page.tab)
            return
        if not genuine:
            log.warning("page_dismissed", operator=str(page.operator), tab=page.tab)
            page.dismissed = True
            await self._sio.disconnect(page.sid)

    async def _disconnected(self, sid: str, reason: str) -> None:
        if page := self._pages.get(sid):
            log.info("page_left", operator=str(page.operator), tab=page.tab, reason=reason)
            self._leave(page)

    def _cut(self, page: Page, why: str) -> None:
        log.info("page_cut_off", operator=str(page.operator), tab=page.tab, why=why)
        page.wire.cut(why)

    async def _sweep(self) -> None:
        """End connections that never became a page, forget pages whose end was not reported."""
        suspects: set[Wire] = set()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.retire()
            strangers = set(self._wires.sockets.values()) - {page.wire for page in self._pages.values()}
            for wire in strangers & suspects:
                wire.cut("never became a page")
            suspects = strangers
            for page in [page for page in self._pages.values() if page.wire.closed]:
                self._leave(page)

    async def _part(self) -> None:
        """Let the pages hear the last word, then close; they will look for the bridge again by themselves."""
        for page in list(self._pages.values()):
            self._deliver(page)
        self._pages.clear()
        await self._wires.part(PART_SECONDS)


def _letter(event: str, message: say.Message) -> bytes:
    """A message to a page: an event of socket.io (type 2) in a message of engine.io (type 4)."""
    return frame(f'42["{event}",{message.model_dump_json(by_alias=True)}]')


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}." if where else f"{first['msg']}."
