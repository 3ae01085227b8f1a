"""Installing the application in a portal, and what the portal says about it afterwards.

A POST of the install page is believed only when its portal is one of the configuration, the OAuth server confirmed its
tokens for our client_id and this member_id, and the portal said that their owner is an administrator.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import structlog

from ..config import Portal, Settings
from ..errors import BridgeError, ConfigError, NetworkError, RefusedError
from ..store.portals import EnrolledPortal, Portals
from ..tickets import InstallTicket
from .bucket import Lane
from .caretaker import Caretaker
from .form import domain_of
from .identity import user_of
from .keyring import Keyring
from .licence import licence, rights
from .lines import Lines
from .oauth import OAuth, OAuthRefusedError, TokenInfo, TokenPair
from .placement import Placement
from .rest import PortalRefusedError, Rest
from .standing import Check
from .trouble import Trouble, of_oauth, of_rest, sentence

log = structlog.get_logger()

STEPS = ("portal", "token", "administrator", "tokens", "worker", "events", "line")


@dataclass(frozen=True, slots=True)
class Report:
    steps: tuple[Check, ...]
    done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What an administrator may choose on the page; "" leaves it to the configuration."""

    line: str = ""
    line_name: str = ""
    region: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What an administrator sees before pressing the button."""

    state: tuple[Check, ...]
    installed: bool
    choice: Choice


async def _nobody(_step: Check) -> None:
    """Nobody waits for single steps."""


class Installation:
    """`installed` is told which portal can be used from now on, `uninstalled` which one can't."""

    def __init__(
        self,
        *,
        settings: Settings,
        portals: Portals,
        rest: Rest,
        oauth: OAuth,
        keyring: Keyring,
        placement: Placement,
        lines: Lines,
        caretaker: Caretaker,
        installed: Callable[[str], None],
        uninstalled: Callable[[str], None] = lambda portal: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._configured = {portal.id: portal for portal in settings.portal}
        self._portals = portals
        self._rest = rest
        self._oauth = oauth
        self._keyring = keyring
        self._placement = placement
        self._lines = lines
        self._caretaker = caretaker
        self._installed = installed
        self._uninstalled = uninstalled
        self._clock = clock
        self._running: set[str] = set()

    async def look(self, ticket: InstallTicket) -> View:
        """How the portal stands, for an administrator of it; BridgeError for everybody else."""
        portal = self._portal(ticket)
        await self._known_token(portal, ticket)
        await self._administrator(portal.id, self._endpoint(portal, ticket.member_id), ticket.auth_id)
        known = self._portals.get(portal.id)
        choice = Choice(
            line=(known.line if known else "") or portal.line,
            line_name=(known.line_name if known else "") or portal.line_name,
            region=(known.region if known else "") or portal.region or "",
        )
        state = await self._caretaker.state(portal.id)
        if known is not None and known.installed:
            state = (*state, *await self._told(portal, ticket))
        return View(state=state, installed=known is not None and known.installed, choice=choice)

    async def _told(self, portal: Portal, ticket: InstallTicket) -> tuple[Check, Check]:
        """What Bitrix24 says of the application itself, asked with the token of whoever looks."""
        said: list[Any] = []
        for method in ("app.info", "scope"):
            try:
                endpoint = self._endpoint(portal, ticket.member_id)
                said.append(await self._rest.call_as(portal.id, endpoint, method, {}, ticket.auth_id, Lane.OTHER))
            except BridgeError as error:
                log.info("application_unknown", portal=portal.id, method=method, why=str(error))
                said.append(None)
        return licence(said[0]), rights(said[1])

    async def run(
        self,
        ticket: InstallTicket,
        choice: Choice | None = None,
        tell: Callable[[Check], Awaitable[None]] = _nobody,
    ) -> Report:
        """Every step until the first that fails, each told when it is done; safe to repeat."""
        if ticket.domain in self._running:
            busy = Check("portal", False, "An installation of this portal is under way: wait for its end.")
            return Report((busy,), False)
        steps: list[Check] = []
        self._running.add(ticket.domain)
        try:
            async for text in self._steps(ticket, choice):
                steps.append(Check(STEPS[len(steps)], True, text))
                await tell(steps[-1])
        except BridgeError as error:
            steps.append(Check(STEPS[min(len(steps), len(STEPS) - 1)], False, explanation(error)))
            log.warning("installation_failed", domain=ticket.domain, step=steps[-1].name, why=str(error))
            await tell(steps[-1])
        finally:
            self._running.discard(ticket.domain)
        return Report(tuple(steps), all(step.ok for step in steps))

    async def _steps(self, ticket: InstallTicket, choice: Choice | None) -> AsyncIterator[str]:
        """What became of each of STEPS."""
        portal = self._portal(ticket)
        yield f"{portal.url} is in the configuration of the telephone."
        server, info = await self._known_token(portal, ticket)
        yield "Bitrix24's OAuth server knows this application and you."
        user = await self._administrator(portal.id, self._endpoint(portal, ticket.member_id), ticket.auth_id)
        yield "You are an administrator of this portal."
        pair = await self._pair(portal, ticket, server, info)
        in_use = await self._keyring.take(self._enrolled(portal, ticket, pair, server, user))
        kept = (
            "the telephone works with it." if in_use else "in reserve, should the first administrator's become invalid."
        )
        yield f"Your authorisation is stored, sealed: {kept}"
        changed = await self._placement.bind_worker(portal.id)
        self._caretaker.placed(portal.id)
        yield f"The invisible helper of Bitrix24's pages {'is registered' if changed else 'was registered before'}."
        added = await self._placement.bind_events(portal.id)
        yield f"The portal's events reach the telephone ({added} new)."
        if choice is not None:
            await self._portals.change(portal.id, **asdict(choice))
        yield await self._line(portal.id)
        await self._portals.change(portal.id, installed=True, trouble="")
        log.info("portal_installed", portal=portal.id, member=ticket.member_id, admin=user)
        self._installed(portal.id)

    # ---- what the portal reports

    async def uninstalled(self, portal: str, *, clean: bool) -> None:
        """The portal removed the application, our handlers and our tokens with it. `clean`: it asks us to forget it."""
        gone: dict[str, Any] = {"installed": False, "access": "", "refresh": "", "needs_login": True}
        forgotten = {"line": "", "line_name": "", "region": "", "lines": (), "application_token": ""} if clean else {}
        await self._portals.change(portal, trouble=Trouble.REMOVED.value, **gone, **forgotten)
        await self._portals.drop_spares(portal)
        if clean:
            await self._caretaker.forget(portal)
        self._caretaker.removed(portal)
        self._uninstalled(portal)
        log.warning("portal_uninstalled", portal=portal, clean=clean)

    async def updated(self, portal: str) -> None:
        """A new version removes the handlers of events."""
        await self._placement.bind_worker(portal)
        self._caretaker.placed(portal)
        await self._placement.bind_events(portal)
        await self._lines.ensure(portal)
        await self._portals.change(portal, installed=True)

    async def adopt(self, portal: str, application_token: str, access: str) -> bool:
        """Takes over a portal's new application token if an administrator's access token comes with it."""
        enrolled = self._portals.get(portal)
        server = self._oauth.server(enrolled.server_endpoint) if enrolled else None
        if enrolled is None or server is None or not access:
            return False
        info = await self._oauth.info(server, access)
        if info.client_id != self._configured[portal].client_id:
            return False
        await self._administrator(portal, enrolled.client_endpoint, access)
        await self._portals.change(portal, application_token=application_token)
        log.info("application_token_changed", portal=portal)
        return True

    def worker_key_fits(self, portal: str, key: str) -> bool:
        """The message came by the address that we gave to this portal's worker."""
        return portal in self._configured and self._placement.key_fits(portal, key)

    # ---- the steps

    def _portal(self, ticket: InstallTicket) -> Portal:
        enrolled = self._portals.of_member(ticket.member_id)
        for portal in self._configured.values():
            if ticket.domain == domain_of(portal.id) or (
                enrolled and enrolled.id == portal.id and ticket.domain == enrolled.domain
            ):
                return portal
        raise RefusedError(f"The bridge's configuration has no [[portal]] with the address {ticket.domain}.")

    async def _known_token(self, portal: Portal, ticket: InstallTicket) -> tuple[str, TokenInfo]:
        """The OAuth server of the allow-list that knows the token, once it knows it for our client_id."""
        for server in self._servers(ticket):
            try:
                info = await self._oauth.info(server, ticket.auth_id)
            except OAuthRefusedError as error:
                if of_oauth(error.code) is not None:
                    raise
                continue
            if info.client_id != portal.client_id:
                raise RefusedError("This token belongs to another application: compare client_id in the configuration.")
            return server, info
        raise RefusedError("No OAuth server knows this token: open the application again in Bitrix24.")

    async def _pair(self, portal: Portal, ticket: InstallTicket, server: str, info: TokenInfo) -> TokenPair:
        """A pair that the OAuth server ties to this member_id.

        Editions that don't name the portal with an access token name it when the refresh token is exchanged. That works
        once; a repeated installation goes on with the pair that the first one got.
        """
        if info.member_id:
            pair = _page_pair(ticket, info.member_id)
        else:
            pair = await self._exchanged(portal, ticket, server)
        if pair.member_id != ticket.member_id:
            raise RefusedError("This token belongs to another portal.")
        return pair

    async def _exchanged(self, portal: Portal, ticket: InstallTicket, server: str) -> TokenPair:
        try:
            return await self._oauth.pair(portal.id, server, ticket.refresh_id)
        except OAuthRefusedError as error:
            stored = self._portals.get(portal.id)
            if error.code != "invalid_grant" or stored is None or not stored.usable:
                raise
            return TokenPair(
                access=stored.access,
                refresh=stored.refresh,
                expires=stored.expires,
                member_id=stored.member_id,
                client_endpoint=stored.client_endpoint,
            )

    def _servers(self, ticket: InstallTicket) -> tuple[str, ...]:
        if not ticket.server_endpoint:
            return self._oauth.servers
        server = self._oauth.server(ticket.server_endpoint)
        if server is None:
            raise RefusedError("This portal's OAuth server is not one of oauth_hosts in the configuration.")
        return (server,)

    async def _administrator(self, portal: str, endpoint: str, token: str) -> int:
        """The user behind a token, as the portal itself says."""
        profile = await self._rest.call_as(portal, endpoint, "profile", {}, token, Lane.OTHER)
        user, _ = user_of(profile)
        if user is None or profile.get("ADMIN") is not True:
            raise RefusedError("Only an administrator of the portal can install the application.")
        return user

    def _endpoint(self, portal: Portal, member_id: str) -> str:
        """The address of a renamed portal is known from its OAuth server; else the configured one."""
        enrolled = self._portals.get(portal.id)
        if enrolled is not None and enrolled.member_id == member_id:
            return enrolled.client_endpoint
        return f"{portal.url.rstrip('/')}/rest/"

    def _enrolled(
        self, portal: Portal, ticket: InstallTicket, pair: TokenPair, server: str, user: int
    ) -> EnrolledPortal:
        """The portal as this page knows it, with what an earlier installation chose."""
        before = self._portals.get(portal.id)
        same = before if before is not None and before.member_id == ticket.member_id else None
        fresh = EnrolledPortal(
            id=portal.id,
            member_id=ticket.member_id,
            domain=ticket.domain,
            client_endpoint=self._endpoint(portal, ticket.member_id),
            server_endpoint=f"{server}/rest/",
            access=pair.access,
            refresh=pair.refresh,
            expires=pair.expires,
            admin_user=user,
            application_token=ticket.application_token or (same.application_token if same else ""),
            installed=same is not None and same.installed,
        )
        if same is None:
            return fresh
        return replace(fresh, line=same.line, line_name=same.line_name, region=same.region, lines=same.lines)

    async def _line(self, portal: str) -> str:
        if not self._lines.wanted(portal):
            return "No line number was given: calls are logged without one. You can enter it here later."
        changed = await self._lines.ensure(portal)
        numbers = ", ".join(self._lines.wanted(portal))
        return f"Calls are logged on {numbers} ({changed} changed)."


def _page_pair(ticket: InstallTicket, member_id: str) -> TokenPair:
    return TokenPair(
        access=ticket.auth_id,
        refresh=ticket.refresh_id,
        expires=ticket.expires,
        member_id=member_id,
        client_endpoint="",
    )


def explanation(error: BridgeError) -> str:
    """What to do about it."""
    trouble = None
    if isinstance(error, PortalRefusedError):
        trouble = of_rest(error.code, error.text)
    elif isinstance(error, OAuthRefusedError):
        trouble = of_oauth(error.code)
    if trouble is not None:
        return sentence(trouble)
    if isinstance(error, NetworkError):
        return f"{error}. Try again."
    if isinstance(error, ConfigError):
        return f"The bridge's configuration is wrong: {error}"
    return str(error)
