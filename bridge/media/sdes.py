"""Keys in the session description (RFC 4568), as far as libsrtp has the suites (RFC 7714 for GCM); pure.

A key protects what the side that writes it sends. No key may stand in a log: it is left out of `repr`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

SUITES: Final = {
    "AEAD_AES_256_GCM": 44,
    "AEAD_AES_128_GCM": 28,
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
}
"""Suite -> octets of key and salt."""
OFFERED: Final = ("AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32")
"""In our own offers, best first; few, so that the description stays small."""

_LINE: Final = re.compile(
    r"(\d{1,9})[ \t]+([\w-]{1,64})[ \t]+inline:([A-Za-z0-9+/]+=*)((?:\|[^;| \t]*)*)((?:[ \t]+\S+)*)", re.ASCII
)
_LIFETIME: Final = re.compile(r"\|(2\^)?\d{1,19}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crypto:
    """One `a=crypto` line."""

    tag: int
    suite: str
    """One of `SUITES`."""
    key: bytes = field(repr=False)
    """Master key and salt."""

    def __str__(self) -> str:
        """The value of the attribute."""
        return f"{self.tag} {self.suite} inline:{base64.b64encode(self.key).decode()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What both directions of a leg are protected with."""

    incoming: Crypto
    outgoing: Crypto


def parse(value: str) -> Crypto | None:
    """A line that we can do as it stands; None for another suite, a wrong length, an MKI, several keys, or conditions."""
    if len(value) > 512 or (found := _LINE.fullmatch(value)) is None:
        return None
    tag, suite, inline, rest, conditions = found.groups()
    suite = suite.upper()
    if suite not in SUITES or (rest and not _LIFETIME.fullmatch(rest)):
        return None
    if any(not word.upper().startswith(("WSH=", "-")) for word in conditions.split()):
        return None
    try:
        key = base64.b64decode(inline.rstrip("=") + "=" * (-len(inline.rstrip("=")) % 4), validate=True)
    except binascii.Error:
        return None
    return Crypto(tag=int(tag), suite=suite, key=key) if len(key) == SUITES[suite] else None


def usable(values: Iterable[str]) -> tuple[Crypto, ...]:
    """The lines that we can do, in their order."""
    return tuple(crypto for value in values if (crypto := parse(value)))


def offer(new_key: Callable[[int], bytes]) -> tuple[Crypto, ...]:
    return tuple(Crypto(tag=tag, suite=suite, key=new_key(SUITES[suite])) for tag, suite in enumerate(OFFERED, start=1))


def answer(offered: Crypto, ours: Crypto | None, new_key: Callable[[int], bytes]) -> Crypto:
    """Our line for the one chosen; the key that we send with already stays if it fits."""
    keeps = ours is not None and ours.suite == offered.suite
    key = ours.key if ours is not None and keeps else new_key(SUITES[offered.suite])
    return Crypto(tag=offered.tag, suite=offered.suite, key=key)
