"""What the PBX hears while no voice comes from the page: a line that is not dead; pure."""

from __future__ import annotations

import hashlib
from typing import Final

FRAME_BYTES: Final = 160
FRAMES: Final = 50
"""A second of noise before it repeats."""

_PCMU: Final = bytes([0xFF, 0x7F, 0xFE, 0x7E, 0xFD, 0x7D])
_PCMA: Final = bytes([0xD5, 0x55, 0xD4, 0x54])
"""The codes next to zero: up to 16 and 24 of 32768, a noise near -70 dBov."""


def _noise(codes: bytes) -> tuple[bytes, ...]:
    """The same noise in every process: drawn from a hash, so that no clock and no chance is in it."""
    drawn = hashlib.shake_128(codes).digest(FRAME_BYTES * FRAMES)
    noise = bytes(codes[number % len(codes)] for number in drawn)
    return tuple(noise[at : at + FRAME_BYTES] for at in range(0, len(noise), FRAME_BYTES))


QUIET: Final = {
    "PCMU": _noise(_PCMU),
    "PCMA": _noise(_PCMA),
    "G722": (b"\xff" * FRAME_BYTES,),
    "opus": (b"\xf8\xff\xfe",),
}
"""20 ms frames in turn: comfort noise for G.711, which a caller takes for an open line. G.722's decodes to amplitude 2 of 32768;
opus's is the silence flag of a 20 ms CELT frame."""
