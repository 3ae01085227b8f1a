"""What a caller hears before anybody answers: a tone or an announcement, over and over."""

from __future__ import annotations

import math
from array import array
from functools import lru_cache
from pathlib import Path
from typing import Final

from av.error import FFmpegError

from ..errors import ConfigError
from ..tones import Part, Tone
from . import announcement

TONE_LEVEL: Final = 4000
"""Of 32768, all frequencies together: about -18 dBm0."""
MOST_REMEMBERED: Final = 64


@lru_cache(MOST_REMEMBERED)
def frames(sound: Tone | str, codec: str) -> tuple[bytes, ...]:
    """20 ms each, to be repeated; `sound` is a tone or the path of a file. ConfigError for a file of no use."""
    return announcement.encoded(pcm(sound), codec)


def pcm(sound: Tone | str) -> bytes:
    """As announcements are; ConfigError for a file of no use."""
    return b"".join(map(_pcm, sound.parts)) if isinstance(sound, Tone) else read(Path(sound))


def read(path: Path) -> bytes:
    """PCM as announcements are; ConfigError says what a file should be."""
    try:
        pcm = announcement.read(str(path))
    except (OSError, FFmpegError, IndexError) as error:
        raise ConfigError(f"announcement {path}: {error}; an audio file is wanted, such as WAV or MP3") from None
    if not pcm:
        raise ConfigError(f"announcement {path}: nothing is to be heard in it")
    return pcm


def _pcm(part: Part) -> bytes:
    count = round(part.seconds * announcement.RATE)
    if not part.hertz:
        return bytes(2 * count)
    level = TONE_LEVEL / len(part.hertz)
    turns = [2 * math.pi * hertz / announcement.RATE for hertz in part.hertz]
    return array("h", (int(level * sum(math.sin(turn * n) for turn in turns)) for n in range(count))).tobytes()
