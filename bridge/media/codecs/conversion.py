"""Voice of one direction from one codec to another, packet by packet, in step with the sender's clock; no sockets, no threads."""

from __future__ import annotations

from typing import Final

from ..packet import RTP
from ..sdp import CLOCK_RATES
from . import codec
from .decoding import Decoding, Frame

WIDE: Final = frozenset({"G722", "opus"})


class Conversion:
    """RTP packets in, RTP packets out: of the same source, numbered anew, their timestamps the sender's on the other clock."""

    def __init__(self, source: str, target: str) -> None:
        self._rate = 16_000 if {source, target} <= WIDE else 8000
        self._clock = CLOCK_RATES[target]
        self._decoding = Decoding(source, self._rate)
        self._encoder = codec.encoder(target, self._rate)
        self._sequence = 0

    def convert(self, packet: bytes) -> list[bytes]:
        """What has to be sent now; nothing for a packet that came twice or too late."""
        return [self._packet(frame) for frame in self._decoding.take(packet)]

    def _packet(self, frame: Frame) -> bytes:
        self._sequence += 1 + frame.missing
        timestamp = frame.at * self._clock // self._rate & 0xFFFFFFFF
        header = RTP.pack(0x80, frame.marker, self._sequence & 0xFFFF, timestamp, self._decoding.ssrc)
        return header + self._encoder.encode(frame.pcm)
