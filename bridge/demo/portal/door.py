"""The portal's HTTP server: routes, start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from aiohttp import ClientSession, TCPConnector, web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from aiohttp.typedefs import Handler

from .control import control
from .desk import COOKIE, Desk
from .events import Events
from .install import install
from .memory import restore, save
from .oauth import OAuth
from .pages import STATIC, Visit
from .pull import SOCKET, listen
from .rest import Rest
from .sim import CallMe, Sim
from .world import World

log = structlog.get_logger()
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_SAVE_EVERY = 2.0


class Server:
    """Everything that listens, and the event queue's task."""

    def __init__(self, world: World, *, call_me: CallMe | None, state: Path | None) -> None:
        self.world = world
        self.events = Events(world)
        self.desk = Desk(world, self.events)
        self._rest = Rest(world, self.events)
        self._oauth = OAuth(world)
        self._call_me = call_me
        self._state = state
        self._http: ClientSession | None = None
        self._memory = ""
        self._orders: list[web.RouteDef] = []
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        if self._state:
            restore(self.world, self._state)
        async with ClientSession(connector=TCPConnector(resolver=_Loopback())) as http:
            self._http = http
            runner = web.AppRunner(self._application(http), access_log=None, shutdown_timeout=1)
            await runner.setup()
            try:
                self._runner = runner
                await self.plug_in()
                self.world.port = runner.addresses[0][1]
                log.info("portal_listens", url=self.world.url)
                async with asyncio.TaskGroup() as tasks:
                    mine = [tasks.create_task(self.events.deliver(http)), tasks.create_task(self._remember())]
                    try:
                        yield
                    finally:
                        for task in mine:
                            task.cancel()
            finally:
                await self.world.push.close()
                self.world.pull.close()
                await runner.cleanup()
                self._http = None
                if self._state:
                    save(self.world, self._state, self._memory)

    async def plug_in(self) -> None:
        """Listens (again)."""
        assert self._runner is not None, "running() comes first"
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.world.port)
        await self._site.start()

    async def unplug(self) -> None:
        """Breaks every connection and refuses new ones."""
        assert self._runner is not None, "running() comes first"
        assert self._site is not None, "it is unplugged already"
        await self._site.stop()
        for connection in self._runner.server.connections if self._runner.server else ():
            connection.force_close()
            if connection.transport is not None:
                connection.transport.abort()

    async def install(self, user: int | None = None) -> list[str]:
        if self._http is None:
            raise RuntimeError("the portal is not running")
        return await install(self.world, self.desk, self._http, user)

    async def _remember(self) -> None:
        """A killed portal loses seconds, not its installation."""
        while self._state:
            await asyncio.sleep(_SAVE_EVERY)
            self._memory = save(self.world, self._state, self._memory)

    def _application(self, http: ClientSession) -> web.Application:
        app = web.Application(middlewares=[self._hosts], client_max_size=32 * 1024 * 1024)
        self._orders = Sim(self.world, self.desk, http, self._call_me).routes()
        app.add_routes(self._orders)
        app.add_routes(
            [
                web.route("*", "/oauth/token/", self._oauth.token),
                web.route("*", "/rest/{method}", self._rest.answer),
                web.route("*", "/rest/{user}/{code}/{method}", self._rest.answer),
                web.post("/bitrix/components/bitrix/app.layout/lazyload.ajax.php", self.desk.lazyload),
                web.post("/bitrix/services/main/ajax.php", self.desk.action),
                web.post("/upload/record", self.world.recordings.upload),
                web.get("/bitrix/push/", self.desk.push),
                web.get(SOCKET, self._pull),
                web.get("/api/v1/", self._library),
                web.get("/static/{name}", self._static),
                web.get("/sign-in", self._sign_in),
                web.get("/{path:.*}", self._page),
            ]
        )
        return app

    @web.middleware
    async def _hosts(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Two hosts share the port: the OAuth server knows only what is its own."""
        path = request.path
        if request.host.split(":")[0] in self.world.former_hosts:
            raise web.HTTPFound(f"{self.world.url}{request.rel_url}")
        if self._oauth.is_asked(request):
            if path == "/rest/app.info":
                return await self._oauth.app_info(request)
            if path != "/oauth/token/":
                raise web.HTTPNotFound
        if path.startswith("/sim/") and _is_foreign(request):
            raise web.HTTPForbidden(text="only the portal's own pages and programs of this machine may order that")
        return await handler(request)

    async def _pull(self, request: web.Request) -> web.StreamResponse:
        return await listen(self.world.pull, request)

    async def _static(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        file = STATIC / name
        kind = _TYPES.get(Path(name).suffix)
        if "/" in name or kind is None or not file.is_file():
            raise web.HTTPNotFound
        headers = {"Cache-Control": "no-cache"}
        return web.Response(body=file.read_bytes(), content_type=kind, charset="utf-8", headers=headers)

    async def _library(self, _request: web.Request) -> web.Response:
        """What applications load from api.bitrix24.com."""
        await asyncio.sleep(self.world.faults.library_delay)
        headers = {"Cache-Control": "no-cache"}
        return web.Response(
            body=(STATIC / "bx24.js").read_bytes(), content_type="text/javascript", charset="utf-8", headers=headers
        )

    async def _sign_in(self, request: web.Request) -> web.Response:
        user = request.query.get("user", "")
        if not user.isdecimal() or self.world.user(int(user)) is None:
            raise web.HTTPNotFound(text="no such user")
        response = web.HTTPFound("/")
        response.set_cookie(COOKIE, user, httponly=True, samesite="Lax")
        raise response

    async def _page(self, request: web.Request) -> web.Response:
        user = self.desk.user(request)
        path = request.path
        visit = Visit(self.world, user, path=path, query=dict(request.query), can_call=self._call_me is not None)
        if user is None and path != "/":
            raise web.HTTPFound("/")
        if path == "/sim/":
            text: str | None = visit.simulator(control(self.world.faults, self._orders))
        else:
            text = _render(visit, path, request)
        if text is None:
            raise web.HTTPNotFound(text="there is no such page")
        return web.Response(text=text, content_type="text/html", headers={"Cache-Control": "no-store"})


def _is_foreign(request: web.Request) -> bool:
    """Sent by a page of another site."""
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc != request.host


def _render(visit: Visit, path: str, request: web.Request) -> str | None:
    simple = {
        "/": visit.home,
        "/crm/deal/": visit.deals,
        "/crm/contact/": visit.contacts,
        "/crm/calls/": visit.calls,
        "/company/": visit.company,
    }
    if path in simple:
        return simple[path]()
    if path in {"/marketplace/app/1/", "/slider/app/1/"}:
        return visit.app(request.query.get("params", "{}"))
    parts = path.strip("/").split("/")
    if len(parts) == 4 and parts[0] == "crm" and parts[2] == "details" and parts[3].isdecimal():
        return visit.details(parts[1], int(parts[3]))
    return None


class _Loopback(AbstractResolver):
    """`*.localhost` is this machine (RFC 6761 section 6.3), which the C library does not know."""

    def __init__(self) -> None:
        self._others = DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host != "localhost" and not host.endswith(".localhost"):
            return await self._others.resolve(host, port, family)
        address = ResolveResult(
            hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=socket.AI_NUMERICHOST
        )
        return [address]

    async def close(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may be closing
            await self._others.close()
