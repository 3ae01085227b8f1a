"""The HTTP doors that Bitrix24's frames knock at. All of them answer from memory.

The worker's door is the one that must never be slow: ten loads above five seconds a day and the portal throws it out.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import structlog
from aiohttp import web
from yarl import URL

from ..config import Portal, Settings
from ..errors import BridgeError, TicketError
from ..store.portals import Portals
from ..tickets import InstallTicket, PageTicket, Seal
from .caretaker import Caretaker
from .errands import Errands
from .form import FormError, domain_of, optional, parse, placement_uri, required
from .installation import Choice, Installation, explanation
from .pages import Pages, Template, plain_page
from .reception import body_of, guarded
from .standing import Check

log = structlog.get_logger()

IMMUTABLE = "public, max-age=31536000, immutable"


class Doors:
    """Attach to the application before it starts. `pages` is the directory that the widget's build left."""

    def __init__(
        self,
        *,
        settings: Settings,
        seal: Seal,
        pages: Path,
        portals: Portals,
        installation: Installation,
        caretaker: Caretaker,
        errands: Errands,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._seal = seal
        self._pages = Pages(pages)
        self._portals = portals
        self._installation = installation
        self._caretaker = caretaker
        self._errands = errands
        self._clock = clock
        self._configured = {portal.id: portal for portal in settings.portal}
        self._hosts = {domain_of(URL(portal.url).authority): portal for portal in settings.portal}

    def attach(self, app: web.Application) -> None:
        app.router.add_post("/b24/worker", guarded(self._worker))
        app.router.add_post("/b24/app", guarded(self._app))
        app.router.add_post("/b24/install", guarded(self._install))
        app.router.add_post("/b24/admin", guarded(self._admin))
        for path in ("/b24/worker", "/b24/app", "/b24/install", "/b24/admin"):
            app.router.add_get(path, _outside)
        app.router.add_get("/static/{path:.+}", self._static)

    # ---- pages

    async def _worker(self, request: web.Request) -> web.Response:
        form = parse(await body_of(request))
        portal = self._portal(request, form)
        if portal is None:
            return _stranger(request)
        return self._page(portal, request, self._pages.worker, self._page_ticket(request, form))

    async def _app(self, request: web.Request) -> web.Response:
        form = parse(await body_of(request))
        portal = self._portal(request, form)
        if portal is None:
            return _stranger(request)
        enrolled = self._portals.get(portal.id)
        if enrolled is not None and enrolled.installed:
            tickets = self._page_ticket(request, form), self._install_ticket(request, form)
            return self._page(portal, request, self._pages.phone, *tickets)
        return self._page(portal, request, self._pages.install, self._install_ticket(request, form))

    async def _admin(self, request: web.Request) -> web.Response:
        """The phone page's link for administrators: a form with the install ticket that it was given."""
        sealed = required(parse(await body_of(request)), "ticket", 8192)
        try:
            ticket = self._seal.open(InstallTicket, sealed, self._clock())
        except TicketError:
            return _plain("This page is too old", "Close it and open the application again in Bitrix24.", 403)
        portal = self._portal_of(ticket.domain, ticket.member_id)
        if portal is None:
            return _stranger(request)
        return self._page(portal, request, self._pages.install, sealed, domain=ticket.domain)

    async def _install(self, request: web.Request) -> web.StreamResponse:
        """A form is Bitrix24 opening the initial installation path, JSON is the install page at work."""
        text = await body_of(request)
        if request.content_type == "application/json":
            return await self._at_work(request, text)
        form = parse(text)
        portal = self._portal(request, form)
        if portal is None:
            return _stranger(request)
        return self._page(portal, request, self._pages.install, self._install_ticket(request, form))

    async def _at_work(self, request: web.Request, text: bytes) -> web.StreamResponse:
        """`{"ticket", "do": "look"}` is answered with how things stand; without it the installation runs."""
        try:
            message = json.loads(text)
            ticket = self._seal.open(InstallTicket, str(message["ticket"]), self._clock())
            choice = _choice(message.get("choice"))
        except FormError as error:
            return web.json_response({"error": str(error)}, status=400)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return web.json_response({"error": 'The body must be JSON: {"ticket": "…"}.'}, status=400)
        except TicketError as error:
            return web.json_response({"error": f"{error}. Open the application again in Bitrix24."}, status=403)
        if message.get("do") != "look":
            return await self._run_installation(request, ticket, choice)
        try:
            return web.json_response(asdict(await self._installation.look(ticket)))
        except BridgeError as error:
            return web.json_response({"error": explanation(error)}, status=403)

    async def _run_installation(
        self, request: web.Request, ticket: InstallTicket, choice: Choice | None
    ) -> web.StreamResponse:
        """A line of JSON for each step when it is done, and one for the whole at the end."""
        response = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        response.content_type = "application/x-ndjson"
        await response.prepare(request)

        async def tell(step: Check) -> None:
            with suppress(ConnectionError):  # whoever closed the page does not end the installation
                await response.write(json.dumps({"step": asdict(step)}).encode() + b"\n")

        report = await self._installation.run(ticket, choice, tell)
        with suppress(ConnectionError):
            await response.write(json.dumps(asdict(report)).encode() + b"\n")
        return response

    def _portal(self, request: web.Request, form: dict[str, str]) -> Portal | None:
        """The configured portal that DOMAIN and member_id belong to; FormError when they are not there at all."""
        member = required(form, "member_id", 64)
        domain = domain_of(required(dict(request.query), "DOMAIN", 255))
        return self._portal_of(domain, member)

    def _portal_of(self, domain: str, member: str) -> Portal | None:
        enrolled = self._portals.of_member(member)
        if enrolled is not None and domain in {enrolled.domain, domain_of(enrolled.id)}:
            return self._configured.get(enrolled.id)
        if enrolled is not None and enrolled.id in self._configured:
            # Renamed, or a forgery: the old address tells, and the next page is right.
            self._errands.put(enrolled.id, lambda: self._caretaker.moved(enrolled.id))
            return None
        portal = self._hosts.get(domain)
        known = self._portals.get(portal.id) if portal else None
        # A portal that is installed has one member_id; another one under its name is a forgery, unless it was set up anew.
        return None if known is not None and known.installed else portal

    def _page_ticket(self, request: web.Request, form: dict[str, str]) -> str:
        ticket = PageTicket(
            auth_id=required(form, "AUTH_ID", 512),
            member_id=form["member_id"],
            domain=domain_of(request.query["DOMAIN"]),
            app_sid=optional(dict(request.query), "APP_SID", 64),
            uri=placement_uri(form.get("PLACEMENT_OPTIONS", "")),
            placement=optional(form, "PLACEMENT", 64),
        )
        return self._seal.seal(ticket, self._clock())

    def _install_ticket(self, request: web.Request, form: dict[str, str]) -> str:
        lifetime = form.get("AUTH_EXPIRES", "")
        seconds = int(lifetime) if lifetime.isascii() and lifetime.isdigit() and len(lifetime) < 6 else 3600
        ticket = InstallTicket(
            auth_id=required(form, "AUTH_ID", 512),
            refresh_id=required(form, "REFRESH_ID", 512),
            expires=self._clock() + seconds,
            member_id=form["member_id"],
            domain=domain_of(request.query["DOMAIN"]),
            server_endpoint=optional(form, "SERVER_ENDPOINT", 255),
            application_token=optional(form, "APPLICATION_TOKEN", 255),
        )
        return self._seal.seal(ticket, self._clock())

    def _page(
        self, portal: Portal, request: web.Request, template: Template, *tickets: str, domain: str = ""
    ) -> web.Response:
        ancestor = self._ancestor(portal, domain or domain_of(request.query["DOMAIN"]))
        headers = {
            "Content-Security-Policy": f"frame-ancestors {ancestor}",
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        return web.Response(body=template.filled(*tickets), content_type="text/html", charset="utf-8", headers=headers)

    def _ancestor(self, portal: Portal, domain: str) -> str:
        """The configured url, or the address that the OAuth server told since the portal was renamed."""
        enrolled = self._portals.get(portal.id)
        scheme = URL(portal.url).scheme
        if enrolled is not None and domain == enrolled.domain and domain != domain_of(portal.id):
            return f"{scheme}://{enrolled.domain}"
        return portal.url.rstrip("/")

    # ---- the rest

    async def _static(self, request: web.Request) -> web.Response:
        file = self._pages.files.get(request.match_info["path"])
        if file is None:
            return web.Response(status=404, text="no such file")
        headers = {"Cache-Control": IMMUTABLE, "X-Content-Type-Options": "nosniff", "Vary": "Accept-Encoding"}
        if file.zipped and "gzip" in request.headers.get("Accept-Encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return web.Response(body=file.zipped, content_type=file.kind, headers=headers)
        return web.Response(body=file.plain, content_type=file.kind, headers=headers)


async def _outside(_request: web.Request) -> web.Response:
    text = plain_page(
        "A telephone for Bitrix24", "Open this page inside Bitrix24: it shows it in the application's frame."
    )
    return web.Response(text=text, content_type="text/html", headers={"Cache-Control": "no-store"})


def _stranger(request: web.Request) -> web.Response:
    log.warning("unknown_portal", domain=request.query.get("DOMAIN", "")[:255], remote=request.remote)
    sentence = (
        "The bridge's configuration has no portal with this address. If it was renamed just now, open this page again in a"
        " minute. Else ask the provider of your telephone to add it."
    )
    return _plain("This Bitrix24 is not connected", sentence, 403)


def _plain(title: str, sentence: str, status: int) -> web.Response:
    # It may be framed by anybody: who is told to call the provider should be able to read it.
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return web.Response(status=status, text=plain_page(title, sentence), content_type="text/html", headers=headers)


def _choice(given: object) -> Choice | None:
    """What an administrator chose on the page, None for nothing; FormError with a sentence for people."""
    if given is None:
        return None
    fields = {name: str(value).strip() for name, value in given.items()} if isinstance(given, dict) else {}
    line = re.sub(r"[\s()/.-]", "", fields.get("line", ""))
    name, region = fields.get("line_name", ""), fields.get("region", "").upper()
    if not re.fullmatch(r"(\+?[0-9]{1,32})?", line):
        raise FormError("The line's number may have digits only, and a + in front.")
    if len(name) > 100:
        raise FormError("The line's name is longer than 100 characters.")
    if not re.fullmatch(r"([A-Z]{2})?", region):
        raise FormError("The region is two letters, such as DE.")
    return Choice(line=line, line_name=name, region=region)
