"""The door of the settings page: portal administrators see and change who has which account at the PBX. JSON in and out.

The page opens it with its page ticket; the portal is asked whether that is an administrator, and gives a settings ticket for
everything after, renewed with every answer. Passwords go in and never come out.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

import structlog
from aiohttp import web

from ..calls.events import Operator
from ..errors import NetworkError, RefusedError, TheirsError, TicketError
from ..store.accounts import Key
from ..tickets import PageTicket, Seal, SettingsTicket
from .people import People
from .sheet import entry_of, read
from .staff import Post, Staff

log = structlog.get_logger()

PATH = "/b24/settings"
LARGEST_BODY = 1024 * 1024
BODY_SECONDS = 15.0
MOST_SUGGESTED = 500
TOO_OLD = "This page was opened too long ago: reload it."

Registered = Callable[[], Mapping[Key, tuple[str, str]]]
"""For each account its state at the PBX, and what went wrong last."""


class AskedWronglyError(TheirsError):
    """A body that the page would not send."""


class SettingsDoor:
    def __init__(
        self,
        *,
        seal: Seal,
        administrator: Callable[[PageTicket], Awaitable[SettingsTicket]],
        staff: Staff,
        people: People,
        registered: Registered,
        online: Callable[[], frozenset[Operator]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._seal = seal
        self._administrator = administrator
        self._staff = staff
        self._people = people
        self._registered = registered
        self._online = online
        self._clock = clock
        self._wishes: dict[str, Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]] = {
            "list": self._list,
            "add": self._add,
            "import": self._import,
            "remove": self._remove,
        }

    def attach(self, app: web.Application) -> None:
        app.router.add_post(PATH, self._knocked)

    async def _knocked(self, request: web.Request) -> web.Response:
        try:
            message = await _message(request)
            if message.get("do") == "open":
                return _json(await self._open(_text(message, "ticket", 8192)))
            ticket = self._seal.open(SettingsTicket, _text(message, "ticket", 8192), self._clock())
            wish = self._wishes.get(str(message.get("do")))
            if wish is None:
                raise AskedWronglyError(f"do must be one of: open, {', '.join(self._wishes)}.")
            answer = await wish(ticket.portal, message)
            return _json({**answer, "ticket": self._seal.seal(ticket, self._clock())})
        except TicketError:
            return _json({"error": TOO_OLD}, 403)
        except RefusedError as error:
            return _json({"error": str(error)}, 403)
        except AskedWronglyError as error:
            return _json({"error": str(error)}, 400)
        except NetworkError:
            return _json({"error": "Bitrix24 can't be reached at the moment: try again."}, 503)

    async def _open(self, sealed: str) -> dict[str, Any]:
        page = self._seal.open(PageTicket, sealed, self._clock())
        ticket = await self._administrator(page)
        self._people.look_again(ticket.portal)
        return {"ticket": self._seal.seal(ticket, self._clock())}

    # ---- wishes

    async def _list(self, portal: str, message: dict[str, Any]) -> dict[str, Any]:
        registered, online = self._registered(), self._online()
        posts = [post for post in self._staff.posts if post.portal == portal]
        placed = {post.user for post in posts}
        people = sorted(self._people.of(portal).values(), key=lambda person: person.name.casefold())
        return {
            "accounts": [self._row(post, registered, online) for post in posts],
            "without": [asdict(person) for person in people if person.extension and person.id not in placed][
                :MOST_SUGGESTED
            ],
            "trunks": list(self._staff.trunks(portal)),
            "peopleKnown": bool(people),
        }

    def _row(
        self, post: Post, registered: Mapping[Key, tuple[str, str]], online: frozenset[Operator]
    ) -> dict[str, Any]:
        account = post.account
        unknown = ("" if self._staff.registers(account.trunk) else "shared", "")
        state, why = registered.get((account.trunk, account.sip_user), unknown)
        return {
            "user": post.user,
            "name": (self._people.name(post.portal, post.user) or f"User {post.user}") if post.user else "",
            "extension": account.extension,
            "trunk": account.trunk,
            "sipUser": account.sip_user,
            "fixed": post.is_fixed,
            "state": state,
            "why": why,
            "online": post.user is not None and Operator(post.portal, post.user) in online,
        }

    async def _add(self, portal: str, message: dict[str, Any]) -> dict[str, Any]:
        names = ("extension", "sip_user", "password", "trunk", "user_id")
        entry = entry_of(1, {name: _text(message, name, 200) for name in names})
        (verdict,) = await self._staff.take(portal, [entry], dry=False)
        return {"lines": [asdict(verdict)]}

    async def _import(self, portal: str, message: dict[str, Any]) -> dict[str, Any]:
        found = list(read(_text(message, "text", LARGEST_BODY)))
        verdicts = await self._staff.take(portal, found, dry=message.get("dry") is not False)
        return {"lines": [asdict(verdict) for verdict in verdicts]}

    async def _remove(self, portal: str, message: dict[str, Any]) -> dict[str, Any]:
        key = _text(message, "trunk", 200), _text(message, "sip_user", 200)
        if refusal := await self._staff.remove(portal, key):
            raise AskedWronglyError(refusal)
        return {}


async def _message(request: web.Request) -> dict[str, Any]:
    if (request.content_length or 0) > LARGEST_BODY:
        raise AskedWronglyError(f"The body is larger than {LARGEST_BODY // 1024} KiB.")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            message = json.loads(await request.read())
    except (ValueError, RecursionError, TimeoutError, web.HTTPRequestEntityTooLarge):
        message = None
    if not isinstance(message, dict):
        raise AskedWronglyError('The body must be JSON: {"ticket": "…", "do": "…"}.')
    return message


def _text(message: dict[str, Any], name: str, longest: int) -> str:
    value = message.get(name, "")
    if not isinstance(value, str) or len(value) > longest:
        raise AskedWronglyError(f"{name} must be a text of at most {longest} characters.")
    return value


def _json(body: dict[str, Any], status: int = 200) -> web.Response:
    return web.json_response(body, status=status, headers={"Cache-Control": "no-store"})
