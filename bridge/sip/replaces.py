"""The Replaces header: an INVITE that takes the place of a session that stands (RFC 3891; pure)."""

from __future__ import annotations

from dataclasses import dataclass

from .headers import SipError
from .message import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaces:
    """Which dialog, as its owner sees it: `local_tag` is the header's to-tag."""

    call_id: str
    local_tag: str
    remote_tag: str
    early_only: bool


def replaces_of(request: Request) -> Replaces | None:
    """None if there is none; SipError for two, or for one that names no dialog."""
    lines = request.headers.all("Replaces")
    if not lines:
        return None
    if len(lines) > 1 or request.method != "INVITE":
        raise SipError("Replaces belongs into an INVITE, once")
    call_id, *params = [part.strip() for part in lines[0].split(";")]
    named = {name.strip().lower(): value.strip() for name, _, value in (param.partition("=") for param in params)}
    if not call_id or "to-tag" not in named or "from-tag" not in named:
        raise SipError("Replaces without Call-ID, to-tag or from-tag")
    return Replaces(
        call_id=call_id,
        local_tag=named["to-tag"],
        remote_tag=named["from-tag"],
        early_only="early-only" in named,
    )
