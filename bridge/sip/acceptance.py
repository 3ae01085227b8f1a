"""A 2xx of ours to INVITE or re-INVITE, repeated on every transport until its ACK (RFC 3261 13.3.1.4; pure)."""

from __future__ import annotations

from .matching import Key
from .message import Request, Response, session_description
from .output import Answer, Output
from .transaction import Timers


class Acceptance:
    """`offers`: the INVITE had no description, so ours is an offer and the ACK brings its answer."""

    def __init__(self, key: Key, invite: Request, response: Response, timers: Timers, now: float) -> None:
        self.offers = not session_description(invite)
        self._key = key
        self._response = response
        self._longest = timers.t2
        self._interval = timers.t1
        self._repeat_at = now + timers.t1
        self._give_up_at = now + timers.timeout

    @property
    def deadline(self) -> float:
        return min(self._repeat_at, self._give_up_at)

    def is_acknowledged_by(self, ack: Request) -> bool:
        return self._response.cseq[0] == ack.cseq[0]

    def wake(self, now: float) -> list[Output] | None:
        """None when it was repeated long enough."""
        if now >= self._give_up_at:
            return None
        if now < self._repeat_at:
            return []
        self._interval = min(2 * self._interval, self._longest)
        self._repeat_at = now + self._interval
        return [Answer(self._key, self._response)]
