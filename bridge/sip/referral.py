"""A transfer that the peer asks of us: its REFER, and the NOTIFYs that tell it how we fare (RFC 3515, 4488; pure)."""

from __future__ import annotations

from .address import NameAddr, Uri
from .headers import SipError
from .matching import Key
from .message import PHRASES, Request
from .refer import SIPFRAG
from .replaces import replaces_in

SECONDS = 60
"""Of the subscription that a REFER makes."""


def _target(line: str) -> Uri:
    """Asterisk writes what its dialplan says, also a URI with `?headers` that lacks its brackets."""
    bare = "?" in line and not {"<", '"'} & set(line)
    return Uri.parse(line.strip()) if bare else NameAddr.parse(line).uri


class Referral:
    """One REFER of the peer's. SipError if it does not say whereto, once, or whose place is to be taken there."""

    def __init__(self, key: Key, request: Request, *, first: bool) -> None:
        lines = request.headers.all("Refer-To")
        if len(lines) != 1:
            raise SipError("REFER needs one Refer-To")
        self.key = key
        self.request = request
        self.target = _target(lines[0])
        self._replaces = replaces_in(self.target)
        self.taken = False
        self.is_silent = (request.headers.get("Refer-Sub") or "").strip().lower() == "false"
        self._event = "refer" if first else f"refer;id={request.cseq[0]}"

    @property
    def headers(self) -> list[tuple[str, str]]:
        """For the INVITE to the target (RFC 3892, 3891).

        With Require nobody is called anew where there is no session to replace.
        """
        value = self.request.headers.get("Referred-By")
        by = [("Referred-By", value)] if value else []
        return by + ([("Require", "replaces"), ("Replaces", str(self._replaces))] if self._replaces else [])

    def news(self, status: int, phrase: str = "") -> tuple[list[tuple[str, str]], bytes]:
        """Headers and body of the NOTIFY about a response to our INVITE; a final one is the last."""
        state = f"active;expires={SECONDS}" if status < 200 else "terminated;reason=noresource"
        headers = [("Event", self._event), ("Subscription-State", state), ("Content-Type", SIPFRAG)]
        line = f"SIP/2.0 {status} {phrase or PHRASES.get(status) or PHRASES.get(status // 100 * 100, '')}\r\n"
        return headers, line.encode("utf-8", "replace")
