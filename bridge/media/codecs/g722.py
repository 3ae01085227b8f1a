"""G.722 (ITU-T G.722, 64 kbit/s), by FFmpeg: 16 000 samples a second in 8000 bytes."""

from __future__ import annotations

from fractions import Fraction
from typing import Final, Literal

from av import AudioCodecContext, CodecContext, Packet
from av.error import FFmpegError

from .pcm import frame_of, pcm_of
from .resample import Resampler

RATE: Final = 16_000


def _context(mode: Literal["r", "w"]) -> AudioCodecContext:
    context = CodecContext.create("g722", mode)
    context.format, context.layout, context.sample_rate = "s16", "mono", RATE
    if mode == "w":
        context.bit_rate, context.time_base = 64_000, Fraction(1, RATE)
    return context


class Decoder:
    def __init__(self, rate: int = RATE) -> None:
        self.rate = rate
        self._context = _context("r")
        self._narrower = Resampler(RATE, rate) if rate != RATE else None

    def decode(self, payload: bytes) -> bytes:
        try:
            pcm = b"".join(pcm_of(frame) for frame in self._context.decode(Packet(payload)))
        except FFmpegError:
            return b""
        return self._narrower.resample(pcm) if self._narrower else pcm

    def conceal(self, samples: int, following: bytes = b"") -> bytes:
        return b""


class Encoder:
    def __init__(self, rate: int = RATE) -> None:
        self.rate = rate
        self._context = _context("w")
        self._wider = Resampler(rate, RATE) if rate != RATE else None

    def encode(self, pcm: bytes) -> bytes:
        if self._wider:
            pcm = self._wider.resample(pcm)
        return b"".join(bytes(packet) for packet in self._context.encode(frame_of(pcm, RATE)))
