"""From the name of a PBX to the places to try, in their order (RFC 3263). DNS is asked without a thread, and remembered.

An answer is kept for its TTL, at least five seconds and at most an hour; while the resolver is down the old one is good enough.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver
import structlog

from .flow import Flow, Protocol, numeric_host
from .locating import WITHOUT_NAPTR, Naptr, Srv, in_order, services, srv_name

log = structlog.get_logger()

LEAST_TTL, MOST_TTL = 5.0, 3600.0
STALE_TTL = 30.0
"""Of an old answer, once the resolver was found to be down."""
UNKNOWN_TTL = 60.0
"""Of names that do not exist, and of what the system's own resolver says."""
QUERY_SECONDS = 4.0
MOST_REMEMBERED = 1_000
MOST_PLACES = 32
"""Of one domain; nobody tries more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What the settings say of a PBX."""

    host: str
    port: int | None = None
    protocol: Protocol | None = None
    """None: whatever its domain prefers."""
    link: str = ""


@dataclass(slots=True)
class _Known:
    records: tuple[Any, ...]
    until: float


class ResolverDownError(Exception):
    """No name server answered."""


class Resolver:
    """`nameservers` as `host` or `host:port`, those of the system by default; `families` are those that we have sockets for."""

    def __init__(
        self,
        *,
        nameservers: Sequence[str] = (),
        families: Iterable[int] = (socket.AF_INET,),
        fraction: Callable[[], float],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._nameservers = nameservers
        self._kinds = [
            kind for family, kind in ((socket.AF_INET6, "AAAA"), (socket.AF_INET, "A")) if family in families
        ]
        self._families = set(families)
        self._fraction = fraction
        self._now = now
        self._dns: dns.asyncresolver.Resolver | None = None
        self._known: dict[tuple[str, str], _Known] = {}
        self._down_until = 0.0

    async def locate(self, server: Server) -> tuple[Flow, ...]:
        """Where to send requests, best first; none if nobody knows."""
        try:
            found = await self._locate(server)
        except ResolverDownError as error:
            log.warning("sip_server_unresolved", host=server.host, why=str(error))
            return ()
        if not found:
            log.warning("sip_server_unresolved", host=server.host, why="no address")
        return tuple(dict.fromkeys(found))[:MOST_PLACES]

    async def _locate(self, server: Server) -> list[Flow]:
        host, port, protocol = server.host, server.port, server.protocol
        if numeric_host(host) or port is not None:
            protocol = protocol or Protocol.UDP
            return await self._at(host, port or protocol.default_port, protocol, server.link)
        places: list[Flow] = []
        is_known = False
        try:
            for kind, name in await self._names(host, protocol):
                records = await self._ask(name, "SRV")
                is_known = is_known or bool(records)
                for record in in_order(records, self._fraction):
                    places += await self._at(record.target.rstrip("."), record.port, kind, server.link)
        except ResolverDownError as error:
            log.warning("sip_resolver_down", host=host, why=str(error))
        if places or is_known:
            return places
        protocol = protocol or Protocol.UDP
        return await self._at(host, protocol.default_port, protocol, server.link)

    async def _names(self, domain: str, protocol: Protocol | None) -> list[tuple[Protocol, str]]:
        """The SRV records to look for."""
        if protocol is not None:
            return [(protocol, srv_name(protocol, domain))]
        found = services(await self._ask(domain, "NAPTR"))
        return found or [(kind, srv_name(kind, domain)) for kind in WITHOUT_NAPTR]

    async def _at(self, host: str, port: int, protocol: Protocol, link: str) -> list[Flow]:
        if number := numeric_host(host):
            return [Flow(number, port, protocol, link)]
        return [Flow(address, port, protocol, link) for address in await self._addresses(host)]

    async def _addresses(self, host: str) -> list[str]:
        """By DNS, and by the system where that knows nothing: of `hosts` files and short names it alone can tell."""
        found: list[str] = []
        down: ResolverDownError | None = None
        if "." in host:
            try:
                found = [address for kind in self._kinds for address in await self._ask(host, kind)]
            except ResolverDownError as error:
                down = error
        if found:
            return found
        known = self._known.get((host, "hosts"))
        if known is None or self._now() >= known.until:
            known = self._known[host, "hosts"] = _Known(await self._by_the_system(host), self._now() + UNKNOWN_TTL)
        found = list(known.records)
        if not found and down is not None:
            raise down
        return found

    async def _by_the_system(self, host: str) -> tuple[str, ...]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, None, type=socket.SOCK_DGRAM)  # in a thread
        except (OSError, UnicodeError):
            return ()
        return tuple(dict.fromkeys(str(a[4][0]) for a in found if a[0] in self._families))

    # ---- DNS

    async def _ask(self, name: str, kind: str) -> tuple[Any, ...]:
        return await self._remembered((name.lower(), kind), lambda: self._query(name, kind))

    async def _remembered(
        self, key: tuple[str, str], query: Callable[[], Awaitable[tuple[tuple[Any, ...], float]]]
    ) -> tuple[Any, ...]:
        known, now = self._known.get(key), self._now()
        if known is not None and now < known.until:
            return known.records
        try:
            if now < self._down_until:
                raise ResolverDownError("no name server answered a moment ago")
            records, ttl = await query()
        except ResolverDownError:
            self._down_until = max(self._down_until, now + LEAST_TTL)
            if known is None:
                raise
            records, ttl = known.records, STALE_TTL
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[key] = _Known(records, self._now() + min(max(ttl, LEAST_TTL), MOST_TTL))
        return records

    async def _query(self, name: str, kind: str) -> tuple[tuple[Any, ...], float]:
        """Records and their TTL; ResolverDownError."""
        try:
            if self._dns is None:
                self._dns = await asyncio.to_thread(_resolver, self._nameservers)  # it reads files
            answer = await self._dns.resolve(name, kind, raise_on_no_answer=False, lifetime=QUERY_SECONDS)
            _stop_if_told_to()
        except dns.resolver.NXDOMAIN:
            return (), UNKNOWN_TTL
        except (dns.exception.DNSException, OSError) as error:
            raise ResolverDownError(str(error)) from error
        if answer.rrset is None:
            return (), UNKNOWN_TTL
        return tuple(_record(kind, item) for item in answer.rrset), float(answer.rrset.ttl)


def _stop_if_told_to() -> None:
    """dnspython waits by `asyncio.wait_for`, which before Python 3.12 forgets to be cancelled if the answer comes in that moment."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _resolver(nameservers: Sequence[str]) -> dns.asyncresolver.Resolver:
    if not nameservers:
        return dns.asyncresolver.Resolver()
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = [
        dns.nameserver.Do53Nameserver(host, int(port or 53))
        for host, _, port in (_host_and_port(text) for text in nameservers)
    ]
    return resolver


def _host_and_port(text: str) -> tuple[str, str, str]:
    if numeric_host(text):
        return text.strip("[]"), "", ""
    host, colon, port = text.rpartition(":")
    return host.strip("[]"), colon, port


def _record(kind: str, item: Any) -> Any:
    if kind == "NAPTR":
        return Naptr(item.order, item.preference, item.flags.decode(), item.service.decode(), _name(item.replacement))
    if kind == "SRV":
        return Srv(item.priority, item.weight, item.port, _name(item.target))
    return str(item.address)


def _name(name: Any) -> str:
    text: str = name.to_text(omit_final_dot=True)
    return text
