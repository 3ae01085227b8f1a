"""Keys as telephone-events (RFC 4733): pure, one frame of 20 ms at a time."""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass
from typing import Final

from ..errors import TheirsError

EVENTS: Final = {key: number for number, key in enumerate("0123456789*#ABCD")}
KEY_FRAMES: Final = 5
"""A key sounds for 100 ms."""
END_PACKETS: Final = 3
"""The end is said three times, so that it survives a loss (RFC 4733, 2.5.1.4)."""
FRAMES: Final = 8
"""One key with its pause: 60 ms, in which the end is repeated twice."""
MAX_WAITING: Final = 64
"""Keys; about ten seconds."""

_EVENT: Final = struct.Struct("!BBH")
_END: Final = 0x80
_VOLUME: Final = 10
"""-10 dBm0."""


class DigitsError(TheirsError):
    """Keys that can't be sent; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFrame:
    """The payload of one telephone-event packet."""

    payload: bytes
    first: bool
    """A key begins: marker, and the timestamp that all its packets bear."""


class Keypad:
    """Keys on their way, one after the other."""

    __slots__ = ("_frame", "_keys", "position")

    def __init__(self, frame: int) -> None:
        self._frame = frame
        """Clock units in 20 ms."""
        self._keys: deque[int] = deque()
        self.position = 0
        """Which frame of its key comes next."""

    @property
    def idle(self) -> bool:
        return not self._keys

    def press(self, keys: str) -> None:
        """Let keys wait for their turn, or DigitsError and none of them does."""
        if not all(key in EVENTS for key in keys):
            raise DigitsError("a keypad has 0-9, *, # and A-D")
        if len(self._keys) + len(keys) > MAX_WAITING:
            raise DigitsError(f"{MAX_WAITING} keys are waiting already")
        self._keys.extend(EVENTS[key] for key in keys)

    def next(self) -> EventFrame | None:
        """The frame that is due, None for one of the pause; only while some key waits."""
        at, event = self.position, self._keys[0]
        self.position = (at + 1) % FRAMES
        if self.position == 0:
            self._keys.popleft()
        if at >= KEY_FRAMES - 1 + END_PACKETS:
            return None
        end = _END if at >= KEY_FRAMES - 1 else 0
        duration = self._frame * min(at + 1, KEY_FRAMES)
        return EventFrame(payload=_EVENT.pack(event, end | _VOLUME, duration), first=at == 0)


_KEYS: Final = {number: key for key, number in EVENTS.items()}


class HeardKeys:
    """Keys that the other side presses: one for each new timestamp, at the first of its packets that arrives."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = -1

    def take(self, timestamp: int, payload: bytes) -> str:
        """The key that begins with this packet, else ""."""
        if timestamp == self._last or len(payload) < _EVENT.size:
            return ""
        self._last = timestamp
        return _KEYS.get(payload[0], "")
