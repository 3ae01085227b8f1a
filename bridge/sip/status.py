"""How accounts and PBXs stand, for whoever looks: `bridge status`, `bridge trunks`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote

from .peer import Peer
from .registration import Registration


class AccountStatus(NamedTuple):
    """One account, for status displays."""

    trunk: str
    account: str
    state: str
    since: float
    """Unix seconds."""
    why: str
    """What went wrong last, "" if nothing."""


class TrunkStatus(NamedTuple):
    """One PBX, for status displays."""

    trunk: str
    server: str
    transport: str
    health: str
    """What OPTIONS told: "answers", "silent", or "not asked yet"; "" where it is never asked."""
    status: int
    """Of the last answer, 0 while there was none."""
    seconds: float
    """That it took."""
    since: float
    """Unix seconds; of `health`."""
    cautions: tuple[str, ...]


def account_statuses(registrations: Iterable[tuple[Peer, Registration]], age: float) -> tuple[AccountStatus, ...]:
    """`age` in seconds: what makes Unix time of the clock that runs here."""
    return tuple(
        AccountStatus(peer.trunk.name, unquote(each.account.user), each.state.value, each.since + age, each.why)
        for peer, each in registrations
    )


def trunk_statuses(peers: Iterable[Peer], age: float) -> tuple[TrunkStatus, ...]:
    return tuple(_status_of(peer, age) for peer in peers)


def _status_of(peer: Peer, age: float) -> TrunkStatus:
    trunk, checkup = peer.trunk, peer.checkup
    health = (
        (checkup.health.value, checkup.status, checkup.seconds, checkup.since + age) if checkup else ("", 0, 0.0, 0.0)
    )
    return TrunkStatus(trunk.name, trunk.server, trunk.transport, *health, trunk.cautions)
