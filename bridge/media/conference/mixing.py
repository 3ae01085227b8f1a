"""Several voices, each in its codec, as one RTP stream in the listener's; no sockets, no threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..codecs import codec
from ..codecs.conversion import WIDE
from ..codecs.decoding import FRAMES, Decoding
from ..packet import RTP
from ..sdp import CLOCK_RATES
from .mixer import Mixer

LATE: Final = 5
"""Turns that may be made up for; after a longer standstill nobody waits for what was not sent."""


MIXED_TYPE: Final = 0
"""Payload type of what comes out, whatever its codec: whoever sends it puts another one in its place."""
OPERATOR: Final = "operator"
OTHER: Final = "other"
"""The far end of the other call."""


class Mixing:
    """For one listener, who hears the operator and the other call. A voice that changes its codec is told so by another `voice` of the same party."""

    def __init__(self, target: str, ssrc: int) -> None:
        self._rate = 16_000 if target in WIDE else 8000
        self._mixer = Mixer(self._rate // FRAMES, OPERATOR, OTHER)
        self._encoder = codec.encoder(target, self._rate)
        self._step = CLOCK_RATES[target] // FRAMES
        self._ssrc = ssrc
        self._sequence, self._turn = 0, -1
        self._began: float | None = None

    def voice(self, party: str, source: str) -> Callable[[bytes], list[bytes]]:
        """What takes the packets of a party that speaks this codec; nothing comes of them before their turn."""
        decoding, queue = Decoding(source, self._rate), self._mixer.queues[party]

        def take(packet: bytes) -> list[bytes]:
            for frame in decoding.take(packet):
                queue.put(frame.at, frame.pcm, fresh=frame.fresh)
            return []

        return take

    def next(self, now: float) -> list[bytes]:
        """The packet of the turn that is due, fifty times a second; `now` in seconds."""
        if self._began is None:
            self._began = now
        self._turn += 1
        passed = round((now - self._began) * FRAMES)
        if passed - self._turn > LATE:
            self._turn = passed
        self._sequence += 1
        header = RTP.pack(0x80, MIXED_TYPE, self._sequence & 0xFFFF, self._turn * self._step & 0xFFFFFFFF, self._ssrc)
        return [header + self._encoder.encode(self._mixer.next())]
