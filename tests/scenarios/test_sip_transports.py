"""A real PBX over every transport: registered, called and calling; sipp over TCP and IPv6; the second server of a domain.

The voice is left out: it does not care how the signalling travels.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeVar

import pytest

from bridge.calls.commands import AnswerPbx, DialPbx, HangUpPbx, RingPbx
from bridge.calls.events import CallId, Event, PbxAnswered, PbxConfirmed, PbxHungUp, PbxInvited, PbxRang, PbxRefused
from bridge.sip import caller

from ..conftest import needs
from ..interop import ASTERISK, SIPP, interop
from ..rig.asterisk import Asterisk, OutboundCall, PhoneCall
from ..rig.ports import free_port
from ..rig.waiting import PATIENCE, wait_for
from ..sip.dns_server import dns_server
from ..sip.stream_pbx import TrunkRoom

pytestmark = pytest.mark.scenario
E = TypeVar("E", bound=Event)
SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio %d RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n"
)
CALL_SCRIPT = Path(__file__).parent / "sipp_call.xml"


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNK_TEST_PASSWORD", "pw-1001")


def room_to(asterisk: Asterisk, transport: str, account: str = "1001", **settings: object) -> TrunkRoom:
    host = "[::1]" if transport == "udp6" else "localhost" if transport in {"tls", "mtls", "wss"} else "127.0.0.1"
    ports = {
        "tls": asterisk.tls_port, "mtls": asterisk.mtls_port, "ws": asterisk.http_port, "wss": asterisk.https_port,
    }  # fmt: skip
    trunk = {
        "server": f"{host}:{ports.get(transport, asterisk.sip_port)}",
        "transport": "tls" if transport == "mtls" else transport.removesuffix("6"),
        "tls_ca": asterisk.authority,
        **settings,
    }
    if transport == "mtls":
        trunk |= {"tls_certificate": asterisk.client.certificate, "tls_key": asterisk.client.key}
    return TrunkRoom({"host": ["127.0.0.1", "::1"]}, trunk, accounts=(account,))


async def seen(room: TrunkRoom, kind: type[E]) -> E:
    """The next event of that kind; ringing may come before it."""
    async with asyncio.timeout(PATIENCE):
        while not isinstance(event := await room.posted.get(), kind):
            assert isinstance(event, PbxRang), event
    return event


BOTH_WAYS = "registration", "incoming call", "outgoing call"
STRICT = "100rel: our ringing is reliable", "100rel: we send PRACK", "session timer, agreed in both roles"


@pytest.mark.parametrize(
    ("transport", "account"),
    [
        pytest.param(
            "udp",
            "1001",
            marks=interop(ASTERISK, "UDP", "digest MD5", "OPTIONS, answered", "OPTIONS, sent", "MWI shown"),
        ),
        pytest.param("udp6", "1001", marks=interop(ASTERISK, "IPv6 (signalling)")),
        pytest.param("tcp", "1101", marks=interop(ASTERISK, "TCP", "digest SHA-256", *STRICT)),
        pytest.param("tls", "1102", marks=interop(ASTERISK, "TLS", "digest SHA-512-256", *STRICT)),
        pytest.param("mtls", "1001", marks=interop(ASTERISK, "mutual TLS")),
        pytest.param("ws", "1001", marks=interop(ASTERISK, "WebSocket")),
        pytest.param("wss", "1001", marks=interop(ASTERISK, "secure WebSocket")),
    ],
)
@interop(ASTERISK, *BOTH_WAYS)
async def test_an_account_registers_is_called_and_calls(
    asterisk: Asterisk, monkeypatch: pytest.MonkeyPatch, transport: str, account: str
) -> None:
    """The accounts 1101 and 1102 insist on reliable provisional responses and a session timer."""
    monkeypatch.setenv("TRUNK_TEST_PASSWORD", f"pw-{account}")
    room = room_to(asterisk, transport, account, check_seconds=1)
    offer = SDP % free_port()
    before = asterisk.outbound(account)
    async with room.trunks.running():
        await wait_for(lambda: [s.state for s in room.trunks.registrations] == ["registered"], what="registered")
        called = asterisk.call(account)
        invited = await seen(room, PbxInvited)
        assert isinstance(invited, PbxInvited)
        assert invited.caller == "+4930123456"
        await room.trunks.perform(RingPbx(call=invited.call))
        await room.trunks.perform(AnswerPbx(call=invited.call, sdp=offer))
        assert await seen(room, PbxConfirmed) == PbxConfirmed(call=invited.call)
        if transport == "udp":
            asterisk.cli(f"pjsip qualify {account}")
            await wait_for(lambda: asterisk.answered("OPTIONS") == [200], what="our answer to OPTIONS")
            await wait_for(lambda: room.trunks.healths[0].health == "answers", what="Asterisk's answer to ours")
            asterisk.cli(f"pjsip send notify voicemail endpoint {account}")
            await wait_for(lambda: room.voicemail == {(account, 3)}, what="the messages that wait")
        await room.trunks.perform(HangUpPbx(call=invited.call))

        out = CallId("out")
        await room.trunks.perform(DialPbx(call=out, trunk="t0", account=account, number="611", sdp=offer))
        assert isinstance(await seen(room, PbxAnswered), PbxAnswered)
        dialled = await asterisk.dialled(account, before)
        asterisk.cli("channel request hangup all")
        assert (await seen(room, PbxHungUp)).call == out
    if account != "1001":
        assert_strict(called, dialled)


def assert_strict(called: PhoneCall, dialled: OutboundCall) -> None:
    """Both calls were acknowledged while they rang, and are refreshed by somebody."""
    for call, we_ring in ((called, True), (dialled, False)):
        pracks = [m.sent for m in call.messages() if m.is_request and m.method == "PRACK"]
        assert pracks == [we_ring], "whoever hears the ringing acknowledges it"
        answers = [m for m in call.messages() if m.status == 200 and m.method == "INVITE"]
        (expires, _, refresher) = answers[-1].header("Session-Expires").partition(";")
        assert (expires, refresher.startswith("refresher=ua")) == ("90" if we_ring else "1800", True)


@pytest.fixture
async def trunk_room() -> AsyncIterator[TrunkRoom]:
    """Known by its address, on IPv4 and IPv6."""
    room = TrunkRoom(
        {"host": ["127.0.0.1", "::1"]}, {"server": "127.0.0.1", "networks": ["::1/128"], "register": False}
    )
    async with room.trunks.running():
        await wait_for(lambda: all(p.addresses for p in room.trunks._neighbours.peers), what="its address")
        yield room


@pytest.mark.parametrize(
    ("host", "transport"),
    [
        pytest.param("127.0.0.1", "t1", marks=interop(SIPP, "TCP", "trunk by address", "incoming call")),
        pytest.param(
            "[::1]", "u1", marks=interop(SIPP, "UDP", "IPv6 (signalling)", "trunk by address", "incoming call")
        ),
        pytest.param(
            "[::1]", "t1", marks=interop(SIPP, "TCP", "IPv6 (signalling)", "trunk by address", "incoming call")
        ),
    ],
)
async def test_sipp_calls_over_tcp_and_ipv6(trunk_room: TrunkRoom, host: str, transport: str) -> None:
    needs("sipp")
    assert trunk_room.trunks.address
    sipp = await asyncio.create_subprocess_exec(
        "sipp", f"{host}:{trunk_room.trunks.address[1]}", "-sf", str(CALL_SCRIPT), "-s", "1001", "-i", host.strip("[]"),
        "-p", str(free_port()), "-t", transport, "-m", "1", "-nostdin", "-timeout", "15", "-timeout_error",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    invited = await seen(trunk_room, PbxInvited)
    await trunk_room.trunks.perform(AnswerPbx(call=invited.call, sdp=SDP % free_port()))
    await seen(trunk_room, PbxConfirmed)
    assert (await seen(trunk_room, PbxHungUp)).call == invited.call
    out, _ = await asyncio.wait_for(sipp.communicate(), PATIENCE)
    assert sipp.returncode == 0, out.decode(errors="replace")[-2000:]


@interop(ASTERISK, "failover to the second SRV target")
async def test_a_call_is_placed_at_the_second_server_of_the_domain(
    asterisk: Asterisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one of the SRV records says nothing; the next call does not wait for it again."""
    monkeypatch.setattr(caller, "SPARE_SECONDS", 0.5)
    async with dns_server() as zone:
        silent, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        dead = silent.get_extra_info("sockname")[1]
        zone.has(
            "_sip._udp.pbx.example", "SRV", f"1 1 {dead} one.pbx.example.", f"2 1 {asterisk.sip_port} two.pbx.example."
        )
        zone.has("one.pbx.example", "A", "127.0.0.1")
        zone.has("two.pbx.example", "A", "127.0.0.1")
        trunk = {"server": "pbx.example", "domain": "127.0.0.1", "register": False}
        room = TrunkRoom({"dns_servers": [zone.address]}, trunk)
        async with room.trunks.running():
            for name in ("first", "second"):
                call = CallId(name)
                sdp = SDP % free_port()
                await room.trunks.perform(DialPbx(call=call, trunk="t0", account="1001", number="600", sdp=sdp))
                async with asyncio.timeout(PATIENCE):
                    event = await room.posted.get()
                assert isinstance(event, PbxAnswered | PbxRefused), event
                assert isinstance(event, PbxAnswered)
                await room.trunks.perform(HangUpPbx(call=call))
        silent.close()
