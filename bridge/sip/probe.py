"""Whether a place that was silent has woken up: OPTIONS now and then, until something answers (RFC 3263 4.3; pure)."""

from __future__ import annotations

from dataclasses import dataclass

from .address import NameAddr, Uri
from .dialog import PRODUCT, Identity
from .flow import Flow
from .message import Headers, Request, Response
from .output import Ask, Fact, Output

AGAIN_SECONDS = 30.0
_DEAD = frozenset({408, 503})


@dataclass(frozen=True, slots=True)
class WokeUp(Fact):
    """The place answers again."""

    way: Flow


class Probe:
    """Asks until it gets an answer; whatever the answer is, somebody gave it."""

    def __init__(self, *, way: Flow, domain: Uri, me: Identity, now: float) -> None:
        self.way = way
        self.over = False
        self.deadline: float | None = now + AGAIN_SECONDS
        self._domain = domain
        self._me = me
        self._call_id = me.call_id()
        self._tag = me.tag()
        self._cseq = 0

    def wake(self, now: float) -> list[Output]:
        if self.over or self.deadline is None or now < self.deadline:
            return []
        self.deadline = None
        self._cseq += 1
        return [Ask(options(self.way, self._domain, self._me, self._call_id, self._tag, self._cseq), self.way)]

    def stop(self) -> None:
        self.over, self.deadline = True, None

    def responded(self, request: Request, response: Response, now: float) -> list[Output]:
        if response.status < 200 or self.over:
            return []
        if response.status in _DEAD:
            return self.unanswered(request, response.status, now)
        self.stop()
        return [WokeUp(self.way)]

    def unanswered(self, request: Request, status: int, now: float) -> list[Output]:
        if not self.over:
            self.deadline = now + AGAIN_SECONDS
        return []


def options(way: Flow, domain: Uri, me: Identity, call_id: str, tag: str, cseq: int) -> Request:
    """Whether anybody is there (RFC 3261, 11.1)."""
    pairs = [
        ("Via", str(me.via(way))),
        ("Max-Forwards", "70"),
        ("From", str(NameAddr("", domain).with_tag(tag))),
        ("To", f"<{domain}>"),
        ("Call-ID", call_id),
        ("CSeq", f"{cseq} OPTIONS"),
        ("Accept", "application/sdp"),
        ("User-Agent", PRODUCT),
    ]
    return Request("OPTIONS", str(domain), Headers(pairs))
