"""Room for one datagram, where it is read, decrypted, rewritten, encrypted and sent from without being copied."""

from __future__ import annotations

from typing import Any, Final

from pylibsrtp._binding import ffi


class Slot:
    """Its memory as Python sees it and as libsrtp does."""

    __slots__ = ("octets", "size", "view")

    def __init__(self, memory: bytearray | memoryview) -> None:
        self.view: Final = memoryview(memory)
        self.octets: Final[Any] = ffi.from_buffer("char[]", self.view)
        self.size: Final[Any] = ffi.new("int *")
        """Of the packet in hand, where libsrtp wants to be told it, and tells it."""
