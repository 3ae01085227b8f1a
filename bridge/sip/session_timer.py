"""Session timers: a session that nobody refreshes ends, so that no call outlives a network that died (RFC 4028; pure).

The refresher's role is agreed anew with every 2xx to INVITE, re-INVITE and UPDATE; `uac` and `uas` are of that request, so they
are translated into us and them at once.
"""

from __future__ import annotations

from enum import Enum

from .headers import SipError, number
from .message import MOST_NUMBER, Request, Response

WISH = 1800
FLOOR = 90
"""Seconds; the least that RFC 4028 section 4 allows, and what we take."""
MOST_RAISES = 3
"""How often a peer may want longer sessions than it wanted before."""
RETRY_SECONDS = 5.0
"""After a refresh that came to nothing."""
TAG = "timer"
Pairs = list[tuple[str, str]]


class Due(Enum):
    REFRESH = "refresh"
    EXPIRED = "expired"


class SessionTimer:
    """The timer of one session. Without an agreement there is no deadline."""

    def __init__(self) -> None:
        self._wish = WISH
        self._least = 0
        """The largest Min-SE that a peer demanded."""
        self._raises = 0
        self._agreed = 0
        """Seconds; 0 while no timer runs."""
        self._ours = False
        self._refresh_at: float | None = None
        self._expire_at: float | None = None

    @property
    def deadline(self) -> float | None:
        times = [when for when in (self._refresh_at, self._expire_at) if when is not None]
        return min(times, default=None)

    # ---- requests of ours

    def asking(self) -> Pairs:
        """For an INVITE or UPDATE of ours: once there is an agreement, its roles stay (RFC 4028 section 7.4)."""
        wish = max(self._agreed or self._wish, self._least)
        role = "" if not self._agreed else f";refresher={'uac' if self._ours else 'uas'}"
        least = [("Min-SE", str(self._least))] if self._least else []
        return [("Session-Expires", f"{wish}{role}"), *least]

    def is_too_short(self, response: Response) -> bool:
        """A 422 that says what would be long enough, so that asking again is of use."""
        wanted = _seconds(response, "Min-SE")
        is_more = wanted > max(self._agreed or self._wish, self._least)
        if response.status != 422 or not is_more or self._raises >= MOST_RAISES:
            return False
        self._raises += 1
        self._least = wanted
        return True

    def agreed(self, response: Response, now: float) -> None:
        """A 2xx to it: without Session-Expires there is no timer."""
        interval = _seconds(response, "Session-Expires")
        self._start(interval, _refresher(response) != "uas", now) if interval else self.stop()

    # ---- requests of the peer

    def grant(self, request: Request, now: float) -> Pairs:
        """What our 2xx to an INVITE or UPDATE says (RFC 4028 section 9)."""
        able = TAG in [tag.lower() for tag in request.headers.all("Supported")]
        asked = _seconds(request, "Session-Expires")
        if not asked and not able:
            self.stop()
            return []
        interval = max(asked or self._agreed or self._wish, _seconds(request, "Min-SE"), FLOOR)
        ours = not able or _refresher(request) == "uas"
        self._start(interval, ours, now)
        headers = [("Session-Expires", f"{interval};refresher={'uas' if ours else 'uac'}")]
        return headers if ours else [*headers, ("Require", TAG)]

    # ---- time

    def wake(self, now: float) -> Due | None:
        if self._expire_at is not None and now >= self._expire_at:
            self.stop()
            return Due.EXPIRED
        if self._refresh_at is not None and now >= self._refresh_at:
            self._refresh_at = None
            return Due.REFRESH
        return None

    def try_again(self, now: float) -> None:
        """A refresh came to nothing: once more before the session expires."""
        if self._expire_at is not None and self._ours:
            self._refresh_at = now + RETRY_SECONDS

    def stop(self) -> None:
        self._agreed, self._refresh_at, self._expire_at = 0, None, None

    def _start(self, interval: int, ours: bool, now: float) -> None:
        self._agreed, self._ours = interval, ours
        self._refresh_at = now + interval / 2 if ours else None
        self._expire_at = now + interval - min(32, interval / 3)


def too_short(request: Request) -> Pairs:
    """Headers of the 422 that an INVITE or UPDATE earns, none if it earns none (RFC 4028 section 9)."""
    asked = _seconds(request, "Session-Expires")
    able = TAG in [tag.lower() for tag in request.headers.all("Supported")]
    return [("Min-SE", str(FLOOR))] if 0 < asked < FLOOR and able else []


def _seconds(message: Request | Response, header: str) -> int:
    """0 when absent or unreadable."""
    try:
        return number((message.headers.get(header) or "").partition(";")[0].strip(), MOST_NUMBER)
    except SipError:
        return 0


def _refresher(message: Request | Response) -> str:
    params = (message.headers.get("Session-Expires") or "").lower().replace(" ", "").split(";")[1:]
    return next((param[10:] for param in params if param.startswith("refresher=")), "")
