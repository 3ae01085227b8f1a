"""The registrar of the demo PBX: who is registered where, proven by digest (RFC 3261 10.3, RFC 7616; pure)."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hmac import compare_digest

from ..sip.address import NameAddr, Uri
from ..sip.digest import Challenge, authorise
from ..sip.flow import Flow
from ..sip.message import Request, Response, respond

REALM = "demo"
MOST_SECONDS = 3600
MOST_NONCES = 500
_FIELD = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^,\s]*))')


@dataclass(frozen=True, slots=True)
class Binding:
    """Where an account is reached, and until when."""

    contact: Uri
    source: Flow
    until: float


class Registrar:
    """`accounts`: user to password; `token` gives that many random bytes in hexadecimal."""

    def __init__(self, accounts: Mapping[str, str], token: Callable[[int], str]) -> None:
        self._accounts = dict(accounts)
        self._token = token
        self._nonces: deque[str] = deque(maxlen=MOST_NONCES)
        self._bindings: dict[str, Binding] = {}

    def registered(self, now: float) -> frozenset[str]:
        return frozenset(user for user in self._bindings if self.binding(user, now))

    def binding(self, user: str, now: float) -> Binding | None:
        binding = self._bindings.get(user)
        return binding if binding and binding.until > now else None

    def answer(self, request: Request, source: Flow, now: float) -> Response:
        """The answer to a REGISTER; SipError if its addresses can't be read."""
        user = NameAddr.parse(request.headers.get("To") or "").uri.user
        if not self._is_authorised(request, user):
            return self._challenge(request)
        contact = NameAddr.parse(request.headers.get("Contact") or "")
        asked = contact.param("expires") or request.headers.get("Expires") or ""
        seconds = min(int(asked[:9]) if asked.isascii() and asked.isdigit() else MOST_SECONDS, MOST_SECONDS)
        self._bindings[user] = Binding(contact.uri, source, now + seconds)
        headers = [("Contact", str(contact.with_param("expires", str(seconds)))), ("Expires", str(seconds))]
        return respond(request, 200, to_tag=self._token(8), headers=headers)

    def _challenge(self, request: Request) -> Response:
        nonce = self._token(16)
        self._nonces.append(nonce)
        wanted = f'Digest realm="{REALM}", nonce="{nonce}", algorithm=MD5, qop="auth"'
        return respond(request, 401, to_tag=self._token(8), headers=[("WWW-Authenticate", wanted)])

    def _is_authorised(self, request: Request, user: str) -> bool:
        """Whether the proof is the one that we would have given."""
        given = _fields(request.headers.get("Authorization") or "")
        password, nonce, uses = self._accounts.get(user), given.get("nonce", ""), given.get("nc", "")
        if password is None or nonce not in self._nonces or not re.fullmatch("[0-9a-f]{8}", uses):
            return False
        challenge = Challenge(REALM, nonce, "MD5", ("auth",), None, False, "WWW-Authenticate")
        _, right = authorise(
            challenge,
            method="REGISTER",
            uri=given.get("uri", ""),
            username=user,
            password=password,
            nc=int(uses, 16),
            cnonce=given.get("cnonce", ""),
        )
        return compare_digest(_fields(right)["response"].encode(), given.get("response", "").encode())


def _fields(credentials: str) -> dict[str, str]:
    return {name: quoted or plain for name, quoted, plain in _FIELD.findall(credentials)}
