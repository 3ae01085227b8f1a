"""A way to pages whose socket to the bridge does not come about: Bitrix24's push server tells them that a call waits.

Such a page asks at the door where to listen, and asks again as long as it sleeps. It listens on the application's shared channel,
for which the bridge's own token is enough; what is sent there names nobody but the user who is to wake up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

import structlog
from aiohttp import web

from ..calls.events import Operator
from ..errors import BridgeError, TicketError
from ..tickets import Seal, SessionTicket
from .bucket import Lane
from .rest import Rest

log = structlog.get_logger()

COMMAND = "bridge.wake"
LARGEST_BODY = 16 * 1024
CONFIG_SECONDS = 3_600.0
"""A channel lives for twelve hours; where it is does not change often."""
REFUSED_SECONDS = 60.0
"""A portal that did not say where to listen is not asked again for so long."""
DOZE_SECONDS = 180.0
"""How long a page that asked is believed to listen; it asks again after a part of that."""
LONGEST_QUEUE = 1_000


class Wake:
    """`dozes(operator, until)` hears of every operator who has a page that sleeps."""

    def __init__(
        self,
        *,
        seal: Seal,
        rest: Rest,
        dozes: Callable[[Operator, float], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._seal = seal
        self._rest = rest
        self._dozes = dozes
        self._clock = clock
        self._places: dict[str, tuple[str, float]] = {}
        """Portal to the address of its push server, "" for none, and until when that is believed."""
        self._asking: dict[str, asyncio.Lock] = {}
        self._queue: asyncio.Queue[Operator] = asyncio.Queue(LONGEST_QUEUE)

    def attach(self, app: web.Application) -> None:
        app.router.add_post("/b24/wake", self._door)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            caller = group.create_task(self._call())
            try:
                yield
            finally:
                caller.cancel()

    def rouse(self, operator: Operator) -> None:
        """A call waits for this operator, whose pages sleep."""
        try:
            self._queue.put_nowait(operator)
        except asyncio.QueueFull:
            log.warning("wake_dropped", operator=str(operator))

    async def _door(self, request: web.Request) -> web.Response:
        """For the holder of a session: where to listen and what for; 404 where the portal's push server is not to be had."""
        if (request.content_length or 0) > LARGEST_BODY:
            raise web.HTTPRequestEntityTooLarge(max_size=LARGEST_BODY, actual_size=request.content_length or 0)
        try:
            session = self._seal.open(SessionTicket, (await request.text()), self._clock())
        except (TicketError, ValueError):
            return web.json_response({"error": "This page has no session."}, status=403)
        place = await self._place(session.portal)
        if not place:
            return web.json_response({"error": "This portal's push server is not available."}, status=404)
        self._dozes(Operator(session.portal, session.user), self._clock() + DOZE_SECONDS)
        return web.json_response({"socket": place, "command": COMMAND, "user": session.user, "again": DOZE_SECONDS / 2})

    async def _place(self, portal: str) -> str:
        async with self._asking.setdefault(portal, asyncio.Lock()):
            place, until = self._places.get(portal, ("", 0.0))
            if until > self._clock():
                return place
            try:
                place = socket_of(await self._rest.call(portal, "pull.application.config.get", {}))
                until = self._clock() + CONFIG_SECONDS
            except BridgeError as error:
                log.warning("push_server_unknown", portal=portal, why=str(error))
                place, until = "", self._clock() + REFUSED_SECONDS
            self._places[portal] = place, until
            return place

    async def _call(self) -> None:
        while True:
            operator = await self._queue.get()
            event = {"COMMAND": COMMAND, "MODULE_ID": "application", "PARAMS": {"user": operator.user}}
            try:
                await self._rest.call(operator.portal, "pull.application.event.add", event, Lane.REGISTER)
            except BridgeError as error:
                log.warning("wake_failed", operator=str(operator), why=str(error))


def socket_of(config: Any) -> str:
    """The WebSocket of the application's shared channel, "" if the configuration names none."""
    server = config.get("server") if isinstance(config, dict) else None
    channels = config.get("channels") if isinstance(config, dict) else None
    if not isinstance(server, dict) or not isinstance(channels, dict) or not server.get("websocket_enabled"):
        return ""
    shared = channels.get("shared")
    address = str(server.get("websocket_secure") or server.get("websocket") or "")
    if not isinstance(shared, dict) or not shared.get("id") or urlsplit(address).scheme not in {"ws", "wss"}:
        return ""
    query = {"CHANNEL_ID": str(shared["id"]), "format": "json"}
    if config.get("clientId"):
        query["clientId"] = str(config["clientId"])
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"
