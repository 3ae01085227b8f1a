"""Who is this? The portal itself says whose access token a page ticket carries."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import structlog

from ..calls.events import Operator
from ..config import Settings
from ..errors import RefusedError, TicketError
from ..store.portals import EnrolledPortal, Portals
from ..tickets import PageTicket, SessionTicket, SettingsTicket
from .bucket import Lane
from .form import domain_of
from .rest import STALE, PortalRefusedError, Rest

log = structlog.get_logger()

REMEMBERED_SECONDS = 3600
"""An access token's life."""
MOST_REMEMBERED = 10_000


class Identity:
    """`why_not` gives the sentence for somebody who is no operator, "" for one who is."""

    def __init__(
        self,
        *,
        settings: Settings,
        portals: Portals,
        rest: Rest,
        why_not: Callable[[Operator], str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._portals = portals
        self._rest = rest
        self._clock = clock
        self._configured = {portal.id for portal in settings.portal}
        self._why_not = why_not
        self._remembered: OrderedDict[bytes, tuple[float, SessionTicket]] = OrderedDict()

    async def identify(self, ticket: PageTicket) -> SessionTicket:
        """The user behind a page, asked of the enrolled portal and of no other host.

        TicketError (expired) when the page's token is too old, RefusedError with a sentence for people when the user
        may not telephone, NetworkError when the portal can't be asked now.
        """
        portal = self._enrolled(ticket)
        key = hashlib.sha256(f"{portal.id} {ticket.auth_id}".encode()).digest()
        now = self._clock()
        until, known = self._remembered.get(key, (0.0, None))
        if known is not None and now < until:
            return self._allowed(known)
        session = _session(portal, await self._profile(portal, ticket.auth_id))
        self._remembered[key] = (now + REMEMBERED_SECONDS, session)
        while len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)
        return self._allowed(session)

    async def administrator(self, ticket: PageTicket) -> SettingsTicket:
        """The portal's administrator behind a page, as the portal says now; errors as of `identify`."""
        portal = self._enrolled(ticket)
        profile = await self._profile(portal, ticket.auth_id)
        user, _ = user_of(profile)
        if user is None or profile.get("ADMIN") is not True:
            raise RefusedError("Only an administrator of this Bitrix24 may change the telephone's settings.")
        return SettingsTicket(portal=portal.id, user=user)

    def _enrolled(self, ticket: PageTicket) -> EnrolledPortal:
        portal = self._portals.of_member(ticket.member_id)
        if portal is None or portal.id not in self._configured:
            raise RefusedError(
                "This Bitrix24 is not connected yet: an administrator must open the application and install it."
            )
        if ticket.domain not in {domain_of(portal.id), portal.domain}:
            raise RefusedError("This page comes from an address that does not belong to the connected Bitrix24.")
        return portal

    async def _profile(self, portal: EnrolledPortal, token: str) -> Any:
        try:
            return await self._rest.call_as(portal.id, portal.client_endpoint, "profile", {}, token, Lane.PROFILE)
        except PortalRefusedError as error:
            if error.code in STALE:
                raise TicketError(
                    "The portal does not accept this page's token any more: reload the page.", expired=True
                ) from None
            log.warning("profile_refused", portal=portal.id, code=error.code)
            raise RefusedError(f"Bitrix24 refuses to say who you are ({error.code}): ask your administrator.") from None

    def _allowed(self, session: SessionTicket) -> SessionTicket:
        if why := self._why_not(Operator(session.portal, session.user)):
            raise RefusedError(why)
        return session


def _session(portal: EnrolledPortal, profile: Any) -> SessionTicket:
    user, name = user_of(profile)
    if user is None:
        raise RefusedError("Bitrix24 does not know you as an active user.")
    return SessionTicket(member_id=portal.member_id, portal=portal.id, user=user, name=name)


def user_of(profile: Any) -> tuple[int | None, str]:
    """User id and name of a `profile` result, which is empty for an inactive user."""
    if not isinstance(profile, dict):
        return None, ""
    number = str(profile.get("ID", ""))
    name = " ".join(str(profile.get(part) or "") for part in ("NAME", "LAST_NAME")).strip()
    return (int(number) if number.isascii() and number.isdigit() else None), name[:200]
