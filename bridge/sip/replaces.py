"""The Replaces header: an INVITE that takes the place of a session that stands (RFC 3891; pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote

from .address import Uri
from .headers import SipError
from .message import Request

_WORD = re.compile(r"[!-+\--:<>-~]{1,255}")
"""What may be copied into a header of ours: printable, without `,`, `;` and `=`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaces:
    """Which dialog, as its owner sees it: `local_tag` is the header's to-tag."""

    call_id: str
    local_tag: str
    remote_tag: str
    early_only: bool

    @classmethod
    def parse(cls, line: str) -> Self:
        """SipError for one that names no dialog."""
        call_id, *params = [part.strip() for part in line.split(";")]
        named = {name.strip().lower(): value.strip() for name, _, value in (param.partition("=") for param in params)}
        if not call_id or "to-tag" not in named or "from-tag" not in named:
            raise SipError("Replaces without Call-ID, to-tag or from-tag")
        return cls(
            call_id=call_id,
            local_tag=named["to-tag"],
            remote_tag=named["from-tag"],
            early_only="early-only" in named,
        )

    def __str__(self) -> str:
        early = ";early-only" * self.early_only
        return f"{self.call_id};to-tag={self.local_tag};from-tag={self.remote_tag}{early}"


def replaces_of(request: Request) -> Replaces | None:
    """None if there is none; SipError for two, or for one that names no dialog."""
    lines = request.headers.all("Replaces")
    if not lines:
        return None
    if len(lines) > 1 or request.method != "INVITE":
        raise SipError("Replaces belongs into an INVITE, once")
    return Replaces.parse(lines[0])


def replaces_in(refer_to: Uri) -> Replaces | None:
    """Whose place a referred party shall take (RFC 3891, 4); the other `?headers` are not ours to send. SipError as above."""
    fields = [
        (name.strip().lower(), value) for name, _, value in (f.partition("=") for f in refer_to.headers.split("&"))
    ]
    lines = [unquote(value) for name, value in fields if name == "replaces"]
    if not lines:
        return None
    if len(lines) > 1:
        raise SipError("Refer-To with two Replaces")
    wish = Replaces.parse(lines[0])
    if not all(_WORD.fullmatch(word) for word in (wish.call_id, wish.local_tag, wish.remote_tag)):
        raise SipError("Replaces with characters that no header holds")
    return wish
