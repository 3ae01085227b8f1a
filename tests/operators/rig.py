"""A real room on loopback, and pages that are real socket.io clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import socketio
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.calls.commands import CallView, Direction, ShowCall
from bridge.calls.events import CallId, Event, Operator, TabId
from bridge.calls.extension import ExtensionState
from bridge.operators.channel import Channel
from bridge.tickets import PageTicket, Seal, SessionTicket, new_key

ANNA = SessionTicket(member_id="m1", portal="acme", user=1, name="Anna")
BORIS = SessionTicket(member_id="m1", portal="acme", user=2, name="Boris")
CALL = CallId("call-1")
PATIENCE = 10.0


def operator(user: SessionTicket) -> Operator:
    return Operator(user.portal, user.user)


def page_ticket(user: SessionTicket = ANNA, *, uri: str = "/crm/", **changes: str) -> PageTicket:
    ticket = PageTicket(
        auth_id=str(user.user), member_id=user.member_id, domain="portal", app_sid="s", uri=uri, placement=""
    )
    return replace(ticket, **changes)


def ringing(**changes: Any) -> CallView:
    view = CallView(
        id=CALL,
        state="ringing",
        direction=Direction.INBOUND,
        number="+74951234567",
        name="Vera",
        line="100",
        card="",
        answered_by=None,
        voice=None,
        muted=False,
        held=False,
        pbx_holds=False,
        progress="",
        started=0.0,
        answered=None,
        ended=None,
        ending="",
        notice="",
        consults=None,
        transfer_to="",
        transfer_rings=False,
        transfer_failed="",
    )
    return replace(view, **changes)


def show(view: CallView, *users: SessionTicket) -> ShowCall:
    return ShowCall(call=view.id, operators=tuple(operator(user) for user in users or (ANNA,)), view=view)


class RefusedToConnectError(Exception):
    """What the page was told instead of being let in."""


class Page:
    """A page; `await page.next("state")` is what it heard next."""

    def __init__(self, url: str, tab: str, hello: Any) -> None:
        self.url, self.tab, self.hello = url, tab, hello
        self.order: list[str] = []
        self.gone = asyncio.Event()
        self._heard: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self._refusal: asyncio.Queue[Any] = asyncio.Queue()
        self.client = socketio.AsyncClient(reconnection=False)
        self.client.on("connect", lambda: self.order.append("connect"))
        self.client.on("disconnect", lambda reason: self.gone.set())
        self.client.on("connect_error", self._refusal.put_nowait)
        self.client.on("*", self._hear)

    async def connect(self) -> Page:
        try:
            await self.client.connect(self.url, auth=self.hello, transports=["websocket"], wait_timeout=PATIENCE)
        except socketio.exceptions.ConnectionError:
            raise RefusedToConnectError(self._refusal.get_nowait()) from None
        return self

    def _hear(self, event: str, data: dict[str, Any]) -> None:
        self.order.append(event)
        self._queue(event).put_nowait(data)

    def _queue(self, event: str) -> asyncio.Queue[dict[str, Any]]:
        return self._heard.setdefault(event, asyncio.Queue())

    async def next(self, event: str) -> dict[str, Any]:
        return await asyncio.wait_for(self._queue(event).get(), PATIENCE)

    async def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next state of which this is true."""
        while not wanted(state := await self.next("state")):
            pass
        return state

    def waiting(self, event: str) -> int:
        return self._queue(event).qsize()

    async def say(self, event: str, data: Any = None) -> dict[str, Any]:
        answer: dict[str, Any] = await self.client.call(event, data, timeout=PATIENCE)
        return answer

    async def vanish(self) -> None:
        """As a killed tab does: no goodbye, just a closed socket."""
        await self.client.eio.ws.close()
        await asyncio.wait_for(self.gone.wait(), PATIENCE)


class Desk:
    """The portal as far as it knows what was clicked."""

    def __init__(self) -> None:
        self.registered: set[str] = set()
        """Cards of calls that the bridge has registered itself."""
        self.claimed: dict[tuple[Operator, str], str] = {}
        self.notified: list[tuple[Operator, CallView]] = []

    async def is_click(self, operator: Operator, card: str, line: str) -> bool:
        return line in {"", "100"} and card not in self.registered

    def claim(self, operator: Operator, card: str, number: str) -> bool:
        first = (operator, card) not in self.claimed
        self.claimed.setdefault((operator, card), number)
        return first

    def notify(self, operator: Operator, view: CallView) -> None:
        self.notified.append((operator, view))


class Rig:
    server: TestServer

    def __init__(self, stack: AsyncExitStack, *, mixes: bool = True) -> None:
        self.seal = Seal([new_key()])
        self.now = 1_000_000.0
        self.users: dict[str, SessionTicket | Exception] = {"1": ANNA, "2": BORIS}
        """Whom the portal names for an AUTH_ID."""
        self.asked: list[PageTicket] = []
        self.loads: list[tuple[Operator, float]] = []
        self.closed: set[str] = set()
        """Portals that have removed the application."""
        self.removed: dict[int, str] = {}
        """Why users may not telephone any more."""
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.desk = Desk()
        self.roused: list[Operator] = []
        self.lamps: dict[int, ExtensionState] = {}
        """What the PBX says about colleagues' extensions."""
        self.channel = Channel(
            seal=self.seal,
            identify=self._identify,
            post=self.events.put_nowait,
            phone_width=lambda portal: 520,
            new_call_id=lambda: CallId(f"dialled-{next(self._numbers)}"),
            reachable=lambda operator: {8: "1008", 2: "1002"},
            lamps=lambda operator: self.lamps,
            clicked=self.desk,
            notify=self.desk.notify,
            rouse=self.roused.append,
            mixes=mixes,
            loaded=lambda operator, load: self.loads.append((operator, load.duration)),
            is_open=lambda portal: portal not in self.closed,
            why_not=lambda operator: self.removed.get(operator.user, ""),
            clock=lambda: self.now,
        )
        self.url = ""
        self._numbers = count(1)
        self._stack = stack

    async def _identify(self, ticket: PageTicket) -> SessionTicket:
        self.asked.append(ticket)
        answer = self.users[ticket.auth_id]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def hello(self, tab: str, user: SessionTicket = ANNA, **changes: Any) -> dict[str, Any]:
        return {
            "ticket": self.seal.seal(page_ticket(user), self.now),
            "session": "",
            "tab": tab,
            "browser": "browser-1",
            "page": "worker",
            "presence": {"visible": True, "capture": "yes", "card": True},
            **changes,
        }

    async def page(self, tab: str, user: SessionTicket = ANNA, **changes: Any) -> Page:
        return await self.page_with(tab, self.hello(tab, user, **changes))

    async def page_with(self, tab: str, hello: Any) -> Page:
        page = Page(self.url, tab, hello)
        self._stack.push_async_callback(page.client.disconnect)
        return await page.connect()

    def later(self, seconds: float) -> None:
        """Let time pass, and the room do what is due."""
        self.now += seconds
        self.channel.tick()

    def drop_connections(self) -> None:
        """The network between the room and every page breaks."""
        assert self.server.runner is not None
        assert self.server.runner.server is not None
        for connection in list(self.server.runner.server.connections):
            if connection.transport:
                connection.transport.abort()

    async def event(self) -> Event:
        return await asyncio.wait_for(self.events.get(), PATIENCE)


@asynccontextmanager
async def room(*, mixes: bool = True) -> AsyncIterator[Rig]:
    """`mixes`: the voice room makes conferences."""
    async with AsyncExitStack() as pages, AsyncExitStack() as stack:
        rig = Rig(pages, mixes=mixes)
        app = web.Application()
        rig.channel.attach(app)
        server = rig.server = TestServer(app)
        await server.start_server()
        stack.push_async_callback(server.close)
        await stack.enter_async_context(rig.channel.running())
        rig.url = str(server.make_url("/"))
        yield rig


__all__ = [
    "ANNA",
    "BORIS",
    "CALL",
    "Page",
    "RefusedToConnectError",
    "Rig",
    "TabId",
    "operator",
    "page_ticket",
    "ringing",
    "room",
    "show",
]
