"""`/sim/…`: what no real portal has – its records laid open, and faults to order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

import structlog
from aiohttp import ClientError, ClientSession, web

from .desk import Desk
from .install import InstallError, install
from .world import User, World

log = structlog.get_logger()
CallMe = Callable[[int], Awaitable[None]]


class Sim:
    """For tests in another process, and for the "Call me" button."""

    def __init__(self, world: World, desk: Desk, http: ClientSession, call_me: CallMe | None) -> None:
        self._world = world
        self._desk = desk
        self._http = http
        self._call_me = call_me

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/sim/calls", self._calls),
            web.get("/sim/requests", self._requests),
            web.get("/sim/status", self._status),
            web.get("/sim/faults", self._get_faults),
            web.post("/sim/faults", self._faults),
            web.post("/sim/reset", self._reset),
            web.post("/sim/install", self._install),
            web.post("/sim/uninstall", self._uninstall),
            web.post("/sim/update", self._update),
            web.post("/sim/rename", self._rename),
            web.post("/sim/hire", self._hire),
            web.post("/sim/dismiss", self._dismiss),
            web.post("/sim/slow-load", self._slow_load),
            web.post("/sim/expire-tokens", self._expire),
            web.post("/sim/call-me", self._call),
        ]

    async def _calls(self, _request: web.Request) -> web.Response:
        """The CRM's calls, oldest first."""
        return web.json_response([self._world.summary(call) for call in self._world.ledger.calls])

    async def _requests(self, _request: web.Request) -> web.Response:
        """The REST requests of the application, oldest first, without tokens."""
        return web.json_response([asdict(entry) for entry in self._world.requests])

    async def _status(self, _request: web.Request) -> web.Response:
        """What is installed and bound, who has which pages open, what was notified."""
        world = self._world
        status = {
            "installed": world.installed,
            "member_id": world.member_id,
            "placements": [asdict(row) for row in world.placements.all],
            "handlers": [asdict(row) for row in world.handlers.all],
            "lines": [asdict(line) for line in world.lines.all],
            "users": [{**asdict(user), "tabs": world.push.tabs(user.id)} for user in world.users],
            "notifications": list(world.notifications),
        }
        return web.json_response(status)

    async def _get_faults(self, _request: web.Request) -> web.Response:
        """Every fault and mode as it is set."""
        return web.json_response(asdict(self._world.faults))

    async def _faults(self, request: web.Request) -> web.Response:
        """Sets the faults and modes that a JSON object names; an empty object clears them all."""
        values = await _json(request)
        if not values:
            self._world.faults.clear()
        try:
            self._world.faults.update(values)
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        return web.json_response(asdict(self._world.faults))

    async def _reset(self, _request: web.Request) -> web.Response:
        """No faults, no calls, an empty log; the application stays installed."""
        self._world.faults.clear()
        self._world.ledger.clear()
        self._world.requests.clear()
        self._world.notifications.clear()
        self._world.ledger_changed()
        return web.json_response({})

    async def _install(self, request: web.Request) -> web.Response:
        """Installs the application as an administrator's browser would; `?user=` repeats it as this one."""
        user = _number(request, "user") if "user" in request.query else None
        try:
            return web.json_response(await install(self._world, self._desk, self._http, user))
        except InstallError as error:
            raise web.HTTPBadGateway(text=str(error)) from None

    async def _uninstall(self, request: web.Request) -> web.Response:
        """Removes the application; with `?clean=1` its data as well."""
        self._desk.uninstall(clean=request.query.get("clean") == "1")
        return web.json_response({})

    async def _update(self, _request: web.Request) -> web.Response:
        """A new version of the application: another application_token, no event handlers any more."""
        self._desk.update()
        return web.json_response({})

    async def _rename(self, request: web.Request) -> web.Response:
        """The portal is called `?host=new.localhost` from now on; its old name redirects."""
        host = request.query.get("host", "")
        if not host.endswith(".localhost"):
            raise web.HTTPBadRequest(text="host must end in .localhost, so that browsers find it here")
        self._world.rename(host)
        return web.json_response({"url": self._world.url})

    async def _hire(self, request: web.Request) -> web.Response:
        """A new colleague: `?user=…&name=…&extension=…`."""
        name, extension = request.query.get("name", "New Colleague"), request.query.get("extension", "")
        self._desk.hire(User(id=_number(request, "user"), name=name[:100], extension=extension[:32]))
        return web.json_response({})

    async def _dismiss(self, request: web.Request) -> web.Response:
        """`?user=…` has left the company, and the tokens with the person."""
        self._world.dismiss(_number(request, "user"))
        return web.json_response({})

    async def _slow_load(self, request: web.Request) -> web.Response:
        """`?user=…&times=…`: pages of this user found their workers too slow."""
        for _ in range(_number(request, "times", "1")):
            self._desk.slow_load(_number(request, "user"))
        return web.json_response({})

    async def _expire(self, _request: web.Request) -> web.Response:
        """Every access token is expired, refresh tokens still work."""
        self._world.tokens.expire_all()
        return web.json_response({})

    async def _call(self, request: web.Request) -> web.Response:
        """Places a test call to the employee who is signed in, or to `?user=`."""
        user = self._desk.signed_in(request)
        if self._call_me is None:
            raise web.HTTPNotFound(text="nobody here can place a test call")
        try:
            await self._call_me(user.id)
        except (OSError, RuntimeError, ValueError, LookupError, TimeoutError, ClientError) as error:
            log.warning("call_me_failed", user=user.id, error=repr(error))
            raise web.HTTPBadGateway(text=f"The test call could not be placed: {error}") from None
        return web.json_response({})


def _number(request: web.Request, name: str, default: str = "") -> int:
    value = request.query.get(name, default)
    if not value.isascii() or not value.isdecimal() or len(value) > 6:
        raise web.HTTPBadRequest(text=f"{name} must be a number")
    return int(value)


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        values = await request.json()
    except ValueError:
        raise web.HTTPBadRequest(text="the body must be JSON") from None
    if not isinstance(values, dict):
        raise web.HTTPBadRequest(text="the body must be a JSON object")
    return values
