"""Who rings, how long, and what the PBX hears when nobody wants the call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .events import Operator


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkPolicy:
    """What a PBX wants to hear."""

    decline_status: int = 486
    """486 lets the PBX try its next branch, 603 stops them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Which operator stands behind which account, as the configuration says."""

    accounts: Mapping[tuple[str, str], Operator] = field(default_factory=dict)
    """(trunk, SIP user) -> operator."""
    trunks: Mapping[str, TrunkPolicy] = field(default_factory=dict)
    ring_seconds: float = 30
    rejoin_seconds: float = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    operators: tuple[Operator, ...]
    """Who may take the call; the first one answers for it in the CRM until somebody takes it."""
    ring_seconds: float
    decline_status: int


def route(directory: Directory, trunk: str, account: str) -> Route | None:
    """The route of a call for one of our accounts, None when nobody stands behind it."""
    operator = directory.accounts.get((trunk, account))
    if operator is None:
        return None
    policy = directory.trunks.get(trunk, TrunkPolicy())
    return Route(operators=(operator,), ring_seconds=directory.ring_seconds, decline_status=policy.decline_status)
