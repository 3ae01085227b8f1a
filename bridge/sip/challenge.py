"""Digest authentication, the server's side: a PBX proves who it is (RFC 3261 22, RFC 7616, RFC 8760; pure).

A nonce is the time and a signature of it, so asking costs no memory; only those that were answered rightly are remembered.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .address import Uri
from .digest import Challenge, authorise, fields_of
from .headers import BLANKS, SipError, quote
from .message import Request

LIFETIME = 300.0
MOST_NONCES = 10_000
ALGORITHMS = ("SHA-256", "MD5")
"""Strongest first (RFC 8760 2.4)."""
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Proven:
    user: str


@dataclass(frozen=True, slots=True)
class Unproven:
    """Ask for credentials with these headers. `wrong`: there were some, and not merely old ones."""

    headers: tuple[tuple[str, str], ...]
    wrong: bool


class Challenger:
    """`passwords` by user name; `token` gives that many random bytes in hexadecimal."""

    def __init__(self, realm: str, passwords: Mapping[str, str], token: Callable[[int], str]) -> None:
        self._realm = realm
        self._passwords = dict(passwords)
        self._token = token
        self._secret = bytes.fromhex(token(32))
        self._counts: OrderedDict[str, int] = OrderedDict()
        """The highest count seen of each nonce."""

    def check(self, request: Request, now: float) -> Proven | Unproven:
        stale = False
        for line in request.headers.all("Authorization"):
            scheme, _, rest = line.partition(" ")
            if scheme.lower() != "digest":
                continue
            try:
                fields = fields_of(rest)
            except SipError:
                continue
            if fields.get("realm") != self._realm:
                continue
            if not self._is_right(request, fields):
                return Unproven(self._challenges(now, stale=False), wrong=True)
            if self._is_fresh(fields, now):
                return Proven(fields["username"])
            stale = True
        return Unproven(self._challenges(now, stale=stale), wrong=False)

    def _is_right(self, request: Request, fields: Mapping[str, str]) -> bool:
        """As long for an unknown user as for a wrong password."""
        count, algorithm = fields.get("nc", "").lower(), fields.get("algorithm", "MD5")
        if algorithm.upper() not in ALGORITHMS or fields.get("qop", "").strip(BLANKS).lower() != "auth":
            return False
        if len(count) != 8 or not set(count) <= _HEX or not _is_uri_of(request, fields.get("uri", "")):
            return False
        password = self._passwords.get(fields.get("username", ""))
        challenge = Challenge(
            self._realm, fields.get("nonce", ""), algorithm, ("auth",), None, False, "WWW-Authenticate"
        )
        _, value = authorise(
            challenge,
            method=request.method,
            uri=fields["uri"],
            username=fields.get("username", ""),
            password=password if password is not None else self._realm,
            nc=int(count, 16),
            cnonce=fields.get("cnonce", ""),
        )
        expected = fields_of(value.partition(" ")[2])["response"]
        same = hmac.compare_digest(expected.encode(), fields.get("response", "").lower().encode("utf-8", "replace"))
        return same and password is not None

    def _is_fresh(self, fields: Mapping[str, str], now: float) -> bool:
        """Ours, young enough, and never used with this count or a higher one: a replay is refused."""
        nonce, count = fields["nonce"], int(fields["nc"], 16)
        made = _made_at(nonce)
        if not hmac.compare_digest(self._nonce(made, nonce.partition(".")[2][:8]).encode(), nonce.encode()):
            return False
        if not 0 <= now - made <= LIFETIME or count <= self._counts.get(nonce, 0):
            return False
        self._counts[nonce] = count
        while len(self._counts) > MOST_NONCES or _made_at(next(iter(self._counts))) < now - LIFETIME:
            self._counts.popitem(last=False)
        return True

    def _challenges(self, now: float, *, stale: bool) -> tuple[tuple[str, str], ...]:
        nonce, old = self._nonce(int(now), self._token(4)), ", stale=true" if stale else ""
        return tuple(
            ("WWW-Authenticate",
             f'Digest realm={quote(self._realm)}, nonce="{nonce}", algorithm={algorithm}, qop="auth"{old}')
            for algorithm in ALGORITHMS
        )  # fmt: skip

    def _nonce(self, made: int, salt: str) -> str:
        text = f"{made:x}.{salt}"
        return f"{text}.{hmac.new(self._secret, text.encode(), 'sha256').hexdigest()[:32]}"


def _made_at(nonce: str) -> int:
    """The time a nonce claims, 0 if it claims none."""
    text = nonce.partition(".")[0]
    return int(text, 16) if 0 < len(text) <= 12 and set(text) <= _HEX else 0


def _is_uri_of(request: Request, text: str) -> bool:
    """A proxy on the way may have written the Request-URI anew; the same URI it must be."""
    if text == request.uri:
        return True
    try:
        return Uri.parse(text).equals(Uri.parse(request.uri))
    except SipError:
        return False
