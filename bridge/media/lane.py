"""The short way of one direction of a call: what most packets take, each in one piece from the slot that it lies in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .packet import HEAD
from .reception import Reception
from .slot import Slot
from .srtp import Srtp, protect, unprotect
from .stream import Stream


class Exit(NamedTuple):
    """How a leg sends, until it says that this has changed by parting what it sends (`Stream.part`)."""

    srtp: Srtp | None
    post: Callable[[Slot, int, Any], None]
    to: Any
    """For `post`."""


class Way(NamedTuple):
    """Where a packet like the one before may go without being looked at by anybody."""

    stream: Stream
    exit: Exit


def no_way() -> None:
    """Whoever listens hears every packet."""


class Lane:
    """For packets that follow the one before in number, time and length, which went the long way.

    It does with them what `Srtp`, `Reception.take`, `Stream.rewrite` and the legs would, and keeps nothing of its own: whatever
    else happens to the stream makes the next packet go the long way. The leg that opens it closes it when its keys, payload
    type or listener change.
    """

    __slots__ = ("_in", "_keys", "_length", "_out", "_post", "_reception", "_stream", "_to")

    def __init__(self, srtp: Srtp | None, length: int, reception: Reception, way: Way) -> None:
        self._length, self._reception = length, reception
        self._stream, (out, self._post, self._to) = way
        self._in, self._out = srtp and srtp.inward, out and out.outward
        self._keys = srtp, out  # which the two above live as long as

    @classmethod
    def opened(
        cls, srtp: Srtp | None, length: int, reception: Reception, short: Callable[[], Way | None]
    ) -> Lane | None:
        """For what follows a packet of this length, as it came, that went the long way just now."""
        way = short()
        return cls(srtp, length, reception, way) if way and way.stream.stands_at(reception.highest) else None

    def carry(self, slot: Slot, length: int, now: float) -> bool:
        """Take the packet in the slot along; False if it has to go the long way."""
        stream, view, size = self._stream, slot.view, slot.size
        head, ssrc = HEAD.unpack_from(view)
        if not (head == stream.expected < stream.end and ssrc == stream.source and length == self._length):
            return False
        if self._in is not None:
            size[0] = length
            if unprotect(self._in, slot.octets, size):
                return False  # and is refused there once more
            length = stream.length
        stream.expected, stream.at = head + stream.step, now
        HEAD.pack_into(view, 0, head + stream.shift, stream.ssrc)
        reception = self._reception
        reception.highest += 1
        reception.arrive(head & 0xFFFFFFFF, now)
        if self._out is not None:
            size[0] = length
            if protect(self._out, slot.octets, size):
                return True
            length = size[0]
        self._post(slot, length, self._to)
        return True
