"""Tones to be recorded, and how much of them is found again (Goertzel)."""

from __future__ import annotations

import math
from array import array


def tone(hz: float, seconds: float, rate: int, *, start: float = 0.0, volume: int = 9000) -> bytes:
    """16-bit PCM; the phase goes on from `start`."""
    count = round(seconds * rate)
    return array("h", (int(volume * math.sin(2 * math.pi * hz * (start + i / rate))) for i in range(count))).tobytes()


def loudness(pcm: bytes, hz: float, rate: int) -> float:
    """Which share of the power is this tone's, 0 to 1; 0 for silence."""
    samples = array("h", pcm)
    power = sum(sample * sample for sample in samples)
    if power < 100 * len(samples):
        return 0.0
    turn = 2 * math.cos(2 * math.pi * hz / rate)
    one = two = 0.0
    for sample in samples:
        one, two = sample + turn * one - two, one
    return 2 * (one * one + two * two - turn * one * two) / (len(samples) * power)
