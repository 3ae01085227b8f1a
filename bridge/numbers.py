"""What a telephone number means at a portal and its PBX, both ways (libphonenumber; pure).

a caller's number as the PBX shows it ─┐                            ┌─► E.164 for people and the CRM
                                       ├─► extension, code, outside ┤
a number as it was typed or clicked ───┘                            └─► as the PBX wants it dialled
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat
from phonenumbers import PhoneNumber as Parsed

from .calls.numbering import NumberKind, PhoneNumber
from .config import Portal, Settings, Trunk

LONGEST = 64
Style = Literal["typed", "e164", "digits", "national"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How numbers are written at one portal and one PBX; the fields are those of the configuration."""

    region: str = "RU"
    internal_digits: int = 5
    outside_prefix: str = ""
    dial_format: Style = "typed"
    caller_strip: str = ""
    caller_add: str = ""

    @classmethod
    def of(cls, portal: Portal, trunk: Trunk | None) -> Rules:
        """What the trunk says wins over what the portal says."""
        chosen: dict[str, Any] = {}
        for place in (portal, trunk):
            said = {field.name: getattr(place, field.name, None) for field in fields(cls)}
            chosen |= {name: value for name, value in said.items() if value is not None}
        return cls(**chosen)


class Numbers:
    """The numbering of all portals and trunks; carries out `calls.numbering.Numbering`."""

    def __init__(self, settings: Settings, chosen_region: Callable[[str], str] = lambda portal: "") -> None:
        """`chosen_region`: what a portal's administrator chose on the page, "" for nothing; a trunk's own region wins."""
        self._chosen_region = chosen_region
        self._regional = {trunk.name for trunk in settings.trunk if trunk.region}
        self._rules = dict(_pairs(settings))
        self._portals = {portal.id: Rules.of(portal, None) for portal in settings.portal}

    def rules(self, portal: str, trunk: str) -> Rules:
        rules = self._rules.get((portal, trunk)) or self._portals.get(portal) or Rules()
        chosen = "" if trunk in self._regional else self._chosen_region(portal)
        return replace(rules, region=chosen) if chosen else rules

    def caller(self, portal: str, trunk: str, shown: str) -> PhoneNumber:
        return caller(shown, self.rules(portal, trunk))

    def dialled(self, portal: str, trunk: str, typed: str) -> PhoneNumber:
        return dialled(typed, self.rules(portal, trunk))

    def region(self, portal: str, trunk: str) -> str:
        return self.rules(portal, trunk).region


def caller(shown: str, rules: Rules) -> PhoneNumber:
    """A caller's number as the PBX shows it."""
    if any(sign.isalpha() for sign in shown):
        return PhoneNumber(kind=NumberKind.UNCLEAR, number=shown[:LONGEST], dial="")  # a SIP user, not a number
    signs = _signs(shown)
    if len(signs) > rules.internal_digits:
        if rules.caller_strip and signs.startswith(rules.caller_strip):
            signs = signs[len(rules.caller_strip) :]
        if rules.caller_add and not signs.startswith("+"):
            signs = rules.caller_add + signs
    return dialled(signs, rules)


def dialled(typed: str, rules: Rules) -> PhoneNumber:
    """A number as an operator typed or clicked it; with an extension in any way of writing it that is usual."""
    signs = _signs(typed)
    if signs in {"", "+"}:
        return PhoneNumber(kind=NumberKind.WITHHELD, number="", dial="")
    if "*" in signs or signs.startswith("#"):
        return PhoneNumber(kind=NumberKind.CODE, number=signs, dial=signs)
    if len(signs) <= rules.internal_digits and not signs.startswith("+"):
        return PhoneNumber(kind=NumberKind.INTERNAL, number=signs, dial=signs)
    for text in _readings(typed, rules):
        if parsed := _parsed(text, rules.region):
            return PhoneNumber(
                kind=NumberKind.OUTSIDE,
                number=phonenumbers.format_number(parsed, PhoneNumberFormat.E164),
                dial=_dial(parsed, _signs(text), rules),
                extension=re.sub(r"\D", "", parsed.extension or ""),
            )
    bare = signs.replace("#", "")
    return PhoneNumber(kind=NumberKind.UNCLEAR, number=bare, dial=_with_prefix(bare, rules))


def spoken(number: PhoneNumber) -> str:
    """For people to read: `+49 30 123456`."""
    if number.kind is not NumberKind.OUTSIDE:
        return number.number
    return phonenumbers.format_number(phonenumbers.parse(number.number), PhoneNumberFormat.INTERNATIONAL)


def country(number: PhoneNumber) -> str:
    """ISO 3166 of an outside number, "" when it belongs to none."""
    if number.kind is not NumberKind.OUTSIDE:
        return ""
    return phonenumbers.region_code_for_number(phonenumbers.parse(number.number)) or ""


def _pairs(settings: Settings) -> Iterator[tuple[tuple[str, str], Rules]]:
    for portal in settings.portal:
        for trunk in settings.trunk:
            yield (portal.id, trunk.name), Rules.of(portal, trunk)


def _signs(text: str) -> str:
    """Digits, `*`, `#`, and a `+` where one leads."""
    kept = re.sub(r"[^0-9*#+]", "", text[:LONGEST])
    return kept[:1] + kept[1:].replace("+", "")


def _readings(text: str, rules: Rules) -> Iterator[str]:
    """As it stands, and without the prefix for an outside line that somebody put before it."""
    yield text[:LONGEST]
    signs = _signs(text)
    if rules.outside_prefix and signs.startswith(rules.outside_prefix):
        yield signs[len(rules.outside_prefix) :]


def _parsed(text: str, region: str) -> Parsed | None:
    """A number that can exist; one without country code must be one that does."""
    try:
        parsed = phonenumbers.parse(text, region)
    except NumberParseException:
        return None
    is_international = text.lstrip().startswith("+")
    is_good = phonenumbers.is_possible_number(parsed) if is_international else phonenumbers.is_valid_number(parsed)
    return parsed if is_good else None


def _dial(parsed: Parsed, typed: str, rules: Rules) -> str:
    bare = Parsed(country_code=parsed.country_code, national_number=parsed.national_number)
    bare.italian_leading_zero, bare.number_of_leading_zeros = (
        parsed.italian_leading_zero,
        parsed.number_of_leading_zeros,
    )
    e164 = phonenumbers.format_number(bare, PhoneNumberFormat.E164)
    ways = {"typed": e164 if parsed.extension else typed, "e164": e164, "digits": e164.removeprefix("+")}
    chosen = ways.get(rules.dial_format)
    # No PBX reads a + behind a prefix.
    if chosen is None or (rules.outside_prefix and chosen.startswith("+")):
        chosen = re.sub(r"\D", "", phonenumbers.format_out_of_country_calling_number(bare, rules.region))
    return _with_prefix(chosen, rules)


def _with_prefix(number: str, rules: Rules) -> str:
    return number if number.startswith("+") else rules.outside_prefix + number


def preview(number: str, rules: Rules) -> Mapping[str, str]:
    """For `bridge number`: what a number is taken for, when it calls and when it is called."""
    heard, wanted = caller(number, rules), dialled(number, rules)
    return {
        "as a caller": f"{MEANINGS[heard.kind]}{_named(heard)}",
        "the CRM is asked for": heard.number if heard.is_known_to_crm else "nothing",
        "as a number to call": f"{MEANINGS[wanted.kind]}{_named(wanted)}",
        "the PBX is told to dial": wanted.dial or "nothing",
        "keyed in after the answer": wanted.extension or "nothing",
    }


MEANINGS = {
    NumberKind.WITHHELD: "no number: withheld",
    NumberKind.INTERNAL: "an extension of the PBX: ",
    NumberKind.CODE: "keys for the PBX itself: ",
    NumberKind.OUTSIDE: "an outside number: ",
    NumberKind.UNCLEAR: "no number that exists as far as is known, passed on as it is: ",
}


def _named(number: PhoneNumber) -> str:
    where = country(number)
    return spoken(number) + (f" ({where})" if where else "")
