"""The little of STUN that keeps a UDP flow open: a Binding request, and where its answer says that we are (RFC 8489; pure)."""

from __future__ import annotations

import struct
from ipaddress import ip_address

HEADER = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")
COOKIE = 0x2112A442
REQUEST, SUCCESS = 0x0001, 0x0101
XOR_MAPPED, MAPPED = 0x0020, 0x0001
TRANSACTION_BYTES = 12
_MOST_ATTRIBUTES = 32
_BYTES = {1: 4, 2: 16}
"""Of an address, by its family."""


def request(transaction: bytes) -> bytes:
    return HEADER.pack(REQUEST, 0, COOKIE, transaction)


def transaction_of(data: bytes) -> bytes:
    """Of a Binding success response, b"" for anything else."""
    if len(data) < HEADER.size:
        return b""
    kind, length, cookie, transaction = HEADER.unpack_from(data)
    whole = length == len(data) - HEADER.size
    return bytes(transaction) if whole and (kind, cookie) == (SUCCESS, COOKIE) else b""


def mapped_address(data: bytes) -> tuple[str, int] | None:
    """Where the server saw us, None if it does not say."""
    at = HEADER.size
    for _ in range(_MOST_ATTRIBUTES):
        if at + _ATTRIBUTE.size > len(data):
            return None
        kind, length = _ATTRIBUTE.unpack_from(data, at)
        value = data[at + _ATTRIBUTE.size : at + _ATTRIBUTE.size + length]
        if kind in {XOR_MAPPED, MAPPED} and len(value) >= 4 and len(value) == 4 + _BYTES.get(value[1], -1):
            port, address = int.from_bytes(value[2:4]), value[4:]
            if kind == XOR_MAPPED:
                port ^= COOKIE >> 16
                address = bytes(one ^ other for one, other in zip(address, data[4:20], strict=False))
            return str(ip_address(address)), port
        at += _ATTRIBUTE.size + (length + 3) // 4 * 4
    return None
