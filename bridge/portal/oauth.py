"""Tokens are asked for, and vouched for, at OAuth servers of the allow-list only."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ..config import Settings
from ..errors import RefusedError
from .http import Http, Reply


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
    """The OAuth servers of the allow-list; no other host ever sees our client secret."""

    def __init__(self, *, settings: Settings, http: Http, clock: Callable[[], float] = time.time) -> None:
        self._http = http
        self._clock = clock
        self._hosts = {origin: host.rstrip("/") for host in settings.oauth_hosts if (origin := origin_of(host))}
        self._configured = {portal.id: portal for portal in settings.portal}

    def server(self, server_endpoint: str) -> str | None:
        """The allowed OAuth server behind SERVER_ENDPOINT as scheme, host and port; None for a stranger."""
        origin = origin_of(server_endpoint)
        return self._hosts.get(origin) if origin else None

    @property
    def servers(self) -> tuple[str, ...]:
        return tuple(self._hosts.values())

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
