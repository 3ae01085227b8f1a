"""Whether a PBX answers, asked by OPTIONS now and then, for whoever has to know before the next call does (pure)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from .address import Uri
from .dialog import Identity
from .flow import Flow
from .message import Request, Response
from .output import Ask, Fact, Output
from .probe import options


class Health(StrEnum):
    UNKNOWN = "not asked yet"
    ANSWERS = "answers"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class HealthChanged(Fact):
    trunk: str
    health: Health


class Checkup:
    """Asks the best address again and again; any answer says that somebody is there, 408 is that nobody said anything."""

    def __init__(
        self, *, trunk: str, way: Callable[[], Flow | None], domain: Uri, me: Identity, every: float, now: float
    ) -> None:
        """`every` so many seconds; the first time when that long has passed."""
        self.health = Health.UNKNOWN
        self.since = now
        self.status = 0
        """Of the last answer; 0 while there was none."""
        self.seconds = 0.0
        """That it took."""
        self.over = False
        self.deadline: float | None = now + every
        self._trunk, self._way, self._domain, self._me, self._every = trunk, way, domain, me, every
        self._call_id, self._tag, self._cseq = me.call_id(), me.tag(), 0
        self._asked = now

    def wake(self, now: float) -> list[Output]:
        if self.over or self.deadline is None or now < self.deadline:
            return []
        way = self._way()
        if way is None:
            self.deadline = now + self._every
            return []
        self.deadline, self._asked = None, now
        self._cseq += 1
        return [Ask(options(way, self._domain, self._me, self._call_id, self._tag, self._cseq), way)]

    def stop(self) -> None:
        self.over, self.deadline = True, None

    def responded(self, request: Request, response: Response, now: float) -> list[Output]:
        if response.status < 200 or self.over:
            return []
        self.status, self.seconds = response.status, now - self._asked
        return self._is(Health.ANSWERS, now)

    def unanswered(self, request: Request, status: int, now: float) -> list[Output]:
        return [] if self.over else self._is(Health.SILENT, now)

    def _is(self, health: Health, now: float) -> list[Output]:
        self.deadline = now + self._every
        if health is self.health:
            return []
        self.health, self.since = health, now
        return [HealthChanged(self._trunk, health)]
