"""What Bitrix24 says of the application itself, in words: how it is licensed, for how long, what it was not granted (pure).

`app.info` and `scope`; any application may ask for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .standing import Check

SOON_DAYS = 7
KINDS = {
    "L": "A local application of this Bitrix24",
    "F": "A free application from Bitrix24's Market",
    "D": "A demo of the application from Bitrix24's Market",
    "T": "A trial of the application from Bitrix24's Market",
    "P": "A paid application from Bitrix24's Market",
    "S": "An application of a Bitrix24 Market subscription",
}
"""By STATUS."""
PEOPLE = ("user_brief", "user_basic", "user")
"""One of them is enough."""
NEEDED = {
    "placement": "the telephone can't be put on the pages",
    "telephony": "no call can be recorded in the CRM",
    PEOPLE[0]: "operators can't be told by their extensions",
    "im": "administrators can't be told when something is wrong",
}
USEFUL = {
    "crm": "callers may stay without a name",
    "pull": "pages whose connection is blocked can't be woken for a call",
    "timeman": "whether somebody is at work may stay unknown",
}


def licence(info: Any) -> Check:
    """Of the result of `app.info`."""
    if not isinstance(info, Mapping):
        return Check("licence", False, "Bitrix24 says nothing of the application: try again later.")
    kind = KINDS.get(str(info.get("STATUS") or ""), "An application of a kind that the telephone does not know")
    version, plan, days = info.get("VERSION"), str(info.get("LICENSE_FAMILY") or ""), _days(info.get("DAYS"))
    text = kind + (f", version {version}" if version else "") + "."
    if plan:
        text += f" This Bitrix24 is on the plan “{plan[:40]}”."
    if str(info.get("PAYMENT_EXPIRED") or "N").upper() in {"Y", "1", "TRUE"}:
        return Check(
            "licence", False, f"{text} Its time is over: renew it in Bitrix24's Market. Calls go on meanwhile."
        )
    if days is None:
        return Check("licence", True, text)
    left = f"{text} {days} {'day is' if days == 1 else 'days are'} left."
    if days <= SOON_DAYS:
        return Check(
            "licence", False, f"{left} Renew it in Bitrix24's Market, or nothing can be written to the CRM then."
        )
    return Check("licence", True, left)


def rights(granted: Any) -> Check:
    """Of the result of `scope`: what it allows and what is missing for what."""
    has = (
        {str(one).lower() for one in granted}
        if isinstance(granted, Iterable) and not isinstance(granted, str)
        else set()
    )
    if has.intersection(PEOPLE):
        has.add(PEOPLE[0])
    missing = [f"{name} ({why})" for name, why in NEEDED.items() if name not in has]
    useful = [f"{name} ({why})" for name, why in USEFUL.items() if name not in has]
    also = f" Worth adding: {', '.join(useful)}." if useful else ""
    if missing:
        todo = "tick it in the application's settings in Bitrix24, then press Install"
        return Check("rights", False, f"Missing: {', '.join(missing)}; {todo}.{also}")
    return Check("rights", True, f"Everything that is needed was granted.{also}")


def _days(value: Any) -> int | None:
    """Days left; Bitrix24 says null, "" or nothing where there is no end."""
    try:
        return max(0, int(value))
    except (TypeError, ValueError, OverflowError):
        return None
