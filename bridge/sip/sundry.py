"""What a request earns that changes neither a call nor a registration: OPTIONS, INFO, NOTIFY and what we refuse (pure)."""

from __future__ import annotations

from .dialog import ALLOW, PRODUCT, SUPPORTED
from .message import Request, Response, respond

METHODS = frozenset({
    "INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "UPDATE", "PRACK", "INFO", "NOTIFY",
    "REFER", "SUBSCRIBE", "PUBLISH", "MESSAGE", "REGISTER",
})  # fmt: skip
"""Those with an answer of their own; every other earns 405."""
HARMLESS_EVENTS = frozenset({"message-summary", "keep-alive", "check-sync", "dialog", "presence", "ua-profile"})


def sundry(request: Request, *, in_dialog: bool, tag: str = "") -> Response:
    """The final answer; `tag` goes into To where there is none."""
    status, headers = _answer(request, in_dialog)
    return respond(request, status, to_tag=tag, headers=[("Server", PRODUCT), *headers])


def _answer(request: Request, in_dialog: bool) -> tuple[int, list[tuple[str, str]]]:
    match request.method:
        case "OPTIONS":
            return 200, [("Allow", ALLOW), ("Accept", "application/sdp"), SUPPORTED]
        case "INFO" if in_dialog:
            # Keys were read before, and other bodies refused with 415.
            return (469, [("Recv-Info", "")]) if "Info-Package" in request.headers else (200, [])
        case "NOTIFY":
            event = (request.headers.get("Event") or "").partition(";")[0].strip().lower()
            if event == "refer":
                return 481, []  # of a transfer that we know nothing of (RFC 6665, 4.1.3)
            return (200, []) if event in HARMLESS_EVENTS else (489, [("Allow-Events", "message-summary")])
        case "SUBSCRIBE":
            return 489, [("Allow-Events", "message-summary")]
        case "REFER":
            return 603, []
        case "BYE" | "CANCEL" | "INFO" | "UPDATE" | "PRACK":
            return 481, []
        case _:
            return 405, [("Allow", ALLOW)]
