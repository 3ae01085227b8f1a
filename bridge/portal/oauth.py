"""Tokens: refreshed one at a time per portal, stored before use, and asked for at OAuth servers of the allow-list only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import structlog

from ..config import Settings
from ..errors import RefusedError
from ..store.portals import EnrolledPortal, Portals
from .form import domain_of
from .http import Http, Reply

log = structlog.get_logger()

REFUSAL_SECONDS = 30.0
"""An OAuth server that refused is not asked again for so long."""


class PortalClosedError(RefusedError):
    """The portal can't be used until a person does something: not installed, needs a login, not paid."""


class OAuthRefusedError(RefusedError):
    """The OAuth server answered with an error; `code` is lower-case."""

    def __init__(self, code: str) -> None:
        super().__init__(f"the OAuth server refused: {code}")
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """What an OAuth server says about a portal: the one source for tokens and addresses that can be trusted."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires: float
    member_id: str
    client_endpoint: str
    """"" when it was not named."""


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What an OAuth server says about an access token; "" for what it doesn't say."""

    client_id: str
    member_id: str


class OAuth:
    def __init__(
        self, *, settings: Settings, portals: Portals, http: Http, clock: Callable[[], float] = time.time
    ) -> None:
        self._portals = portals
        self._http = http
        self._clock = clock
        self._hosts = {origin: host.rstrip("/") for host in settings.oauth_hosts if (origin := origin_of(host))}
        self._configured = {portal.id: portal for portal in settings.portal}
        self._locks: dict[str, asyncio.Lock] = {}
        self._refused: dict[str, tuple[float, str]] = {}

    def usable(self, portal: str) -> EnrolledPortal:
        """The enrolled portal, or PortalClosedError."""
        enrolled = self._portals.get(portal)
        if enrolled is None or not enrolled.access:
            raise PortalClosedError("the application is not installed in this portal")
        if enrolled.needs_login:
            raise PortalClosedError(
                "the portal's authorisation ran out: an administrator must open the application there"
            )
        return enrolled

    def server(self, server_endpoint: str) -> str | None:
        """The allowed OAuth server behind SERVER_ENDPOINT as scheme, host and port; None for a stranger."""
        origin = origin_of(server_endpoint)
        return self._hosts.get(origin) if origin else None

    @property
    def servers(self) -> tuple[str, ...]:
        return tuple(self._hosts.values())

    async def refreshed(self, portal: str, stale: str) -> EnrolledPortal:
        """The portal with a token other than `stale`; a refresh that runs already is waited for, not repeated."""
        async with self._locks.setdefault(portal, asyncio.Lock()):
            enrolled = self.usable(portal)
            if enrolled.access != stale:
                return enrolled
            refused_until, why = self._refused.get(portal, (0.0, ""))
            if self._clock() < refused_until:
                raise PortalClosedError(why)
            try:
                return await self._refresh(enrolled)
            except OAuthRefusedError as error:
                raise await self._closed(portal, error) from None

    async def pair(self, portal: str, server: str, refresh_token: str) -> TokenPair:
        """A new pair for a refresh token; only the owner of our client secret gets one."""
        configured = self._configured.get(portal)
        if configured is None or server not in self._hosts.values():
            raise PortalClosedError("the portal or its OAuth server is not in the configuration")
        query = {
            "grant_type": "refresh_token",
            "client_id": configured.client_id,
            "client_secret": configured.client_secret.get_secret_value(),
            "refresh_token": refresh_token,
        }
        return self._pair(_body(await self._http.get(f"{server}/oauth/token/", query)))

    async def info(self, server: str, token: str) -> TokenInfo:
        """Whose access token this is, asked at the OAuth server because a hostile portal could lie."""
        body = _body(await self._http.get(f"{server}/rest/app.info", {"auth": token}))
        result = body.get("result")
        if not isinstance(result, dict):
            raise OAuthRefusedError("an answer without a result")
        client_id = _find(result, ("client_id", "CLIENT_ID", "CODE"))
        return TokenInfo(client_id, _find(result, ("member_id", "MEMBER_ID")))

    async def _refresh(self, enrolled: EnrolledPortal) -> EnrolledPortal:
        server = self.server(enrolled.server_endpoint)
        if server is None:
            raise PortalClosedError("the portal's OAuth server is not one of oauth_hosts")
        pair = await self.pair(enrolled.id, server, enrolled.refresh)
        if pair.member_id != enrolled.member_id:
            raise PortalClosedError("the OAuth server answered for another portal")
        changes: dict[str, Any] = {"access": pair.access, "refresh": pair.refresh, "expires": pair.expires}
        changed = await self._portals.change(enrolled.id, **changes, **_address(enrolled, pair.client_endpoint))
        if changed is None:
            raise PortalClosedError("the portal was uninstalled meanwhile")
        log.info("token_refreshed", portal=enrolled.id)
        return changed

    async def _closed(self, portal: str, error: OAuthRefusedError) -> PortalClosedError:
        self._refused[portal] = (self._clock() + REFUSAL_SECONDS, str(error))
        log.error("token_refresh_refused", portal=portal, code=error.code)
        if error.code == "invalid_grant":
            await self._portals.change(portal, needs_login=True)
        return PortalClosedError(str(error))

    def _pair(self, body: Mapping[str, Any]) -> TokenPair:
        fields = {name: body.get(name) for name in ("access_token", "refresh_token", "member_id")}
        if not all(isinstance(value, str) and value for value in fields.values()):
            raise OAuthRefusedError("an answer without tokens")
        lifetime = body.get("expires_in")
        endpoint = body.get("client_endpoint")
        return TokenPair(
            access=str(fields["access_token"]),
            refresh=str(fields["refresh_token"]),
            expires=self._clock() + (float(lifetime) if isinstance(lifetime, int | float) else 3600.0),
            member_id=str(fields["member_id"]),
            client_endpoint=endpoint if isinstance(endpoint, str) else "",
        )


def origin_of(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of a url, None when it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        return None
    return parts.scheme, parts.hostname.lower(), port or (443 if parts.scheme == "https" else 80)


def _address(enrolled: EnrolledPortal, endpoint: str) -> dict[str, str]:
    """A renamed portal's new address, as the OAuth server knows it. Never from https down to http."""
    before, after = origin_of(enrolled.client_endpoint), origin_of(endpoint)
    if after is None or (before is not None and before[0] != after[0]) or not endpoint.endswith("/"):
        return {}
    return {"client_endpoint": endpoint, "domain": domain_of(urlsplit(endpoint).netloc)}


def _body(reply: Reply) -> dict[str, Any]:
    if reply.moved:
        raise OAuthRefusedError("a redirect")
    error = reply.body.get("error")
    if error or reply.status >= 400:
        raise OAuthRefusedError(str(error or f"status {reply.status}")[:100].lower())
    return reply.body


def _find(result: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """The first of these names, at the top or one level down: editions of the OAuth server differ."""
    inner = [value for value in result.values() if isinstance(value, dict)]
    for level in (result, *inner):
        for name in names:
            if isinstance(value := level.get(name), str) and value:
                return value
    return ""
