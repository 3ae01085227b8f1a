"""Telephone numbers as the core sees them; who understands them is given to it (`Directory.numbers`)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class NumberKind(Enum):
    WITHHELD = "withheld"
    INTERNAL = "internal"
    """An extension of the PBX, or a number as short as one: nothing is done to it."""
    CODE = "code"
    """Keys for the PBX itself: `*72`, `#31#`."""
    OUTSIDE = "outside"
    UNCLEAR = "unclear"
    """Not a number that exists as far as is known: it is passed on as it came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneNumber:
    kind: NumberKind
    number: str
    """As people and the CRM know it: E.164 for an outside number, else as it came; "" when withheld."""
    dial: str
    """As the PBX wants it dialled."""
    extension: str = ""
    """To be keyed in once somebody has answered."""

    @property
    def is_known_to_crm(self) -> bool:
        """It makes sense to ask the CRM for it."""
        return self.kind in {NumberKind.OUTSIDE, NumberKind.UNCLEAR} and any(sign.isdigit() for sign in self.number)


class Numbering(Protocol):
    """What numbers mean at a portal and one of its PBXs. Pure."""

    def caller(self, portal: str, trunk: str, shown: str) -> PhoneNumber:
        """A caller's number as the PBX shows it."""

    def dialled(self, portal: str, trunk: str, typed: str) -> PhoneNumber:
        """A number as an operator typed or clicked it."""

    def region(self, portal: str, trunk: str) -> str:
        """Where a number without country code belongs (ISO 3166), "" where nobody said it."""


@dataclass(frozen=True, slots=True)
class AsTheyCome:
    """Understands nothing and changes nothing: five digits at most are an extension."""

    def caller(self, portal: str, trunk: str, shown: str) -> PhoneNumber:
        return self.dialled(portal, trunk, shown)

    def dialled(self, portal: str, trunk: str, typed: str) -> PhoneNumber:
        kind = NumberKind.UNCLEAR if len(typed) > 5 else NumberKind.INTERNAL if typed else NumberKind.WITHHELD
        return PhoneNumber(kind=kind, number=typed, dial=typed)

    def region(self, portal: str, trunk: str) -> str:
        return ""
