"""Time-limited credentials of a TURN server with `use-auth-secret`, as coturn has it (draft-uberti-behave-turn-rest-00). Pure."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Sequence

from ..calls.events import Operator
from .protocol import IceServer


def password_for(username: str, secret: str) -> str:
    """What the server expects of a user whose name is `expiry:id`."""
    return b64encode(hmac.digest(secret.encode(), username.encode(), hashlib.sha1)).decode()


class Turn:
    """The TURN servers that pages may use; a period is half the life of their credentials."""

    def __init__(self, *, urls: Sequence[str], secret: str, seconds: int) -> None:
        self._urls, self._secret = list(urls), secret
        self._period = seconds // 2

    def servers(self, operator: Operator, now: float) -> list[IceServer]:
        """For an operator's next leg: good for one period at least, the same within a period. `now` in Unix seconds."""
        username = f"{self.renewal(now) + self._period}:{self._pseudonym(operator)}"
        return [IceServer(urls=self._urls, username=username, credential=password_for(username, self._secret))]

    def renewal(self, now: float) -> int:
        """When the credentials of that moment are to be replaced."""
        return (int(now) // self._period + 1) * self._period

    def _pseudonym(self, operator: Operator) -> str:
        """The same for each of an operator's legs, and nobody else can tell whose: it stands in the TURN server's log."""
        return hmac.new(self._secret.encode(), f"operator {operator}".encode(), hashlib.sha256).hexdigest()[:12]
