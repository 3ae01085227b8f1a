"""Requests to an rtpengine over UDP (its ng protocol): cookies, repetition, patience; pure.

A request is `COOKIE BENCODED`, its answer comes under the same cookie. One that is repeated under its cookie is answered
with what was answered before, so nothing happens twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ...errors import NetworkError, TheirsError
from . import bencode
from .bencode import BencodeError, Value

PAUSES: Final = (0.25, 0.5, 1.0, 1.5)
"""Seconds until it is repeated, and at last given up."""

Words = dict[str, Value]


class EngineError(TheirsError):
    """The rtpengine refused."""


class EngineSilentError(NetworkError):
    """The rtpengine does not answer."""


@dataclass(slots=True, kw_only=True)
class _Open:
    datagram: bytes
    sent: int
    due: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a request."""

    cookie: str
    words: Words | None
    error: EngineError | EngineSilentError | None


class Requests:
    """The requests that are open."""

    def __init__(self, new_cookie: Callable[[], str]) -> None:
        self._new_cookie = new_cookie
        self._open: dict[str, _Open] = {}

    def begin(self, words: Words, now: float) -> tuple[str, bytes]:
        """A new request: its cookie, and what to send."""
        cookie = self._new_cookie()
        datagram = cookie.encode() + b" " + bencode.encode(words)
        self._open[cookie] = _Open(datagram=datagram, sent=1, due=now + PAUSES[0])
        return cookie, datagram

    def forget(self, cookie: str) -> None:
        self._open.pop(cookie, None)

    def received(self, datagram: bytes) -> Answer | None:
        """None for what nobody waits for, or what makes no sense."""
        head, _, body = datagram.partition(b" ")
        cookie = head.decode("ascii", errors="replace")
        if cookie not in self._open:
            return None
        try:
            words = bencode.decode(body)
        except BencodeError:
            return None
        if not isinstance(words, dict):
            return None
        del self._open[cookie]
        if words.get("result") in {"ok", "pong"}:
            return Answer(cookie=cookie, words=words, error=None)
        why = words.get("error-reason") or words.get("result") or "no reason given"
        return Answer(cookie=cookie, words=None, error=EngineError(f"rtpengine: {str(why)[:200]}"))

    @property
    def deadline(self) -> float | None:
        return min((each.due for each in self._open.values()), default=None)

    def wake(self, now: float) -> tuple[list[bytes], list[Answer]]:
        """What to send again, and what is given up."""
        again, given_up = [], []
        for cookie, each in list(self._open.items()):
            if each.due > now:
                continue
            if each.sent == len(PAUSES):
                del self._open[cookie]
                silent = EngineSilentError("rtpengine does not answer")
                given_up.append(Answer(cookie=cookie, words=None, error=silent))
            else:
                again.append(each.datagram)
                each.due = now + PAUSES[each.sent]
                each.sent += 1
        return again, given_up
