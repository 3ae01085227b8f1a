"""Installing the application in a portal, and what the portal says about it afterwards.

A POST of the install page is believed only when its portal is one of the configuration, the OAuth server confirmed its
tokens for our client_id and this member_id, and the portal said that their owner is an administrator.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from ..config import Portal, Settings
from ..errors import BridgeError, ConfigError, NetworkError, RefusedError
from ..store.portals import EnrolledPortal, Portals
from ..tickets import InstallTicket
from .bucket import Lane
from .form import domain_of
from .identity import user_of
from .oauth import OAuth, OAuthRefusedError, TokenInfo, TokenPair
from .placement import Placement
from .rest import Rest

log = structlog.get_logger()

REBIND_SECONDS = (0.0, 60.0, 600.0, 3600.0)
"""How long to wait before the worker of a portal is bound again, by how often that was necessary lately."""
FORGIVEN_SECONDS = 86400.0


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the install page."""

    name: str
    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    steps: tuple[Step, ...]
    done: bool


class Installation:
    """`installed` is told which portal can be used from now on."""

    def __init__(
        self,
        *,
        settings: Settings,
        portals: Portals,
        rest: Rest,
        oauth: OAuth,
        placement: Placement,
        installed: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._configured = {portal.id: portal for portal in settings.portal}
        self._portals = portals
        self._rest = rest
        self._oauth = oauth
        self._placement = placement
        self._installed = installed
        self._clock = clock
        self._running: set[str] = set()
        self._rebound: dict[str, tuple[int, float]] = {}
        self._postponed: dict[str, float] = {}

    async def run(self, ticket: InstallTicket) -> Report:
        """Every step until the first that fails; safe to repeat."""
        steps: list[Step] = []
        if ticket.domain in self._running:
            return Report(
                (Step("portal", False, "An installation of this portal is under way: wait for its end."),), False
            )
        self._running.add(ticket.domain)
        try:
            await self._steps(ticket, steps)
        except BridgeError as error:
            name = STEPS[min(len(steps), len(STEPS) - 1)]
            steps.append(Step(name, False, _explanation(error)))
            log.warning("installation_failed", domain=ticket.domain, step=name, why=str(error))
        finally:
            self._running.discard(ticket.domain)
        return Report(tuple(steps), all(step.ok for step in steps))

    async def _steps(self, ticket: InstallTicket, steps: list[Step]) -> None:
        portal = self._portal(ticket)
        steps.append(Step("portal", True, f"{portal.url} is in the configuration."))
        server, info = await self._known_token(portal, ticket)
        steps.append(Step("token", True, "The OAuth server knows this application and your token."))
        user = await self._administrator(portal.id, self._endpoint(portal, ticket.member_id), ticket.auth_id)
        steps.append(Step("administrator", True, "You are an administrator of this portal."))
        pair = await self._pair(portal, ticket, server, info)
        await self._store(portal, ticket, pair, server, user)
        steps.append(Step("tokens", True, "The portal's tokens are stored, sealed."))
        changed = await self._placement.bind_worker(portal.id)
        steps.append(
            Step("worker", True, f"The background worker {'is registered' if changed else 'was registered before'}.")
        )
        added = await self._placement.bind_events(portal.id)
        steps.append(Step("events", True, f"The portal's events reach the bridge ({added} new)."))
        await self._portals.change(portal.id, installed=True)
        log.info("portal_installed", portal=portal.id, member=ticket.member_id, admin=user)
        self._installed(portal.id)

    # ---- what the portal reports

    async def uninstalled(self, portal: str, *, clean: bool) -> None:
        """The portal removed the application, and with it our handlers. `clean`: it asks us to forget it."""
        if clean:
            await self._portals.change(portal, installed=False, access="", refresh="", needs_login=True)
        else:
            await self._portals.change(portal, installed=False, needs_login=True)
        log.warning("portal_uninstalled", portal=portal, clean=clean)

    async def updated(self, portal: str) -> None:
        """A new version removes the handlers of events."""
        await self._placement.bind_worker(portal)
        await self._placement.bind_events(portal)
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

    async def worker_lost(self, portal: str) -> None:
        """Binds the worker again if it is really gone; when that recurs within a day, later and later (`overdue`)."""
        count, last = self._rebound.get(portal, (0, float("-inf")))
        now = self._clock()
        if now - last > FORGIVEN_SECONDS:
            count = 0
        not_before = last + REBIND_SECONDS[min(count, len(REBIND_SECONDS) - 1)]
        if now < not_before:
            self._postponed[portal] = not_before
            log.error("worker_rebind_postponed", portal=portal, seconds=int(not_before - now), times=count)
            return
        self._postponed.pop(portal, None)
        self._rebound[portal] = (count + 1, now)
        try:
            if await self._placement.bind_worker(portal):
                log.error("worker_rebound", portal=portal, times=count + 1, why="pages of this portal load too slowly")
        except NetworkError:
            self._postponed[portal] = now + REBIND_SECONDS[1]
            raise

    async def overdue(self) -> None:
        """Binds the workers again whose time has come; to be called about once a minute."""
        now = self._clock()
        for portal in [portal for portal, at in self._postponed.items() if at <= now]:
            await self.worker_lost(portal)

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
            except OAuthRefusedError:
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

    async def _store(self, portal: Portal, ticket: InstallTicket, pair: TokenPair, server: str, user: int) -> None:
        before = self._portals.get(portal.id)
        same = before if before is not None and before.member_id == ticket.member_id else None
        await self._portals.save(
            EnrolledPortal(
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
        )


STEPS = ("portal", "token", "administrator", "tokens", "worker", "events")


def _page_pair(ticket: InstallTicket, member_id: str) -> TokenPair:
    return TokenPair(
        access=ticket.auth_id,
        refresh=ticket.refresh_id,
        expires=ticket.expires,
        member_id=member_id,
        client_endpoint="",
    )


def _explanation(error: BridgeError) -> str:
    if isinstance(error, NetworkError):
        return f"{error}. Try again."
    if isinstance(error, ConfigError):
        return f"The bridge's configuration is wrong: {error}"
    return str(error)
