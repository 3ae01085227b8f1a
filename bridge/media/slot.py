"""Room for one datagram, where it is read, decrypted, rewritten, encrypted and sent from without being copied."""

from __future__ import annotations

from typing import Any, Final

from pylibsrtp._binding import ffi

SHORT: Final = 256
"""Voice is; so much is copied without counting it out."""
_ALL: Final = slice(None)


class Slot:
    """Its memory as Python sees it and as libsrtp does."""

    __slots__ = ("octets", "short", "size", "view")

    def __init__(self, memory: bytearray | memoryview) -> None:
        self.view: Final = memoryview(memory)
        self.short: Final = self.view[:SHORT]
        self.octets: Final[Any] = ffi.from_buffer("char[]", self.view)
        self.size: Final[Any] = ffi.new("int *")
        """Of the packet in hand, where libsrtp wants to be told it, and tells it."""

    def copy(self, other: Slot, length: int) -> None:
        """Take what lies in another slot."""
        if length <= SHORT:
            self.short[_ALL] = other.short
        else:
            self.view[:length] = other.view[:length]
