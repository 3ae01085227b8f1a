"""What callers hear while nobody speaks to them: files, kept as the frames of every codec."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog
from av.error import FFmpegError

from ..errors import ConfigError
from . import announcement
from .sdp import CLOCK_RATES

log = structlog.get_logger()

LONGEST: Final = 300.0
"""Seconds; what comes after them is not heard. A minute costs 2 MB, and 0.4 s of CPU at the start."""

Frames = tuple[bytes, ...]


class Music:
    def __init__(self, files: Sequence[str] = ()) -> None:
        self._files = files
        self._frames: dict[tuple[str, str], Frames] = {}

    def load(self) -> None:
        """Takes seconds: for a thread. A file that is gone since the settings were checked costs its music, and no call."""
        for file in self._files:
            try:
                pcm = read(file)
            except ConfigError as error:
                log.exception("music_unreadable", file=file, why=str(error), instead="comfort noise")
                continue
            for codec in CLOCK_RATES:
                self._frames[file, codec] = announcement.encoded(pcm, codec)

    def frames(self, file: str, codec: str) -> Frames:
        """20 ms each, to be repeated; none for what is no file, or is not loaded yet."""
        return self._frames.get((file, codec), ())


def read(file: str) -> bytes:
    """PCM as announcements are; ConfigError says what a file should be."""
    try:
        pcm = announcement.read(str(Path(file)), LONGEST)
    except (OSError, FFmpegError, IndexError) as error:
        raise ConfigError(f"{file}: {error}; an audio file is wanted, such as WAV, MP3 or OGG") from None
    if not any(pcm):
        raise ConfigError(f"{file}: nothing is to be heard in it")
    return pcm
