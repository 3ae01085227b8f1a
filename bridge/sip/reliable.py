"""Provisional responses that must not get lost: 100rel and PRACK in both roles (RFC 3262; pure)."""

from __future__ import annotations

from dataclasses import dataclass

from .headers import SipError, number
from .matching import Key
from .message import MOST_NUMBER, Request, Response
from .output import Answer, Output
from .transaction import Timers

TAG = "100rel"


@dataclass(slots=True)
class _Unacknowledged:
    key: Key
    response: Response
    number: int
    interval: float
    repeat_at: float
    give_up_at: float


class ReliableSender:
    """The called side's: one at a time, repeated until its PRACK; `first` is where RSeq starts."""

    def __init__(self, invite: Request, timers: Timers, first: int) -> None:
        self.is_required = TAG in _tags(invite, "Require")
        self.is_possible = self.is_required or TAG in _tags(invite, "Supported")
        self._cseq = invite.cseq[0]
        self._timers = timers
        self._number = first
        self._waiting: _Unacknowledged | None = None
        self._late = 0
        """RSeq of what waited when the INVITE was answered."""

    @property
    def waits(self) -> bool:
        return self._waiting is not None

    @property
    def has_description(self) -> bool:
        """What waits for its PRACK carries SDP: the answer to the INVITE has to wait too (RFC 3262 section 3)."""
        return self._waiting is not None and bool(self._waiting.response.body)

    @property
    def deadline(self) -> float | None:
        return min(self._waiting.repeat_at, self._waiting.give_up_at) if self._waiting else None

    def headers(self) -> list[tuple[str, str]]:
        """Of the next one."""
        return [("Require", TAG), ("RSeq", str(self._number))]

    def sent(self, key: Key, response: Response, now: float) -> None:
        t1 = self._timers.t1
        self._waiting = _Unacknowledged(key, response, self._number, t1, now + t1, now + self._timers.timeout)
        self._number += 1

    def acknowledged(self, prack: Request) -> bool:
        """Whether a PRACK means the one that waits."""
        try:
            rseq, cseq, method = (prack.headers.get("RAck") or "").split()
            meant = number(rseq, MOST_NUMBER), number(cseq, MOST_NUMBER), method
        except (SipError, ValueError):
            return False
        if meant == (self._late, self._cseq, "INVITE"):
            return True
        if self._waiting is None or meant != (self._waiting.number, self._cseq, "INVITE"):
            return False
        self._waiting = None
        return True

    def wake(self, now: float) -> list[Output] | None:
        """Repeat what waits; None when it was repeated long enough."""
        waiting = self._waiting
        if waiting is None:
            return []
        if now >= waiting.give_up_at:
            self._waiting = None
            return None
        if now < waiting.repeat_at:
            return []
        waiting.interval *= 2
        waiting.repeat_at = now + waiting.interval
        return [Answer(waiting.key, waiting.response)]

    def stop(self) -> None:
        """The INVITE has its final answer; a PRACK may be on its way still."""
        self._late, self._waiting = self._waiting.number if self._waiting else 0, None


class ReliableReceiver:
    """The calling side's: which responses of each fork are new, and in order."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        """RSeq by tag."""

    def takes(self, response: Response) -> bool | None:
        """None: it is no reliable one; False: a repetition, or one came before it that was lost, so it counts for nothing yet."""
        if TAG not in _tags(response, "Require") or not response.to_tag:
            return None
        try:
            rseq = number(response.headers.get("RSeq") or "", MOST_NUMBER)
        except SipError:
            return False
        last = self._last.get(response.to_tag)
        if last is not None and rseq != last + 1:
            return False
        self._last[response.to_tag] = rseq
        return True


def rack(response: Response) -> tuple[str, str]:
    """The header of the PRACK to a response (RFC 3262 section 7.2)."""
    return "RAck", f"{int(response.headers.get('RSeq') or 0)} {response.cseq[0]} INVITE"


def _tags(message: Request | Response, header: str) -> list[str]:
    return [tag.lower() for tag in message.headers.all(header)]
