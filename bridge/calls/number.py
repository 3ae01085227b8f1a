"""A telephone number as people and portals write it -> as the bridge dials it. Pure."""

from __future__ import annotations

import re

LONGEST_NUMBER = 32


def dialable(text: str) -> str:
    """Digits, `*`, `#` and a leading `+` are left of it; "" if nothing that can be dialled is."""
    signs = re.sub(r"[^0-9*#+]", "", text)
    number = signs[:1] + signs[1:].replace("+", "")
    return number if number != "+" and len(number) <= LONGEST_NUMBER else ""
