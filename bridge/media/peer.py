"""The other end of a DTLS-SRTP leg as a description gives it, and what it is told of ours; pure (RFC 8839, 8842)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from . import sdp

MAX_CANDIDATES = 32

_HASHES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_USERNAME, _PASSWORD = r"[A-Za-z0-9+/]{4,256}", r"[A-Za-z0-9+/]{22,256}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Our name and password for the other side's checks."""

    username: str
    password: str = field(repr=False)

    @classmethod
    def new(cls, octets: Callable[[int], bytes]) -> Credentials:
        """aioice's own names have 4 letters, which would collide on one port."""
        return cls(username=octets(8).hex(), password=octets(16).hex())


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who is to be met, and how it proves itself."""

    fingerprints: tuple[tuple[str, str], ...]
    """Hash name and colon-separated hex."""
    username: str = ""
    """"" without ICE."""
    password: str = field(default="", repr=False)
    candidates: tuple[sdp.Address, ...] = ()
    """Where it says that it is, best first: addresses only, host names of strangers are never looked up."""
    lite: bool = False
    """It answers checks and makes none (RFC 8445, 2.5)."""
    address: sdp.Address | None = None
    """Where its voice comes from without ICE."""
    opened_by_us: bool = True
    """We are the DTLS client."""

    @property
    def identity(self) -> tuple[object, ...]:
        """What stays the same as long as its ICE and DTLS stay the same (RFC 8842, 4)."""
        return self.username, self.password, frozenset(self.fingerprints), None if self.username else self.address


def fingerprints(section: sdp.Section) -> tuple[tuple[str, str], ...]:
    """The usable ones."""
    found = []
    for value in section.values("fingerprint"):
        algorithm, _, digest = value.partition(" ")
        length = _HASHES.get(algorithm.lower(), 0)
        if length and re.fullmatch(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})*", digest) and len(digest) == 3 * length - 1:
            found.append((algorithm.lower(), digest.upper()))
    return tuple(dict.fromkeys(found))  # baresip writes its own once more with each new offer


def credentials(section: sdp.Section) -> tuple[str, str] | None:
    """Name and password for our checks; None where a valid one of them is missing."""
    username, password = section.first("ice-ufrag"), section.first("ice-pwd")
    valid = re.fullmatch(_USERNAME, username, re.ASCII) and re.fullmatch(_PASSWORD, password, re.ASCII)
    return (username, password) if valid else None


def from_section(section: sdp.Section, address: sdp.Address | None) -> Peer | None:
    """Who describes itself here, at `address` if it does no ICE; None without a usable fingerprint."""
    prints, named = fingerprints(section), credentials(section)
    if not prints:
        return None
    if named is None:
        return Peer(fingerprints=prints, address=address)
    return Peer(
        fingerprints=prints,
        username=named[0],
        password=named[1],
        candidates=candidates(section),
        lite="ice-lite" in dict(section.attributes),
    )


def candidates(section: sdp.Section) -> tuple[sdp.Address, ...]:
    """IPv4 addresses for the voice over UDP, best first (RFC 8839, 5.1)."""
    found: list[tuple[int, sdp.Address]] = []
    for value in section.values("candidate")[: 4 * MAX_CANDIDATES]:
        words = value.split()
        if len(words) < 8 or words[1] != "1" or words[2].lower() != "udp" or words[6] != "typ":
            continue
        port, priority = sdp.bounded(words[5], 65_535), words[3]
        if port and re.fullmatch(r"\d{1,10}", priority, re.ASCII) and sdp.is_unicast(words[4]):
            found.append((int(priority), (words[4], port)))
    found.sort(key=lambda item: -item[0])
    return tuple(dict.fromkeys(address for _, address in found))[:MAX_CANDIDATES]


@dataclass(frozen=True, slots=True, kw_only=True)
class OurEnd:
    """What the other side is told of our end."""

    credentials: Credentials | None
    """None without ICE."""
    fingerprint: str
    """SHA-256, colon-separated hex."""
    setup: str
    """Who opens DTLS: "actpass" lets the other side choose, "active" is us (RFC 4145, 8842)."""

    def lines(self, address: sdp.Address) -> list[str]:
        """As attributes of the voice."""
        host, port = address
        lines = [f"a=fingerprint:sha-256 {self.fingerprint}", f"a=setup:{self.setup}"]
        if self.credentials is not None:
            lines += [
                f"a=ice-ufrag:{self.credentials.username}",
                f"a=ice-pwd:{self.credentials.password}",
                f"a=candidate:1 1 udp 2130706431 {host} {port} typ host",
            ]
        return lines
