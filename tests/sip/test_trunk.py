"""The room on real loopback sockets, with a PBX played by the test."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import pytest

from bridge.calls.commands import (
    AnswerPbx,
    AnswerPbxReoffer,
    HangUpPbx,
    ProgressPbx,
    RefusePbx,
    RefusePbxReoffer,
    RingPbx,
)
from bridge.calls.events import (
    CallId,
    PbxCancelled,
    PbxConfirmed,
    PbxHungUp,
    PbxInvited,
    PbxReoffered,
)
from bridge.errors import ConfigError
from bridge.sip import agent, peer, trunk
from bridge.sip.agent import UserAgent
from bridge.sip.message import Request, parse, respond

from ..rig.waiting import PATIENCE
from .wire import CHALLENGE, OFFER, Room, WirePbx, a_room, accepted, account, invited, talking, wire_pbx

# ---- calls


async def test_an_invite_is_posted_with_who_called_whom(pbx: WirePbx, room: Room) -> None:
    event = await invited(pbx, room)
    assert event == PbxInvited(
        call=CallId("call-1"), trunk="main", account="1001", line="1001",
        caller="+74951234567", caller_name="Ann", offer=OFFER,
    )  # fmt: skip
    assert (await pbx.response(100)).to_tag == ""


@pytest.mark.parametrize(
    ("header", "diverter"),
    [
        ("<sip:+4930500@pbx>;reason=unconditional, <sip:+4930501@pbx>;reason=user-busy", "+4930500"),
        ("<sip:+4930500@pbx>;privacy=full", ""),
        ("<<broken>", ""),
    ],
)
async def test_rfc_5806_who_forwarded_the_call_last_is_known_beside_the_caller(
    pbx: WirePbx, room: Room, header: str, diverter: str
) -> None:
    event = await invited(pbx, room, {"Diversion": header})
    assert (event.caller, event.diverter) == ("+74951234567", diverter)


@pytest.mark.parametrize(
    ("header", "referrer"),
    [("<sip:1002@pbx>;cid=a@b", "1002"), ("<<broken>", ""), ("<sip:anonymous@anonymous.invalid>", "")],
)
async def test_rfc_3892_who_passed_the_call_on_is_known(pbx: WirePbx, room: Room, header: str, referrer: str) -> None:
    assert (await invited(pbx, room, {"Referred-By": header})).referrer == referrer


@pytest.mark.parametrize(
    ("headers", "line"),
    [
        ({"P-Called-Party-ID": "<sip:+74950000001@pbx>"}, "+74950000001"),
        ({"Diversion": '"Shop" <tel:+74950000002>;reason=unconditional'}, "+74950000002"),
        ({"Diversion": "<<broken>"}, "1001"),
    ],
)
async def test_the_line_is_what_the_caller_dialled(
    pbx: WirePbx, room: Room, headers: dict[str, str], line: str
) -> None:
    assert (await invited(pbx, room, headers)).line == line


async def test_a_whole_call_hung_up_by_the_pbx(pbx: WirePbx, room: Room) -> None:
    call = (await invited(pbx, room)).call
    await room.do(RingPbx(call=call))
    assert (await pbx.response(180)).headers.get("Contact") == f"<sip:1001@{pbx.room[0]}:{pbx.room[1]}>"
    await room.do(AnswerPbx(call=call, sdp=OFFER))
    answer = await pbx.response(200)
    assert answer.body == OFFER
    pbx.send(pbx.message("ACK", to_tag=answer.to_tag))
    assert await room.event() == PbxConfirmed(call=call)
    pbx.send(pbx.message("BYE", to_tag=answer.to_tag, cseq=2))
    await pbx.response(200)
    assert await room.event() == PbxHungUp(call=call, why="BYE")


async def test_a_call_hung_up_by_us(pbx: WirePbx, room: Room) -> None:
    call, _ = await talking(pbx, room)
    await room.do(HangUpPbx(call=call, cause=16))
    bye = await pbx.request("BYE")
    assert bye.headers.get("Reason") == "Q.850;cause=16"
    pbx.send(respond(bye, 200))
    await room.do(HangUpPbx(call=call))
    await pbx.refuses_to_hear()
    assert room.posted.empty()


async def test_section_10_early_media_is_told_by_183_reliably_where_the_pbx_can(pbx: WirePbx, room: Room) -> None:
    call = (await invited(pbx, room, {"Supported": "100rel"})).call
    await room.do(RingPbx(call=call))
    assert "RSeq" not in (await pbx.response(180)).headers
    await room.do(ProgressPbx(call=call, sdp=OFFER))
    early = await pbx.response(183)
    assert (early.body, early.headers.get("Require")) == (OFFER, "100rel")
    rack = f"{early.headers.get('RSeq')} 1 INVITE"
    pbx.send(pbx.message("PRACK", to_tag=early.to_tag, cseq=2, headers={"RAck": rack}))
    assert (await pbx.response(200)).cseq == (2, "PRACK")
    await room.do(AnswerPbx(call=call, sdp=OFFER))
    assert (await pbx.response(200)).body == OFFER


async def test_a_refusal_reaches_the_pbx_with_its_phrase(pbx: WirePbx, room: Room) -> None:
    call = (await invited(pbx, room)).call
    await room.do(RefusePbx(call=call, status=486, phrase="Busy Here"))
    assert (await pbx.response(486)).phrase == "Busy Here"


async def test_a_cancel_is_posted_with_its_reason(pbx: WirePbx, room: Room) -> None:
    call = (await invited(pbx, room)).call
    pbx.send(pbx.message("CANCEL", branch="first", headers={"Reason": "SIP;cause=200"}))
    await pbx.response(487)
    assert await room.event() == PbxCancelled(call=call, elsewhere=True)


async def test_a_reinvite_is_posted_and_answered_or_refused(pbx: WirePbx, room: Room) -> None:
    call, tag = await talking(pbx, room)
    pbx.send(pbx.message("INVITE", to_tag=tag, cseq=2, body=OFFER))
    assert await room.event() == PbxReoffered(call=call, offer=OFFER)
    await room.do(AnswerPbxReoffer(call=call, sdp=b"v=0\r\n"))
    assert (await pbx.response(200)).body == b"v=0\r\n"
    pbx.send(pbx.message("ACK", to_tag=tag, cseq=2))
    pbx.send(pbx.message("INVITE", to_tag=tag, cseq=3))
    assert await room.event() == PbxReoffered(call=call, offer=b"")
    await room.do(RefusePbxReoffer(call=call, status=488, phrase=""))
    assert (await pbx.response(488)).cseq == (3, "INVITE")


async def test_commands_for_unknown_calls_are_let_be(room: Room) -> None:
    unknown = CallId("never")
    for command in (RingPbx(call=unknown), AnswerPbx(call=unknown, sdp=OFFER), HangUpPbx(call=unknown)):
        await room.do(command)


# ---- what is refused


async def test_an_unknown_account_gets_404(pbx: WirePbx, room: Room) -> None:
    for user in ("9999", ""):
        pbx.send(pbx.message("INVITE", user, call=f"to-{user}", body=OFFER))
        assert (await pbx.response(404)).call_id == f"to-{user}"
    assert room.posted.empty()


async def test_an_invite_without_offer_gets_ours_in_the_200_and_its_ack_brings_the_answer(
    pbx: WirePbx, room: Room
) -> None:
    pbx.send(pbx.message("INVITE"))
    invited = await room.event()
    assert isinstance(invited, PbxInvited)
    assert invited.offer == b""
    await room.do(AnswerPbx(call=invited.call, sdp=OFFER))
    answered = await pbx.response(200)
    assert answered.body == OFFER
    pbx.send(pbx.message("ACK", to_tag=answered.to_tag, body=OFFER))
    assert await room.event() == PbxConfirmed(call=invited.call, answer=OFFER)


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "BYE", "REGISTER"])
async def test_a_stranger_gets_silence_and_is_counted(pbx: WirePbx, room: Room, method: str) -> None:
    async with wire_pbx("127.0.0.9") as stranger:
        stranger.room = pbx.room
        stranger.send(stranger.message(method, body=OFFER if method == "INVITE" else b""))
        stranger.send(b"INVITE sip:1001@x SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\n\r\n")
        await pbx.refuses_to_hear()
        assert stranger.inbox.empty()
        assert room.trunks.counts["stranger"] == 2
    assert room.posted.empty()


async def test_what_a_peer_requires_of_extensions_gets_420(pbx: WirePbx, room: Room) -> None:
    pbx.send(pbx.message("INVITE", body=OFFER, headers={"Require": "100rel, precondition, resource-priority"}))
    assert (await pbx.response(420)).headers.all("Unsupported") == ("precondition", "resource-priority")


async def test_a_bridge_that_is_full_refuses_with_503_and_retry_after_and_lets_running_calls_be(
    pbx: WirePbx, room: Room
) -> None:
    await invited(pbx, room)
    await pbx.response(100)
    room.obstacle = "no CPU left"
    pbx.send(pbx.message("INVITE", branch="second", body=OFFER, call="another"))
    refused = await pbx.response(503)
    assert refused.headers.get("Retry-After") == "5"
    assert room.posted.empty(), "the PBX tries another way: nothing for the CRM"
    room.obstacle = ""
    pbx.send(pbx.message("INVITE", branch="third", body=OFFER, call="third"))
    assert isinstance(await room.event(), PbxInvited)


async def test_an_offer_that_can_not_be_answered_is_refused_at_once_with_488_and_why(pbx: WirePbx, room: Room) -> None:
    room.objection = 305, 'none of the PBX\'s codecs is one of "ours"'
    pbx.send(pbx.message("INVITE", body=OFFER))
    refused = await pbx.response(488)
    assert refused.headers.get("Warning") == '305 bridge "none of the PBX\'s codecs is one of \\"ours\\""'
    assert room.posted.empty(), "nothing rings"
    pbx.send(pbx.message("ACK", to_tag=refused.to_tag))
    room.objection = None
    pbx.send(pbx.message("INVITE", body=OFFER, call="another"))
    assert isinstance(await room.event(), PbxInvited)


@pytest.mark.parametrize("kind", ["text/plain", "application/pidf+xml", "multipart/mixed;boundary=x"])
async def test_section_3_a_body_that_is_no_description_earns_415_and_rings_nobody(
    pbx: WirePbx, room: Room, kind: str
) -> None:
    asked = pbx.message("INVITE", headers={"Content-Type": kind})
    pbx.send(Request("INVITE", asked.uri, asked.headers, b"hello"))
    assert "application/sdp" in (await pbx.response(415)).headers.all("Accept")
    assert room.posted.empty()


async def test_above_the_cap_of_calls_the_pbx_gets_503_and_retry_after(
    pbx: WirePbx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trunk, "MOST_CALLS", 2)
    async with a_room(pbx) as room:
        for number in range(3):
            pbx.send(pbx.message("INVITE", call=f"c{number}", body=OFFER))
        assert (await pbx.response(503)).headers.get("Retry-After")
        assert room.posted.qsize() == 2


@pytest.mark.parametrize(
    "garbage",
    [b"", b"\r\n\r\n", b"\0" * 4, b"\xff" * 2000, b"INVITE sip:1001@x SIP/2.0\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n",
     b"INVITE sip:1001@x SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\nCSeq: x INVITE\r\n\r\n", b"x" * 65000],
)  # fmt: skip
async def test_garbage_ends_nothing(pbx: WirePbx, room: Room, garbage: bytes) -> None:
    pbx.send(garbage)
    assert (await invited(pbx, room)).account == "1001"


async def test_a_fault_of_ours_drops_one_message_only(
    pbx: WirePbx, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(agent, "judge_request", broken)
        pbx.send(pbx.message("OPTIONS", call="unlucky"))
        async with asyncio.timeout(PATIENCE):
            while not room.trunks.counts["fault"]:
                await asyncio.sleep(0)
    assert (await invited(pbx, room)).account == "1001"


# ---- registrations


async def test_accounts_are_registered_with_digest_and_unregistered_at_the_end(pbx: WirePbx) -> None:
    async with a_room(pbx, register=True) as room:
        first = await pbx.request("REGISTER")
        pbx.send(respond(first, 401, headers=[CHALLENGE]))
        second = await pbx.request("REGISTER")
        assert 'username="1001"' in (second.headers.get("Authorization") or "")
        contact = second.headers.get("Contact") or ""
        assert contact.startswith(f"<sip:1001@{pbx.room[0]}:{pbx.room[1]}>")
        pbx.send(respond(second, 200, headers=[("Contact", contact)]))
        await pbx.refuses_to_hear()
        (status,) = room.trunks.registrations
        assert (status.trunk, status.account, status.state) == ("main", "1001", "registered")
    assert (await pbx.request("REGISTER")).headers.get("Expires") == "0"


async def test_a_wrong_password_is_shown_and_the_room_still_takes_calls(pbx: WirePbx) -> None:
    async with a_room(pbx, register=True) as room:
        pbx.send(respond(await pbx.request("REGISTER"), 403))
        await pbx.refuses_to_hear()
        assert [(status.state, status.why) for status in room.trunks.registrations] == [("refused", "403 Forbidden")]
        assert (await invited(pbx, room)).account == "1001"


async def test_a_password_that_is_not_set_stops_the_start(pbx: WirePbx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRUNK_TEST_PASSWORD")
    with pytest.raises(ConfigError, match="TRUNK_TEST_PASSWORD"):
        async with a_room(pbx, register=True):
            pass


async def test_the_nat_is_kept_open_while_registered(pbx: WirePbx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "KEEP_ALIVE_SECONDS", 0.01)
    async with a_room(pbx, register=True), asyncio.timeout(PATIENCE):
        await pbx.kept_alive.wait()


async def test_two_hundred_accounts_register_one_after_the_other(pbx: WirePbx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "PACE_SECONDS", 0.001)
    monkeypatch.setattr(trunk, "UserAgent", UserAgent)  # a socket of a machine that is late overflows: it asks again
    users = tuple(str(user) for user in range(1001, 1201))
    async with a_room(pbx, register=True, accounts=users) as room, asyncio.timeout(PATIENCE):
        seen = set()
        while {status.state for status in room.trunks.registrations} != {"registered"}:
            with suppress(TimeoutError):  # the answer to the last one may just be on its way
                async with asyncio.timeout(0.1):
                    asked = parse((await pbx.inbox.get())[0])
                    assert isinstance(asked, Request)
                    seen.add(asked.headers.get("To"))
                    pbx.send(accepted(asked))
        assert seen == {f"<sip:{user}@127.0.0.1>" for user in users}


async def test_accounts_come_and_go_while_the_room_runs(pbx: WirePbx) -> None:
    async with a_room(pbx, register=True, accounts=("1001", "1002")) as room:
        for _ in range(2):
            pbx.send(accepted(await pbx.request("REGISTER")))
        await pbx.refuses_to_hear()
        room.trunks.assign([account("1002"), account("1003")])
        left, came = await pbx.request("REGISTER"), await pbx.request("REGISTER")
        assert (left.headers.get("To"), left.headers.get("Expires")) == ("<sip:1001@127.0.0.1>", "0")
        assert (came.headers.get("To"), came.headers.get("Expires")) == ("<sip:1003@127.0.0.1>", "300")
        pbx.send(accepted(left))
        pbx.send(accepted(came))
        await pbx.refuses_to_hear()
        assert {status.account: status.state for status in room.trunks.registrations} == {
            "1002": "registered",
            "1003": "registered",
        }
        pbx.send(pbx.message("INVITE", user="1001", body=OFFER, call="gone"))
        await pbx.response(404)
        pbx.send(pbx.message("INVITE", user="1003", body=OFFER, call="new"))
        event = await room.event()
        assert isinstance(event, PbxInvited)
        assert event.account == "1003"


async def test_another_password_is_proved_at_once(pbx: WirePbx, monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_room(pbx, register=True) as room:
        pbx.send(respond(await pbx.request("REGISTER"), 403))
        await pbx.refuses_to_hear()
        monkeypatch.setenv("OTHER_PASSWORD", "another one")
        room.trunks.assign([account("1001", "OTHER_PASSWORD")])
        pbx.send(respond(await pbx.request("REGISTER"), 401, headers=[CHALLENGE]))
        signed = await pbx.request("REGISTER")
        assert 'username="1001"' in (signed.headers.get("Authorization") or "")
        pbx.send(accepted(signed))
        await pbx.refuses_to_hear()
        assert [status.state for status in room.trunks.registrations] == ["registered"]
        room.trunks.assign([account("1001", "OTHER_PASSWORD")])
        await pbx.refuses_to_hear()


async def test_a_call_outlives_its_account(pbx: WirePbx, room: Room) -> None:
    call, tag = await talking(pbx, room)
    room.trunks.assign([])
    pbx.send(pbx.message("BYE", to_tag=tag, cseq=2))
    await pbx.response(200)
    assert await room.event() == PbxHungUp(call=call, why="BYE")


# ---- start and end


async def test_the_end_of_the_room_ends_its_calls(pbx: WirePbx) -> None:
    async with a_room(pbx) as room:
        await talking(pbx, room)
        pbx.send(pbx.message("INVITE", call="ringing", body=OFFER))
        await room.event()
    assert (await pbx.request("BYE")).call_id == "wire"
    assert (await pbx.response(480)).call_id == "ringing"


async def test_the_port_is_free_at_once_for_the_next_start(pbx: WirePbx) -> None:
    async with a_room(pbx) as room:
        assert room.trunks.address
        port = room.trunks.address[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second:
            second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                second.bind(("127.0.0.1", port))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second:
        second.bind(("127.0.0.1", port))


async def test_listening_everywhere_we_name_the_address_that_leads_to_the_pbx(pbx: WirePbx) -> None:
    room = Room(pbx.address, register=True, host="0.0.0.0")
    async with room.trunks.running():
        assert "@127.0.0.1:" in ((await pbx.request("REGISTER")).headers.get("Contact") or "")


async def test_names_are_resolved_without_holding_up_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    async with wire_pbx() as pbx:
        port = pbx.address[1]
        room = Room(("localhost", port), register=True)
        async with room.trunks.running():
            assert (await pbx.request("REGISTER")).uri == f"sip:localhost:{port}"


@pytest.mark.parametrize("fault", ["<sip:1001@pbx.example", "", "sip:1001@pbx.example:99999"])
async def test_a_broken_to_gets_400(pbx: WirePbx, room: Room, fault: str) -> None:
    asked = pbx.message("INVITE", body=OFFER)
    pbx.send(Request("INVITE", asked.uri, asked.headers.set("To", fault), OFFER))
    assert (await pbx.response(400)).cseq == (1, "INVITE")


async def test_what_no_response_can_copy_is_dropped_and_counted(pbx: WirePbx, room: Room) -> None:
    asked = pbx.message("INVITE", body=OFFER)
    pbx.send(Request("INVITE", asked.uri, asked.headers.without("To"), OFFER))
    await pbx.refuses_to_hear()
    assert room.trunks.counts["faulty request"] == 1
