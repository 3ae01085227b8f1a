"""One trunk for all: known by its address, by credentials or by its certificate; numbers lead to lines and operators."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bridge import config
from bridge.calls.commands import DialPbx, HangUpPbx
from bridge.calls.events import CallId, Event, PbxInvited
from bridge.errors import ConfigError
from bridge.sip import gatekeeper
from bridge.sip.digest import authorise, challenges
from bridge.sip.message import Request, Response, respond
from bridge.sip.trunk import Trunks

from ..rig.certificates import Authority, Pair
from ..rig.waiting import PATIENCE
from .stream_pbx import StreamPbx
from .wire import OFFER, WirePbx, wire_pbx

DID = "+4930123456"
PROVEN: dict[str, Any] = {
    "known_by": "credentials", "caller_user": "pbx", "caller_password_env": "TRUNK_TEST_PASSWORD",
}  # fmt: skip


class Numbers:
    """The room with trunks of numbers, a line and one operator whose number there is 101."""

    def __init__(self, *trunks: dict[str, Any], sip: dict[str, Any], line: dict[str, Any]) -> None:
        self.posted: asyncio.Queue[Event] = asyncio.Queue()
        numbers = count(1)
        settings = [
            config.Trunk.model_validate({"name": f"t{index}", "kind": "trunk", "register": False, **trunk})
            for index, trunk in enumerate(trunks)
        ]
        operator = {"portal": "http://b24.example", "user_id": 7, "extension": "7", "trunk": "t0", "sip_user": "101"}
        self.trunks = Trunks(
            sip=config.Sip.model_validate({"port": 0, "tls_port": 0, **sip}),
            trunks=settings,
            accounts=[config.OperatorAccount.model_validate(operator)],
            lines=[config.Line.model_validate({"number": DID, "portal": "x", "operators": (7,), **line})],
            post=self.posted.put_nowait,
            new_call_id=lambda: CallId(f"call-{next(numbers)}"),
        )

    async def invited(self) -> PbxInvited:
        async with asyncio.timeout(PATIENCE):
            event = await self.posted.get()
        assert isinstance(event, PbxInvited)
        return event


@asynccontextmanager
async def numbers(
    pbx: WirePbx | None, trunk: dict[str, Any] | None = None, *, sip: dict[str, Any] | None = None,
    line: dict[str, Any] | None = None,
) -> AsyncIterator[Numbers]:  # fmt: skip
    server = f"127.0.0.1:{pbx.address[1]}" if pbx else "127.0.0.1:9"
    room = Numbers({"server": server, **(trunk or {})}, sip=sip or {}, line=line or {})
    async with room.trunks.running():
        async with asyncio.timeout(PATIENCE):
            while not all(peer.addresses for peer in room.trunks._neighbours.peers):
                await asyncio.sleep(0)
        assert room.trunks.address
        if pbx:
            pbx.room = room.trunks.address
        yield room


@pytest.fixture
async def stranger() -> AsyncIterator[WirePbx]:
    async with wire_pbx("127.0.0.9") as elsewhere:
        yield elsewhere


def invite(pbx: WirePbx, user: str = DID, *, call: str = "wire", **headers: str) -> Request:
    return pbx.message("INVITE", user, call=call, body=OFFER, headers={"Subject": "x" * 300, **headers})


def proven(asked: Request, challenged: Response, *, password: str = "secret", nc: int = 1) -> Request:
    """The request again, on a new branch, with credentials."""
    challenge = challenges(challenged)[0]
    header = authorise(
        challenge, method="INVITE", uri=asked.uri, username="pbx", password=password, nc=nc, cnonce="c0ffee"
    )
    via = str(asked.via.with_param("branch", f"z9hG4bK{password}{nc}{asked.cseq[0]}"))
    headers = asked.headers.replace_first("Via", via).set("CSeq", f"{asked.cseq[0] + 1} INVITE").add(*header)
    return Request("INVITE", asked.uri, headers, asked.body)


# ---- numbers


async def test_a_dialled_number_leads_to_its_line_and_an_operators_to_the_operator(pbx: WirePbx) -> None:
    async with numbers(pbx) as room:
        pbx.send(invite(pbx))
        event = await room.invited()
        assert (event.trunk, event.account, event.line, event.caller) == ("t0", DID, DID, "+74951234567")
        pbx.send(invite(pbx, "101", call="second"))
        assert (await room.invited()).account == "101"
        pbx.send(invite(pbx, "+4930999", call="third"))
        assert (await pbx.response(404)).call_id == "third"


async def test_a_line_may_belong_to_one_trunk_only(pbx: WirePbx) -> None:
    async with numbers(pbx, line={"trunk": "other"}):
        pbx.send(invite(pbx))
        await pbx.response(404)


async def test_the_trunk_registers_once_for_all_and_calls_with_its_credentials_and_its_number(pbx: WirePbx) -> None:
    trunk = {
        "register": True, "user": "trunk", "password_env": "TRUNK_TEST_PASSWORD", "domain": "sip.example.com",
        "caller_id": DID, "identity": "preferred",
    }  # fmt: skip
    async with numbers(pbx, trunk) as room:
        asked = await pbx.request("REGISTER")
        assert (asked.uri, asked.headers.get("To")) == ("sip:sip.example.com", "<sip:trunk@sip.example.com>")
        pbx.send(respond(asked, 200, headers=[("Contact", asked.headers.get("Contact") or ""),
                                              ("Service-Route", "<sip:edge.example.com;lr>")]))  # fmt: skip
        async with asyncio.timeout(PATIENCE):
            while [status.state for status in room.trunks.registrations] != ["registered"]:
                await asyncio.sleep(0)
        await room.trunks.perform(DialPbx(call=CallId("o"), trunk="t0", account="101", number="600", sdp=OFFER))
        dialled = await pbx.request("INVITE")
        assert dialled.uri == "sip:600@sip.example.com"
        assert (dialled.headers.get("From") or "").startswith(f"<sip:{DID}@sip.example.com>;tag=")
        assert dialled.headers.get("P-Preferred-Identity") == f"<sip:{DID}@sip.example.com>"
        assert dialled.headers.all("Route") == ("<sip:edge.example.com;lr>",)
        assert (dialled.headers.get("Contact") or "").startswith("<sip:trunk@")
        pbx.send(respond(dialled, 407, headers=[("Proxy-Authenticate", 'Digest realm="p", nonce="n", qop="auth"')]))
        again = await pbx.request("INVITE")
        assert 'username="trunk"' in (again.headers.get("Proxy-Authorization") or "")


async def test_an_outbound_proxy_is_named_in_a_route(pbx: WirePbx) -> None:
    trunk = {"register": True, "user": "trunk", "password_env": "TRUNK_TEST_PASSWORD", "domain": "x.example"}
    async with numbers(pbx, {**trunk, "route": True}):
        asked = await pbx.request("REGISTER")
        assert asked.headers.all("Route") == (f"<sip:127.0.0.1:{pbx.address[1]};lr>",)


# ---- by address


async def test_a_network_of_the_trunk_is_the_trunk(stranger: WirePbx) -> None:
    async with numbers(None, {"networks": ["127.0.0.8/31"]}) as room:
        assert room.trunks.address
        stranger.room = room.trunks.address
        stranger.send(invite(stranger))
        assert (await room.invited()).trunk == "t0"


@pytest.mark.parametrize(("policy", "status"), [("drop", None), ("refuse", 403)])
async def test_strangers_get_what_the_policy_says(
    pbx: WirePbx, stranger: WirePbx, policy: str, status: int | None
) -> None:
    async with numbers(pbx, sip={"strangers": policy}) as room:
        stranger.room = pbx.room
        stranger.send(invite(stranger))
        if status:
            await stranger.response(status)
        await pbx.refuses_to_hear()
        assert stranger.inbox.empty()
        assert room.posted.empty()
        assert room.trunks._agent
        assert room.trunks._agent.pending == 1, "that of the probe: nothing is remembered of strangers"


async def test_nobody_unproven_gets_more_bytes_than_came(pbx: WirePbx, stranger: WirePbx) -> None:
    async with numbers(pbx, PROVEN) as room:
        stranger.room = pbx.room
        stranger.send(stranger.message("OPTIONS", ""))
        stranger.send(b"OPTIONS sip:x SIP/7.0\r\nv:SIP/2.0/UDP x\r\nf:a:b\r\nt:a:b\r\ni:1\r\nCSeq:1 OPTIONS\r\n\r\n")
        stranger.send(stranger.message("OPTIONS", "", headers={"Subject": "x" * 500}))
        assert (await stranger.response(401)).call_id == "wire"
        assert stranger.inbox.empty()
        assert room.trunks.counts["not reflected"] == 2


async def test_a_small_invite_of_a_pbx_that_has_to_prove_itself_gets_the_one_challenge_that_fits(
    pbx: WirePbx, stranger: WirePbx
) -> None:
    async with numbers(pbx, PROVEN) as room:
        stranger.room = pbx.room
        sizes, challenges = [], []
        for filling in (20, 400):
            asked = stranger.message("OPTIONS", "", headers={"Subject": "x" * (100 + filling)})
            stranger.send(asked)
            answer = await stranger.response(401)
            sizes.append(len(answer.encode()) <= len(asked.encode()))
            challenges.append(len(answer.headers.all("WWW-Authenticate")))
        assert (sizes, challenges) == ([True, True], [1, 2])
        assert not room.trunks.counts["not reflected"]


# ---- by credentials


async def test_a_trunk_proves_itself_and_its_call_comes_in(pbx: WirePbx) -> None:
    async with numbers(pbx, PROVEN) as room:
        asked = invite(pbx)
        pbx.send(asked)
        challenged = await pbx.response(401)
        pbx.send(proven(asked, challenged))
        event = await room.invited()
        assert (event.trunk, event.line) == ("t0", DID)
        await room.trunks.perform(HangUpPbx(call=event.call))
        await pbx.response(480)


async def test_an_intercepted_answer_is_of_no_use_a_second_time(pbx: WirePbx, stranger: WirePbx) -> None:
    async with numbers(pbx, PROVEN) as room:
        asked = invite(pbx)
        pbx.send(asked)
        answer = proven(asked, await pbx.response(401))
        pbx.send(answer)
        await room.invited()
        stranger.room = pbx.room
        via = str(answer.via.with_param("branch", "z9hG4bKreplayed"))
        stranger.send(Request("INVITE", answer.uri, answer.headers.replace_first("Via", via), OFFER))
        assert "stale=true" in ((await stranger.response(401)).headers.get("WWW-Authenticate") or "")
        assert room.posted.empty()


async def test_whether_a_number_exists_is_not_told_before(pbx: WirePbx) -> None:
    async with numbers(pbx, PROVEN):
        pbx.send(invite(pbx, "+4930999"))
        await pbx.response(401)


async def test_guessing_passwords_ends_in_silence(pbx: WirePbx) -> None:
    async with numbers(pbx, PROVEN) as room:
        asked = invite(pbx)
        pbx.send(asked)
        challenged = await pbx.response(401)
        for guess in range(5):
            pbx.send(proven(asked, challenged, password=f"guess{guess}"))
            await pbx.response(401)
        pbx.send(proven(asked, challenged))
        async with asyncio.timeout(PATIENCE):
            while not room.trunks.counts["flood"]:
                await asyncio.sleep(0)
        assert room.posted.empty()


async def test_a_password_that_is_not_set_stops_the_start(pbx: WirePbx) -> None:
    with pytest.raises(ConfigError, match="NO_SUCH_VARIABLE"):
        async with numbers(pbx, {**PROVEN, "caller_password_env": "NO_SUCH_VARIABLE"}):
            pass


# ---- by certificate


async def _over_tls(room: Numbers, authority: Authority, ours: Pair | None) -> StreamPbx:
    """A PBX that connects from an address that nobody knows."""
    assert room.trunks._transport
    (host, _), (listener,) = room.trunks.address or ("", 0), room.trunks._transport._secure
    context = ssl.create_default_context(cafile=authority.root)
    if ours:
        context.load_cert_chain(ours.certificate, ours.key)
    reader, writer = await asyncio.open_connection(
        host, listener.getsockname()[1], ssl=context, local_addr=("127.0.0.9", 0)
    )
    pbx = StreamPbx()
    pbx.serving = asyncio.create_task(pbx.serve(reader, writer))  # type: ignore[attr-defined]
    return pbx


@pytest.mark.parametrize(
    ("shown", "known"),
    [("sip:pbx.example.com", True), ("pbx.example.com", True), ("evil.example.com", False), ("", False)],
)
async def test_a_trunk_is_known_by_its_certificate_wherever_it_is(tmp_path: Path, shown: str, known: bool) -> None:
    authority = Authority(tmp_path)
    own = authority.signs("127.0.0.1")
    sip = {"tls_certificate": own.certificate, "tls_key": own.key, "tls_ca": authority.root}
    trunk = {"known_by": "certificate", "certificate_names": ["pbx.example.com"]}
    async with numbers(None, trunk, sip=sip) as room:
        pbx = await _over_tls(room, authority, authority.signs(shown) if shown else None)
        line = await pbx.line()
        if known:
            await line.send(line.message("INVITE", f"sip:{DID}@x", via="SIP/2.0/TLS x.invalid", body=OFFER))
            assert (await room.invited()).trunk == "t0"
        else:
            async with asyncio.timeout(PATIENCE):
                await line.ended.wait()


async def test_a_certificate_of_another_authority_is_refused(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path, "Other CA")
    own = authority.signs("127.0.0.1")
    sip = {"tls_certificate": own.certificate, "tls_key": own.key, "tls_ca": authority.root}
    async with numbers(None, {"known_by": "certificate", "certificate_names": ["p.example"]}, sip=sip) as room:
        pbx = await _over_tls(room, authority, other.signs("p.example"))
        async with asyncio.timeout(PATIENCE):
            await (await pbx.line()).ended.wait()
        assert room.posted.empty()


# ---- caps and floods


async def test_calls_at_once_are_capped_per_trunk(pbx: WirePbx) -> None:
    async with numbers(pbx, {"max_calls": 1}) as room:
        pbx.send(invite(pbx, call="one"))
        event = await room.invited()
        pbx.send(invite(pbx, call="two"))
        refused = await pbx.response(503)
        assert (refused.call_id, refused.headers.get("Retry-After")) == ("two", "5")
        await room.trunks.perform(HangUpPbx(call=event.call))
        await pbx.response(480)
        pbx.send(invite(pbx, call="three"))
        await room.invited()


async def test_a_flood_of_calls_is_told_when_to_try_again_and_calls_that_stand_go_on(pbx: WirePbx) -> None:
    async with numbers(pbx, {"max_calls_per_second": 1}) as room:
        for number in range(6):
            pbx.send(invite(pbx, call=f"c{number}"))
        assert (await pbx.response(503)).headers.get("Retry-After") == "1"
        first = await room.invited()
        await room.trunks.perform(HangUpPbx(call=first.call))
        await pbx.response(480)


async def test_a_flood_of_strangers_leaves_calls_alone(
    pbx: WirePbx, stranger: WirePbx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gatekeeper, "MESSAGES_AT_ONCE", 5.0)
    async with numbers(pbx, PROVEN) as room:
        stranger.room = pbx.room
        for number in range(50):
            stranger.send(stranger.message("REGISTER", call=f"flood{number}", headers={"Subject": "x" * 400}))
        async with asyncio.timeout(PATIENCE):
            while room.trunks.counts["flood"] < 40:
                await asyncio.sleep(0)
        asked = invite(pbx)
        pbx.send(asked)
        pbx.send(proven(asked, await pbx.response(401)))
        await room.invited()
