"""The channels of Bitrix24's push server for applications: who may listen, and what they hear."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

CHANNEL_SECONDS = 12 * 3600
SHARED = 0
"""The user id of the channel that belongs to everybody."""
_WAITING = 200

Queue = asyncio.Queue[dict[str, Any] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    user: int
    start: float
    name: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def end(self) -> float:
        return self.start + CHANNEL_SECONDS

    def public(self) -> dict[str, str]:
        """As pull.application.config.get tells it."""
        times = {
            key: datetime.fromtimestamp(at, UTC).isoformat() for key, at in (("start", self.start), ("end", self.end))
        }
        return {"id": self.name, "public_id": "", "type": "private" if self.user else "shared", **times}


class Channels:
    """One channel for each user, and the shared one; a listener that does not read loses messages."""

    def __init__(self) -> None:
        self._channels: dict[int, Channel] = {}
        self._listeners: dict[Queue, frozenset[int]] = {}
        self._sent = 0

    def open(self, user: int, now: float, *, renew: bool = False) -> Channel:
        known = self._channels.get(user)
        if known is None or known.end <= now or renew:
            known = self._channels[user] = Channel(user=user, start=now)
        return known

    def users_of(self, names: Collection[str], now: float) -> frozenset[int]:
        """Whose channels these are; expired and unknown ones are nobody's."""
        return frozenset(
            channel.user for channel in self._channels.values() if channel.name in names and channel.end > now
        )

    @contextmanager
    def listening(self, users: frozenset[int]) -> Iterator[Queue]:
        waiting: Queue = asyncio.Queue(_WAITING)
        self._listeners[waiting] = users
        try:
            yield waiting
        finally:
            del self._listeners[waiting]

    def listeners(self, user: int) -> int:
        return sum(user in users for users in self._listeners.values())

    def send(self, users: Collection[int], text: dict[str, Any], now: float) -> None:
        """To these users, or to everybody on the shared channel."""
        self._sent += 1
        message = {
            "id": self._sent,
            "mid": str(self._sent),
            "channel": "",
            "tag": "",
            "time": str(int(now)),
            "text": text,
        }
        wanted = set(users) or {SHARED}
        for waiting, listening in self._listeners.items():
            if wanted & listening and not waiting.full():
                waiting.put_nowait(message)

    def close(self) -> None:
        for waiting in self._listeners:
            if not waiting.full():
                waiting.put_nowait(None)
