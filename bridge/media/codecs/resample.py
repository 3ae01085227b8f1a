"""From one sampling rate to another, by FFmpeg."""

from __future__ import annotations

from av import AudioResampler

from .pcm import frame_of


class Resampler:
    """One stream; what comes out is as long as what went in, and a millisecond or two late."""

    def __init__(self, rate: int, to: int) -> None:
        self._rate, self._to = rate, to
        self._resampler = AudioResampler(format="s16", layout="mono", rate=to)
        self._owed = self._given = 0
        self._left = bytearray()

    def resample(self, pcm: bytes) -> bytes:
        if not pcm:
            return b""
        for frame in self._resampler.resample(frame_of(pcm, self._rate)):
            self._left += bytes(frame.planes[0])[: 2 * frame.samples]
        self._owed += len(pcm) // 2 * self._to
        wanted = 2 * (self._owed // self._rate - self._given)
        self._given += wanted // 2
        if len(self._left) < wanted:  # the filter's first samples are still in it
            self._left[:0] = bytes(wanted - len(self._left))
        out = bytes(self._left[:wanted])
        del self._left[:wanted]
        return out
