"""The Reason header: why a request was sent or refused, in the terms of another protocol (RFC 3326; pure)."""

from __future__ import annotations

from .message import Request, Response, SipError

Q850 = "q.850"
SIP = "sip"


def causes(message: Request | Response, protocol: str) -> tuple[int, ...]:
    """The causes that a message gives in that protocol, in their order; what can't be read is left out."""
    try:
        reasons = message.headers.all("Reason")
    except SipError:
        return ()  # a courtesy that nothing depends on
    found = []
    for reason in reasons:
        name, *params = [part.strip().lower().replace(" ", "") for part in reason.split(";")]
        for param in params:
            key, _, value = param.partition("=")
            if name == protocol and key == "cause" and value.isascii() and value.isdigit() and len(value) <= 3:
                found.append(int(value))
                break
    return tuple(found)
