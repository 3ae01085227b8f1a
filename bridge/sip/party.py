"""Who calls whom on a trunk of numbers, and as whom we call there (RFC 3323, 3325; pure)."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Literal
from urllib.parse import quote, unquote

from .address import NameAddr, Uri
from .message import Request, SipError

ANONYMOUS = NameAddr("Anonymous", Uri("sip", "anonymous", "", "anonymous.invalid"))
Assertion = Literal["none", "asserted", "preferred"]
_HEADERS = {"asserted": "P-Asserted-Identity", "preferred": "P-Preferred-Identity"}


def called(invite: Request, accounts: Container[str], lines: Mapping[str, str]) -> tuple[str, str] | None:
    """Account and line of a call; None if it is for nobody. `lines`: `plain` number -> the line's number.

    Where the trunk says it differs: in the Request-URI, in To where that names our registration, or as the called party.
    """
    for number in _candidates(invite):
        if (line := lines.get(plain(number))) is not None:
            return number, line
        if number in accounts:
            return number, number
    return None


def plain(number: str) -> str:
    """What two ways of writing an international number have in common."""
    digits = number.lstrip("+")
    return digits.removeprefix("00") if digits.isdigit() and number == digits else digits


def caller(number: str, host: str, assertion: Assertion, *, withheld: bool) -> tuple[NameAddr, list[tuple[str, str]]]:
    """From, and the headers that tell the trunk who it really is."""
    who = NameAddr("", Uri("sip", quote(number, safe="-_.!~*'()&=+$,;?/"), "", host))
    headers = [(_HEADERS[assertion], f"<{who.uri}>")] if assertion != "none" else []
    if withheld:
        headers.append(("Privacy", "id"))
    return (ANONYMOUS if withheld else who), headers


def _candidates(invite: Request) -> list[str]:
    texts = [f"<{invite.uri}>", invite.headers.get("To") or "", invite.headers.get("P-Called-Party-ID") or ""]
    found = []
    for text in texts:
        try:
            uri = NameAddr.parse(text).uri
        except SipError:
            continue
        found += [uri.number, unquote(uri.user)]
    return [number for number in found if number]
