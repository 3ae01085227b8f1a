"""What portals report: events of the application and its users, clicks, wishes to be called, a worker that was thrown out.

A portal does not repeat an event and calls a slow handler less often, so each is answered before anything is done.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable

import structlog
from aiohttp import web

from ..store.portals import EnrolledPortal, Portals
from .callback import Callbacks, Wish
from .caretaker import Caretaker
from .click import Click, Clicks
from .errands import Errand, Errands
from .form import nested, optional, parse, required
from .installation import Installation
from .reception import body_of, guarded

log = structlog.get_logger()


class Reports:
    """`clicks` hears of every click on a number in a portal, `callbacks` of every client who wants to be called,
    `colleague_came` of a portal with a new employee."""

    def __init__(
        self,
        *,
        portals: Portals,
        installation: Installation,
        caretaker: Caretaker,
        clicks: Clicks,
        callbacks: Callbacks,
        colleague_came: Callable[[str], None],
        errands: Errands,
    ) -> None:
        self._portals = portals
        self._installation = installation
        self._caretaker = caretaker
        self._clicks = clicks
        self._callbacks = callbacks
        self._colleague_came = colleague_came
        self._errands = errands

    def attach(self, app: web.Application) -> None:
        app.router.add_post("/b24/events", guarded(self._event))
        app.router.add_post("/b24/worker-error", guarded(self._worker_error))

    async def _event(self, request: web.Request) -> web.Response:
        form = parse(await body_of(request))
        event = required(form, "event", 64).upper()
        auth, data = nested(form, "auth"), nested(form, "data")
        token = required(auth, "application_token", 255)
        enrolled = self._portals.of_member(required(auth, "member_id", 64))
        if enrolled is None:
            log.warning("event_of_a_stranger", event_name=event[:40], remote=request.remote)
            return web.Response(status=403, text="This portal is not known here.")
        proven = _same(enrolled.application_token, token)
        if not proven and event not in {"ONAPPINSTALL", "ONAPPUPDATE"}:
            log.warning("event_with_wrong_token", portal=enrolled.id, event_name=event[:40], remote=request.remote)
            return web.Response(status=403, text="The application_token is wrong.")
        if event == "ONEXTERNALCALLSTART":
            self._clicks.happened(
                enrolled.id, Click.parse(data, optional(form, "ts", 20))
            )  # at once: somebody waits for it
            return web.Response(text="ok")
        if event == "ONUSERADD":
            self._colleague_came(enrolled.id)
            return web.Response(text="ok")
        if event == "ONEXTERNALCALLBACKSTART":
            wish, when = Wish.parse(data), optional(form, "ts", 20)
            self._errands.put(enrolled.id, lambda: self._callbacks.happened(enrolled.id, wish, when))
            return web.Response(text="ok")
        if errand := self._reaction(enrolled, event, data, auth, proven=proven):
            self._errands.put(enrolled.id, errand)
        return web.Response(text="ok")

    def _reaction(
        self, portal: EnrolledPortal, event: str, data: dict[str, str], auth: dict[str, str], *, proven: bool
    ) -> Errand | None:
        if event == "ONAPPUNINSTALL":
            clean = data.get("CLEAN") in {"1", "Y", "true"}
            return lambda: self._installation.uninstalled(portal.id, clean=clean)
        if event == "ONAPPPAYMENT":
            return lambda: self._caretaker.probe(portal.id)
        if event not in {"ONAPPINSTALL", "ONAPPUPDATE"}:
            return None

        async def updated() -> None:
            token, access = auth["application_token"], auth.get("access_token", "")
            if proven or await self._installation.adopt(portal.id, token, access):
                await self._installation.updated(portal.id)
            else:
                log.warning("event_with_wrong_token", portal=portal.id, event_name=event)

        return updated

    async def _worker_error(self, request: web.Request) -> web.Response:
        portal, key = request.query.get("t", ""), request.query.get("k", "")
        if not self._installation.worker_key_fits(portal, key):
            log.warning("worker_error_with_wrong_key", remote=request.remote)
            return web.Response(status=403, text="The key is wrong.")
        form = parse(await body_of(request))
        log.error("worker_error_reported", portal=portal, error=optional(form, "error", 100))
        self._caretaker.thrown_out(portal)
        return web.Response(text="ok")


def _same(stored: str, given: str) -> bool:
    return bool(stored) and hmac.compare_digest(stored.encode(), given.encode())
