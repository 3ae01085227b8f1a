"""The guardian of a portal's background worker (pure): counts what Bitrix24 counts, decides when to warn, to look, to bind.

Bitrix24 counts loads above five seconds; the one after the tenth within about a day removes the handler. Its window starts
with the first slow load, a handler that is bound again starts at nothing, and the general handler and each personal one
have counters of their own. What pages report is a mirror of that: a page that never got as far as a socket is not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

DAY = 86400.0
REBIND_SECONDS = (0.0, 60.0, 600.0, 3600.0)
"""How long after a binding the next one may follow, by how many were necessary lately."""
HINT_SECONDS = 60.0
"""Anybody who knows the address can claim that the worker is gone: after a false claim nobody looks for so long."""
AGAIN_SECONDS = 60.0
"""After a look that failed."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When a load is slow, and how many a day the portal bears."""

    seconds: float = 5.0
    loads: int = 10

    @property
    def alarm(self) -> int:
        """So many slow loads call for somebody to look."""
        return max(1, self.loads // 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How long a page's frame took to load and what it was doing, in seconds. As the page says: anybody can claim this."""

    total: float
    waiting: float
    """Before it began: the browser was busy."""
    connecting: float
    """Name, connection, encryption."""
    answering: float
    """From the request to the first byte: the way there and back, the proxy and the bridge."""
    transferring: float

    @property
    def cause(self) -> str:
        """The longest part, in words."""
        rest = self.total - self.waiting - self.connecting - self.answering - self.transferring
        parts = {
            "the browser was busy before it asked": self.waiting,
            "connecting to the bridge took long": self.connecting,
            "the bridge or the way to it answered late": self.answering,
            "the page arrived slowly": self.transferring,
            "the browser was busy with the page": rest,
        }
        words = max(parts, key=lambda name: parts[name])
        return f"{words} ({parts[words]:.1f} of {self.total:.1f} s)"


@dataclass(frozen=True, slots=True)
class Slow:
    """A load that Bitrix24 counts."""

    user: int
    """Whose personal handler it was, 0 for the general one."""
    count: int
    alarming: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What is known of one portal's worker."""

    counts: Mapping[int, int] = field(default_factory=dict)
    """Slow loads of the running window, by the user of the handler (0: general)."""
    window_ends: float = 0.0
    losses: int = 0
    """Bindings that became necessary within a day of one another."""
    bound_at: float = float("-inf")
    deceived_at: float = float("-inf")
    """When a hint was found to be false."""
    look_at: float | None = None
    """When to see whether the worker still stands; None when nobody doubts it."""

    def count(self, now: float) -> int:
        """The highest counter of the running window."""
        return max(self.counts.values(), default=0) if now < self.window_ends else 0


def loaded(watch: Watch, user: int, seconds: float, rule: Rule, now: float) -> tuple[Watch, Slow | None]:
    if seconds <= rule.seconds:
        return watch, None
    if now >= watch.window_ends:
        watch = replace(watch, counts={}, window_ends=now + DAY)
    count = watch.counts.get(user, 0) + 1
    watch = replace(watch, counts={**watch.counts, user: count})
    return watch, Slow(user, count, count >= rule.alarm)


def doubted(watch: Watch, now: float) -> Watch:
    """Somebody says, or it may be, that the worker is gone."""
    if watch.look_at is not None:
        return watch
    lately = watch.losses if now - watch.bound_at <= DAY else 0
    bearable = watch.bound_at + REBIND_SECONDS[min(lately, len(REBIND_SECONDS) - 1)]
    return replace(watch, look_at=max(now, bearable, watch.deceived_at + HINT_SECONDS))


def is_due(watch: Watch, now: float) -> bool:
    return watch.look_at is not None and watch.look_at <= now


def stands(watch: Watch, now: float, *, hinted: bool) -> Watch:
    """A look found every handler in its place; `hinted` if somebody had said that it is not."""
    return replace(watch, deceived_at=now if hinted else watch.deceived_at, look_at=None)


def bound(watch: Watch, users: frozenset[int], now: float) -> Watch:
    """A look found these handlers gone, and they were bound again: with new counters."""
    lately = watch.losses if now - watch.bound_at <= DAY else 0
    counts = {user: count for user, count in watch.counts.items() if user not in users}
    return replace(watch, counts=counts, losses=lately + 1, bound_at=now, look_at=None)


def failed(watch: Watch, now: float) -> Watch:
    """The portal could not be asked, or refused."""
    return replace(watch, look_at=now + AGAIN_SECONDS)
