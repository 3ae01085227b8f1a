"""Tones: made for microphones, found again in recordings."""

from __future__ import annotations

import math
import struct
import wave
from array import array
from collections.abc import Sequence
from pathlib import Path

AMPLITUDE = 8000
"""About -12 dBFS: loud enough to find, far from clipping."""


def tone(hz: float, seconds: float, rate: int = 8000) -> array[int]:
    """Samples of a sine, 16-bit."""
    step = 2 * math.pi * hz / rate
    return array("h", (int(AMPLITUDE * math.sin(step * i)) for i in range(int(seconds * rate))))


def write_tone(path: Path, hz: float, seconds: float = 1, rate: int = 48000) -> Path:
    """A mono 16-bit WAV file; it loops without a click if `hz * seconds` is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(tone(hz, seconds, rate).tobytes())
    return path


def read_wav(path: Path) -> tuple[array[int], int]:
    """Samples (of the left channel) and rate of a 16-bit WAV file, also of one still being written, whose header has no length yet."""
    data = path.read_bytes() if path.exists() else b""
    if len(data) < 44:
        return array("h"), 8000
    channels, rate = struct.unpack_from("<HI", data, 22)
    samples = array("h")
    samples.frombytes(data[44 : len(data) - len(data) % 2])
    return samples[::channels], rate


def goertzel(samples: Sequence[int], rate: int, hz: float) -> float:
    """The share (0 to 1) of the samples' power that lies at `hz`."""
    total = sum(x * x for x in samples)
    if not total:
        return 0.0
    angle = 2 * math.pi * hz / rate
    turn = 2 * math.cos(angle)
    before = last = 0.0
    for sample in samples:
        before, last = last, sample + turn * last - before
    power = last * last + before * before - turn * last * before
    return min(1.0, 2 * power / (total * len(samples)))


def strongest(path: Path) -> float:
    """The loudest frequency in Hz (to 10 Hz) of a recording's last half second, 0.0 if it is silent."""
    samples, rate = read_wav(path)
    part = samples[-rate // 2 :][: rate // 10]
    if not part or max(map(abs, part)) < AMPLITUDE / 100:
        return 0.0
    return float(max(range(100, 3800, 10), key=lambda hz: goertzel(part, rate, hz)))


def share(path: Path, hz: float, seconds: float = 0.5) -> float:
    """The share of a recording's power at `hz` in its last `seconds`, 0.0 if it is shorter or silent."""
    samples, rate = read_wav(path)
    part = samples[-int(rate * seconds) :]
    return goertzel(part, rate, hz) if len(part) == int(rate * seconds) else 0.0
