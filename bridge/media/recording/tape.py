"""A tape: what both sides of a call said, packet by packet as it came, with the time of arrival; pure.

A tape is a row of records, each a head (kind, arrival in tenths of a millisecond since the tape began, length) and a body.
The first says whose tape it is. It is only ever appended to, so whatever a crash leaves behind can be read up to its last
whole record.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Final

from ...errors import TheirsError

_HEAD: Final = struct.Struct("<BIH")
_RTP: Final = struct.Struct("!BBHII")
UNIT: Final = 10_000
"""Arrivals a second."""
LONGEST: Final = 4 * 24 * 3600.0
"""Seconds of a tape; its clock ends at 119 hours."""


class TapeError(TheirsError):
    """Not a tape."""


class Channel(IntEnum):
    OPERATOR = 0
    CALLER = 1


class Kind(IntEnum):
    OPERATOR_PACKET = Channel.OPERATOR
    CALLER_PACKET = Channel.CALLER
    LABEL = 2
    CODEC = 3
    PAUSED = 4
    RESUMED = 5
    END = 6
    SPOOLED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Whose tape it is."""

    call: str
    portal: str
    began: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """From now on packets of this payload type on this channel are of this codec."""

    channel: Channel
    payload_type: int
    codec: str
    """One of `sdp.CLOCK_RATES`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One RTP packet, without CSRCs, extension and padding."""

    channel: Channel
    at: float
    """Seconds since the tape began."""
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    kind: Kind
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooled:
    """From now until the next record, what was said lies in a file that a media engine writes."""

    at: float
    path: str
    caller: int
    """The port that the caller's voice came to …"""
    operator: int
    """… and the operator's; 0 if that is not recorded."""


Record = Label | Tuned | Heard | Mark | Spooled


# ---- writing


def packet(kind: int, since: float, raw: bytes) -> bytes:
    """Lies in the hot path: `raw` is the packet as it came."""
    return _HEAD.pack(kind, int(since * UNIT + 0.5), len(raw)) + raw


def label(label: Label) -> bytes:
    return _record(Kind.LABEL, 0.0, json.dumps(asdict(label)).encode())


def tuned(tuned: Tuned, since: float) -> bytes:
    return _record(Kind.CODEC, since, bytes([tuned.channel, tuned.payload_type]) + tuned.codec.encode())


def mark(kind: Kind, since: float) -> bytes:
    return _record(kind, since, b"")


def spooled(spooled: Spooled) -> bytes:
    said = {"path": spooled.path, "caller": spooled.caller, "operator": spooled.operator}
    return _record(Kind.SPOOLED, spooled.at, json.dumps(said).encode())


def _record(kind: Kind, since: float, body: bytes) -> bytes:
    return _HEAD.pack(kind, int(since * UNIT), len(body)) + body


# ---- reading


def read(chunks: Iterable[bytes]) -> Iterator[Record]:
    """The records of a tape from its bytes, cut anywhere; a torn end and packets that make no sense are passed over."""
    held = bytearray()
    labelled = False
    for chunk in chunks:
        held += chunk
        start = 0
        while start + _HEAD.size <= len(held):
            kind, at, length = _HEAD.unpack_from(held, start)
            end = start + _HEAD.size + length
            if not labelled and kind != Kind.LABEL:
                raise TapeError("this is no tape of a call")
            if end > len(held):
                break
            record = _parsed(kind, at / UNIT, bytes(held[start + _HEAD.size : end]))
            labelled = True
            start = end
            if record is not None:
                yield record
        del held[:start]


def _parsed(kind: int, at: float, body: bytes) -> Record | None:
    try:
        match kind:
            case Kind.OPERATOR_PACKET | Kind.CALLER_PACKET:
                return heard(Channel(kind), at, body)
            case Kind.CODEC:
                return Tuned(channel=Channel(body[0]), payload_type=body[1], codec=body[2:].decode())
            case Kind.PAUSED | Kind.RESUMED | Kind.END:
                return Mark(kind=Kind(kind), at=at)
            case Kind.SPOOLED:
                return Spooled(at=at, **json.loads(body))
            case Kind.LABEL:
                return Label(**json.loads(body))
    except (ValueError, TypeError, IndexError):
        if kind == Kind.LABEL:
            raise TapeError("the label of this tape can't be read") from None
    return None  # of a later version


def heard(channel: Channel, at: float, raw: bytes) -> Heard | None:
    """A packet as it came; None for one that holds no voice, or makes no sense."""
    if len(raw) < _RTP.size:
        return None
    first, second, sequence, timestamp, ssrc = _RTP.unpack_from(raw)
    start, end = _RTP.size + 4 * (first & 0x0F), len(raw)
    if first & 0x10:
        start += 4 + 4 * int.from_bytes(raw[start + 2 : start + 4], "big")
    if first & 0x20:
        end -= raw[-1]
    if start >= end:
        return None
    return Heard(
        channel=channel,
        at=at,
        payload_type=second & 0x7F,
        sequence=sequence,
        timestamp=timestamp,
        ssrc=ssrc,
        payload=raw[start:end],
    )
