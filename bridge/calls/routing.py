"""Who rings, how long, and what the PBX hears when nobody wants the call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from ..tones import Tone, plan_of
from .commands import PBX_MUSIC, MediaPolicy
from .events import Operator
from .numbering import AsTheyCome, Numbering
from .recording import RecordingMode, RecordingRules
from .sounds import SoundBook
from .tolls import TollRules

RINGBACK = "ringback"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkPolicy:
    """What a PBX wants to hear, and what is heard of it."""

    decline_status: int = 486
    """486 lets the PBX try its next branch, 603 stops them all."""
    dtmf: Literal["rfc4733", "info"] = "rfc4733"
    """How it is told keys; `rfc4733` falls back to INFO where it takes no telephone-event."""
    follow_transfers: bool = True
    """Call whom the PBX wants called in its place (REFER), if the operator might dial that number."""
    codecs: tuple[str, ...] = ("PCMU", "PCMA", "G722", "opus")
    """What may be spoken with it; an inbound call takes the first one of the PBX's own order."""
    media: MediaPolicy = field(default_factory=MediaPolicy)
    early: str = ""
    """What callers hear from us before anybody answers: `ringback`, the path of a file, or "" for what their PBX plays."""
    tones: str = ""
    """The country whose tones are heard, as `tones.plan_of` knows it."""
    reminder: float = 0
    """Seconds after which, and then so often, an operator is reminded of a call on hold; 0: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Which operator stands behind which account, as the configuration says."""

    accounts: Mapping[tuple[str, str], Operator] = field(default_factory=dict)
    """(trunk, SIP user) -> operator."""
    lines: Mapping[str, tuple[Operator, ...]] = field(default_factory=dict)
    """Dialled number -> everybody who hears its calls ring, whichever account the PBX delivers them to."""
    trunks: Mapping[str, TrunkPolicy] = field(default_factory=dict)
    numbers: Numbering = field(default_factory=AsTheyCome)
    tolls: Mapping[str, TollRules] = field(default_factory=dict)
    """Portal -> what its operators may dial."""
    early_lines: Mapping[str, str] = field(default_factory=dict)
    """Lines with a will of their own about what callers hear before the answer."""
    preferring_lines: Mapping[str, bool] = field(default_factory=dict)
    """Lines with a will of their own about whether the client's responsible rings first."""
    preferring_portals: frozenset[str] = frozenset()
    """Portals whose other calls ring the responsible first."""
    recordings: Mapping[str, RecordingRules] = field(default_factory=dict)
    """Portal -> how its calls are recorded."""
    recorded_lines: Mapping[str, RecordingMode] = field(default_factory=dict)
    """Lines with a will of their own about whether."""
    sounds: SoundBook = field(default_factory=SoundBook)
    lookup_seconds: float = 1
    """How long such a call waits for the CRM before the group rings."""
    responsible_seconds: float = 10
    """How long the responsible rings alone."""
    ring_seconds: float = 30
    rejoin_seconds: float = 30
    card_seconds: float = 8
    """How long an operator looks at why nobody was reached; Bitrix24 closes the card with the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    operators: tuple[Operator, ...]
    """Who may take the call; the first one answers for it in the CRM until somebody takes it."""
    ring_seconds: float
    policy: TrunkPolicy
    early: Tone | str
    """What the caller hears from us before the answer: a tone, the path of a file, or "" for nothing."""
    prefers_responsible: bool
    """Whoever looks after the client rings first."""

    @property
    def portal(self) -> str:
        return self.operators[0].portal


def route(directory: Directory, trunk: str, account: str, line: str) -> Route | None:
    """The route of a call for one of our accounts, None when nobody stands behind it.

    The account's own operator comes first; a line with operators of its own rings them all at once, whoever's account the
    PBX named, or nobody's.
    """
    operator = directory.accounts.get((trunk, account))
    group = directory.lines.get(line, ())
    if operator is not None and (operator in group or not group):
        group = (operator, *(member for member in group if member != operator))
    if not group:
        return None
    portal = (operator or group[0]).portal
    policy = policy_of(directory, portal, trunk, line)
    early = directory.early_lines.get(line, policy.early)
    return Route(
        operators=group,
        ring_seconds=directory.ring_seconds,
        policy=policy,
        early=plan_of(policy.tones).ringback if early == RINGBACK else early,
        prefers_responsible=directory.preferring_lines.get(line, portal in directory.preferring_portals),
    )


def policy_of(directory: Directory, portal: str, trunk: str, line: str = "") -> TrunkPolicy:
    """How calls of a portal over this trunk are treated. `line`: the number that was called from outside, "" for none."""
    sounds = directory.sounds.of(portal, trunk, line)
    policy = directory.trunks.get(trunk, TrunkPolicy())
    return replace(
        policy,
        media=replace(policy.media, music=sounds.music or PBX_MUSIC),
        tones=sounds.tones or directory.numbers.region(portal, trunk),
        reminder=sounds.reminder or 0,
    )


def recording_of(directory: Directory, portal: str, line: str) -> RecordingRules:
    rules = directory.recordings.get(portal, RecordingRules())
    return replace(rules, mode=directory.recorded_lines.get(line, rules.mode))


def account_of(directory: Directory, operator: Operator) -> tuple[str, str] | None:
    """The trunk and the account an operator calls from: the first one of the configuration."""
    return next((account for account, owner in directory.accounts.items() if owner == operator), None)


def number_of(directory: Directory, trunk: str, operator: Operator) -> str:
    """What one dials at this PBX to reach an operator; "" if they have no account there."""
    return next((user for (name, user), owner in directory.accounts.items() if (name, owner) == (trunk, operator)), "")


def colleagues_of(directory: Directory, operator: Operator) -> dict[int, str]:
    """The other operators of the portal who can be dialled at this one's PBX, by their user id, and the number to dial."""
    account = account_of(directory, operator)
    there = directory.accounts.items() if account else ()
    return {
        other.user: user
        for (trunk, user), other in there
        if account and trunk == account[0] and other.portal == operator.portal and other != operator
    }
