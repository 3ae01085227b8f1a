"""A transfer that the peer asks of us: its REFER, and the NOTIFYs that tell it how we fare (RFC 3515, 4488; pure)."""

from __future__ import annotations

from .address import NameAddr, Uri
from .headers import SipError
from .matching import Key
from .message import PHRASES, Request
from .refer import SIPFRAG

SECONDS = 60
"""Of the subscription that a REFER makes."""


class Referral:
    """One REFER of the peer's. SipError if it does not say whereto, once."""

    def __init__(self, key: Key, request: Request, *, first: bool) -> None:
        lines = request.headers.all("Refer-To")
        if len(lines) != 1:
            raise SipError("REFER needs one Refer-To")
        self.key = key
        self.request = request
        self.target: Uri = NameAddr.parse(lines[0]).uri
        self.taken = False
        self.is_silent = (request.headers.get("Refer-Sub") or "").strip().lower() == "false"
        self._event = "refer" if first else f"refer;id={request.cseq[0]}"

    @property
    def referred_by(self) -> list[tuple[str, str]]:
        """For the INVITE to the target (RFC 3892)."""
        value = self.request.headers.get("Referred-By")
        return [("Referred-By", value)] if value else []

    def news(self, status: int, phrase: str = "") -> tuple[list[tuple[str, str]], bytes]:
        """Headers and body of the NOTIFY about a response to our INVITE; a final one is the last."""
        state = f"active;expires={SECONDS}" if status < 200 else "terminated;reason=noresource"
        headers = [("Event", self._event), ("Subscription-State", state), ("Content-Type", SIPFRAG)]
        line = f"SIP/2.0 {status} {phrase or PHRASES.get(status) or PHRASES.get(status // 100 * 100, '')}\r\n"
        return headers, line.encode("utf-8", "replace")
