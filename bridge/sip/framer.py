"""Where one message ends and the next begins on a stream (RFC 3261 18.3, RFC 5626 3.5.1; pure).

Bytes go in as they arrive, cut anywhere. Out come whole messages and pings; a message whose end can't be told is the last.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from .headers import BLANKS, SipError, number
from .message import MOST_BYTES, MOST_NUMBER

HEAD_SECONDS = 10.0
"""How long the start line and the headers of one message may take to arrive."""
BODY_SECONDS = 20.0
PING = b"\r\n\r\n"
PONG = b"\r\n"
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_LONGEST_END = 4
_LENGTHS = re.compile(rb"\n(?:content-length|l)[ \t]*:([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Whole:
    """One message with its body."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pinged:
    """The peer wants to know whether the connection lives: answer PONG."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Framing is lost. `data` begins with the message at fault; nothing after it can be read."""

    data: bytes
    why: str
    status: int = 400


Framed: TypeAlias = Whole | Pinged | Lost


class Framer:
    """The receiving half of one connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        """No header block ends before this byte."""
        self._length = 0
        """Of the message, once its headers are here."""
        self._line_ends = 0
        """Between two messages, directly before the next byte."""
        self._began: float | None = None
        self._lost = False

    @property
    def deadline(self) -> float | None:
        """When the message that has begun must be here; None between messages."""
        if self._began is None:
            return None
        return self._began + (BODY_SECONDS if self._length else HEAD_SECONDS)

    def feed(self, data: bytes, now: float) -> list[Framed]:
        if self._lost:
            return []
        self._buffer += data
        out: list[Framed] = []
        while (item := self._next(out)) is not None:
            out.append(item)
            self._began = None
            if isinstance(item, Lost):
                self._lost = True
                self._buffer.clear()
                return out
        if not self._buffer:
            self._began = None
        elif self._began is None:
            self._began = now
        return out

    def _next(self, out: list[Framed]) -> Whole | Lost | None:
        """The next message if it is complete."""
        if not self._length:
            self._skip_line_ends(out)
            try:
                self._length = self._measure()
            except SipError as error:
                return Lost(bytes(self._buffer[:MOST_BYTES]), str(error), error.status or 400)
        if not self._length or len(self._buffer) < self._length:
            return None
        data = bytes(self._buffer[: self._length])
        del self._buffer[: self._length]
        self._length = self._searched = 0
        return Whole(data)

    def _skip_line_ends(self, out: list[Framed]) -> None:
        """Two in a row are a ping, and so are many that come at once; one is a pong, or the first half of a ping that was cut."""
        if self._searched:
            return
        rest = self._buffer.lstrip(PONG)
        skipped = len(self._buffer) - len(rest)
        self._line_ends += self._buffer.count(b"\n", 0, skipped)
        if self._line_ends >= 2:
            out.append(Pinged())
        self._line_ends = 0 if rest else self._line_ends % 2
        del self._buffer[:skipped]

    def _measure(self) -> int:
        """The length of the first message, 0 while its headers are not all here; SipError if that can't be told."""
        end = _HEAD_END.search(self._buffer, self._searched)
        if end is None:
            self._searched = max(0, len(self._buffer) - _LONGEST_END + 1)
            if len(self._buffer) > MOST_BYTES:
                raise SipError(f"headers over {MOST_BYTES} bytes", 513)
            return 0
        length = end.end() + _content_length(bytes(self._buffer[: end.end()]))
        if length > MOST_BYTES:
            raise SipError(f"over {MOST_BYTES} bytes", 513)
        return length


def _content_length(head: bytes) -> int:
    """Of several that agree the first: the message will earn its 400, but its end is known."""
    values = {value.decode("latin-1").strip(BLANKS + "\r\n") for value in _LENGTHS.findall(head)}
    lengths = {number(value, MOST_NUMBER) for value in values}
    if not lengths:
        raise SipError("no Content-Length")
    if len(lengths) > 1:
        raise SipError("more than one Content-Length")
    return lengths.pop()
