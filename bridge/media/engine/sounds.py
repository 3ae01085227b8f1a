"""What an rtpengine plays for us: sounds as Ogg Opus, so small that they fit into a request."""

from __future__ import annotations

import io
import random
from array import array
from functools import lru_cache
from typing import Final

import av

from ...tones import Tone
from .. import announcement, sound
from ..announcement import RATE

BIT_RATE: Final = 12_000
"""Thirty seconds of it are 48 kB; a request takes 65."""
FRAME: Final = RATE // 50
"""Samples."""
COMFORT_LEVEL: Final = 12
"""Of 32768: noise near -70 dBov, a line that is not dead."""


@lru_cache(maxsize=16)
def early(name: Tone | str) -> bytes:
    """What a caller hears before the answer: a tone, or the path of a file. ConfigError for a file of no use."""
    return ogg(sound.pcm(name))


@lru_cache(maxsize=16)
def announced(source: str) -> tuple[bytes, float]:
    """What both sides are told before a recording, and its seconds."""
    pcm = announcement.pcm(source)
    return ogg(pcm), len(pcm) / 2 / RATE


@lru_cache(maxsize=1)
def beep() -> tuple[bytes, float]:
    return ogg(announcement.beep_pcm()), announcement.BEEP_SECONDS


@lru_cache(maxsize=1)
def comfort() -> bytes:
    """Two seconds of what the PBX hears while no voice comes from the page."""
    noise = random.Random(0)  # noqa: S311  # the same in every process
    return ogg(array("h", (noise.randint(-COMFORT_LEVEL, COMFORT_LEVEL) for _ in range(2 * RATE))).tobytes())


def ogg(pcm: bytes) -> bytes:
    """16-bit PCM of 16 kHz."""
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=RATE, layout="mono")
        stream.bit_rate = BIT_RATE
        for at in range(0, len(pcm), 2 * FRAME):
            frame = av.AudioFrame(format="s16", layout="mono", samples=FRAME)
            frame.sample_rate, frame.pts = RATE, at // 2
            frame.planes[0].update(pcm[at : at + 2 * FRAME].ljust(2 * FRAME, b"\0"))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()
