"""The employees of the portals: names and inner telephone numbers (user.get, UF_PHONE_INNER), read now and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from ..errors import BridgeError
from .bucket import Lane
from .identity import user_of
from .rest import Rest

log = structlog.get_logger()

SYNC_SECONDS = 900.0
RETRY_SECONDS = 60.0
PAGE = 50
MOST_PEOPLE = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    id: int
    name: str
    extension: str
    """UF_PHONE_INNER, "" if there is none."""


class People:
    """Answers from memory. `changed` is told which portal's people are not what they were."""

    def __init__(self, *, rest: Rest, portals: Iterable[str], changed: Callable[[str], Awaitable[None]]) -> None:
        self._rest = rest
        self._changed = changed
        self._known: dict[str, dict[int, Person]] = {}
        self._left: dict[str, frozenset[int]] = {}
        self._wanted = {portal: asyncio.Event() for portal in portals}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Reads every portal's people at the start and then regularly."""
        async with asyncio.TaskGroup() as group:
            keepers = [group.create_task(self._keep(portal, wanted)) for portal, wanted in self._wanted.items()]
            try:
                yield
            finally:
                for keeper in keepers:
                    keeper.cancel()

    def of(self, portal: str) -> Mapping[int, Person]:
        """By user id; empty until they were read for the first time."""
        return self._known.get(portal, {})

    def name(self, portal: str, user: int) -> str:
        person = self.of(portal).get(user)
        return person.name if person else ""

    def has_left(self, portal: str, user: int) -> bool:
        """Was an active employee when the people were read earlier, and is none now."""
        return user in self._left.get(portal, ())

    def look_again(self, portal: str) -> None:
        """Something has changed there: an installation, a new employee."""
        if wanted := self._wanted.get(portal):
            wanted.set()

    async def read(self, portal: str) -> None:
        """BridgeError if the portal can't be asked."""
        found: dict[int, Person] = {}
        for start in range(0, MOST_PEOPLE, PAGE):
            params = {"FILTER": {"ACTIVE": True, "USER_TYPE": "employee"}, "sort": "ID", "order": "ASC", "start": start}
            page = await self._rest.call(portal, "user.get", params, Lane.OTHER)
            rows = page if isinstance(page, list) else []
            found |= {person.id: person for row in rows if (person := _person(row))}
            if len(rows) < PAGE:
                break
        if not found:  # whoever answered is one of them: this is a refusal, and nobody must lose an account by it
            log.warning("people_not_read", portal=portal, why="the portal names no employees")
        elif found != (before := self._known.get(portal)):
            self._known[portal] = found
            self._left[portal] = (self._left.get(portal, frozenset()) | frozenset(before or ())) - frozenset(found)
            log.info("people_read", portal=portal, people=len(found))
            await self._changed(portal)

    async def _keep(self, portal: str, wanted: asyncio.Event) -> None:
        while True:
            wanted.clear()
            pause = SYNC_SECONDS
            try:
                await self.read(portal)
            except BridgeError as error:
                log.info("people_not_read", portal=portal, why=str(error))
                pause = RETRY_SECONDS
            except Exception:
                log.exception("people_not_read", portal=portal)
            try:
                async with asyncio.timeout(pause):
                    await wanted.wait()
            except TimeoutError:
                continue


def _person(row: Any) -> Person | None:
    user, name = user_of(row)
    if user is None:
        return None
    return Person(id=user, name=name or f"User {user}", extension=str(row.get("UF_PHONE_INNER") or "").strip()[:32])
