"""What both sides are told before a call is recorded, and while it is: frames of 20 ms in the codec that each of them speaks."""

from __future__ import annotations

import math
from array import array
from functools import lru_cache
from itertools import chain
from typing import Final

import av
import structlog
from av.error import FFmpegError

from ..calls.recording import BEEP
from .codecs import codec
from .sdp import CLOCK_RATES

log = structlog.get_logger()

LONGEST: Final = 30.0
"""Seconds."""
LEAD: Final = 0.4
"""Seconds of silence before the first word: a PBX may hear us a little after it was told 200."""
BEEP_HZ: Final = 1400
BEEP_SECONDS: Final = 0.2
RATE: Final = 16_000
_FRAME: Final = 2 * RATE // 50
"""Bytes."""


@lru_cache(maxsize=64)
def frames(source: str, name: str) -> tuple[bytes, ...]:
    return encoded(pcm(source), name)


def pcm(source: str) -> bytes:
    """An announcement, with a moment of silence before it; a file that can't be read is replaced by a beep."""
    return bytes(2 * int(LEAD * RATE)) + _sound(source)


@lru_cache(maxsize=len(CLOCK_RATES))
def beep(name: str) -> tuple[bytes, ...]:
    return encoded(beep_pcm(), name)


def encoded(pcm: bytes, name: str) -> tuple[bytes, ...]:
    encoder = codec.encoder(name, RATE)
    whole = pcm + bytes(-len(pcm) % _FRAME)
    return tuple(encoder.encode(whole[at : at + _FRAME]) for at in range(0, len(whole), _FRAME))


def _sound(source: str) -> bytes:
    if source == BEEP:
        return beep_pcm()
    try:
        return read(source)
    except (OSError, FFmpegError, IndexError) as error:
        log.exception("announcement_unreadable", file=source, why=str(error), instead="a beep")
        return beep_pcm()


def beep_pcm() -> bytes:
    count = int(BEEP_SECONDS * RATE)
    edge = count // 20  # a tone that begins and ends softly does not click
    return array(
        "h",
        (
            int(6000 * min(1.0, i / edge, (count - i) / edge) * math.sin(2 * math.pi * BEEP_HZ * i / RATE))
            for i in range(count)
        ),
    ).tobytes()


def read(path: str, longest: float = LONGEST) -> bytes:
    """PCM at `RATE`, `longest` seconds of it at most."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    pcm = bytearray()
    with av.open(path) as container:
        for frame in chain(container.decode(container.streams.audio[0]), [None]):
            for out in resampler.resample(frame):
                pcm += bytes(out.planes[0])[: 2 * out.samples]
            if len(pcm) > 2 * longest * RATE:
                break
    return bytes(pcm[: 2 * int(longest * RATE)])
