"""Who is calling: asked of the CRM beside the ringing, once per number and a while (telephony.externalCall.searchCrmEntities).

Look-ups are the least important of all requests: they wait behind everything else, are given up when they take long, and a
portal with many waiting is not asked at all. Whatever happens, the call learns that there is nothing to wait for.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

import structlog

from ..calls.commands import LookUpCaller
from ..calls.events import CallerFound, Client, ClientKind, Event, Operator
from ..errors import BridgeError
from .bucket import Lane
from .rest import Rest

log = structlog.get_logger()

METHOD = "telephony.externalCall.searchCrmEntities"
KNOWN_SECONDS = 120.0
"""Short, because the working day of the responsible comes with it."""
UNKNOWN_SECONDS = 30.0
"""Shorter: whoever has just called is often entered into the CRM before they call again."""
MOST_KNOWN = 2_000
"""Of each portal."""
MOST_ASKING = 20
PATIENCE = 10.0
KINDS = {kind.value: kind for kind in ClientKind}
OFF_WORK = {"CLOSED", "PAUSED", "EXPIRED", "UNAVAILABLE"}
"""TIMEMAN_STATUS; OPENED, NOT_INSTALLED and what is not known let a call through."""

Name = Callable[[str, int], str]
"""Takes a portal and a user id, gives the name, "" if it is not known."""


class Callers:
    """The room that `LookUpCaller` goes to. `post` takes its events."""

    def __init__(
        self, *, rest: Rest, name: Name, post: Callable[[Event], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rest = rest
        self._name = name
        self._post = post
        self._clock = clock
        self._known: dict[str, OrderedDict[str, tuple[float, Client | None]]] = {}
        self._asking: Counter[str] = Counter()
        self._crowded: set[str] = set()
        """Portals of which it was said that too many look-ups wait: once, not for every call meanwhile."""

    async def perform(self, command: LookUpCaller) -> None:
        client = await self._client(command.portal, command.number)
        self._post(CallerFound(call=command.call, client=client))

    async def responsible(self, portal: str, number: str) -> Operator | None:
        """Who looks after the client with this number, None if that can't be told."""
        client = await self._client(portal, number)
        return client.responsible if client else None

    async def _client(self, portal: str, number: str) -> Client | None:
        known = self._known.setdefault(portal, OrderedDict())
        until, client = known.get(number, (0.0, None))
        if self._clock() < until:
            return client
        if self._asking[portal] >= MOST_ASKING:
            if portal not in self._crowded:
                self._crowded.add(portal)
                log.warning("callers_not_looked_up", portal=portal, why="too many look-ups wait")
            return None
        self._crowded.discard(portal)
        self._asking[portal] += 1
        try:
            async with asyncio.timeout(PATIENCE):
                found = await self._rest.call(portal, METHOD, {"PHONE_NUMBER": number}, Lane.OTHER)
        except (BridgeError, TimeoutError) as error:
            log.info("caller_not_looked_up", portal=portal, why=str(error) or "no answer in time")
            return None
        finally:
            self._asking[portal] -= 1
        client = client_of(portal, found, self._name)
        known[number] = self._clock() + (KNOWN_SECONDS if client else UNKNOWN_SECONDS), client
        known.move_to_end(number)
        while len(known) > MOST_KNOWN or next(iter(known.values()))[0] <= self._clock():
            known.popitem(last=False)
        return client


def client_of(portal: str, found: Any, name: Name) -> Client | None:
    """The first of Bitrix24's own order: contact, lead, company. None when there is none that makes sense."""
    for row in found if isinstance(found, list) else []:
        if not isinstance(row, dict):
            continue
        kind, number = str(row.get("CRM_ENTITY_TYPE")), _id(row.get("CRM_ENTITY_ID"))
        if kind in KINDS and number:
            person = row.get("ASSIGNED_BY")
            person = person if isinstance(person, dict) else {}
            user = _id(row.get("ASSIGNED_BY_ID")) or _id(person.get("ID"))
            return Client(
                kind=KINDS[kind],
                id=number,
                name=str(row.get("NAME") or "").strip()[:200],
                responsible=Operator(portal, user) if user else None,
                responsible_name=(name(portal, user) or f"User {user}") if user else "",
                at_work=str(person.get("TIMEMAN_STATUS") or "").upper() not in OFF_WORK,
            )
    return None


def _id(value: Any) -> int:
    """Ids come as numbers or as strings; 0 for what is none."""
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
