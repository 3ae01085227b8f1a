"""Whom a call on a trunk is for, and as whom we call (RFC 3323, RFC 3325)."""

from __future__ import annotations

import pytest

from bridge.sip.party import called, caller, plain

from .parties import request

LINES = {plain("+4930123456"): "+4930123456"}


@pytest.mark.parametrize(
    ("uri", "headers", "found"),
    [
        ("sip:+4930123456@bridge", {}, ("+4930123456", "+4930123456")),
        ("sip:4930123456@bridge", {}, ("4930123456", "+4930123456")),
        ("sip:004930123456@bridge", {}, ("004930123456", "+4930123456")),
        ("sip:%2B49-30-123456;npdi@bridge;user=phone", {}, ("+4930123456", "+4930123456")),
        ("tel:+4930123456", {}, ("+4930123456", "+4930123456")),
        ("sip:101@bridge", {}, ("101", "101")),
        ("sip:trunk@bridge", {"To": "<sip:+4930123456@provider>"}, ("+4930123456", "+4930123456")),
        ("sip:trunk@bridge", {"P-Called-Party-ID": "<sip:+4930123456@provider>"}, ("+4930123456", "+4930123456")),
        ("sip:+4930999@bridge", {}, None),
        ("sip:bridge", {}, None),
        ("sip:trunk@bridge", {"P-Called-Party-ID": "<<broken"}, None),
    ],
)
def test_the_number_is_where_the_trunk_says_it(
    uri: str, headers: dict[str, str], found: tuple[str, str] | None
) -> None:
    invite = request(uri=uri, to=headers.pop("To", "<sip:nobody@bridge>"), headers=tuple(headers.items()))
    assert called(invite, {"101"}, LINES) == found


@pytest.mark.parametrize(
    ("assertion", "withheld", "sender", "headers"),
    [
        ("none", False, "<sip:+4930123456@pbx>", []),
        ("asserted", False, "<sip:+4930123456@pbx>", [("P-Asserted-Identity", "<sip:+4930123456@pbx>")]),
        ("preferred", False, "<sip:+4930123456@pbx>", [("P-Preferred-Identity", "<sip:+4930123456@pbx>")]),
        ("asserted", True, '"Anonymous" <sip:anonymous@anonymous.invalid>',
         [("P-Asserted-Identity", "<sip:+4930123456@pbx>"), ("Privacy", "id")]),
        ("none", True, '"Anonymous" <sip:anonymous@anonymous.invalid>', [("Privacy", "id")]),
    ],
)  # fmt: skip
def test_rfc3325_who_calls_is_told_to_the_trunk_and_rfc3323_hidden_from_others(
    assertion: str, withheld: bool, sender: str, headers: list[tuple[str, str]]
) -> None:
    who, said = caller("+4930123456", "pbx", assertion, withheld=withheld)  # type: ignore[arg-type]
    assert (str(who), said) == (sender, headers)
