"""Access and refresh tokens of the portal's users (pure; time is an argument, randomness is given)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

ACCESS_SECONDS = 3600
REFRESH_SECONDS = 180 * 24 * 3600
_KEPT = 20_000


class TokenError(Exception):
    """`code` is what Bitrix24 calls it."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One token pair of one user."""

    user: int
    access: str
    refresh: str
    issued: float
    expires: float

    def seconds_left(self, now: float) -> int:
        return max(0, int(self.expires - now))


class Tokens:
    """Every pair handed out, oldest forgotten first."""

    def __init__(self, mint: Callable[[], str]) -> None:
        self._mint = mint
        self._by_access: dict[str, Grant] = {}
        self._by_refresh: dict[str, Grant] = {}

    def issue(self, user: int, now: float, seconds: float = ACCESS_SECONDS) -> Grant:
        grant = Grant(user=user, access=self._mint(), refresh=self._mint(), issued=now, expires=now + seconds)
        self._keep(grant)
        return grant

    def rotate(self, refresh: str, now: float, seconds: float = ACCESS_SECONDS) -> Grant:
        """A new pair for a refresh token, which is worthless afterwards; TokenError `invalid_grant`."""
        grant = self._by_refresh.pop(refresh, None)
        if grant is None or grant.issued + REFRESH_SECONDS < now:
            raise TokenError("invalid_grant", "the refresh token is unknown, used or expired")
        return self.issue(grant.user, now, seconds)

    def user_of(self, access: str, now: float) -> int:
        """Whose token this is; TokenError `expired_token` or `NO_AUTH_FOUND`."""
        grant = self._by_access.get(access)
        if grant is None:
            raise TokenError("NO_AUTH_FOUND", "Wrong authorization data")
        if grant.expires <= now:
            raise TokenError("expired_token", "The access token provided has expired.")
        return grant.user

    def expire_all(self) -> None:
        """Every access token is old from now on; refresh tokens go on working."""
        self._by_access = {
            access: Grant(user=grant.user, access=access, refresh=grant.refresh, issued=grant.issued, expires=0)
            for access, grant in self._by_access.items()
        }

    def forget(self, user: int) -> None:
        """This user's tokens are worthless, the refresh tokens too: dismissed, or the access was withdrawn."""
        self._by_access = {token: grant for token, grant in self._by_access.items() if grant.user != user}
        self._by_refresh = {token: grant for token, grant in self._by_refresh.items() if grant.user != user}

    def forget_all(self) -> None:
        self._by_access.clear()
        self._by_refresh.clear()

    def dump(self) -> list[Grant]:
        return [grant for grant in self._by_access.values() if grant.refresh in self._by_refresh]

    def load(self, grants: list[Grant]) -> None:
        for grant in grants:
            self._keep(grant)

    def _keep(self, grant: Grant) -> None:
        self._by_access[grant.access] = grant
        self._by_refresh[grant.refresh] = grant
        while len(self._by_access) > _KEPT:
            del self._by_access[next(iter(self._by_access))]
        while len(self._by_refresh) > _KEPT:
            del self._by_refresh[next(iter(self._by_refresh))]
