"""Bitrix24's push server as applications use it: channels of users, events added by REST, a WebSocket that hears them."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from .channels import SHARED, Channels
from .methods import Caller, Method, RestError

COMMAND = re.compile(r"^[\w:|.-]{1,100}$")
MODULE = re.compile(r"^[a-z0-9._]{1,100}$")
SOCKET = "/sub/"


def event_add(call: Caller) -> bool:
    """pull.application.event.add: to these users, or without any to everybody who listens to the application."""
    command, module = call.text("COMMAND"), call.text("MODULE_ID", "application")
    params = call.params.get("PARAMS", {})
    users = _users(call.params.get("USER_ID"))
    if not COMMAND.match(command):
        raise RestError("COMMAND_ERROR", "Command format error")
    if not MODULE.match(module):
        raise RestError("MODULE_ID_ERROR", "Module ID format error")
    if not isinstance(params, dict | list):
        raise RestError("PARAMS_ERROR", "Params format error")
    if not call.user.admin and users - {call.user.id}:
        raise RestError("USER_ID_ACCESS_ERROR", "You don't have access to send events to other users")
    call.world.pull.send(users, {"module_id": module, "command": command, "params": params}, time.time())
    return True


def config_get(call: Caller) -> dict[str, Any]:
    """pull.application.config.get: where the user's pages listen, and to what."""
    now = time.time()
    host = call.world.domain
    private = call.world.pull.open(call.user.id, now, renew=call.text("REOPEN") == "Y")
    shared = call.world.pull.open(SHARED, now)
    socket = f"ws://{host}{SOCKET}"
    server = {
        "version": 4,
        "server_enabled": True,
        "mode": "personal",
        "hostname": host,
        "long_polling": f"http://{host}{SOCKET}",
        "long_pooling_secure": f"https://{host}{SOCKET}",
        "websocket_enabled": True,
        "websocket": socket,
        # A simulated portal has no certificate: what a client takes for the secure address works all the same.
        "websocket_secure": socket,
        "publish_enabled": False,
        "publish": "",
        "publish_secure": "",
        "config_timestamp": 0,
    }
    return {
        "server": server,
        "api": {"revision_web": 19, "revision_mobile": 3},
        "channels": {"shared": shared.public(), "private": private.public()},
        "exp": int(private.end),
        "publicChannels": {},
        "clientId": call.world.member_id,
    }


PULL: dict[str, Method] = {
    "pull.application.event.add": event_add,
    "pull.application.config.get": config_get,
}


async def listen(channels: Channels, request: web.Request) -> web.StreamResponse:
    """A client's WebSocket: `CHANNEL_ID=a/b`; unknown and expired channels are refused."""
    names = [name for name in request.query.get("CHANNEL_ID", "").split("/") if name]
    users = channels.users_of(names, time.time())
    if not users:
        raise web.HTTPForbidden(text="no such channel")
    socket = web.WebSocketResponse(heartbeat=30)
    await socket.prepare(request)
    with channels.listening(users) as waiting:
        async with asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(_write(socket, waiting))
            async for _ in socket:
                pass
            writer.cancel()
    return socket


async def _write(socket: web.WebSocketResponse, waiting: asyncio.Queue[dict[str, Any] | None]) -> None:
    while (message := await waiting.get()) is not None:
        try:
            await socket.send_str(json.dumps(message))
        except ConnectionError:
            return
    await socket.close()


def _users(value: Any) -> set[int]:
    given: Iterable[Any] = value if isinstance(value, list) else [] if value is None else [value]
    return {int(item) for item in given if str(item).isdigit()}
