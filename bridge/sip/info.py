"""Keys of the keypad in INFO, as many PBXs want or send them: application/dtmf-relay and application/dtmf (pure).

No RFC of its own: the bodies are `Signal=5` with `Duration=160` on lines, or the key alone. RFC 6086 came too late for them.
"""

from __future__ import annotations

import re

from .message import Request

RELAY = "application/dtmf-relay"
# No \s: it takes the ends of lines as well, and a body of nothing else costs the square of its length.
_SIGNAL = re.compile(rb"^[ \t]*signal[ \t]*=[ \t]*([0-9a-d*#]{1,2})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_BARE = re.compile(rb"\s*([0-9a-d*#]{1,2})\s*", re.IGNORECASE)
_NUMBERED = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}
DURATION = 160
"""Milliseconds."""


def key_in(info: Request) -> str:
    """The key that an INFO reports, "" if it reports none."""
    kind = (info.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    found = _SIGNAL.search(info.body) if kind == RELAY else _BARE.fullmatch(info.body)
    if found is None or not kind.startswith("application/dtmf"):
        return ""
    key = found[1].decode("ascii").upper()
    return _NUMBERED.get(key, key if len(key) == 1 else "")


def body_of(key: str) -> bytes:
    return f"Signal={key}\r\nDuration={DURATION}\r\n".encode()
