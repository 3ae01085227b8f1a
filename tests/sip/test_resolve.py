"""Finding the server: RFC 3263, against a small DNS server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.sip import resolve
from bridge.sip.flow import Flow, Protocol
from bridge.sip.resolve import Resolver, Server

from ..rig.waiting import PATIENCE
from .dns_server import DnsServer, dns_server

BOTH = (socket.AF_INET6, socket.AF_INET)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def zone() -> AsyncIterator[DnsServer]:
    async with dns_server() as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def resolver(zone: DnsServer, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Resolver:
    monkeypatch.setattr(resolve, "QUERY_SECONDS", PATIENCE)
    return Resolver(nameservers=[zone.address], families=BOTH, fraction=lambda: 0.5, now=clock)


async def test_rfc3263_4_2_a_number_is_not_looked_up(zone: DnsServer, resolver: Resolver) -> None:
    assert await resolver.locate(Server(host="192.0.2.1")) == (Flow("192.0.2.1", 5060),)
    assert await resolver.locate(Server(host="[2001:DB8::1]", protocol=Protocol.TLS, link="x")) == (
        Flow("2001:db8::1", 5061, Protocol.TLS, "x"),
    )
    assert not zone.asked


async def test_rfc3263_4_2_a_name_with_a_port_needs_only_its_addresses(zone: DnsServer, resolver: Resolver) -> None:
    zone.has("pbx.example", "A", "192.0.2.1", "192.0.2.2")
    zone.has("pbx.example", "AAAA", "2001:db8::1")
    found = await resolver.locate(Server(host="pbx.example", port=5070, protocol=Protocol.TCP))
    assert str(found[0]) == "tcp:[2001:db8::1]:5070"
    assert {str(flow) for flow in found[1:]} == {"tcp:192.0.2.1:5070", "tcp:192.0.2.2:5070"}
    assert {kind for _, kind in zone.asked} == {"A", "AAAA"}


async def test_only_addresses_that_we_have_sockets_for(zone: DnsServer) -> None:
    zone.has("pbx.example", "A", "192.0.2.1")
    zone.has("pbx.example", "AAAA", "2001:db8::1")
    resolver = Resolver(nameservers=[zone.address], fraction=lambda: 0.5)
    assert await resolver.locate(Server(host="pbx.example", port=5060)) == (Flow("192.0.2.1", 5060),)


async def test_rfc3263_4_1_naptr_leads_to_srv_leads_to_addresses(zone: DnsServer, resolver: Resolver) -> None:
    zone.has("example.com", "NAPTR",
             '50 50 "s" "SIP+D2T" "" _sip._tcp.example.com.', '90 50 "s" "SIP+D2U" "" _sip._udp.example.com.')  # fmt: skip
    zone.has("_sip._tcp.example.com", "SRV", "1 1 5060 one.example.com.", "2 1 5065 two.example.com.")
    zone.has("_sip._udp.example.com", "SRV", "1 1 5060 one.example.com.")
    zone.has("one.example.com", "A", "192.0.2.1")
    zone.has("two.example.com", "A", "192.0.2.2")
    assert await resolver.locate(Server(host="example.com")) == (
        Flow("192.0.2.1", 5060, Protocol.TCP), Flow("192.0.2.2", 5065, Protocol.TCP), Flow("192.0.2.1", 5060),
    )  # fmt: skip


async def test_rfc3263_4_1_without_naptr_the_srv_records_tell(zone: DnsServer, resolver: Resolver) -> None:
    zone.has("_sip._udp.example.com", "SRV", "1 1 5080 one.example.com.")
    zone.has("one.example.com", "A", "192.0.2.1")
    assert await resolver.locate(Server(host="example.com")) == (Flow("192.0.2.1", 5080),)


async def test_rfc3263_4_2_a_given_transport_asks_for_its_own_srv(zone: DnsServer, resolver: Resolver) -> None:
    zone.has("_sips._tcp.example.com", "SRV", "1 1 5061 one.example.com.")
    zone.has("one.example.com", "A", "192.0.2.1")
    found = await resolver.locate(Server(host="example.com", protocol=Protocol.TLS))
    assert found == (Flow("192.0.2.1", 5061, Protocol.TLS),)
    assert ("example.com", "NAPTR") not in zone.asked


async def test_rfc3263_4_2_without_any_srv_the_default_port(zone: DnsServer, resolver: Resolver) -> None:
    zone.has("example.com", "A", "192.0.2.1")
    assert await resolver.locate(Server(host="example.com")) == (Flow("192.0.2.1", 5060),)
    found = await resolver.locate(Server(host="example.com", protocol=Protocol.TLS))
    assert found == (Flow("192.0.2.1", 5061, Protocol.TLS),)


async def test_rfc2782_a_dot_says_that_there_is_no_such_service(zone: DnsServer, resolver: Resolver) -> None:
    zone.has("_sip._udp.example.com", "SRV", "0 0 0 .")
    zone.has("example.com", "A", "192.0.2.1")
    assert await resolver.locate(Server(host="example.com", protocol=Protocol.UDP)) == ()


@pytest.mark.parametrize(("ttl", "kept"), [(0, 5.0), (60, 60.0), (86400, 3600.0)])
async def test_an_answer_is_kept_for_its_ttl_within_limits(
    zone: DnsServer, resolver: Resolver, clock: Clock, ttl: int, kept: float
) -> None:
    zone.ttl = ttl
    zone.has("pbx.example", "A", "192.0.2.1")
    server = Server(host="pbx.example", port=5060)
    await resolver.locate(server)
    clock.now += kept - 0.1
    await resolver.locate(server)
    assert zone.asked["pbx.example", "A"] == 1
    clock.now += 0.2
    zone.has("pbx.example", "A", "192.0.2.9")
    assert await resolver.locate(server) == (Flow("192.0.2.9", 5060),)


async def test_a_stale_answer_is_served_while_the_resolver_is_down(
    zone: DnsServer, resolver: Resolver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone.has("pbx.example", "A", "192.0.2.1")
    server = Server(host="pbx.example", port=5060)
    await resolver.locate(server)
    zone.silent = True
    clock.now += 4000
    with monkeypatch.context() as impatient:
        impatient.setattr(resolve, "QUERY_SECONDS", 0.05)
        assert await resolver.locate(server) == (Flow("192.0.2.1", 5060),)
    zone.silent = False
    zone.has("pbx.example", "A", "192.0.2.9")
    assert await resolver.locate(server) == (Flow("192.0.2.1", 5060),), "and not asked again at once"
    clock.now += 31
    assert await resolver.locate(server) == (Flow("192.0.2.9", 5060),)


async def test_a_resolver_that_is_down_costs_its_time_once(
    zone: DnsServer, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolve, "QUERY_SECONDS", 0.05)
    zone.silent = True
    assert await resolver.locate(Server(host="nobody.invalid")) == ()
    before = zone.asked.total()
    assert await resolver.locate(Server(host="other.invalid")) == ()
    assert zone.asked.total() == before


async def test_short_names_are_the_systems_business(resolver: Resolver) -> None:
    assert Flow("127.0.0.1", 5070) in await resolver.locate(Server(host="localhost", port=5070))


async def test_the_loop_goes_on_while_names_are_looked_up(zone: DnsServer, resolver: Resolver) -> None:
    zone.silent = True
    looking = asyncio.create_task(resolver.locate(Server(host="pbx.example", port=5060)))
    turns = 0
    async with asyncio.timeout(PATIENCE):
        while zone.asked.total() < 1:
            await asyncio.sleep(0)
            turns += 1
    assert turns > 1
    assert not looking.done()
    looking.cancel()


async def test_an_answer_that_comes_as_the_bridge_stops_keeps_nobody_from_stopping(
    zone: DnsServer, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone.has("pbx.example", "A", "192.0.2.1")
    await resolver.locate(Server(host="other.example", port=5060))
    answer = resolver._dns.resolve  # type: ignore[union-attr]
    asked = asyncio.Event()

    async def forgetful(*query: Any, **limits: Any) -> Any:
        asked.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return await answer(*query, **limits)

    monkeypatch.setattr(resolver._dns, "resolve", forgetful)
    looking = asyncio.create_task(resolver.locate(Server(host="pbx.example", port=5060)))
    await asyncio.wait_for(asked.wait(), PATIENCE)
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(looking, PATIENCE)
