"""The event queue: form posts to bound handlers, in order, never repeated."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout

from .forms import flatten
from .placements import Handler
from .world import SCOPES, World

log = structlog.get_logger()
_QUEUE = 1_000
_KEPT = 1_000
_PATIENCE = ClientTimeout(total=30)
_WITH_REFRESH = {"ONAPPINSTALL", "ONAPPUPDATE", "ONOFFLINEEVENT"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Delivery:
    url: str
    fields: dict[str, Any]


class Events:
    """Delivers what happens to the application, once it is installed."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._queue: asyncio.Queue[_Delivery] = asyncio.Queue(_QUEUE)
        self.delivered: deque[str] = deque(maxlen=_KEPT)
        """Names of the events that their handlers took, oldest first."""

    def happen(self, event: str, data: Mapping[str, Any], *, user: int) -> None:
        """Queues an event for its handlers. Nothing is delivered before the installation is finished."""
        if not self._world.installed or self._world.faults.events_lost:
            return
        for handler in self._world.handlers.of(event):
            delivery = _Delivery(url=handler.url, fields=self._fields(event, data, handler, user))
            for _ in range(2 if self._world.faults.events_twice else 1):
                self._put(delivery)

    def placement_deleted(self, error_url: str) -> None:
        """Tells an application that its widget was too slow; without tokens, as Bitrix24 does."""
        text = "The handler was removed: it took longer than 5 seconds more than 10 times"
        fields = {"error": "ERROR_PLACEMENT_LOADING_OVERTIME", "error_description": text}
        self._put(_Delivery(url=error_url, fields=fields))

    async def deliver(self, http: ClientSession) -> None:
        """Runs until cancelled."""
        while True:
            waiting = [await self._queue.get()]
            await asyncio.sleep(self._world.faults.event_delay)
            if self._world.faults.events_reversed:
                while not self._queue.empty():
                    waiting.insert(0, self._queue.get_nowait())
            for delivery in waiting:
                await self._hand_over(http, delivery)

    async def _hand_over(self, http: ClientSession, delivery: _Delivery) -> None:
        name = str(delivery.fields.get("event", ""))
        try:
            async with http.post(delivery.url, data=flatten(delivery.fields), timeout=_PATIENCE) as response:
                log.info("event_delivered", event_name=name, status=response.status)
                self.delivered.append(name)
        except (ClientError, TimeoutError, ValueError) as error:
            log.warning("event_lost", event_name=name, error=repr(error))

    def _put(self, delivery: _Delivery) -> None:
        if self._queue.full():
            log.warning("event_queue_full")
            return
        self._queue.put_nowait(delivery)

    def _fields(self, event: str, data: Mapping[str, Any], handler: Handler, user: int) -> dict[str, Any]:
        auth = {"member_id": self._world.member_id, "application_token": self._world.application_token}
        if self._world.faults.events_forged:
            auth["application_token"] = "0" * 32
        if event != "ONAPPUNINSTALL" and not self._world.faults.events_without_tokens:
            auth |= self._auth(handler.user or user, with_refresh=event in _WITH_REFRESH)
        return {
            "event": event,
            "event_handler_id": handler.id,
            "data": dict(data),
            "ts": int(time.time()),
            "auth": {"domain": self._world.domain, **auth},
        }

    def _auth(self, user: int, *, with_refresh: bool) -> dict[str, str]:
        grant = self._world.issue(user)
        auth = {
            "access_token": grant.access,
            "expires_in": str(grant.seconds_left(time.time())),
            "scope": ",".join(SCOPES),
            "server_endpoint": self._world.server_endpoint,
            "status": "L",
            "client_endpoint": self._world.client_endpoint,
            "user_id": str(user),
        }
        return {**auth, "refresh_token": grant.refresh} if with_refresh else auth
