"""What a portal's operators may dial, how often, and at night: so that a stolen login does not ring up a fortune. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import Enum

from .events import CallId, Operator
from .numbering import NumberKind, PhoneNumber

WINDOW_SECONDS = 60.0
"""What "a minute" is: any sixty seconds, not those of the clock."""
ABROAD = ("00", "011", "810")
"""What is dialled for the `+` of a number, by country."""
LONGEST_FREE = 3
"""Digits of a number that is never refused: emergency calls."""


class TollBreach(Enum):
    """Which rule a number broke; the value is told to the CRM and to administrators."""

    FORBIDDEN_PREFIX = "The portal's rules forbid calls to this number"
    NOT_ALLOWED = "The portal's rules allow calls to certain numbers only, and this is none of them"
    NIGHT = "The portal's rules forbid calls to this number at night"
    OPERATOR_RATE = "This operator made more calls a minute than the portal's rules allow"
    PORTAL_RATE = "The portal made more calls a minute than its rules allow"
    TOO_MANY = "The portal has more outgoing calls at once than its rules allow"


@dataclass(frozen=True, slots=True, kw_only=True)
class TollRules:
    """Of one portal. Prefixes are those of numbers as the CRM knows them: `+49`, `+7900`; limits of 0 are none."""

    allowed: tuple[str, ...] = ()
    """Empty: all that is not forbidden."""
    forbidden: tuple[str, ...] = ()
    operator_per_minute: int = 0
    portal_per_minute: int = 0
    at_once: int = 0
    night: tuple[int, int] | None = None
    """Minutes after midnight at which it begins and ends; it may span midnight."""
    night_allowed: tuple[str, ...] = ()
    """All that may be dialled at night."""
    zone: tzinfo | None = None
    """Of the night; None: the machine's."""

    def is_night(self, now: float) -> bool:
        """Unix seconds."""
        if self.night is None:
            return False
        clock = datetime.fromtimestamp(now, self.zone)
        minute, (begin, end) = clock.hour * 60 + clock.minute, self.night
        return begin <= minute < end if begin < end else minute >= begin or minute < end


@dataclass(frozen=True, slots=True)
class Dialled:
    """A number was sent to the PBX."""

    call: CallId
    operator: Operator
    at: float
    """Unix seconds."""


def breach(
    rules: TollRules, operator: Operator, number: PhoneNumber, dialled: Iterable[Dialled], at_once: int, now: float
) -> TollBreach | None:
    """The rule that forbids this number to this operator, None if it may be dialled.

    `dialled`: of the last minute at least, all portals'. `at_once`: the portal's outgoing calls that live, without this one.
    """
    if number.kind is NumberKind.INTERNAL or len(number.number) <= LONGEST_FREE:
        return None
    if any(spelling.startswith(rules.forbidden) for spelling in _spellings(number)):
        return TollBreach.FORBIDDEN_PREFIX
    if rules.allowed and not number.number.startswith(rules.allowed):
        return TollBreach.NOT_ALLOWED
    if rules.is_night(now) and not number.number.startswith(rules.night_allowed):
        return TollBreach.NIGHT
    if rules.at_once and at_once >= rules.at_once:
        return TollBreach.TOO_MANY
    recent = [each.operator for each in dialled if each.at > now - WINDOW_SECONDS]
    if rules.operator_per_minute and recent.count(operator) >= rules.operator_per_minute:
        return TollBreach.OPERATOR_RATE
    if rules.portal_per_minute:
        ours = sum(other.portal == operator.portal for other in recent)
        if ours >= rules.portal_per_minute:
            return TollBreach.PORTAL_RATE
    return None


def _spellings(number: PhoneNumber) -> list[str]:
    """A number that nobody could read may still reach abroad through the PBX: also as its prefix says."""
    text = number.number
    if number.kind is NumberKind.OUTSIDE:
        return [text]
    return [text, *("+" + text[len(prefix) :] for prefix in ABROAD if text.startswith(prefix))]
