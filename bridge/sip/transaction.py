"""Transactions: RFC 3261 section 17, as corrected by RFC 6026 (Accepted) and RFC 4320 (pure).

    INVITE client   CALLING ─1xx→ PROCEEDING    ─2xx→ ACCEPTED    ─3xx..6xx→ COMPLETED (ACK)    ─B→ unanswered
    INVITE server   PROCEEDING ─2xx→ ACCEPTED (ACK goes up)    ─3xx..6xx→ COMPLETED ─ACK→ CONFIRMED    ─H→ gone
    other client    TRYING ─1xx→ PROCEEDING ─final→ COMPLETED    ─F→ unanswered
    other server    TRYING ─1xx→ PROCEEDING ─final→ COMPLETED

Each machine has two timers: one resends, one ends the state. Time is an argument, in seconds; a timer is a deadline.
On a stream nothing is sent again and nothing has to be absorbed: timers A, E and G never run, D, I, J and K are zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from .flow import Flow
from .matching import Key, ack_of_refusal
from .message import Request, Response


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """The three times every other is made of, in seconds (RFC 3261, table 4)."""

    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0

    @property
    def timeout(self) -> float:
        """64·T1: B, F, H, J, L, M, and the patience of whoever waits for an ACK."""
        return 64 * self.t1


class State(Enum):
    CALLING = "calling"
    TRYING = "trying"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    ACCEPTED = "accepted"
    TERMINATED = "terminated"


# ---- what comes out


@dataclass(frozen=True, slots=True)
class Send:
    """Send this datagram; should that fail, the client transaction named `key` is over."""

    data: bytes
    to: Flow
    key: Key | None = None


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request begins a server transaction: somebody has to answer it."""

    key: Key
    request: Request
    source: Flow


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """An ACK that belongs to no refusal: it confirms a 2xx."""

    request: Request


@dataclass(frozen=True, slots=True)
class Responded:
    """A response to a request of ours."""

    key: Key
    request: Request
    response: Response


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A request of ours found no answer in 64·T1, as good as a 408, or could not be sent, as good as a 503."""

    key: Key
    request: Request
    status: int


@dataclass(frozen=True, slots=True)
class Terminated:
    """The transaction is forgotten."""

    key: Key


Output: TypeAlias = Send | Arrived | Acknowledged | Responded | Unanswered | Terminated


# ---- the four machines


class _Machine:
    """What the four have in common: a state, the last message sent, and the two timers."""

    __slots__ = ("_end_at", "_interval", "_last", "_resend_at", "_timers", "_to", "key", "state")

    def __init__(self, key: Key, state: State, to: Flow, timers: Timers) -> None:
        self.key = key
        self.state = state
        self._to = to
        self._timers = timers
        self._last = b""
        self._interval = timers.t1
        self._resend_at: float | None = None
        self._end_at: float | None = None

    @property
    def deadline(self) -> float | None:
        if self._resend_at is None or self._end_at is None:
            return self._resend_at if self._end_at is None else self._end_at
        return min(self._resend_at, self._end_at)

    def wake(self, now: float) -> list[Output]:
        if self._end_at is not None and now >= self._end_at:
            return self._end()
        if self._resend_at is None or now < self._resend_at:
            return []
        self._interval = self._longer(self._interval)
        self._resend_at = now + self._interval
        return self._resend()

    def goes_over(self, flow: Flow) -> bool:
        return self._to.protocol.is_reliable and self._to.place == flow.place

    def _enter(self, state: State, *, end_at: float | None = None, resend_at: float | None = None) -> None:
        self.state, self._end_at = state, end_at
        self._resend_at = None if self._to.protocol.is_reliable else resend_at

    def _unless_reliable(self, seconds: float) -> float:
        """How long repeats of what a peer sent have to be absorbed."""
        return 0.0 if self._to.protocol.is_reliable else seconds

    def _end(self) -> list[Output]:
        self._enter(State.TERMINATED)
        return [Terminated(self.key)]

    def _resend(self) -> list[Output]:
        return [Send(self._last, self._to)] if self._last else []

    def _transmit(self, message: Request | Response) -> list[Output]:
        self._last = message.encode()
        return self._resend()

    def _longer(self, interval: float) -> float:
        return min(2 * interval, self._timers.t2)


class Client(_Machine):
    """`request` is what was asked for; `sent` is the same but for a Via that names another transport."""

    __slots__ = ("_plain", "_request", "sent")

    def __init__(
        self, key: Key, state: State, request: Request, to: Flow, timers: Timers, stream: tuple[Request, Flow] | None
    ) -> None:
        super().__init__(key, state, stream[1] if stream else to, timers)
        self._request = request
        self._plain = to if stream else None
        """Where it goes as a datagram if the stream can't be had."""
        self.sent = stream[0] if stream else request

    @property
    def to(self) -> Flow:
        return self._to

    def start(self, now: float) -> list[Output]:
        self._enter(self.state, end_at=now + self._timers.timeout, resend_at=now + self._timers.t1)
        return self._transmit(self.sent)

    def received(self, response: Response, now: float) -> list[Output]:
        raise NotImplementedError

    def _deliver(self, response: Response) -> Output:
        return Responded(self.key, self._request, response)

    def _end(self) -> list[Output]:
        waiting = self.state in {State.CALLING, State.TRYING} or (
            self.state is State.PROCEEDING and self._request.method != "INVITE"
        )
        return [*([Unanswered(self.key, self._request, 408)] if waiting else []), *super()._end()]

    @property
    def can_step_down(self) -> bool:
        """It was too large for a datagram, and may still be sent as one (RFC 3261 18.1.1)."""
        return self._plain is not None and self.state in {State.CALLING, State.TRYING}

    def step_down(self, now: float) -> list[Output]:
        assert self._plain is not None, "asked before"
        self._to, self._plain, self.sent = self._plain, None, self._request
        return self.start(now)

    def failed(self) -> list[Output]:
        """It could not be sent (RFC 3261 17.1.4)."""
        return [Unanswered(self.key, self._request, 503), *super()._end()]

    def abandon(self, now: float) -> None:
        """Whoever asked waits no more; a final answer that comes all the same is still acknowledged."""
        if self.state in {State.CALLING, State.TRYING, State.PROCEEDING}:
            self._enter(self.state, end_at=now + self._timers.timeout)

    def _resend(self) -> list[Output]:
        return [Send(self._last, self._to, self.key)] if self._last else []


class InviteClient(Client):
    """RFC 3261 17.1.1: timers A, B, D and, in Accepted, M."""

    __slots__ = ()

    def received(self, response: Response, now: float) -> list[Output]:
        undecided = self.state in {State.CALLING, State.PROCEEDING}
        if response.status < 200:
            if undecided:
                self._enter(State.PROCEEDING)
            return [self._deliver(response)] if undecided else []
        if response.status < 300:
            if undecided:
                self._enter(State.ACCEPTED, end_at=now + self._timers.timeout)
            return [self._deliver(response)] if self.state is State.ACCEPTED else []
        if undecided:
            self._enter(State.COMPLETED, end_at=now + self._unless_reliable(max(32.0, self._timers.timeout)))
            return [*self._transmit(ack_of_refusal(self.sent, response)), self._deliver(response)]
        return self._resend() if self.state is State.COMPLETED else []

    def _longer(self, interval: float) -> float:
        return 2 * interval


class OtherClient(Client):
    """RFC 3261 17.1.2: timers E, F, K."""

    __slots__ = ()

    def received(self, response: Response, now: float) -> list[Output]:
        if self.state is State.COMPLETED:
            return []
        if response.status < 200:
            self._interval = self._timers.t2
            self.state = State.PROCEEDING
        else:
            self._enter(State.COMPLETED, end_at=now + self._unless_reliable(self._timers.t4))
        return [self._deliver(response)]


class Server(_Machine):
    __slots__ = ()

    def repeated(self, request: Request, now: float) -> list[Output]:
        raise NotImplementedError

    def answer(self, response: Response, now: float) -> list[Output]:
        raise NotImplementedError


class InviteServer(Server):
    """RFC 3261 17.2.1: timers G, H, I and, in Accepted, L. The repeats of a 2xx come from above."""

    __slots__ = ()

    def __init__(self, key: Key, to: Flow, timers: Timers) -> None:
        super().__init__(key, State.PROCEEDING, to, timers)

    def repeated(self, request: Request, now: float) -> list[Output]:
        if request.method == "ACK":
            return self._acknowledged(request, now)
        return self._resend() if self.state in {State.PROCEEDING, State.COMPLETED} else []

    def answer(self, response: Response, now: float) -> list[Output]:
        success = 200 <= response.status < 300
        if self.state is State.ACCEPTED and success:
            return self._transmit(response)
        if self.state is not State.PROCEEDING:
            return []
        if success:
            self._enter(State.ACCEPTED, end_at=now + self._timers.timeout)
        elif response.status >= 300:
            self._enter(State.COMPLETED, end_at=now + self._timers.timeout, resend_at=now + self._timers.t1)
        return self._transmit(response)

    def _acknowledged(self, request: Request, now: float) -> list[Output]:
        if self.state is State.ACCEPTED:
            return [Acknowledged(request)]
        if self.state is State.COMPLETED:
            self._enter(State.CONFIRMED, end_at=now + self._unless_reliable(self._timers.t4))
        return []


class OtherServer(Server):
    """RFC 3261 17.2.2: timer J."""

    __slots__ = ()

    def __init__(self, key: Key, to: Flow, timers: Timers) -> None:
        super().__init__(key, State.TRYING, to, timers)

    def repeated(self, request: Request, now: float) -> list[Output]:
        return self._resend()

    def answer(self, response: Response, now: float) -> list[Output]:
        if self.state is State.COMPLETED:
            return []
        if response.status < 200:
            self.state = State.PROCEEDING
        else:
            self._enter(State.COMPLETED, end_at=now + self._unless_reliable(self._timers.timeout))
        return self._transmit(response)
