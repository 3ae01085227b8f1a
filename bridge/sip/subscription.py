"""One extension watched at its PBX, from one subscription to the next (RFC 6665, dialog package of RFC 4235; pure).

IDLE ─start→ ASKING ─NOTIFY→ WATCHING ─refresh→ WATCHING
                │                └─ 481, deactivated, timeout: a new subscription at once
                ├─ silence, 5xx, no NOTIFY in 32 s, probation, giveup → WAITING: again after a growing pause
                └─ 403, 404, 489, rejected, noresource → REFUSED: again after an hour, should the PBX have learnt it
any ─stop→ STOPPING ─answer→ OVER
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from ..calls.extension import ExtensionState
from . import dialog_info
from .address import Uri
from .dialog import PRODUCT, Identity
from .flow import Flow
from .headers import BLANKS
from .lamp import Lamp
from .login import Login
from .matching import Key
from .message import Request, Response, SipError, respond, seconds_in
from .output import Answer, Fact, Output, Unreachable
from .transaction import Timers
from .watch import Watch

BASE_WAIT = 30.0
MOST_WAIT = 1800.0
REFUSED_WAIT = 3600.0
GAP_WAIT = 30.0
"""A full document is asked for so often at most."""
SOON = 2.0
LEAST_GRANTED = 30
MOST_EXPIRES = 86400
DEAD_SECONDS = 60
_REFUSALS = frozenset({400, 401, 403, 404, 405, 407, 410, 416, 420, 484, 485, 489, 501, 603, 604})
_AT_ONCE = frozenset({"deactivated", "timeout"})
_NEVER = frozenset({"rejected", "noresource", "invariant"})


class State(Enum):
    IDLE = "idle"
    ASKING = "asking"
    WATCHING = "watching"
    WAITING = "waiting"
    REFUSED = "refused"
    STOPPING = "stopping"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Turned(Fact):
    """The subscription came into another state; `why` says what went wrong, for a person."""

    state: State
    why: str


class Subscription:
    """`way` is where to ask now, None while the PBX has no address; `routes` what a request has to pass, `login` who asks."""

    def __init__(
        self,
        *,
        extension: Uri,
        watcher: Uri,
        expires: int,
        me: Identity,
        timers: Timers,
        login: Callable[[], Login | None],
        way: Callable[[], Flow | None],
        routes: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self.extension = extension
        self.state = State.IDLE
        self.why = ""
        self.deadline: float | None = None
        """When to wake it; set before the start, it starts then."""
        self._watcher = watcher
        self._expires = expires
        self._me = me
        self._timers = timers
        self._login = login
        self._way, self._routes = way, routes
        self._watch: Watch | None = None
        self._lamp = Lamp()
        self._until = 0.0
        """When what is granted ends."""
        self._full_at = 0.0
        """When a full document may be asked for again."""
        self._failures = 0

    @property
    def over(self) -> bool:
        return self.state is State.OVER

    @property
    def lamp(self) -> ExtensionState:
        return self._lamp.state

    @property
    def names(self) -> tuple[str, str] | None:
        """Call-ID and our tag of what stands or is asked for; a new subscription has new ones (RFC 6665, 4.1.2.2)."""
        return (self._watch.call_id, self._watch.tag) if self._watch else None

    # ---- what its owner wants

    def start(self, now: float) -> list[Output]:
        """Ask now, unless it is asked already."""
        if self.state in {State.ASKING, State.WATCHING, State.STOPPING, State.OVER}:
            return []
        return self._subscribe(now)

    def again_soon(self, now: float) -> None:
        """The way to the PBX was cut: tell it anew where we are."""
        if self.state is State.WATCHING and self._watch and self._watch.asked is None:
            self.deadline = min(self.deadline or now + SOON, now + SOON * self._me.fraction())

    def stop(self, now: float) -> list[Output]:
        """Un-subscribe; over when that is answered, or when it is not."""
        self.deadline = None
        if self.state is not State.WATCHING or self._watch is None:
            return self._turn(State.OVER)
        self._expires = 0
        return [*self._turn(State.STOPPING), self._watch.ask(0)]

    def wake(self, now: float) -> list[Output]:
        if self.deadline is None or now < self.deadline:
            return []
        if self.state is State.WATCHING:
            return self._refresh(now) if now < self._until else self._failed("nobody renewed it", now)
        return self._failed("no NOTIFY", now) if self.state is State.ASKING else self.start(now)

    # ---- what the PBX says

    def responded(self, request: Request, response: Response, now: float) -> list[Output]:
        watch = self._watch
        if response.status < 200 or watch is None or request is not watch.asked:
            return []
        if response.status in {401, 407} and (ask := watch.ask_again(self._expires, response)) is not None:
            return [ask]
        watch.answered(response)
        if self.state is State.STOPPING:
            return self._turn(State.OVER)
        if response.status < 300:
            return self._granted(response, now)
        why = f"{response.status} {response.phrase}"
        if response.status == 423:
            return self._too_brief(response, why, now)
        if response.status in {401, 407, 481} and watch.stands:
            return self._anew(why, now)
        if response.status in _REFUSALS:
            return self._refused(why, now)
        return self._unheard(why, seconds_in(response, "Retry-After"), now)

    def unanswered(self, request: Request, status: int, now: float) -> list[Output]:
        watch = self._watch
        if watch is None or request is not watch.asked:
            return []
        watch.asked = None
        if self.state is State.STOPPING:
            return self._turn(State.OVER)
        why = "no answer" if status == 408 else "can't be sent"
        return [Unreachable(watch.to, DEAD_SECONDS), *self._unheard(why, 0, now)]

    def received(self, key: Key, request: Request, now: float) -> list[Output]:
        """A request within its dialog."""
        if self._watch is None:
            return [Answer(key, respond(request, 481))]
        status, headers = self._watch.judge(request)
        response = respond(request, status, to_tag=self._watch.tag, headers=[("Server", PRODUCT), *headers])
        is_news = status == 200 and self.state is not State.STOPPING
        return [Answer(key, response), *(self._notified(request, now) if is_news else [])]

    # ---- within

    def _notified(self, request: Request, now: float) -> list[Output]:
        state, params = _subscription_state(request)
        if state == "terminated":
            return self._terminated(params.get("reason", ""), _seconds(params.get("retry-after", "")), now)
        granted = _seconds(params.get("expires", ""))
        if granted or self.state is State.ASKING:
            self._grant(granted or self._expires, now)
        self.why = ""
        if state == "pending":
            self._lamp = Lamp()  # not allowed yet: what stands in it says nothing (RFC 6665, 4.1.3)
            return self._turn(State.WATCHING)
        return [*self._turn(State.WATCHING), *self._read(request.body, now)]

    def _read(self, document: bytes, now: float) -> list[Output]:
        try:
            is_missed = bool(document) and not self._lamp.update(dialog_info.parse(document))
        except SipError as fault:
            self.why = str(fault)
            return []
        if not is_missed or self._watch is None or self._watch.asked is not None or now < self._full_at:
            return []
        self._full_at = now + GAP_WAIT
        return self._refresh(now)  # which brings a full document

    def _terminated(self, reason: str, wait: int, now: float) -> list[Output]:
        why = f"ended by the PBX: {reason or 'no reason'}"
        if reason in _NEVER:
            return self._refused(why, now)
        return self._anew(why, now) if reason in _AT_ONCE and not wait else self._failed(why, now, wait)

    def _subscribe(self, now: float) -> list[Output]:
        to = self._way()
        if to is None:
            return self._failed("the name of the PBX is not known", now)
        self._lamp = Lamp()
        self._watch = Watch(
            extension=self.extension,
            watcher=self._watcher,
            me=self._me,
            to=to,
            routes=self._routes(),
            login=self._login(),
        )
        self.deadline = now + self._timers.timeout
        return [*self._turn(State.ASKING), self._watch.ask(self._expires)]

    def _refresh(self, now: float) -> list[Output]:
        """While an answer is waited for, the end of what was granted is all that can come."""
        assert self._watch is not None, "what stands has a dialog"
        self.deadline = self._until
        return [self._watch.ask(self._expires)] if self._watch.asked is None else []

    def _granted(self, response: Response, now: float) -> list[Output]:
        if self.state is State.WATCHING:
            self._failures = 0
            self._grant(seconds_in(response, "Expires") or self._expires, now)
        return []  # while it is asked for, the NOTIFY is what counts

    def _grant(self, seconds: int, now: float) -> None:
        seconds = max(min(seconds, MOST_EXPIRES), LEAST_GRANTED)
        self._until = now + seconds
        early = now + min(seconds * (0.8 + 0.1 * self._me.fraction()), seconds - 5)
        is_asked = self._watch is not None and self._watch.asked is not None
        self.deadline = self._until if is_asked and self.state is State.WATCHING else early

    def _too_brief(self, response: Response, why: str, now: float) -> list[Output]:
        least = seconds_in(response, "Min-Expires")
        if not self._expires < least <= MOST_EXPIRES:
            return self._unheard(why, 0, now)
        self._expires = least
        return self._refresh(now) if self.state is State.WATCHING else self._subscribe(now)

    def _unheard(self, why: str, wait: int, now: float) -> list[Output]:
        """What was granted holds until its end (RFC 6665, 4.1.2.2); until then a refresh is tried again."""
        left = self._until - now
        if self.state is not State.WATCHING or left <= LEAST_GRANTED / 2:
            return self._failed(why, now, wait)
        self.why = why
        self.deadline = now + max(min(BASE_WAIT, left / 2), min(wait, left))
        return []

    def _anew(self, why: str, now: float) -> list[Output]:
        """At once the first time; a PBX that ends one after the other is left alone for longer and longer."""
        if self._failures:
            return self._failed(why, now)
        return self._rest(State.WAITING, why, now + SOON * self._me.fraction(), failures=1)

    def _failed(self, why: str, now: float, wait: int = 0) -> list[Output]:
        pause = min(MOST_WAIT, BASE_WAIT * 2 ** min(self._failures, 10)) * (0.5 + 0.5 * self._me.fraction())
        return self._rest(State.WAITING, why, now + max(pause, min(wait, MOST_WAIT)), self._failures + 1)

    def _refused(self, why: str, now: float) -> list[Output]:
        return self._rest(State.REFUSED, why, now + REFUSED_WAIT * (1 + 0.5 * self._me.fraction()), self._failures)

    def _rest(self, state: State, why: str, until: float, failures: int) -> list[Output]:
        self._watch, self._lamp, self._failures = None, Lamp(), failures
        self.why, self.deadline = why, until
        return self._turn(state)

    def _turn(self, state: State) -> list[Output]:
        if state is self.state:
            return []
        self.state = state
        return [Turned(state, self.why)]


def _subscription_state(notify: Request) -> tuple[str, dict[str, str]]:
    """As `active;expires=60`; without one, as of old peers, it is active."""
    state, *rest = (notify.headers.get("Subscription-State") or "active").lower().split(";")[:8]
    params = {name.strip(BLANKS): value.strip(BLANKS) for name, _, value in (each.partition("=") for each in rest)}
    return state.strip(BLANKS), params


def _seconds(text: str) -> int:
    return int(text[:9]) if text.isascii() and text.isdigit() else 0
