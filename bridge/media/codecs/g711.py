"""G.711, both laws (ITU-T G.711), by tables: 8 bits of a logarithm for each of 8000 samples a second."""

from __future__ import annotations

from functools import cache
from typing import Final

from .resample import Resampler

RATE: Final = 8000


def _mu_law(code: int) -> int:
    """What a code of the µ-law stands for."""
    code = ~code & 0xFF
    step = (((code & 0x0F) << 3) + 0x84) << (code >> 4 & 7)
    return 0x84 - step if code & 0x80 else step - 0x84


def _a_law(code: int) -> int:
    """What a code of the A-law stands for."""
    code ^= 0x55
    segment = code >> 4 & 7
    step = (code & 0x0F) << 4
    step = step + 8 if segment == 0 else step + 0x108 << segment - 1
    return step if code & 0x80 else -step


_LAWS: Final = {"PCMU": _mu_law, "PCMA": _a_law}


@cache
def _halves(name: str) -> tuple[bytes, bytes]:
    """Low and high byte of what each code stands for."""
    values = [_LAWS[name](code).to_bytes(2, "little", signed=True) for code in range(256)]
    return bytes(value[0] for value in values), bytes(value[1] for value in values)


@cache
def _codes(name: str) -> bytes:
    """The nearest code of each 16-bit sample, taken as an unsigned number."""
    # Of the two zeros of the µ-law the positive one is sent.
    known = {_LAWS[name](code): code for code in range(256)}
    values = sorted(known)
    table = bytearray()
    for index, value in enumerate(values):
        above = values[index + 1] if index + 1 < len(values) else 0
        end = (value + above) // 2 + 1 if index + 1 < len(values) else 32_768
        table += bytes([known[value]]) * (end + 32_768 - len(table))
    return bytes(table[32_768:] + table[:32_768])


class Decoder:
    def __init__(self, name: str, rate: int = RATE) -> None:
        self.rate = rate
        self._low, self._high = _halves(name)
        self._wider = Resampler(RATE, rate) if rate != RATE else None

    def decode(self, payload: bytes) -> bytes:
        pcm = bytearray(2 * len(payload))
        pcm[0::2] = payload.translate(self._low)
        pcm[1::2] = payload.translate(self._high)
        return self._wider.resample(bytes(pcm)) if self._wider else bytes(pcm)

    def conceal(self, samples: int, following: bytes = b"") -> bytes:
        return b""


class Encoder:
    def __init__(self, name: str, rate: int = RATE) -> None:
        self.rate = rate
        self._code = _codes(name).__getitem__
        self._narrower = Resampler(rate, RATE) if rate != RATE else None

    def encode(self, pcm: bytes) -> bytes:
        if self._narrower:
            pcm = self._narrower.resample(pcm)
        return bytes(map(self._code, memoryview(pcm).cast("H")))
