"""Session descriptions (RFC 8866, 3264): their grammar, and the choice of a codec.

Unknown lines and attributes are ignored; only a broken `m=`, `c=` or `o=` line spoils a description.
What a page offers is read by `page_sdp`, what a PBX offers by `pbx_sdp`. Each side is a session of its own: no attribute
is copied across, except that the PBX's wish for a packet time is handed to the page, since payloads are relayed as they
are.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache

from ..errors import TheirsError

MAX_BYTES = 65_536
MAX_SECTIONS = 32
MAX_DIGITS = 5
KEPT = 32
"""Descriptions that were just read: one that opens a call is read when it comes, when a page does and when both are joined."""

NOWHERE = "0.0.0.0"  # noqa: S104  # never bound
NOWHERE_6 = "::"
"""The hold of RFC 2543: send nothing."""

Address = tuple[str, int]


class SdpError(TheirsError):
    """A description that is broken or offers nothing we can use; the text says what."""


class Direction(Enum):
    """Who sends, seen by the writer of the description (RFC 3264, 5.1)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @classmethod
    def of(cls, *, sends: bool, receives: bool) -> Direction:
        if sends:
            return cls.SENDRECV if receives else cls.SENDONLY
        return cls.RECVONLY if receives else cls.INACTIVE

    @property
    def mirrored(self) -> Direction:
        return _MIRROR.get(self, self)

    @property
    def receives(self) -> bool:
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    @property
    def sends(self) -> bool:
        return self in (Direction.SENDRECV, Direction.SENDONLY)


_DIRECTIONS = {direction.value: direction for direction in Direction}
_MIRROR = {Direction.SENDONLY: Direction.RECVONLY, Direction.RECVONLY: Direction.SENDONLY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """A codec under the payload type that one offer gave it."""

    name: str
    """One of `CLOCK_RATES`."""
    payload_type: int
    fmtp: str = ""
    """What we ask of whoever sends it (`a=fmtp`), "" for nothing."""

    @property
    def clock_rate(self) -> int:
        return CLOCK_RATES[self.name]

    @property
    def encoding(self) -> str:
        """As `a=rtpmap` writes it; opus always says two channels (RFC 7587, 7)."""
        return f"{self.name}/{self.clock_rate}" + ("/2" if self.name == "opus" else "")


CLOCK_RATES = {"PCMU": 8000, "PCMA": 8000, "G722": 8000, "opus": 48_000}
"""Voice codecs that can be relayed. G722 says 8000 although it samples at 16 kHz (RFC 3551, 4.5.2)."""

_STATIC = {0: "PCMU/8000", 8: "PCMA/8000", 9: "G722/8000"}
_ENCODINGS = {Codec(name=name, payload_type=0).encoding.lower(): name for name in CLOCK_RATES}


@dataclass(frozen=True, kw_only=True)
class Section:
    """One m-line and the attributes under it."""

    kind: str
    port: int
    proto: str
    formats: tuple[str, ...]
    address: str
    attributes: tuple[tuple[str, str], ...]
    """Of the section first, then those of the session, so that the first one found is the one that counts."""

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.attributes if key == name]

    def first(self, name: str, default: str = "") -> str:
        return next((value for key, value in self.attributes if key == name), default)

    @cached_property
    def direction(self) -> Direction:
        return next((_DIRECTIONS[key] for key, _ in self.attributes if key in _DIRECTIONS), Direction.SENDRECV)

    @property
    def rtpmaps(self) -> dict[int, str]:
        """Payload type -> encoding, in the order of the m-line."""
        known = dict(_STATIC)
        for value in self.values("rtpmap"):
            number, _, encoding = value.partition(" ")
            if (payload_type := bounded(number, 127)) is not None:
                known[payload_type] = encoding.strip()
        types = [bounded(text, 127) for text in self.formats]
        return {payload_type: known[payload_type] for payload_type in types if payload_type in known}

    @cached_property
    def codecs(self) -> tuple[Codec, ...]:
        names = {number: _ENCODINGS.get(encoding_key(text)) for number, text in self.rtpmaps.items()}
        return tuple(Codec(name=name, payload_type=number) for number, name in names.items() if name)


def encoding_key(encoding: str) -> str:
    return encoding.lower().removesuffix("/1")


def bounded(text: str, largest: int) -> int | None:
    is_number = len(text) <= MAX_DIGITS and text.isascii() and text.isdigit()
    return number if is_number and (number := int(text)) <= largest else None


# ---- reading


@lru_cache(maxsize=KEPT)
def parse(raw: bytes | str) -> tuple[Section, ...]:
    """The sections of a description, or SdpError."""
    if len(raw) > MAX_BYTES:
        raise SdpError("the description is too long")
    text = raw.decode("utf-8", errors="replace") if isinstance(raw, bytes) else raw
    head: list[str] = []
    bodies: list[list[str]] = []
    for line in text.replace("\r", "\n").split("\n"):
        if line.startswith("m="):
            bodies.append([line])
        elif line:
            (bodies[-1] if bodies else head).append(line)
    if len(bodies) > MAX_SECTIONS:
        raise SdpError("the description has too many m-lines")
    _check_origin(head)
    address, attributes = _address(head, ""), _attributes(head)
    return tuple(_section(body, address, attributes) for body in bodies)


def _check_origin(head: list[str]) -> None:
    for line in head:
        if line.startswith("o=") and len(line[2:].split()) != 6:
            raise SdpError("broken o= line")


def _address(lines: list[str], default: str) -> str:
    line = next((line[2:] for line in lines if line.startswith("c=")), None)
    if line is None:
        return default
    parts = line.split()
    if len(parts) != 3 or parts[0] != "IN" or parts[1] not in ("IP4", "IP6"):
        raise SdpError("broken c= line")
    return _canonical(parts[2].partition("/")[0])


def _canonical(text: str) -> str:
    """An IPv6 address as the socket writes it (RFC 5952), everything else as it is."""
    try:
        return str(ipaddress.IPv6Address(text)) if ":" in text else text
    except ValueError:
        return text


def is_ipv6(text: str) -> bool:
    """It is, or would be, an IPv6 address rather than an IPv4 one."""
    return ":" in text


def _attributes(lines: list[str]) -> tuple[tuple[str, str], ...]:
    pairs = (line[2:].partition(":") for line in lines if line.startswith("a="))
    return tuple((name.strip(), value.strip()) for name, _, value in pairs)


def _section(body: list[str], address: str, inherited: tuple[tuple[str, str], ...]) -> Section:
    parts = body[0][2:].split()
    port = bounded(parts[1].partition("/")[0], 65_535) if len(parts) >= 4 else None
    if port is None:
        raise SdpError("broken m= line")
    return Section(
        kind=parts[0].lower(),
        port=port,
        proto=parts[2],
        formats=tuple(parts[3:]),
        address=_address(body[1:], address),
        attributes=_attributes(body[1:]) + inherited,
    )


def is_unicast(text: str) -> bool:
    """It is the IPv4 address of one host."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return not address.is_multicast and address != ipaddress.IPv4Address("255.255.255.255")


def is_unicast_ipv6(text: str) -> bool:
    """It is the IPv6 address of one host, and means the same from everywhere; "::" counts, too."""
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return not (address.is_multicast or address.is_link_local or address.ipv4_mapped or address.scope_id)


# ---- deciding


def choose(wanted: Sequence[str], page: Section) -> Codec:
    """The first of the wanted codecs that the page has, as the page numbers it; else SdpError."""
    for name in wanted:
        if found := next((codec for codec in page.codecs if codec.name == name), None):
            return found
    has = [codec.name for codec in page.codecs]
    raise SdpError(f"no common codec: the call can have {_listed(wanted)}, the page has {_listed(has)}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none that we know"


def refused(section: Section) -> list[str]:
    """A section of an answer that says no (RFC 3264, 6)."""
    mid = section.first("mid")
    lines = [f"m={section.kind} 0 {section.proto} {section.formats[0]}", "c=IN IP4 0.0.0.0"]
    return lines + ([f"a=mid:{mid}"] if mid else []) + ["a=inactive"]
