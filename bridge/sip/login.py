"""One account's name and password at work: signs requests, counts nonces, knows a wrong password (RFC 7616; pure)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from .digest import CREDENTIALS, Challenge, authorise, challenges, fields_of
from .message import Request, Response, SipError

MOST_RETRIES = 2
"""Of one request: one for the challenge, one for a stale nonce or a second realm."""


@dataclass(slots=True)
class _Known:
    challenge: Challenge
    uses: int = 0


class Login:
    """`token` gives that many random bytes in hexadecimal. One request at a time is in flight."""

    def __init__(self, username: str, password: str, token: Callable[[int], str]) -> None:
        self._username = username
        self._password = password
        self._token = token
        self._known: dict[tuple[str, str], _Known] = {}
        self._retries = 0

    def sign(self, request: Request) -> Request:
        """With credentials for every realm that is known already, to spare the challenge."""
        self._retries = 0
        return self._signed(request)

    def retry(self, again: Request, refused: Request, response: Response) -> Request | None:
        """`again`, the refused request with a new branch and CSeq, signed for a 401 or 407; None if that is no use."""
        asked = challenges(response)
        self._retries += 1
        if not asked or self._retries > MOST_RETRIES:
            return None
        for challenge in asked:
            place = challenge.header, challenge.realm
            if self._is_wrong(self._known.get(place), challenge, refused):
                self._known.pop(place)
                return None
            self._known[place] = _Known(challenge)
        return self._signed(again)

    def learn(self, response: Response) -> None:
        """The nonce that the server wants next time (RFC 7616 3.5); what can't be read is ignored."""
        if len(self._known) != 1:
            return  # which realm it belongs to is not said
        try:
            nonce = fields_of(response.headers.get("Authentication-Info") or "").get("nextnonce", "")
        except SipError:
            return
        if nonce:
            ((place, known),) = self._known.items()
            self._known[place] = _Known(replace(known.challenge, nonce=nonce))

    def _is_wrong(self, known: _Known | None, challenge: Challenge, refused: Request) -> bool:
        """The very first answer to a nonce was refused, and not because the nonce was old."""
        answered = CREDENTIALS[challenge.header] in refused.headers
        return known is not None and answered and known.uses <= 1 and not challenge.stale

    def _signed(self, request: Request) -> Request:
        headers = request.headers
        for known in self._known.values():
            known.uses += 1
            name, value = authorise(
                known.challenge,
                method=request.method,
                uri=request.uri,
                username=self._username,
                password=self._password,
                nc=known.uses,
                cnonce=self._token(8),
                body=request.body,
            )
            headers = headers.add(name, value)
        return Request(request.method, request.uri, headers, request.body)
