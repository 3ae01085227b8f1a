"""Which of a domain's servers comes first: NAPTR and SRV records in their order (RFC 3263 4.1, RFC 2782; pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .flow import Protocol


@dataclass(frozen=True, slots=True)
class Naptr:
    order: int
    preference: int
    flags: str
    service: str
    replacement: str


@dataclass(frozen=True, slots=True)
class Srv:
    priority: int
    weight: int
    port: int
    target: str


SERVICES = {
    "SIP+D2U": Protocol.UDP,
    "SIP+D2T": Protocol.TCP,
    "SIPS+D2T": Protocol.TLS,
    "SIP+D2W": Protocol.WS,
    "SIPS+D2W": Protocol.WSS,
}
_PREFIX = {
    Protocol.UDP: "_sip._udp.",
    Protocol.TCP: "_sip._tcp.",
    Protocol.TLS: "_sips._tcp.",
    Protocol.WS: "_sip._ws.",
    Protocol.WSS: "_sips._ws.",
}
WITHOUT_NAPTR = (Protocol.TLS, Protocol.TCP, Protocol.UDP)
"""In our order, for a domain that has SRV records only."""


def srv_name(protocol: Protocol, domain: str) -> str:
    return _PREFIX[protocol] + domain


def services(records: Iterable[Naptr]) -> list[tuple[Protocol, str]]:
    """The protocols that we speak and the names of their SRV records, best first."""
    usable = [record for record in records if record.flags.lower() == "s" and record.service.upper() in SERVICES]
    usable.sort(key=lambda record: (record.order, record.preference))
    return [(SERVICES[record.service.upper()], record.replacement) for record in usable]


def in_order(records: Iterable[Srv], fraction: Callable[[], float]) -> list[Srv]:
    """By priority, within one at random by weight; a target of "." means that there is no such service."""
    offered = [record for record in records if record.target.rstrip(".")]
    ordered: list[Srv] = []
    for priority in sorted({record.priority for record in offered}):
        ordered += _by_weight([record for record in offered if record.priority == priority], fraction)
    return ordered


def _by_weight(records: Sequence[Srv], fraction: Callable[[], float]) -> list[Srv]:
    """Without replacement; those without weight stand first in each draw, so that they are drawn hardly ever."""
    left = sorted(records, key=lambda record: record.weight > 0)
    drawn: list[Srv] = []
    while left:
        goal = int(fraction() * (sum(record.weight for record in left) + 1))
        running = 0
        for record in left:
            running += record.weight
            if running >= goal:
                drawn.append(record)
                left.remove(record)
                break
    return drawn
