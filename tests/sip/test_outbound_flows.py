"""Flows that a registrar counts on: RFC 5626, and the little of STUN that keeps a UDP flow open (RFC 8489)."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sip import connections, flow_watch, stun
from bridge.sip.address import NameAddr, Uri
from bridge.sip.flow_watch import PING_SECONDS, PONG_SECONDS, FlowFailed, FlowWatch
from bridge.sip.login import Login
from bridge.sip.message import Request, respond
from bridge.sip.output import Ask, Output, Ping
from bridge.sip.owner import Report
from bridge.sip.registration import Registration, State
from bridge.sip.transaction import Send

from .parties import ALICE, BOB, Party, identity
from .stream_pbx import TrunkRoom, stream_pbx
from .wire import WirePbx

INSTANCE = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
REQUIRED = ("Require", "outbound")


# ---- registering


def account(instance: str = INSTANCE) -> Registration:
    me = identity(ALICE)
    uri, login = Uri("sip", "1001", "", "pbx.example"), Login("1001", "secret", me.token)
    return Registration(account=uri, registrar=uri, expires=300, login=login, me=me, ways=(BOB,), instance=instance)


def asked(outputs: list[Output]) -> Request:
    (ask,) = [output for output in outputs if isinstance(output, Ask)]
    return ask.request


def answered(registration: Registration, request: Request, status: int, *headers: tuple[str, str]) -> list[Output]:
    return registration.responded(request, respond(request, status, to_tag="pbx", headers=headers), 0.0)


def test_section_4_2_a_register_names_the_instance_and_the_flow() -> None:
    request = asked(account().start(0.0))
    written = request.headers.get("Contact") or ""
    assert f';reg-id=1;+sip.instance="<{INSTANCE}>";expires=300' in written
    contact = NameAddr.parse(written)
    assert request.headers.all("Supported") == ("outbound", "path")
    assert contact.uri.param("ob") is None


def test_without_the_setting_nothing_is_said_of_flows() -> None:
    request = asked(account("").start(0.0))
    assert "instance" not in (request.headers.get("Contact") or "")
    assert "Supported" not in request.headers


@pytest.mark.parametrize(
    ("headers", "timer"),
    [((REQUIRED, ("Flow-Timer", "30")), 30), ((REQUIRED,), 0), ((("Flow-Timer", "30"),), None), ((), None)],
)
def test_section_4_2_1_the_flow_counts_where_the_registrar_says_so(
    headers: tuple[tuple[str, str], ...], timer: int | None
) -> None:
    registration = account()
    answered(registration, asked(registration.start(0.0)), 200, *headers)
    assert (registration.state, registration.flow_timer) == (State.REGISTERED, timer)


def test_section_6_439_registers_as_everybody_else() -> None:
    registration = account()
    again = asked(answered(registration, asked(registration.start(0.0)), 439))
    assert "reg-id" not in (again.headers.get("Contact") or "")
    answered(registration, again, 439)
    assert registration.state is State.FAILING


def test_430_goes_to_the_next_place_after_a_pause() -> None:
    registration = account()
    answered(registration, asked(registration.start(0.0)), 430)
    assert registration.state is State.FAILING


def test_section_4_3_contacts_of_calls_ask_for_the_same_flow() -> None:
    me = identity(ALICE)
    over = type(me)(place=me.place, token=me.token, fraction=me.fraction, keeps_flow=lambda user, to: user == "1001")
    assert over.contact("1001", BOB).uri.param("ob") == ""
    assert over.contact("1002", BOB).uri.param("ob") is None
    assert over.address("1001", BOB).uri.param("ob") is None


# ---- STUN


def answer(transaction: bytes, host: str = "198.51.100.7", port: int = 40_000, *, xored: bool = True) -> bytes:
    packed = ip_address(host).packed
    mask = stun.HEADER.pack(0, 0, stun.COOKIE, transaction)[4:]
    if xored:
        packed = bytes(one ^ other for one, other in zip(packed, mask, strict=False))
    value = struct.pack("!BBH", 0, 1 if len(packed) == 4 else 2, port ^ (stun.COOKIE >> 16 if xored else 0)) + packed
    software = struct.pack("!HH", 0x8022, 3) + b"abc\0"
    attribute = struct.pack("!HH", 0x0020 if xored else 0x0001, len(value)) + value
    body = software + attribute
    return stun.HEADER.pack(stun.SUCCESS, len(body), stun.COOKIE, transaction) + body


@pytest.mark.parametrize("xored", [True, False])
@pytest.mark.parametrize("host", ["198.51.100.7", "2001:db8::7"])
def test_rfc_8489_the_answer_says_where_we_were_seen(host: str, xored: bool) -> None:
    data = answer(b"t" * 12, host, 5062, xored=xored)
    assert (stun.transaction_of(data), stun.mapped_address(data)) == (b"t" * 12, (host, 5062))


@given(st.binary(max_size=80), st.integers(0, 60))
def test_whatever_comes_is_an_answer_or_none(junk: bytes, at: int) -> None:
    data = answer(b"t" * 12)
    for each in (junk, data[:at] + junk + data[at:], data[:at]):
        stun.transaction_of(each)
        stun.mapped_address(each)


def pinged(watch: FlowWatch) -> tuple[float, Ping]:
    """When, and what: silence is waited out."""
    assert watch.deadline is not None
    now = watch.deadline
    (ping,) = watch.wake(now)
    assert isinstance(ping, Ping)
    return now, ping


def test_section_4_4_2_a_udp_flow_is_asked_every_24_to_29_seconds_or_as_the_registrar_says() -> None:
    now, ping = pinged(FlowWatch(BOB, identity(ALICE), 0, 0.0))
    assert PING_SECONDS[0] <= now <= PING_SECONDS[1]
    assert stun.HEADER.unpack(ping.data)[::3] == (stun.REQUEST, ping.transaction)
    now, _ = pinged(FlowWatch(BOB, identity(ALICE), 100, 0.0))
    assert 80 <= now <= 100


def test_an_answer_keeps_it_and_another_address_of_ours_is_another_flow() -> None:
    watch = FlowWatch(BOB, identity(ALICE), 0, 0.0)
    seen: list[list[Output]] = []
    for host in ("198.51.100.7", "198.51.100.7", "198.51.100.8", "198.51.100.8"):
        now, ping = pinged(watch)
        assert watch.ponged(answer(b"x" * 12), now) == [], "an answer to something else"
        seen.append(watch.ponged(answer(ping.transaction, host), now))
    assert seen == [[], [], [FlowFailed(BOB)], []]


def test_no_answer_in_ten_seconds_is_a_flow_that_failed() -> None:
    watch = FlowWatch(BOB, identity(ALICE), 0, 0.0)
    now, ping = pinged(watch)
    watch.ponged(answer(ping.transaction), now)
    first, again = pinged(watch)
    repeats = 0
    while (outputs := watch.wake(watch.deadline or 0.0)) and isinstance(outputs[0], Ping):
        assert outputs[0].data == again.data
        repeats += 1
    assert outputs == [FlowFailed(BOB)]
    assert repeats >= 4
    assert watch.deadline is not None
    assert watch.deadline > first + PONG_SECONDS


def test_a_server_that_never_answered_stun_is_left_alone() -> None:
    watch = FlowWatch(BOB, identity(ALICE), 0, 0.0)
    pinged(watch)
    outputs: list[Output] = []
    while watch.deadline is not None:
        outputs += watch.wake(watch.deadline)
    assert watch.over
    assert not [output for output in outputs if isinstance(output, FlowFailed)]


def test_the_user_agent_brings_the_answer_to_whoever_asked() -> None:
    party = Party(ALICE)
    watch = FlowWatch(BOB, party.agent.me, 0, 0.0)
    party.agent.act(watch, [], 0.0)
    now = party.agent.next_deadline
    assert now is not None
    party.agent.tick(now)
    (sent,) = party.agent.drain()
    assert isinstance(sent, Send)
    transaction = stun.HEADER.unpack(sent.data)[3]
    party.agent.receive(b"\0" * 30, BOB, now)
    party.agent.receive(answer(b"x" * 12), BOB, now)
    assert party.agent.counts["unreadable"] == 2
    party.agent.receive(answer(transaction), BOB, now)
    assert party.agent.counts["unreadable"] == 2
    later = party.agent.next_deadline
    assert later is not None
    assert later >= now + PING_SECONDS[0]
    watch.stop()
    party.agent.act(watch, [], now)
    assert not [item for item in party.agent.drain() if isinstance(item, Report)]


# ---- on the wire


async def test_a_registrar_that_keeps_flows_is_asked_by_stun_and_a_dead_flow_is_registered_anew(
    pbx: WirePbx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_watch, "PONG_SECONDS", 60.0)
    monkeypatch.setattr(flow_watch, "PING_SECONDS", (0.05, 0.1))
    host, port = pbx.address
    room = TrunkRoom({}, {"server": f"{host}:{port}", "outbound": True})
    async with room.trunks.running():
        assert room.trunks.address
        pbx.room = room.trunks.address
        register = await pbx.request("REGISTER")
        assert "+sip.instance" in (register.headers.get("Contact") or "")
        granted = [("Contact", register.headers.get("Contact") or ""), REQUIRED]
        pbx.send(respond(register, 200, to_tag="pbx", headers=granted))
        asked = await pbx.stun()
        monkeypatch.setattr(flow_watch, "PONG_SECONDS", 0.2)  # of those to come: the first is answered however late
        pbx.send(answer(asked[8:20]))
        again = await pbx.request("REGISTER")  # nothing answers any more
        assert again.call_id == register.call_id


async def test_a_stream_is_pinged_as_often_as_its_registrar_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SWEEP_SECONDS", 0.02)
    monkeypatch.setattr(connections, "PONG_SECONDS", 0.1)
    monkeypatch.setattr(connections, "PING_SECONDS", (600.0, 600.0))
    async with stream_pbx() as pbx:
        trunk = {"server": f"localhost:{pbx.address[1]}", "transport": "tcp", "outbound": True}
        room = TrunkRoom({}, trunk)
        async with room.trunks.running():
            line = await pbx.line()
            register = await line.request("REGISTER")
            granted = [("Contact", register.headers.get("Contact") or ""), REQUIRED, ("Flow-Timer", "1")]
            await line.send(respond(register, 200, to_tag="pbx", headers=granted))
            await line.pinged.wait()
            fresh = await pbx.line()  # no pong: the flow is dead, and the account comes over another one
            assert (await fresh.request("REGISTER")).call_id == register.call_id
