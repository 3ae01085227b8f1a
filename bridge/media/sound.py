"""What a caller hears before anybody answers: a ringback tone or an announcement, over and over."""

from __future__ import annotations

import math
from array import array
from functools import lru_cache
from pathlib import Path
from typing import Final

from av.error import FFmpegError

from ..calls.routing import RINGBACK
from ..errors import ConfigError
from . import announcement

TONE_HZ: Final = 425
TONE_SECONDS, PAUSE_SECONDS = 1.0, 4.0
"""As most of Europe and Russia ring (ITU-T E.180)."""
TONE_LEVEL: Final = 4000
"""Of 32768: about -18 dBm0."""
MOST_REMEMBERED: Final = 64


@lru_cache(MOST_REMEMBERED)
def frames(sound: str, codec: str) -> tuple[bytes, ...]:
    """20 ms each, to be repeated; `sound` is `ringback` or the path of a file. ConfigError for a file of no use."""
    return announcement.encoded(_ringback() if sound == RINGBACK else read(Path(sound)), codec)


def read(path: Path) -> bytes:
    """PCM as announcements are; ConfigError says what a file should be."""
    try:
        pcm = announcement.read(str(path))
    except (OSError, FFmpegError, IndexError) as error:
        raise ConfigError(f"announcement {path}: {error}; an audio file is wanted, such as WAV or MP3") from None
    if not pcm:
        raise ConfigError(f"announcement {path}: nothing is to be heard in it")
    return pcm


def _ringback() -> bytes:
    count = int(TONE_SECONDS * announcement.RATE)
    wave = (TONE_LEVEL * math.sin(2 * math.pi * TONE_HZ * n / announcement.RATE) for n in range(count))
    return array("h", map(int, wave)).tobytes() + bytes(2 * int(PAUSE_SECONDS * announcement.RATE))
