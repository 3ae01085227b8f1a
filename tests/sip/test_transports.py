"""Registered and called over every transport, on loopback sockets (RFC 3261 section 18, RFC 5626, RFC 5922, RFC 7118)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.calls.commands import AnswerPbx, DialPbx, HangUpPbx
from bridge.calls.events import CallId, PbxAnswered, PbxConfirmed, PbxHungUp, PbxInvited
from bridge.errors import ConfigError
from bridge.sip import connections, peer
from bridge.sip.message import respond

from ..rig.certificates import Authority
from ..rig.waiting import PATIENCE, wait_for
from .dns_server import dns_server
from .stream_pbx import Line, StreamPbx, TrunkRoom, server_context, stream_pbx, websocket_pbx
from .wire import OFFER, wire_pbx

ANSWER = OFFER.replace(b"4000", b"5000")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


Stage = Callable[[str], AbstractAsyncContextManager[tuple[StreamPbx, TrunkRoom]]]


@pytest.fixture
def stage(authority: Authority) -> Stage:
    """A PBX of that transport, and the room with a trunk to it."""

    @asynccontextmanager
    async def staged(transport: str) -> AsyncIterator[tuple[StreamPbx, TrunkRoom]]:
        tls = server_context(authority.signs("localhost")) if transport in {"tls", "wss"} else None
        serving = websocket_pbx(tls=tls) if transport in {"ws", "wss"} else stream_pbx(tls=tls)
        async with serving as pbx:
            trunk = {"server": f"localhost:{pbx.address[1]}", "transport": transport, "tls_ca": authority.root}
            room = TrunkRoom({}, trunk)
            async with room.trunks.running():
                yield pbx, room

    return staged


@pytest.mark.parametrize("transport", ["tcp", "tls", "ws", "wss"])
async def test_an_account_registers_and_is_called_over_the_connection_that_it_opened(
    stage: Stage, transport: str
) -> None:
    async with stage(transport) as (pbx, room):
        line = await pbx.line()
        asked = await line.registers()
        name = "ws" if transport == "wss" else transport
        via, contact = asked.via, asked.headers.get("Contact") or ""
        assert via.transport == transport.upper()
        assert f";transport={name}>" in contact
        assert via.host.endswith(".invalid") == (name == "ws")
        await room.is_registered()
        uri = contact.partition("<")[2].partition(">")[0]
        invite = line.message("INVITE", uri, via=f"SIP/2.0/{transport.upper()} pbx.invalid", body=OFFER)
        await line.send(invite)
        invited = await room.event()
        assert isinstance(invited, PbxInvited)
        await room.trunks.perform(AnswerPbx(call=invited.call, sdp=ANSWER))
        answer = await line.response(200)
        assert answer.body == ANSWER
        assert f"transport={name}" in (answer.headers.get("Contact") or "")
        await line.send(line.message("ACK", uri, via="SIP/2.0/TCP pbx.invalid", to_tag=answer.to_tag))
        assert await room.event() == PbxConfirmed(call=invited.call)
        await room.trunks.perform(HangUpPbx(call=invited.call))
        await line.send(respond(await line.request("BYE"), 200))
        assert pbx.lines.empty(), "everything went over the one connection"


@pytest.mark.parametrize("transport", ["tcp", "tls", "ws", "wss"])
async def test_a_call_goes_out_over_the_connection_that_is_there(stage: Stage, transport: str) -> None:
    async with stage(transport) as (pbx, room):
        line = await pbx.line()
        await line.registers()
        await room.trunks.perform(DialPbx(call=CallId("out"), trunk="t0", account="1001", number="600", sdp=OFFER))
        invite = await line.request("INVITE")
        assert invite.via.transport == transport.upper()
        headers = [("Contact", "<sip:600@pbx.invalid;transport=ws>"), ("Content-Type", "application/sdp")]
        await line.send(respond(invite, 200, to_tag="pbx", headers=headers, body=ANSWER))
        await line.request("ACK")
        assert await room.event() == PbxAnswered(call=CallId("out"), sdp=ANSWER)
        bye = line.message("BYE", "sip:1001@x.invalid", via="SIP/2.0/WS x.invalid", call=invite.call_id, cseq=9)
        headers_of_bye = bye.headers.set("To", invite.headers.get("From") or "").set("From", "<sip:600@x>;tag=pbx")
        await line.send(type(bye)("BYE", bye.uri, headers_of_bye))
        await line.response(200)
        assert await room.event() == PbxHungUp(call=CallId("out"), why="BYE")


@pytest.mark.parametrize("transport", ["tcp", "tls", "ws"])
async def test_a_connection_that_ends_is_opened_anew_and_the_account_registered_again(
    stage: Stage, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.sip.registration.FLOW_WAIT", 0.01)
    async with stage(transport) as (pbx, room):
        line = await pbx.line()
        first = await line.registers()
        await room.is_registered()
        await line.hangs_up()
        again = await (await pbx.line()).registers()
        assert (again.call_id, again.cseq[0]) == (first.call_id, first.cseq[0] + 1)


@pytest.mark.parametrize("transport", ["tcp", "tls", "ws", "wss"])
async def test_a_connection_whose_address_is_not_ours_any_more_is_left_for_a_new_one(
    stage: Stage, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This machine has moved to another network: the account is registered from there, and a call goes out from there."""
    monkeypatch.setattr("bridge.sip.registration.FLOW_WAIT", 0.01)
    monkeypatch.setattr(connections, "SWEEP_SECONDS", 0.01)
    used, gone = set[int](), set[int]()

    def is_ours(name: tuple[str, int]) -> bool:
        used.add(name[1])
        return name[1] not in gone

    monkeypatch.setattr(connections, "is_ours", is_ours)
    async with stage(transport) as (pbx, room):
        first = await pbx.line()
        await first.registers()
        await room.is_registered()
        gone |= used
        second = await pbx.line()
        await second.registers()
        await room.trunks.perform(DialPbx(call=CallId("out"), trunk="t0", account="1001", number="600", sdp=OFFER))
        await second.request("INVITE")
        assert first.inbox.empty()


@pytest.mark.parametrize("transport", ["tcp", "tls", "ws", "wss"])
async def test_of_many_messages_at_once_none_is_lost(stage: Stage, transport: str) -> None:
    async with stage(transport) as (pbx, _):
        line = await pbx.line()
        await line.registers()
        for number in range(100):
            via = f"SIP/2.0/{transport.upper()} pbx.invalid"
            await line.send(line.message("OPTIONS", "sip:127.0.0.1", via=via, call=str(number), body=b"x" * 200))
        assert {(await line.response(200)).call_id for _ in range(100)} == {str(number) for number in range(100)}


@pytest.mark.parametrize("binary", [True, False])
async def test_rfc7118_5_a_websocket_is_answered_in_the_kind_of_frame_that_came(stage: Stage, binary: bool) -> None:
    async with stage("ws") as (pbx, _):
        line = await pbx.line()
        await line.registers()
        line.binary = binary
        await line.send(line.message("OPTIONS", "sip:127.0.0.1", via="SIP/2.0/WS pbx.invalid"))
        await line.response(200)
        assert line.binary is binary


async def test_names_in_headers_are_never_looked_up() -> None:
    async with dns_server() as zone, wire_pbx() as pbx:
        trunk = {"server": f"127.0.0.1:{pbx.address[1]}", "register": False}
        room = TrunkRoom({"dns_servers": [zone.address]}, trunk)
        async with room.trunks.running():
            await _ready(room)
            assert room.trunks.address
            pbx.room = room.trunks.address
            named = {
                "Via": "SIP/2.0/UDP a.hostile.example;branch=z9hG4bKx;rport;maddr=m.hostile.example",
                "Contact": "<sip:b.hostile.example>",
                "Record-Route": "<sip:c.hostile.example;lr>",
                "Route": "<sip:d.hostile.example;lr>",
            }
            asked = pbx.message("INVITE", body=OFFER)
            headers = asked.headers
            for name, value in named.items():
                headers = headers.set(name, value)
            pbx.send(type(asked)("INVITE", asked.uri, headers, asked.body))
            invited = await room.event()
            await room.trunks.perform(AnswerPbx(call=invited.call, sdp=ANSWER))
            answer = await pbx.response(200)
            pbx.send(pbx.message("ACK", to_tag=answer.to_tag))
            assert isinstance(await room.event(), PbxConfirmed)
            await room.trunks.perform(HangUpPbx(call=invited.call))
            await pbx.request("BYE")
            assert not zone.asked


async def test_where_a_pbx_is_met_is_told_when_its_name_is_resolved_and_when_it_moves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bridge.sip.peer.KEEP_ALIVE_SECONDS", 0.01)
    monkeypatch.setattr("bridge.sip.resolve.LEAST_TTL", 0.0)
    async with dns_server() as zone:
        zone.ttl = 0
        zone.has("pbx.example", "AAAA", "::1")
        room = TrunkRoom(
            {"dns_servers": [zone.address], "host": ["127.0.0.1", "::1"]},
            {"server": "pbx.example:5060", "register": False, "check_seconds": 0},
        )
        assert room.trunks.met_at("t0") == ""
        async with room.trunks.running():
            await wait_for(lambda: room.met == ["::1"], what="the name to be resolved")
            zone.has("pbx.example", "AAAA", "2001:db8::5")
            await wait_for(lambda: room.met == ["::1", "2001:db8::5"], what="the move")


async def test_a_lost_connection_does_not_end_a_call(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.sip.registration.FLOW_WAIT", 0.01)
    async with stage("tcp") as (pbx, room):
        line = await pbx.line()
        await line.registers()
        await line.send(line.message("INVITE", "sip:1001@x", via="SIP/2.0/TCP pbx.invalid", body=OFFER))
        invited = await room.event()
        assert isinstance(invited, PbxInvited)
        await room.trunks.perform(AnswerPbx(call=invited.call, sdp=ANSWER))
        tag = (await line.response(200)).to_tag
        await line.send(line.message("ACK", "sip:1001@x", via="SIP/2.0/TCP pbx.invalid", to_tag=tag))
        assert await room.event() == PbxConfirmed(call=invited.call)
        await line.hangs_up()
        second = await pbx.line()
        await second.registers()
        await room.trunks.perform(HangUpPbx(call=invited.call))
        await second.send(respond(await second.request("BYE"), 200))


@pytest.mark.parametrize("transport", ["tls", "wss"])
async def test_rfc5922_a_certificate_for_somebody_else_is_not_talked_to(authority: Authority, transport: str) -> None:
    tls = server_context(authority.signs("other.example", "127.0.0.1"))
    serving = websocket_pbx(tls=tls) if transport == "wss" else stream_pbx(tls=tls)
    async with serving as pbx:
        room = TrunkRoom(
            {}, {"server": f"localhost:{pbx.address[1]}", "transport": transport, "tls_ca": authority.root}
        )
        async with room.trunks.running():
            await _fails(room, "can't be sent")
            while not pbx.lines.empty():
                assert (await pbx.line()).inbox.empty()


async def test_rfc5922_a_certificate_nobody_vouches_for_is_not_talked_to(authority: Authority) -> None:
    async with stream_pbx(tls=server_context(authority.signs("localhost"))) as pbx:
        room = TrunkRoom({}, {"server": f"localhost:{pbx.address[1]}", "transport": "tls"})
        async with room.trunks.running():
            await _fails(room, "can't be sent")


async def test_rfc5922_7_1_the_sip_domain_in_a_uri_counts_and_sni_names_it(authority: Authority) -> None:
    tls = server_context(authority.signs("sip:sip.example.com", "proxy7.example.net"))
    async with stream_pbx(tls=tls) as pbx:
        trunk = {"server": f"127.0.0.1:{pbx.address[1]}", "domain": "sip.example.com", "transport": "tls"}
        room = TrunkRoom({}, {**trunk, "tls_ca": authority.root})
        async with room.trunks.running():
            asked = await (await pbx.line()).registers()
            assert asked.uri == "sip:sip.example.com"
            assert pbx.server_names == ["sip.example.com"]


async def test_mutual_tls_shows_our_certificate(authority: Authority) -> None:
    async with stream_pbx(tls=server_context(authority.signs("127.0.0.1"), authority.root)) as pbx:
        ours = authority.signs("bridge.example")
        trunk = {
            "server": f"127.0.0.1:{pbx.address[1]}", "transport": "tls", "tls_ca": authority.root,
            "tls_certificate": ours.certificate, "tls_key": ours.key,
        }  # fmt: skip
        async with TrunkRoom({}, trunk).trunks.running():
            await (await pbx.line()).registers()
        assert ("DNS", "bridge.example") in pbx.certificates[0]["subjectAltName"]


async def test_a_certificate_that_is_missing_stops_the_start(tmp_path: Path) -> None:
    room = TrunkRoom({}, {"server": "127.0.0.1:1", "transport": "tls", "tls_certificate": tmp_path / "none.pem"})
    with pytest.raises(ConfigError, match=r"trunk t0: tls_certificate: .*none\.pem: No such file"):
        async with room.trunks.running():
            pass


async def test_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stream_pbx("::1") as pbx:
        room = TrunkRoom({"host": ["127.0.0.1", "::1"]}, {"server": f"[::1]:{pbx.address[1]}", "transport": "tcp"})
        async with room.trunks.running():
            line = await pbx.line()
            asked = await line.registers()
            assert asked.via.host == "[::1]"
            assert "@[::1]:" in (asked.headers.get("Contact") or "")


async def test_ipv6_datagrams() -> None:
    async with wire_pbx("::1") as pbx:
        room = TrunkRoom({"host": ["127.0.0.1", "::1"]}, {"server": f"[::1]:{pbx.address[1]}"})
        async with room.trunks.running():
            asked = await pbx.request("REGISTER")
            assert (asked.via.host, asked.uri) == ("[::1]", f"sip:[::1]:{pbx.address[1]}")


async def test_behind_nat_the_advertised_address_is_named() -> None:
    async with stream_pbx() as pbx:
        trunk = {"server": f"127.0.0.1:{pbx.address[1]}", "transport": "tcp"}
        for sip, own in (({"advertised": "198.51.100.1"}, {}), ({}, {"advertised": "198.51.100.1"})):
            async with TrunkRoom(sip, {**trunk, **own}).trunks.running():
                asked = await (await pbx.line()).registers()
                assert asked.via.host == "198.51.100.1"
                assert "@198.51.100.1:" in (asked.headers.get("Contact") or "")


async def test_tls_without_a_listener_names_the_connection_itself(authority: Authority) -> None:
    """What cannot be connected to is found again by PBXs that compare addresses."""
    async with stream_pbx(tls=server_context(authority.signs("127.0.0.1"))) as pbx:
        server = f"127.0.0.1:{pbx.address[1]}"
        room = TrunkRoom({}, {"server": server, "transport": "tls", "tls_ca": authority.root})
        async with room.trunks.running():
            line = await pbx.line()
            await line.registers()
            await room.is_registered()
            await room.trunks.perform(DialPbx(call=CallId("o"), trunk="t0", account="1001", number="6", sdp=OFFER))
            port = line._writer.get_extra_info("peername")[1]
            assert f"@127.0.0.1:{port};" in ((await line.request("INVITE")).headers.get("Contact") or "")


# ---- connections to us


async def _connected(room: TrunkRoom, local: str = "127.0.0.1") -> tuple[Line, asyncio.Task[None]]:
    assert room.trunks.address
    reader, writer = await asyncio.open_connection(*room.trunks.address, local_addr=(local, 0))
    pbx = StreamPbx()
    serving = asyncio.create_task(pbx.serve(reader, writer))
    return await pbx.line(), serving


async def test_the_pbx_calls_over_a_connection_of_its_own_and_is_answered_there() -> None:
    room = TrunkRoom({}, {"server": "127.0.0.1:1", "register": False})
    async with room.trunks.running():
        await _ready(room)
        line, _ = await _connected(room)
        await line.send(line.message("OPTIONS", "sip:127.0.0.1", via="SIP/2.0/TCP 127.0.0.1:9"))
        assert (await line.response(200)).via.param("received") is not None
        await line.send(b"\r\n\r\n")
        large = line.message("INVITE", "sip:1001@x", via="SIP/2.0/TCP 127.0.0.1:9", body=OFFER + b"a=x\r\n" * 900)
        await line.send(large)
        assert isinstance(await room.event(), PbxInvited)


async def test_strangers_are_not_connected() -> None:
    room = TrunkRoom({}, {"server": "127.0.0.1:1", "register": False})
    async with room.trunks.running():
        await _ready(room)
        line, _ = await _connected(room, "127.0.0.9")
        async with asyncio.timeout(PATIENCE):
            await line.ended.wait()


@pytest.mark.parametrize(
    ("fault", "status"), [("", 400), ("Content-Length: x\r\n", 400), ("Content-Length: 99999\r\n", 513)]
)
async def test_rfc3261_18_3_lost_framing_is_answered_and_the_connection_closed(fault: str, status: int) -> None:
    room = TrunkRoom({}, {"server": "127.0.0.1:1", "register": False})
    async with room.trunks.running():
        await _ready(room)
        line, _ = await _connected(room)
        asked = line.message("OPTIONS", "sip:127.0.0.1", via="SIP/2.0/TCP 127.0.0.1:9").encode()
        await line.send(asked.replace(b"Content-Length: 0\r\n", fault.encode()))
        await line.response(status)
        async with asyncio.timeout(PATIENCE):
            await line.ended.wait()


async def test_a_header_block_that_never_ends_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.sip.framer.HEAD_SECONDS", 0.0)
    monkeypatch.setattr(connections, "SWEEP_SECONDS", 0.01)
    room = TrunkRoom({}, {"server": "127.0.0.1:1", "register": False})
    async with room.trunks.running():
        await _ready(room)
        line, _ = await _connected(room)
        await line.send(b"OPTIONS sip:x SIP/2.0\r\n")
        async with asyncio.timeout(PATIENCE):
            await line.ended.wait()


async def test_rfc5626_4_4_1_a_stream_is_pinged_and_without_a_pong_given_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SWEEP_SECONDS", 0.01)
    monkeypatch.setattr(connections, "PING_SECONDS", (0.02, 0.03))
    monkeypatch.setattr("bridge.sip.registration.FLOW_WAIT", 0.01)
    async with stage("tcp") as (pbx, _):
        line = await pbx.line()
        await line.registers()
        async with asyncio.timeout(PATIENCE):
            await line.pinged.wait()
        monkeypatch.setattr(connections, "PONG_SECONDS", 0.05)
        await line.send(b"\r\n")  # it has shown that it answers pings
        await (await pbx.line()).registers()


async def test_an_idle_connection_is_closed_unless_somebody_uses_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SWEEP_SECONDS", 0.01)
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.02)
    async with stage("tcp") as (pbx, room):
        used = await pbx.line()
        await used.registers()
        idle, _ = await _connected(room)
        async with asyncio.timeout(PATIENCE):
            await idle.ended.wait()
        assert not used.ended.is_set()


async def test_connections_per_stranger_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_OF_A_HOST", 2)
    room = TrunkRoom({}, {"server": "127.0.0.1:1", "register": False})
    async with room.trunks.running():
        await _ready(room)
        lines = [(await _connected(room))[0] for _ in range(3)]
        async with asyncio.timeout(PATIENCE):
            await lines[2].ended.wait()
        assert not lines[0].ended.is_set()
        assert not lines[1].ended.is_set()


async def test_udp_and_tcp_share_the_port_and_a_taken_one_is_said() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port}: Address already in use"):
            async with TrunkRoom({"port": port}).trunks.running():
                pass


# ---- size


LONG = OFFER + b"a=x\r\n" * 300


async def _dial_at(room: TrunkRoom) -> None:
    await room.trunks.perform(DialPbx(call=CallId("a"), trunk="t0", account="1001", number="6", sdp=LONG))


async def test_rfc3261_18_1_1_a_large_invite_goes_by_tcp() -> None:
    async with stream_pbx() as pbx:
        room = TrunkRoom({}, {"server": f"127.0.0.1:{pbx.address[1]}", "register": False})
        async with room.trunks.running():
            await _dial_at(room)
            line = await pbx.line()
            invite = await line.request("INVITE")
            assert (invite.via.transport, invite.body) == ("TCP", LONG)
            await line.send(respond(invite, 486, to_tag="pbx"))
            assert (await line.request("ACK")).via.transport == "TCP"


async def test_rfc3261_18_1_1_a_large_invite_goes_as_a_datagram_where_there_is_no_tcp() -> None:
    async with wire_pbx() as pbx:
        room = TrunkRoom({}, {"server": f"127.0.0.1:{pbx.address[1]}", "register": False})
        async with room.trunks.running():
            await _dial_at(room)
            invite = await pbx.request("INVITE")
            assert (invite.via.transport, invite.body) == ("UDP", LONG)


# ---- several


async def test_two_trunks_with_certificates_of_their_own(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are shared per peer and identity, not per address."""
    monkeypatch.setattr(peer, "PACE_SECONDS", 0)
    pairs = [authority.signs(f"bridge{index}.example") for index in range(2)]
    async with stream_pbx(tls=server_context(authority.signs("127.0.0.1"), authority.root)) as pbx:
        trunks: list[dict[str, Any]] = [
            {"server": f"127.0.0.1:{pbx.address[1]}", "transport": "tls", "tls_ca": authority.root,
             "tls_certificate": pair.certificate, "tls_key": pair.key}
            for pair in pairs
        ]  # fmt: skip
        async with TrunkRoom({}, *trunks).trunks.running():
            for _ in range(2):
                await (await pbx.line()).registers()
        shown = {dict(certificate["subjectAltName"])["DNS"] for certificate in pbx.certificates}
        assert shown == {"bridge0.example", "bridge1.example"}


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_tls_below_1_2_is_refused(authority: Authority) -> None:
    old = server_context(authority.signs("127.0.0.1"))
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    async with stream_pbx(tls=old) as pbx:
        trunk = {"server": f"127.0.0.1:{pbx.address[1]}", "transport": "tls", "tls_ca": authority.root}
        room = TrunkRoom({}, trunk)
        async with room.trunks.running():
            await _fails(room, "can't be sent")


async def _fails(room: TrunkRoom, why: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while [status.state for status in room.trunks.registrations] != ["failing"]:
            await asyncio.sleep(0.005)
    assert [status.why for status in room.trunks.registrations] == [why]


async def _ready(room: TrunkRoom) -> None:
    """The address of its PBX is known."""
    async with asyncio.timeout(PATIENCE):
        while not all(peer.addresses for peer in room.trunks._neighbours.peers):
            await asyncio.sleep(0)
