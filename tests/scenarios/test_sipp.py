"""What PBXs do in a call that a simple one never would, each written down as a script for sipp."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.calls.commands import AnswerPbx, AnswerPbxReoffer, CancelPbx, DialPbx, HangUpPbx, ReofferPbx, RingPbx
from bridge.calls.events import (
    CallId,
    Event,
    PbxAnswered,
    PbxCancelled,
    PbxConfirmed,
    PbxInvited,
    PbxPartyChanged,
    PbxProgressed,
    PbxRang,
    PbxReanswered,
    PbxRefused,
    PbxRefusedReoffer,
    PbxReoffered,
)

from ..conftest import needs
from ..interop import SIPP, interop
from ..rig.ports import free_sip_port
from ..rig.sipp import FAX, RINGING, ask, asked, called, gets, keeps_invite, reply, sdp, sipp, to_the_invite
from ..rig.waiting import wait_for
from ..sip.stream_pbx import TrunkRoom
from .conftest import Desks

OFFER = sdp().replace("[local_ip]", "127.0.0.1").replace("\n", "\r\n").encode()
OUT = CallId("out")
DIAL = DialPbx(call=OUT, trunk="t0", account="1001", number="4711", sdp=OFFER)


@pytest.fixture(autouse=True)
def _is_there() -> None:
    needs("sipp")


@asynccontextmanager
async def at_a_pbx(
    directory: Path, *steps: str, to_us: bool = False, trunk: dict[str, Any] | None = None
) -> AsyncIterator[tuple[TrunkRoom, Callable[[str], bool]]]:
    """The bridge's SIP side and a PBX, known by its address, that plays this script; and whether a text was on the wire."""
    port = free_sip_port()
    room = TrunkRoom({}, {"server": f"127.0.0.1:{port}", "register": False, **(trunk or {})})
    async with room.trunks.running():
        await wait_for(lambda: all(peer.addresses for peer in room.trunks._neighbours.peers), what="its address")
        assert room.trunks.address
        async with sipp(directory, steps, port=port, to=room.trunks.address[1] if to_us else 0) as saw:
            if not to_us:
                await wait_for(lambda: is_taken(port), what="sipp to listen")
            yield room, saw


def is_taken(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


TAG = '<ereg regexp="tag=([^;]*)" search_in="hdr" header="To:" assign_to="whole,ours"/><log message="[$whole]"/>'
"""Keeps the tag of our side."""
DTMF = "application/dtmf-relay"


@interop(
    SIPP,
    "incoming call",
    "T.38 refused",
    "re-INVITE by the peer",
    "INFO, received",
    "UPDATE",
    "OPTIONS, answered",
    "Diversion shown",
)
async def test_a_fax_is_refused_and_the_call_goes_on_with_keys_and_questions(desks: Desks, tmp_path: Path) -> None:
    port = free_sip_port()
    desk = await desks(f"127.0.0.1:{port}", trunk={"register": False})
    fax = "z9hG4bK-fax-[pid]"
    steps = called(
        ask("INVITE", cseq=2, body=sdp(FAX, version=2), branch=fax), gets(100, optional=True), gets(488),
        ask("ACK", cseq=2, branch=fax),
        ask("INFO", cseq=3, body="Signal=5\nDuration=160\n", kind=DTMF), gets(200),
        ask("OPTIONS", cseq=4), gets(200),
        ask("UPDATE", cseq=5), gets(200),
        headers=["Diversion: <sip:+4930777@pbx.example>;reason=unconditional"],
    )  # fmt: skip
    async with sipp(tmp_path, steps, port=port, to=desk.sip_port):
        await desk.anna.is_shown("+493012345", diverter="+4930777")
        await desk.presses(1)
    await desk.records(("incoming", "200"))


@interop(SIPP, "trunk by credentials", "digest MD5", "incoming call")
async def test_a_pbx_known_by_its_password_is_asked_for_it_and_a_wrong_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PBX_PASSWORD", "pw-pbx")
    known = {"known_by": "credentials", "caller_user": "pbx", "caller_password_env": "PBX_PASSWORD"}
    for password, status in (("wrong", 401), ("pw-pbx", 200)):
        signed = [f"[authentication username=pbx password={password}]"]
        first, second = "z9hG4bK-one-[pid]", "z9hG4bK-two-[pid]"
        again = ask("INVITE", body=sdp(), branch=second, headers=signed).replace("CSeq: 1", "CSeq: 2")
        steps = [
            ask("INVITE", body=sdp(), branch=first), gets(100, optional=True), gets(401).replace("/>", ' auth="true"/>'),
            ask("ACK", branch=first), again, *RINGING, gets(status, within=True),
            ask("ACK", cseq=2, **({} if status == 200 else {"branch": second})),
        ]  # fmt: skip
        steps += [ask("BYE", cseq=3), gets(200)] if status == 200 else []
        async with at_a_pbx(tmp_path / password, *steps, to_us=True, trunk=known) as (room, _):
            if status == 200:
                invited = await room.event()
                assert isinstance(invited, PbxInvited)
                await room.trunks.perform(AnswerPbx(call=invited.call, sdp=OFFER))
                assert isinstance(await room.event(), PbxConfirmed)
        assert not [event for event in drained(room) if isinstance(event, PbxInvited)]


def drained(room: TrunkRoom) -> list[Event]:
    return [room.posted.get_nowait() for _ in range(room.posted.qsize())]


@interop(SIPP, "CANCEL by the peer", "Reason: answered elsewhere")
async def test_a_call_that_somebody_else_took_is_cancelled_with_the_reason(tmp_path: Path) -> None:
    reason, branch = 'Reason: SIP;cause=200;text="Call completed elsewhere"', "z9hG4bK-call-[pid]"
    steps = [
        ask("INVITE", body=sdp(), branch=branch), gets(100, optional=True), gets(180),
        ask("CANCEL", headers=[reason], branch=branch), gets(200), gets(487), ask("ACK", branch=branch),
    ]  # fmt: skip
    async with at_a_pbx(tmp_path, *steps, to_us=True) as (room, _):
        invited = await room.event()
        assert isinstance(invited, PbxInvited)
        await room.trunks.perform(RingPbx(call=invited.call))
        assert await room.event() == PbxCancelled(call=invited.call, elsewhere=True)


@interop(SIPP, "outgoing call", "early media heard by us", "100rel: we send PRACK", "session timer, refreshed by us")
async def test_reliable_early_media_is_acknowledged_and_the_session_refreshed(tmp_path: Path) -> None:
    able = "Allow: INVITE, ACK, BYE, CANCEL, PRACK, UPDATE"
    early = reply("183 Session Progress", body=sdp(), headers=["Require: 100rel", "RSeq: 1", able])
    async with at_a_pbx(
        tmp_path,
        keeps_invite(), early,
        asked("PRACK"), reply("200 OK", tag=""),
        to_the_invite("200 OK", headers=["Require: timer", "Session-Expires: 2;refresher=uac", able]), asked("ACK"),
        asked("UPDATE"), reply("200 OK", tag="", headers=["Session-Expires: 1800;refresher=uac"]),
        asked("BYE"), reply("200 OK", tag=""),
    ) as (room, saw):  # fmt: skip
        await room.trunks.perform(DIAL)
        assert isinstance(await room.event(), PbxProgressed)
        assert isinstance(await room.event(), PbxAnswered)
        await wait_for(lambda: saw("Session-Expires: 1800;refresher=uac"), what="the refresh")
        await room.trunks.perform(HangUpPbx(call=OUT))


@interop(SIPP, "glare (491)", "re-INVITE by us refused")
async def test_an_offer_of_ours_waits_out_a_glare_and_a_refused_one_leaves_the_call(tmp_path: Path) -> None:
    steps = called(
        asked("INVITE"), reply("491 Request Pending", tag=""), asked("ACK"),
        asked("INVITE"), reply("200 OK", body=sdp(version=2), tag=""), asked("ACK"),
        asked("INVITE"), reply("488 Not Acceptable Here", tag=""), asked("ACK"),
    )  # fmt: skip
    async with at_a_pbx(tmp_path, *steps, to_us=True) as (room, _):
        invited = await room.event()
        await room.trunks.perform(AnswerPbx(call=invited.call, sdp=OFFER))
        assert isinstance(await room.event(), PbxConfirmed)
        await room.trunks.perform(ReofferPbx(call=invited.call, sdp=OFFER))
        assert isinstance(await room.event(), PbxReanswered)
        await room.trunks.perform(ReofferPbx(call=invited.call, sdp=OFFER))
        assert await room.event() == PbxRefusedReoffer(call=invited.call, status=488)
        assert (await room.event()).call == invited.call, "it hangs up"


@interop(SIPP, "CANCEL by us", "CANCEL crossing 200")
async def test_an_answer_that_crosses_our_cancel_is_acknowledged_and_hung_up(tmp_path: Path) -> None:
    async with at_a_pbx(
        tmp_path,
        keeps_invite(), reply("180 Ringing"),
        asked("CANCEL"), to_the_invite("200 OK", body=sdp()), asked("ACK"),
        asked("BYE"), reply("200 OK", tag=""),
    ) as (room, _):  # fmt: skip
        await room.trunks.perform(DIAL)
        assert isinstance(await room.event(), PbxRang)
        await room.trunks.perform(CancelPbx(call=OUT))
        refused = await room.event()
        assert isinstance(refused, PbxRefused), refused


@interop(SIPP, "forked 2xx")
async def test_of_two_branches_that_answer_the_second_is_hung_up(tmp_path: Path) -> None:
    async with at_a_pbx(
        tmp_path,
        keeps_invite(), to_the_invite("200 OK", body=sdp(), tag="one"), asked("ACK"),
        to_the_invite("200 OK", body=sdp(), tag="two"), asked("ACK"), asked("BYE"), reply("200 OK", tag=""),
        asked("BYE"), reply("200 OK", tag=""),
    ) as (room, saw):  # fmt: skip
        await room.trunks.perform(DIAL)
        assert isinstance(await room.event(), PbxAnswered)
        await wait_for(lambda: saw("BYE sip:"), what="the BYE to the second branch")
        await room.trunks.perform(HangUpPbx(call=OUT))


@interop(SIPP, "Replaces accepted")
async def test_an_invite_that_replaces_the_call_takes_its_place_and_the_old_one_is_hung_up(tmp_path: Path) -> None:
    heir = "heir///[call_id]"  # sipp counts it to the same call
    replaces = "Replaces: [call_id];to-tag=[$ours];from-tag=[pid]s[call_number]"

    def of_the_heir(text: str) -> str:
        return text.replace("Call-ID: [call_id]", f"Call-ID: {heir}").replace(";tag=[pid]s", ";tag=heir[pid]s")

    steps = [
        ask("INVITE", body=sdp()), *RINGING, gets(200, within=True).replace("/>", f"><action>{TAG}</action></recv>"),
        ask("ACK"),
        of_the_heir(ask("INVITE", headers=[replaces], body=sdp(version=2))), *RINGING, gets(200, within=True),
        of_the_heir(ask("ACK").replace("To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]", "[last_To:]")),
        asked("BYE"), reply("200 OK", tag=""),
        asked("BYE"), reply("200 OK", tag=""),
    ]  # fmt: skip
    async with at_a_pbx(tmp_path, *steps, to_us=True) as (room, _):
        invited = await room.event()
        await room.trunks.perform(AnswerPbx(call=invited.call, sdp=OFFER))
        assert isinstance(await room.event(), PbxConfirmed)
        assert isinstance(await room.event(), PbxReoffered)
        await room.trunks.perform(AnswerPbxReoffer(call=invited.call, sdp=OFFER))
        told = [await room.event(), await room.event()]
        assert {type(event) for event in told} == {PbxPartyChanged, PbxConfirmed}
        assert {event.call for event in told} == {invited.call}, "the same call goes on"
        await room.trunks.perform(HangUpPbx(call=invited.call))
