"""One account kept registered at its registrar (RFC 3261 section 10, back-off of RFC 5626 4.5; pure).

IDLE ─start→ REGISTERING ─200→ REGISTERED ─refresh fails→ FAILING ─200→ REGISTERED
                 ├─ silence, 503 → the next of its places at once; after the last FAILING: again after a growing pause
                 └─ 403, wrong password → REFUSED: again after ten minutes, so as not to hammer
any ─stop→ STOPPING ─answer→ OVER
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from .address import NameAddr, Uri
from .binding import MOST_EXPIRES, Binding
from .dialog import ALLOW, PRODUCT, Identity
from .flow import Flow
from .login import Login
from .message import Headers, Request, Response, SipError, seconds_in
from .output import Ask, Fact, Output, Unreachable

BASE_WAIT = 30.0
MOST_WAIT = 1800.0
REFUSED_WAIT = 600.0
DEAD_SECONDS = 60
FLOW_WAIT = 2.0
PATIENCE = 90.0
"""The transaction reports after 32 s; should that report be lost to a fault, the account must not be."""
LEAST_GRANTED = 10
"""A registrar that grants less is believed to have granted this, or we would do nothing but refresh."""
_REFUSALS = frozenset({401, 403, 404, 405, 407})


class State(Enum):
    IDLE = "idle"
    REGISTERING = "registering"
    REGISTERED = "registered"
    FAILING = "failing"
    REFUSED = "refused"
    STOPPING = "stopping"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Became(Fact):
    """The state changed; `why` says what went wrong, for a person."""

    state: State
    why: str


class Registration:
    """`ways` are the places where it may register, best first; they may change at any time, and be unknown until the start.

    `nat` and `instance` as of `Binding`. `routes` are outbound proxies.
    """

    def __init__(
        self,
        *,
        account: Uri,
        registrar: Uri,
        expires: int,
        login: Login,
        me: Identity,
        ways: Sequence[Flow] = (),
        routes: Sequence[str] = (),
        nat: bool = False,
        instance: str = "",
    ) -> None:
        self.account = account
        self.state = State.IDLE
        self.since = 0.0
        self.why = ""
        """The last refusal or failure, for a person."""
        self.deadline: float | None = None
        """When to wake it; set before the start, it starts then."""
        self.service: tuple[str, ...] = ()
        """The Route that requests of this account take (RFC 3608)."""
        self._ways = tuple(ways)
        self._place = 0
        self._tried = 0
        """Places that failed since one answered."""
        self._routes = tuple(routes)
        self._registrar = registrar
        self._binding = Binding(account.user, me, secure=account.is_secure, nat=nat, instance=instance)
        self.flow_timer: int | None = None
        """The registrar keeps our flow: how many seconds it may be quiet, 0 for the usual; None: it does not (RFC 5626)."""
        self._expires = expires
        self._login = login
        self._me = me
        self._call_id = me.call_id()
        self._tag = me.tag()
        self._cseq = 0
        self._failures = 0

    @property
    def over(self) -> bool:
        return self.state is State.OVER

    @property
    def way(self) -> Flow | None:
        """Where it registers now; None while no place is known."""
        return self._ways[self._place] if self._ways else None

    def move(self, ways: Sequence[Flow]) -> None:
        """These are the places from now on; the one in use is kept if it is among them."""
        current = self.way
        self._ways = tuple(ways)
        self._place = self._ways.index(current) if current in self._ways else 0
        self._tried = min(self._tried, max(0, len(self._ways) - 1))

    def lost(self, flow: Flow, now: float) -> None:
        """A connection ended: what was bound to it is bound anew, not by everybody at the same moment (RFC 5626 4.5)."""
        if self.way is not None and self.way.place == flow.place and self.state is State.REGISTERED:
            self.deadline = min(self.deadline or now + FLOW_WAIT, now + FLOW_WAIT * self._me.fraction())

    def start(self, now: float) -> list[Output]:
        """Register now, or try again now."""
        if self.state in {State.STOPPING, State.OVER}:
            return []
        told = self._become(State.REGISTERING, now) if self.state in {State.IDLE, State.REFUSED} else []
        return [*told, *self._register(now)]

    def wake(self, now: float) -> list[Output]:
        return self.start(now) if self.deadline is not None and now >= self.deadline else []

    def log_in(self, login: Login, now: float) -> list[Output]:
        """Another password from now on: prove it at once."""
        self._login = login
        return [] if self.state is State.IDLE else self.start(now)

    def stop(self, now: float) -> list[Output]:
        """Un-register; over when that is answered, or when it is not."""
        bound = self.state is State.REGISTERED or self._failures > 0
        self._expires = 0
        if not bound:
            return self._become(State.OVER, now)
        return [*self._become(State.STOPPING, now), *self._register(now)]

    def responded(self, request: Request, response: Response, now: float) -> list[Output]:
        if response.status < 200 or self.over:
            return []
        if self.state is not State.STOPPING and request.headers.get("Expires") == "0":
            return []
        if response.status in {401, 407}:
            return self._challenged(request, response, now)
        if self.state is State.STOPPING:
            return self._become(State.OVER, now)
        if response.status < 300:
            return self._granted(response, now)
        if response.status == 423:
            return self._too_brief(response, now)
        if response.status == 439 and self._binding.wants_flow:
            self._binding.without_flow()
            return self._register(now)
        if response.status in _REFUSALS:
            return self._refused(response, now)
        wait, why = seconds_in(response, "Retry-After"), f"{response.status} {response.phrase}"
        if response.status in {430, 503}:
            return self._unreachable(why, min(wait, MOST_EXPIRES) or DEAD_SECONDS, now, wait)
        return self._failed(why, now, wait)

    def unanswered(self, request: Request, status: int, now: float) -> list[Output]:
        if self.state is State.STOPPING:
            return self._become(State.OVER, now)
        return (
            [] if self.over else self._unreachable("no answer" if status == 408 else "can't be sent", DEAD_SECONDS, now)
        )

    def _register(self, now: float) -> list[Output]:
        if self.way is None:
            return []
        self.deadline = now + PATIENCE
        return [Ask(self._login.sign(self._request(self.way)), self.way)]

    def _unreachable(self, why: str, seconds: int, now: float, wait: int = 0) -> list[Output]:
        """This place is of no use: the next one at once, and after the last a pause (RFC 3263 4.3)."""
        told: list[Output] = [Unreachable(self.way, seconds)] if self.way is not None else []
        self._tried += 1
        if len(self._ways) > 1:
            self._place = (self._place + 1) % len(self._ways)
        if self._tried < len(self._ways):
            return [*told, *self._register(now)]
        self._tried = 0
        return [*told, *self._failed(why, now, wait)]

    def _request(self, way: Flow) -> Request:
        self._cseq += 1
        pairs = [
            ("Via", str(self._me.via(way))),
            *(("Route", route) for route in self._routes),
            ("Max-Forwards", "70"),
            ("From", str(NameAddr("", self.account).with_tag(self._tag))),
            ("To", str(NameAddr("", self.account))),
            ("Call-ID", self._call_id),
            ("CSeq", f"{self._cseq} REGISTER"),
            *self._binding.headers(way, self._expires),
            ("Allow", ALLOW),
            ("User-Agent", PRODUCT),
        ]
        return Request("REGISTER", str(self._registrar), Headers(pairs))

    def _challenged(self, request: Request, response: Response, now: float) -> list[Output]:
        signed = self._login.retry(self._request(self.way), request, response) if self.way else None
        if signed is not None and self.way is not None:
            return [Ask(signed, self.way)]
        return self._become(State.OVER, now) if self.state is State.STOPPING else self._refused(response, now)

    def _granted(self, response: Response, now: float) -> list[Output]:
        granted = max(self._binding.granted(response, self._expires), LEAST_GRANTED)
        early = granted * (0.8 + 0.1 * self._me.fraction())
        self.deadline = now + min(early, granted - 5)
        self._login.learn(response)
        self._failures = self._tried = 0
        self._binding.settled()
        self.why = ""
        self.flow_timer = seconds_in(response, "Flow-Timer") if _keeps_flow(response) else None
        with suppress(SipError):
            self.service = response.headers.all("Service-Route")
        again = self._register(now) if self._binding.moves(response) else []
        return [*self._become(State.REGISTERED, now), *again]

    def _too_brief(self, response: Response, now: float) -> list[Output]:
        least = seconds_in(response, "Min-Expires")
        if not self._expires < least <= MOST_EXPIRES:
            return self._failed(f"423, Min-Expires {least}", now)
        self._expires = least
        return self._register(now)

    def _refused(self, response: Response, now: float) -> list[Output]:
        self.why = f"{response.status} {response.phrase}"
        self.deadline = now + REFUSED_WAIT * (1 + 0.5 * self._me.fraction())
        return self._become(State.REFUSED, now)

    def _failed(self, why: str, now: float, wait: int = 0) -> list[Output]:
        self.why = why
        self._failures += 1
        pause = min(MOST_WAIT, BASE_WAIT * 2 ** min(self._failures, 10)) * (0.5 + 0.5 * self._me.fraction())
        self.deadline = now + max(pause, min(wait, MOST_WAIT))
        return self._become(State.FAILING, now)

    def _become(self, state: State, now: float) -> list[Output]:
        if state in {State.STOPPING, State.OVER}:
            self.deadline = None
        if state is self.state:
            return []
        self.state, self.since = state, now
        return [Became(state, self.why)]


def _keeps_flow(response: Response) -> bool:
    try:
        return "outbound" in {tag.lower() for tag in response.headers.all("Require")}
    except SipError:
        return False
