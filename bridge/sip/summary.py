"""Voice messages that wait, as a PBX tells it unasked: NOTIFY with message-summary (RFC 3842; pure)."""

from __future__ import annotations

import re

from .message import Request

_COUNT = re.compile(r"^voice-message\s*:\s*(\d{1,6})\s*/\s*\d", re.IGNORECASE | re.MULTILINE)
_WAITING = re.compile(r"^messages-waiting\s*:\s*yes\b", re.IGNORECASE | re.MULTILINE)
_LONGEST = 4096
"""Characters that are looked at."""


def new_messages(notify: Request) -> int | None:
    """How many new voice messages there are; 1 where it only says that some wait, None if this is no summary."""
    event = (notify.headers.get("Event") or "").partition(";")[0].strip().lower()
    if notify.method != "NOTIFY" or event != "message-summary":
        return None
    text = notify.body[:_LONGEST].decode("utf-8", "replace").replace("\r\n", "\n")
    if count := _COUNT.search(text):
        return int(count[1])
    return 1 if _WAITING.search(text) else 0
