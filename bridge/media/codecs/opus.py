"""Opus (RFC 6716) by libopus itself, one channel at 8 or 16 kHz: measured at half of what FFmpeg's wrapper of it costs, and at a
sixth of decoding at 48 kHz and resampling. Calls into it let go of the interpreter's lock.

The library is the one that PyAV's wheel carries, else the system's.
"""

from __future__ import annotations

import ctypes
import importlib.util
from ctypes import c_char_p, c_int, c_int32, c_void_p
from ctypes.util import find_library
from functools import cache
from pathlib import Path
from typing import Final

from ...errors import OursError

LONGEST: Final = 120
"""Milliseconds of voice in a packet at most."""
MAX_PAYLOAD: Final = 1275
COMPLEXITY: Final = 1
"""Of 10. Speech at 8 kHz and 24 kbit/s gains little above it, and 2 costs twice as much (libopus 1.6)."""
BIT_RATE: Final = 24_000
EXPECTED_LOSS: Final = 10
"""Percent, against which packets repeat the one before them in short (in-band FEC)."""

_VOIP: Final = 2048
_SET_BITRATE, _SET_COMPLEXITY, _SET_FEC, _SET_LOSS = 4002, 4010, 4012, 4014


@cache
def _library() -> ctypes.CDLL:
    """libopus with its functions described, or OursError."""
    library = _found()
    library.opus_encoder_create.restype = library.opus_decoder_create.restype = c_void_p
    library.opus_encoder_create.argtypes = [c_int32, c_int, c_int, c_void_p]
    library.opus_decoder_create.argtypes = [c_int32, c_int, c_void_p]
    library.opus_encode.argtypes = [c_void_p, c_char_p, c_int, c_char_p, c_int32]
    library.opus_decode.argtypes = [c_void_p, c_char_p, c_int32, c_char_p, c_int, c_int]
    library.opus_encoder_destroy.argtypes = library.opus_decoder_destroy.argtypes = [c_void_p]
    library.opus_encoder_destroy.restype = library.opus_decoder_destroy.restype = None
    return library


def _found() -> ctypes.CDLL:
    spec = importlib.util.find_spec("av")
    package = Path(spec.origin).parent if spec and spec.origin else Path()
    carried = [*package.parent.glob("av.libs/libopus*"), *package.glob(".dylibs/libopus*")]
    for name in [*map(str, carried), find_library("opus") or "libopus.so.0"]:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise OursError("libopus is not there: install libopus0, or PyAV as a wheel")


class Decoder:
    def __init__(self, rate: int = 8000) -> None:
        self.rate = rate
        self._library = _library()
        self._state = c_void_p(self._library.opus_decoder_create(rate, 1, None))
        self._most = rate * LONGEST // 1000
        self._pcm = ctypes.create_string_buffer(2 * self._most)
        self._heard = memoryview(self._pcm).cast("B")

    def __del__(self) -> None:
        if state := getattr(self, "_state", None):
            self._library.opus_decoder_destroy(state)

    def decode(self, payload: bytes) -> bytes:
        count = self._library.opus_decode(self._state, payload, len(payload), self._pcm, self._most, 0)
        return bytes(self._heard[: 2 * count]) if payload and count > 0 else b""

    def conceal(self, samples: int, following: bytes = b"") -> bytes:
        """From what the next packet repeats of the lost one, else from what was heard before."""
        samples = min(samples, self._most)
        fec = 1 if following else 0
        count = self._library.opus_decode(self._state, following or None, len(following), self._pcm, samples, fec)
        return bytes(self._heard[: 2 * count]) if count > 0 else b""


class Encoder:
    def __init__(self, rate: int = 8000) -> None:
        self.rate = rate
        self._library = _library()
        self._state = c_void_p(self._library.opus_encoder_create(rate, 1, _VOIP, None))
        for setting, value in (
            (_SET_BITRATE, BIT_RATE),
            (_SET_COMPLEXITY, COMPLEXITY),
            (_SET_FEC, 1),
            (_SET_LOSS, EXPECTED_LOSS),
        ):
            self._library.opus_encoder_ctl(self._state, setting, c_int(value))
        self._payload = ctypes.create_string_buffer(MAX_PAYLOAD)
        self._written = memoryview(self._payload).cast("B")

    def __del__(self) -> None:
        if state := getattr(self, "_state", None):
            self._library.opus_encoder_destroy(state)

    def encode(self, pcm: bytes) -> bytes:
        length = self._library.opus_encode(self._state, pcm, len(pcm) // 2, self._payload, MAX_PAYLOAD)
        return bytes(self._written[: max(0, length)])
