"""Bencoding, as the ng protocol of rtpengine uses it: integers, byte strings, lists and dictionaries; pure."""

from __future__ import annotations

from typing import Final

from ...errors import TheirsError

Value = int | str | bytes | list["Value"] | dict[str, "Value"]

MAX_DEPTH: Final = 32


class BencodeError(TheirsError):
    """What came is not bencoded."""


def encode(value: Value) -> bytes:
    """Keys of dictionaries come out in order."""
    match value:
        case int():
            return b"i%de" % value
        case bytes():
            return b"%d:%s" % (len(value), value)
        case str():
            return encode(value.encode())
        case list():
            return b"l" + b"".join(map(encode, value)) + b"e"
        case _:
            return b"d" + b"".join(encode(key) + encode(value[key]) for key in sorted(value)) + b"e"


def decode(data: bytes) -> Value:
    """The one value that the data is, or BencodeError; strings that are not UTF-8 have their odd bytes replaced."""
    value, end = _decode(data, 0, MAX_DEPTH)
    if end != len(data):
        raise BencodeError("more than one value")
    return value


def _decode(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    kind = data[at : at + 1]
    if kind == b"i":
        return _integer(data, at + 1, b"e")
    if kind in (b"l", b"d"):
        items, end = _items(data, at + 1, depth)
        return (items if kind == b"l" else _pairs(items)), end
    length, start = _integer(data, at, b":")
    if length < 0 or start + length > len(data):
        raise BencodeError("a string that is longer than what came")
    return data[start : start + length].decode(errors="replace"), start + length


def _items(data: bytes, at: int, depth: int) -> tuple[list[Value], int]:
    if not depth:
        raise BencodeError("nested too deep")
    items: list[Value] = []
    while data[at : at + 1] != b"e":
        item, at = _decode(data, at, depth - 1)
        items.append(item)
    return items, at + 1


def _pairs(items: list[Value]) -> dict[str, Value]:
    keys = items[::2]
    if len(items) % 2 or not all(isinstance(key, str) for key in keys):
        raise BencodeError("a dictionary without pairs")
    return {str(key): value for key, value in zip(keys, items[1::2], strict=True)}


def _integer(data: bytes, at: int, end: bytes) -> tuple[int, int]:
    """The number up to `end`, and where the rest begins."""
    stop = data.find(end, at, at + 21)
    digits = data[at:stop] if stop > 0 else b""
    if not digits.removeprefix(b"-").isdigit():
        raise BencodeError("a number is missing")
    return int(digits), stop + 1
