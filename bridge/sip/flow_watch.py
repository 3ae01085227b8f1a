"""A UDP flow that a registrar counts on, kept open by STUN and known dead when nothing answers (RFC 5626 4.4.2; pure).

QUIET ─due→ ASKED ─answer→ QUIET
              ├─ no answer in ten seconds, or another address of ours in it → the flow has failed, QUIET
              └─ no answer, and never one before → UNHEARD: the server knows no STUN, and an empty datagram has to do
"""

from __future__ import annotations

from dataclasses import dataclass

from . import stun
from .dialog import Identity
from .flow import Flow
from .message import Request, Response
from .output import Fact, Output, Ping

PING_SECONDS = 24.0, 29.0
PONG_SECONDS = 10.0
FIRST_AGAIN = 0.5


@dataclass(frozen=True, slots=True)
class FlowFailed(Fact):
    """Nothing comes through any more, or not to where we were."""

    way: Flow


class FlowWatch:
    """`timer` are the seconds that the registrar allows between two signs of life, 0 for the usual."""

    def __init__(self, way: Flow, me: Identity, timer: int, now: float) -> None:
        self.way = way
        self.over = False
        self._me, self._timer = me, timer
        self._transaction = b""
        """Of the request that waits for its answer."""
        self._again, self._dead_at = FIRST_AGAIN, 0.0
        self._place: tuple[str, int] | None = None
        """Where the server saw us last."""
        self.deadline: float | None = now + self._pause()

    def wake(self, now: float) -> list[Output]:
        if self.over or self.deadline is None or now < self.deadline:
            return []
        if not self._transaction:
            self._transaction = bytes.fromhex(self._me.token(stun.TRANSACTION_BYTES))
            self._again, self._dead_at = FIRST_AGAIN, now + PONG_SECONDS
        elif now >= self._dead_at:
            return self._unanswered(now)
        self.deadline = min(now + self._again, self._dead_at)
        self._again *= 2
        return [Ping(self.way, stun.request(self._transaction), self._transaction)]

    def ponged(self, data: bytes, now: float) -> list[Output]:
        """The answer to the request that waits."""
        if stun.transaction_of(data) != self._transaction or not self._transaction:
            return []
        place, before = stun.mapped_address(data), self._place
        self._rest(now)
        self._place = place or before
        return [FlowFailed(self.way)] if None not in {place, before} and place != before else []

    def stop(self) -> None:
        self.over, self.deadline = True, None

    def responded(self, request: Request, response: Response, now: float) -> list[Output]:
        return []  # it asks nothing in SIP

    def unanswered(self, request: Request, status: int, now: float) -> list[Output]:
        return []

    def _unanswered(self, now: float) -> list[Output]:
        if self._place is None:
            self.stop()
            return []
        self._rest(now)
        self._place = None
        return [FlowFailed(self.way)]

    def _rest(self, now: float) -> None:
        self._transaction = b""
        self.deadline = now + self._pause()

    def _pause(self) -> float:
        if self._timer:
            return self._timer * (0.8 + 0.2 * self._me.fraction())
        least, most = PING_SECONDS
        return least + (most - least) * self._me.fraction()
