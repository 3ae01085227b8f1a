"""Two bells in G.711: what the demo PBX plays to whoever answers (pure)."""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Callable
from functools import cache
from itertools import pairwise

RATE = 8000
SECONDS = 3.0
NOTES = (659.25, 523.25)
"""Hertz: e'' and c'', a doorbell."""
NOTE_SECONDS = 0.75
SILENCE = {0: b"\xff", 8: b"\xd5"}
"""By RTP payload type: 0 is PCMU, 8 is PCMA."""


@cache
def melody(kind: int, frame: int) -> tuple[bytes, ...]:
    """Packets of `frame` samples each, encoded for a payload type."""
    table = _encoder(_ulaw if kind == 0 else _alaw)
    sound = bytes(table[_sample(n / RATE) + 32768] for n in range(int(SECONDS * RATE)))
    return tuple(sound[start : start + frame] for start in range(0, len(sound), frame))


def _sample(at: float) -> int:
    """A struck bell: each note with its octave, fading."""
    pitch, age = NOTES[int(at / NOTE_SECONDS) % len(NOTES)], at % NOTE_SECONDS
    loudness = 9000 * min(1.0, age / 0.005) * math.exp(-4 * age)
    wave = math.sin(2 * math.pi * pitch * age) + 0.3 * math.sin(4 * math.pi * pitch * age)
    return int(loudness * wave)


def _encoder(decode: Callable[[int], int]) -> bytes:
    """For each 16-bit sample, lowest first, the code whose level is nearest."""
    levels = sorted((decode(code), code) for code in range(256))
    middles = [(low[0] + high[0]) / 2 for low, high in pairwise(levels)]
    return bytes(levels[bisect(middles, sample)][1] for sample in range(-32768, 32768))


def _ulaw(code: int) -> int:
    """ITU-T G.711, table 2a."""
    code = ~code & 0xFF
    level = ((((code & 0x0F) << 3) + 0x84) << (code >> 4 & 7)) - 0x84
    return -level if code & 0x80 else level


def _alaw(code: int) -> int:
    """ITU-T G.711, table 1a."""
    code ^= 0x55
    segment, level = code >> 4 & 7, ((code & 0x0F) << 4) + 8
    level = (level + 0x100) << (segment - 1) if segment else level
    return level if code & 0x80 else -level
