"""pcap files as rtpengine 10.5 writes them (`--recording-method=pcap`)."""

from __future__ import annotations

import struct
from collections.abc import Iterable

CALLER_PORT, OPERATOR_PORT = 24_000, 24_014


def head(link: int = 101, order: str = "<") -> bytes:
    return struct.pack(f"{order}IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, link)


def datagram(at: float, port: int, payload: bytes, *, order: str = "<", before: bytes = b"") -> bytes:
    """A record of the file; `before` is an Ethernet head."""
    udp = struct.pack("!HHHH", 5000, port, 8 + len(payload), 0) + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, b"\x7f\0\0\1", b"\x7f\0\0\1")
    packet = before + ip + udp
    return struct.pack(f"{order}IIII", int(at), round(at % 1 * 1e6), len(packet), len(packet)) + packet


def file(records: Iterable[bytes], link: int = 101) -> bytes:
    return head(link) + b"".join(records)
