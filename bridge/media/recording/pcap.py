"""Datagrams of a pcap file, as rtpengine writes one (libpcap's classic format, with or without Ethernet heads); pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ...errors import TheirsError

_ORDERS: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1e-6),
    b"\xa1\xb2\xc3\xd4": (">", 1e-6),
    b"\x4d\x3c\xb2\xa1": ("<", 1e-9),
    b"\xa1\xb2\x3c\x4d": (">", 1e-9),
}
"""Magic word -> byte order, and what the second half of a time counts."""
_HEAD: Final = 24
ETHERNET, RAW = 1, 101
"""Link types: `--recording-format=eth` and `raw`."""
_ETHERNET_HEAD: Final = 14
_UDP: Final = 17
LONGEST: Final = 65_535
"""Bytes of a packet; a length above it is no length."""


class PcapError(TheirsError):
    """Not a pcap file, or one of another link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Datagram:
    """One that came in."""

    at: float
    """Unix seconds by the clock of whoever wrote it."""
    port: int
    """Where it came to."""
    payload: bytes


def read(chunks: Iterable[bytes]) -> Iterator[Datagram]:
    """The UDP datagrams of a file from its bytes, cut anywhere; what follows a torn or senseless packet is given up."""
    held = bytearray()
    form: struct.Struct | None = None
    unit, skip = 0.0, 0
    for chunk in chunks:
        held += chunk
        if form is None:
            if len(held) < _HEAD:
                continue
            form, unit, skip = _opened(bytes(held[:_HEAD]))
            del held[:_HEAD]
        start = 0
        while start + form.size <= len(held):
            seconds, fraction, length, _ = form.unpack_from(held, start)
            if length > LONGEST + skip:
                return
            end = start + form.size + length
            if end > len(held):
                break
            datagram = _datagram(bytes(held[start + form.size + skip : end]), seconds + fraction * unit)
            if datagram is not None:
                yield datagram
            start = end
        del held[:start]


def _opened(head: bytes) -> tuple[struct.Struct, float, int]:
    order = _ORDERS.get(head[:4])
    if order is None:
        raise PcapError("this is no pcap file")
    sign, unit = order
    (link,) = struct.unpack(f"{sign}I", head[20:])
    if link not in (ETHERNET, RAW):
        raise PcapError(f"a pcap file of link type {link}; rtpengine's raw and eth can be read")
    return struct.Struct(f"{sign}IIII"), unit, _ETHERNET_HEAD if link == ETHERNET else 0


def _datagram(packet: bytes, at: float) -> Datagram | None:
    """None for what is no UDP, or a fragment."""
    try:
        if packet[0] >> 4 == 4:
            start, protocol, whole = 4 * (packet[0] & 0x0F), packet[9], not packet[6] & 0x3F and not packet[7]
        else:
            start, protocol, whole = 40, packet[6], packet[0] >> 4 == 6
        _, port, length = struct.unpack_from("!HHH", packet, start)
    except (IndexError, struct.error):
        return None
    if protocol != _UDP or not whole or length < 8 or start < 20:
        return None
    return Datagram(at=at, port=port, payload=packet[start + 8 : start + length])
