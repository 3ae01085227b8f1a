"""The door of the page that shows how calls sounded, for portal administrators with a settings ticket."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from aiohttp import web

from ..errors import TicketError
from ..store.hearings import Hearings
from ..tickets import Seal, SettingsTicket
from .form import FormError, optional, parse, required
from .hearing_page import PATH, call_page, day_page
from .pages import plain_page
from .people import People
from .reception import body_of, guarded

TOO_OLD = "This page was opened too long ago: open it again from the telephone's settings."


class HearingDoor:
    def __init__(
        self, *, seal: Seal, hearings: Hearings, people: People, clock: Callable[[], float] = time.time
    ) -> None:
        self._seal, self._hearings, self._people, self._clock = seal, hearings, people, clock

    def attach(self, app: web.Application) -> None:
        app.router.add_post(PATH, guarded(self._knocked))

    async def _knocked(self, request: web.Request) -> web.Response:
        form = parse(await body_of(request))
        now = self._clock()
        try:
            ticket = self._seal.open(SettingsTicket, required(form, "ticket", 8192), now)
        except TicketError:
            return _html(plain_page("This page is too old", TOO_OLD), 403)
        day = _day(optional(form, "day", 10), now)
        since = datetime(day.year, day.month, day.day, tzinfo=UTC)
        until = since + timedelta(days=1)
        found = await self._hearings.between(ticket.portal, since.timestamp(), until.timestamp())
        wanted = optional(form, "call", 64)
        chosen = next((hearing for hearing in found if hearing.call == wanted), None)
        renewed = self._seal.seal(ticket, now)

        def name(user: int) -> str:
            return self._people.name(ticket.portal, user) or f"User {user}"

        if chosen is not None:
            return _html(call_page(day, chosen, name, renewed))
        return _html(day_page(day, found, name, renewed))


def _day(text: str, now: float) -> date:
    today = datetime.fromtimestamp(now, UTC).date()
    try:
        day = date.fromisoformat(text) if text else today
    except ValueError:
        day = date.min
    if not 2000 <= day.year <= 2100:
        raise FormError("day must be a date such as 2026-01-31.")
    return day


def _html(text: str, status: int = 200) -> web.Response:
    headers = {
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
    }
    return web.Response(status=status, text=text, content_type="text/html", charset="utf-8", headers=headers)
