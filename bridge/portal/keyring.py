"""The tokens of the enrolled portals: refreshed one at a time per portal, stored before use, those of another administrator
when the first one's are dead."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import structlog

from ..config import Settings
from ..store.portals import EnrolledPortal, Portals, Spare
from .form import domain_of
from .oauth import OAuth, OAuthRefusedError, PortalClosedError, origin_of
from .trouble import NEEDS_LOGIN, NOT_INSTALLED, Trouble, of_oauth, sentence

log = structlog.get_logger()

REFUSAL_SECONDS = 30.0
"""An OAuth server that refused is not asked again for so long."""
IDLE_SECONDS = 60 * 86400.0
"""A pair that nobody used for so long is refreshed: a refresh token dies after 180 days."""


class Keyring:
    """`succeeded(portal, user)` hears that this administrator's pair died and another one's took its place."""

    def __init__(
        self,
        *,
        settings: Settings,
        portals: Portals,
        oauth: OAuth,
        succeeded: Callable[[str, int], None] = lambda portal, user: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._portals = portals
        self._oauth = oauth
        self._succeeded = succeeded
        self._clock = clock
        self._configured = [portal.id for portal in settings.portal]
        self._locks: dict[str, asyncio.Lock] = {}
        self._refused: dict[str, tuple[float, str]] = {}

    def usable(self, portal: str) -> EnrolledPortal:
        """The enrolled portal, or PortalClosedError."""
        enrolled = self._portals.get(portal)
        if enrolled is None or not enrolled.access:
            raise PortalClosedError(NOT_INSTALLED)
        if enrolled.needs_login:
            raise PortalClosedError(NEEDS_LOGIN)
        return enrolled

    async def refreshed(self, portal: str, stale: str) -> EnrolledPortal:
        """The portal with a token other than `stale`; a refresh that runs already is waited for, not repeated."""
        async with self._lock(portal):
            enrolled = self.usable(portal)
            if enrolled.access != stale:
                return enrolled
            refused_until, why = self._refused.get(portal, (0.0, ""))
            if self._clock() < refused_until:
                raise PortalClosedError(why)
            try:
                return await self._refresh(enrolled)
            except OAuthRefusedError as error:
                if error.code != "invalid_grant":
                    raise await self._closed(portal, error) from None
                log.error("administrator_lost", portal=portal, user=enrolled.admin_user)  # noqa: TRY400
                changed = await self._succeed(enrolled)
            if changed is None:
                await self._portals.change(portal, needs_login=True)
                raise PortalClosedError(NEEDS_LOGIN)
            return changed

    async def another(self, portal: str, stale: str) -> EnrolledPortal | None:
        """The portal with another administrator's pair, because this one lost a right; None when nobody has one that works."""
        async with self._lock(portal):
            enrolled = self.usable(portal)
            return enrolled if enrolled.access != stale else await self._succeed(enrolled)

    async def take(self, portal: EnrolledPortal) -> bool:
        """Stores what an administrator's page brought; True when the pair is in use, False when it is a spare one.

        The pair that works stays in use: one administrator after another may open the page.
        """
        async with self._lock(portal.id):
            before = self._portals.get(portal.id)
            same = before is not None and before.member_id == portal.member_id
            if before is None or not same or not before.usable or before.admin_user == portal.admin_user:
                await self._portals.save(portal)
                await self._portals.drop_spares(portal.id, portal.admin_user if same else None)
                self._refused.pop(portal.id, None)
                return True
            await self._portals.keep_spare(_spare(portal))
            await self._portals.change(portal.id, domain=portal.domain, application_token=portal.application_token)
            return False

    async def keep_alive(self) -> None:
        """Refreshes pairs that nobody has used for a long time; to be called about once a day."""
        now = self._clock()
        for portal in self._configured:
            known = self._portals.get(portal)
            if known is not None and known.usable and known.expires + IDLE_SECONDS < now:
                await self.refreshed(portal, known.access)
            for spare in self._portals.spares(portal):
                if not spare.dead and spare.expires + IDLE_SECONDS < now:
                    async with self._lock(portal):
                        await self._revived(spare)

    # ---- what stands against using a portal

    async def troubled(self, portal: str, trouble: Trouble) -> PortalClosedError:
        """Remembers what stands against using the portal; the error to raise."""
        enrolled = self._portals.get(portal)
        if enrolled is not None and enrolled.trouble != trouble:
            await self._portals.change(portal, trouble=trouble.value)
            log.error("portal_in_trouble", portal=portal, trouble=trouble.value)
        return PortalClosedError(sentence(trouble))

    async def well(self, portal: str) -> None:
        """The portal has answered: what stood against it is over."""
        await self._portals.change(portal, trouble="")
        log.info("portal_well_again", portal=portal)

    # ---- under the lock of the portal

    def _lock(self, portal: str) -> asyncio.Lock:
        return self._locks.setdefault(portal, asyncio.Lock())

    async def _refresh(self, enrolled: EnrolledPortal) -> EnrolledPortal:
        server = self._oauth.server(enrolled.server_endpoint)
        if server is None:
            raise PortalClosedError("the portal's OAuth server is not one of oauth_hosts")
        pair = await self._oauth.pair(enrolled.id, server, enrolled.refresh)
        if pair.member_id != enrolled.member_id:
            raise PortalClosedError("the OAuth server answered for another portal")
        changes: dict[str, Any] = {"access": pair.access, "refresh": pair.refresh, "expires": pair.expires}
        changed = await self._portals.change(enrolled.id, **changes, **_address(enrolled, pair.client_endpoint))
        if changed is None:
            raise PortalClosedError("the portal was uninstalled meanwhile")
        log.info("token_refreshed", portal=enrolled.id)
        return changed

    async def _succeed(self, enrolled: EnrolledPortal) -> EnrolledPortal | None:
        """The portal with another administrator's pair, which is stored before it is used; None when nobody has one that works."""
        lost = _spare(enrolled)
        for spare in self._portals.spares(enrolled.id):
            fresh = None if spare.dead else await self._revived(spare)
            if fresh is None:
                continue
            changed = await self._portals.change(
                enrolled.id, access=fresh.access, refresh=fresh.refresh, expires=fresh.expires, admin_user=fresh.user
            )
            await self._portals.keep_spare(replace(lost, dead=True))
            await self._portals.drop_spares(enrolled.id, fresh.user)
            log.warning("administrator_succeeded", portal=enrolled.id, lost=lost.user, user=fresh.user)
            self._succeeded(enrolled.id, lost.user)
            return changed
        return None

    async def _revived(self, spare: Spare) -> Spare | None:
        """A spare pair with a new access token, stored; None when it is dead. Only under the portal's lock."""
        known = self._portals.get(spare.portal)
        server = self._oauth.server(known.server_endpoint) if known else None
        if known is None or server is None:
            return None
        try:
            pair = await self._oauth.pair(spare.portal, server, spare.refresh)
            if pair.member_id != known.member_id:
                raise OAuthRefusedError("invalid_grant")
        except OAuthRefusedError as error:
            if error.code != "invalid_grant":
                raise await self._closed(spare.portal, error) from None
            await self._portals.keep_spare(replace(spare, dead=True))
            log.warning("spare_administrator_lost", portal=spare.portal, user=spare.user)
            return None
        fresh = replace(spare, access=pair.access, refresh=pair.refresh, expires=pair.expires)
        await self._portals.keep_spare(fresh)
        return fresh

    async def _closed(self, portal: str, error: OAuthRefusedError) -> PortalClosedError:
        trouble = of_oauth(error.code)
        closed = PortalClosedError(str(error)) if trouble is None else await self.troubled(portal, trouble)
        self._refused[portal] = (self._clock() + REFUSAL_SECONDS, str(closed))
        log.error("token_refresh_refused", portal=portal, code=error.code)
        return closed


def _spare(portal: EnrolledPortal) -> Spare:
    return Spare(
        portal=portal.id,
        user=portal.admin_user,
        access=portal.access,
        refresh=portal.refresh,
        expires=portal.expires,
    )


def _address(enrolled: EnrolledPortal, endpoint: str) -> dict[str, str]:
    """A renamed portal's new address, as the OAuth server knows it. Never from https down to http."""
    before, after = origin_of(enrolled.client_endpoint), origin_of(endpoint)
    if after is None or (before is not None and before[0] != after[0]) or not endpoint.endswith("/"):
        return {}
    return {"client_endpoint": endpoint, "domain": domain_of(urlsplit(endpoint).netloc)}
