"""An RTP packet in the shared buffer (RFC 3550, 5.1); pure."""

from __future__ import annotations

import struct
from typing import Final

RTP: Final = struct.Struct("!BBHII")
HEAD: Final = struct.Struct("!QI")
"""The same with everything before the SSRC as one number: octets, sequence number and timestamp, from high to low."""
HEADER: Final = 12
BUFFER_BYTES: Final = 2048
LONGEST_DATAGRAM: Final = 1600
"""What is read of a datagram at most: leaves room behind it for the SRTP trailer."""

MAX_DROPOUT: Final = 3000
MAX_MISORDER: Final = 100
"""RFC 3550, A.1: a larger step is a source that started anew."""


def make_plain(view: memoryview, length: int) -> int:
    """Take CSRCs, extension and padding out of a packet (RFC 3550, 5.1); the new length, 0 if the packet is broken."""
    first = view[0]
    start, end = HEADER + 4 * (first & 0x0F), length
    if first & 0x10:
        if start + 4 > length:
            return 0
        start += 4 + 4 * int.from_bytes(view[start + 2 : start + 4], "big")
    if first & 0x20:
        end -= view[length - 1]
    if end <= start or end > length:
        return 0
    view[HEADER : HEADER + end - start] = bytes(view[start:end])
    return HEADER + end - start
