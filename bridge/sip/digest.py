"""Digest authentication, the client's side (RFC 3261, 22; RFC 7616; RFC 8760)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from .headers import BLANKS, SipError, quote, split_outside, unquote
from .message import Response

CREDENTIALS = {"WWW-Authenticate": "Authorization", "Proxy-Authenticate": "Proxy-Authorization"}
_HASHES = {"md5": "md5", "sha-256": "sha256", "sha-512-256": "sha512_256"}
MOST_CHALLENGES = 16
MOST_FIELDS = 32


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a server wants proven; texts as they mean, without quotes."""

    realm: str
    nonce: str
    algorithm: str
    """As offered, "" if none was: MD5."""
    qop: tuple[str, ...]
    """Those of `auth` and `auth-int` that were offered; () is the old way of RFC 2069."""
    opaque: str | None
    stale: bool
    header: str
    """WWW-Authenticate or Proxy-Authenticate."""


def challenges(response: Response) -> tuple[Challenge, ...]:
    """The topmost challenge of each realm that we can meet; unknown and broken ones are skipped (RFC 8760, 2.4)."""
    found: dict[tuple[str, str], Challenge] = {}
    for header in CREDENTIALS:
        for line in response.headers.all(header)[:MOST_CHALLENGES]:
            challenge = _read(header, line)
            if challenge is not None:
                found.setdefault((header, challenge.realm), challenge)
    return tuple(found.values())


def authorise(
    challenge: Challenge,
    *,
    method: str,
    uri: str,
    username: str,
    password: str,
    nc: int,
    cnonce: str,
    body: bytes = b"",
) -> tuple[str, str]:
    """The header that meets a challenge: its name and its value.

    `uri` is the Request-URI as sent, `nc` counts the uses of this nonce from 1, `cnonce` is ours and random.
    """
    qop = "" if not challenge.qop else "auth" if "auth" in challenge.qop else "auth-int"
    count = f"{nc:08x}"
    response = _response(challenge, method, uri, username, password, count, cnonce, qop, body)
    fields = [("username", quote(username)), ("realm", quote(challenge.realm)), ("nonce", quote(challenge.nonce))]
    fields += [("uri", quote(uri)), ("response", f'"{response}"')]
    if challenge.algorithm:
        fields.append(("algorithm", challenge.algorithm))
    if qop or _is_session(challenge):
        fields.append(("cnonce", quote(cnonce)))
    if qop:
        fields += [("qop", qop), ("nc", count)]
    if challenge.opaque is not None:
        fields.append(("opaque", quote(challenge.opaque)))
    return CREDENTIALS[challenge.header], "Digest " + ", ".join(f"{name}={value}" for name, value in fields)


def _response(
    challenge: Challenge,
    method: str,
    uri: str,
    username: str,
    password: str,
    count: str,
    cnonce: str,
    qop: str,
    body: bytes,
) -> str:
    """RFC 7616, 3.4."""

    def digest(*parts: str | bytes) -> str:
        data = b":".join(part if isinstance(part, bytes) else part.encode() for part in parts)
        return hashlib.new(_hash(challenge.algorithm), data, usedforsecurity=False).hexdigest()

    secret = digest(username, challenge.realm, password)
    if _is_session(challenge):
        secret = digest(secret, challenge.nonce, cnonce)
    wanted = digest(method, uri, digest(body)) if qop == "auth-int" else digest(method, uri)
    if qop:
        return digest(secret, challenge.nonce, count, cnonce, qop, wanted)
    return digest(secret, challenge.nonce, wanted)


def _read(header: str, line: str) -> Challenge | None:
    scheme, _, rest = line.partition(" ")
    if scheme.lower() != "digest":
        return None
    try:
        fields = fields_of(rest)
        _hash(fields.get("algorithm", ""))
    except SipError:
        return None
    offered = fields.get("qop", "")
    qop = tuple(item for part in offered.lower().split(",") if (item := part.strip(BLANKS)) in {"auth", "auth-int"})
    if not {"realm", "nonce"} <= fields.keys() or (offered and not qop):
        return None
    stale = fields.get("stale", "").lower() == "true"
    return Challenge(
        fields["realm"], fields["nonce"], fields.get("algorithm", ""), qop, fields.get("opaque"), stale, header
    )


def fields_of(text: str) -> dict[str, str]:
    """Of a name given twice the first counts; SipError over MOST_FIELDS."""
    fields: dict[str, str] = {}
    for piece in split_outside(text, ",", MOST_FIELDS):
        name, _, value = piece.partition("=")
        fields.setdefault(name.strip(BLANKS).lower(), unquote(value.strip(BLANKS)))
    return fields


def _hash(algorithm: str) -> str:
    """hashlib's name; SipError for an algorithm that we or this build of OpenSSL do not know."""
    name = _HASHES.get((algorithm or "MD5").lower().removesuffix("-sess"), "")
    if name not in hashlib.algorithms_available:
        raise SipError(f"unknown algorithm {algorithm[:40]!r}")
    return name


def _is_session(challenge: Challenge) -> bool:
    return challenge.algorithm.lower().endswith("-sess")
