"""Calls that the room places: what the PBX sees of them, and what is posted."""

from __future__ import annotations

import asyncio

import pytest

from bridge.calls.commands import CancelPbx, DialPbx, HangUpPbx, ReofferPbx
from bridge.calls.events import (
    CallId,
    PbxAnswered,
    PbxHungUp,
    PbxProgressed,
    PbxRang,
    PbxReanswered,
    PbxRefused,
    PbxRefusedReoffer,
    PbxReoffered,
)
from bridge.errors import OursError, TheirsError
from bridge.sip import caller, trunk
from bridge.sip.flow import Flow
from bridge.sip.message import Request, Response, respond
from bridge.sip.resolve import Resolver, Server

from ..rig.waiting import PATIENCE
from .wire import CHALLENGE, OFFER, Room, WirePbx, a_room, invited, talking, wire_pbx

ANSWER = OFFER.replace(b"4000", b"5000")
HOLD = OFFER + b"a=sendonly\r\n"
CALL = CallId("out")


def dial(number: str = "600", *, trunk: str = "main", account: str = "1001") -> DialPbx:
    return DialPbx(call=CALL, trunk=trunk, account=account, number=number, sdp=OFFER)


def says(pbx: WirePbx, asked: Request, status: int, sdp: bytes = b"", **headers: str) -> Response:
    """The PBX's response, sent."""
    host, port = pbx.address
    fields = [
        ("Contact", f"<sip:pbx@{host}:{port}>"),
        *headers.items(),
        *([("Content-Type", "application/sdp")] if sdp else []),
    ]
    response = respond(asked, status, to_tag="pbx", headers=fields, body=sdp)
    pbx.send(response)
    return response


async def dialled(pbx: WirePbx, room: Room) -> Request:
    await room.do(dial())
    return await pbx.request("INVITE")


async def answered(pbx: WirePbx, room: Room) -> Request:
    """The INVITE of a call that stands."""
    invite = await dialled(pbx, room)
    says(pbx, invite, 200, ANSWER)
    await pbx.request("ACK")
    assert await room.event() == PbxAnswered(call=CALL, sdp=ANSWER)
    return invite


def within(pbx: WirePbx, invite: Request, method: str, body: bytes = b"") -> Request:
    """A request of the PBX's in the call that we placed."""
    asked = pbx.message(method, call=invite.call_id, cseq=7, body=body)
    tagged = asked.headers.set("To", invite.headers.get("From") or "").set("From", "<sip:600@pbx.example>;tag=pbx")
    return Request(method, asked.uri, tagged, body)


async def is_forgotten(room: Room) -> None:
    """Nothing of the call is left but transactions that run out."""
    async with asyncio.timeout(PATIENCE):
        while room.trunks._legs or room.trunks._of:
            await asyncio.sleep(0)


# ---- the INVITE


async def test_the_invite_names_the_number_at_the_pbx_and_the_account_as_caller(pbx: WirePbx, room: Room) -> None:
    invite = await dialled(pbx, room)
    host, port = pbx.address
    assert invite.uri == f"sip:600@{host}:{port}"
    assert invite.headers.get("To") == f"<sip:600@{host}:{port}>"
    assert (invite.headers.get("From") or "").startswith(f"<sip:1001@{host}>;tag=")
    assert invite.headers.get("Contact") == f"<sip:1001@{pbx.room[0]}:{pbx.room[1]}>"
    assert "INVITE" in invite.headers.all("Allow")
    assert (invite.body, invite.headers.get("Content-Type")) == (OFFER, "application/sdp")


@pytest.mark.parametrize(
    ("number", "user"), [("+74951234567", "+74951234567"), ("*21#", "*21%23"), ("112", "112"), ("#31#5", "%2331%235")]
)
async def test_numbers_and_feature_codes_are_escaped(pbx: WirePbx, room: Room, number: str, user: str) -> None:
    await room.do(dial(number))
    assert (await pbx.request("INVITE")).uri.startswith(f"sip:{user}@")


@pytest.mark.parametrize(
    "number",
    ["", "+", "12a", "600@evil.example", "600;phone-context=x", "600%40evil", "6 00", "600\r\nX: y", "٣", "1" * 41,
     "sip:600", "5+5", "600?Replaces=x"],
)  # fmt: skip
async def test_toll_fraud_whatever_is_no_number_is_not_dialled(pbx: WirePbx, room: Room, number: str) -> None:
    with pytest.raises(TheirsError):
        await room.do(dial(number))
    await pbx.refuses_to_hear()


@pytest.mark.parametrize(("name", "account"), [("other", "1001"), ("main", "2002")])
async def test_an_account_that_is_not_configured_is_our_fault(room: Room, name: str, account: str) -> None:
    with pytest.raises(OursError):
        await room.do(dial(trunk=name, account=account))


async def test_a_call_is_dialled_once(pbx: WirePbx, room: Room) -> None:
    await dialled(pbx, room)
    await room.do(dial())
    await pbx.refuses_to_hear()


async def test_a_challenge_is_met_with_the_accounts_password(pbx: WirePbx, room: Room) -> None:
    first = await dialled(pbx, room)
    pbx.send(respond(first, 401, to_tag="pbx", headers=[CHALLENGE]))
    second = await pbx.request("INVITE")
    assert second.cseq == (first.cseq[0] + 1, "INVITE")
    assert 'username="1001"' in (second.headers.get("Authorization") or "")
    says(pbx, second, 200, ANSWER)
    assert await room.event() == PbxAnswered(call=CALL, sdp=ANSWER)


# ---- what becomes of it


async def test_ringing_early_media_and_answer_are_posted_in_order(pbx: WirePbx, room: Room) -> None:
    invite = await dialled(pbx, room)
    says(pbx, invite, 100)
    says(pbx, invite, 180)
    says(pbx, invite, 180)
    says(pbx, invite, 183, ANSWER)
    assert await room.event() == PbxRang(call=CALL)
    assert await room.event() == PbxProgressed(call=CALL, sdp=ANSWER)
    says(pbx, invite, 200, ANSWER)
    assert (await pbx.request("ACK")).cseq[0] == invite.cseq[0]
    assert await room.event() == PbxAnswered(call=CALL, sdp=ANSWER)
    says(pbx, invite, 200, ANSWER)
    await pbx.request("ACK")
    assert room.posted.empty()


async def test_a_refusal_is_posted_with_phrase_and_cause(pbx: WirePbx, room: Room) -> None:
    invite = await dialled(pbx, room)
    says(pbx, invite, 180)
    await room.event()
    says(pbx, invite, 480, Reason="Q.850;cause=19")
    assert await room.event() == PbxRefused(
        call=CALL, status=480, phrase="Temporarily Unavailable", cause=19, provisional=True
    )
    await is_forgotten(room)


async def test_an_answer_without_description_ends_the_call_with_488(pbx: WirePbx, room: Room) -> None:
    says(pbx, await dialled(pbx, room), 200)
    await pbx.request("ACK")
    says(pbx, await pbx.request("BYE"), 200)
    refused = await room.event()
    assert isinstance(refused, PbxRefused)
    assert refused.status == 488
    await is_forgotten(room)


async def test_either_side_hangs_up(pbx: WirePbx, room: Room) -> None:
    await answered(pbx, room)
    await room.do(HangUpPbx(call=CALL))
    says(pbx, await pbx.request("BYE"), 200)
    await is_forgotten(room)
    invite = await answered(pbx, room)
    pbx.send(within(pbx, invite, "BYE"))
    assert await room.event() == PbxHungUp(call=CALL, why="BYE")
    await is_forgotten(room)


async def test_a_reinvite_of_the_pbx_is_posted(pbx: WirePbx, room: Room) -> None:
    invite = await answered(pbx, room)
    pbx.send(within(pbx, invite, "INVITE", HOLD))
    assert await room.event() == PbxReoffered(call=CALL, offer=HOLD)


# ---- CANCEL


async def test_cancel_is_sent_after_the_first_provisional_response(pbx: WirePbx, room: Room) -> None:
    invite = await dialled(pbx, room)
    await room.do(CancelPbx(call=CALL))
    await pbx.refuses_to_hear()
    says(pbx, invite, 100)
    cancel = await pbx.request("CANCEL")
    assert cancel.via.branch == invite.via.branch
    says(pbx, cancel, 200)
    says(pbx, invite, 487)
    await pbx.request("ACK")
    await is_forgotten(room)


async def test_cancel_of_a_call_that_was_answered_meanwhile_hangs_it_up(pbx: WirePbx, room: Room) -> None:
    await answered(pbx, room)
    await room.do(CancelPbx(call=CALL))
    says(pbx, await pbx.request("BYE"), 200)
    await is_forgotten(room)


async def test_a_200_that_crosses_the_cancel_gets_ack_and_bye(pbx: WirePbx, room: Room) -> None:
    invite = await dialled(pbx, room)
    says(pbx, invite, 180)
    await room.event()
    await room.do(CancelPbx(call=CALL))
    await pbx.request("CANCEL")
    says(pbx, invite, 200, ANSWER)
    await pbx.request("ACK")
    says(pbx, await pbx.request("BYE"), 200)
    await is_forgotten(room)


# ---- our new offers


async def test_a_reoffer_is_acknowledged_and_its_answer_posted(pbx: WirePbx, room: Room) -> None:
    await answered(pbx, room)
    await room.do(ReofferPbx(call=CALL, sdp=HOLD))
    asked = await pbx.request("INVITE")
    assert (asked.body, asked.to_tag) == (HOLD, "pbx")
    says(pbx, asked, 200, ANSWER)
    await pbx.request("ACK")
    assert await room.event() == PbxReanswered(call=CALL, sdp=ANSWER)


async def test_a_refused_reoffer_is_posted(pbx: WirePbx, room: Room) -> None:
    await answered(pbx, room)
    await room.do(ReofferPbx(call=CALL, sdp=HOLD))
    says(pbx, await pbx.request("INVITE"), 488)
    assert await room.event() == PbxRefusedReoffer(call=CALL, status=488)


async def test_a_reoffer_for_a_session_that_the_pbx_forgot_ends_it(pbx: WirePbx, room: Room) -> None:
    await answered(pbx, room)
    await room.do(ReofferPbx(call=CALL, sdp=HOLD))
    says(pbx, await pbx.request("INVITE"), 481)
    assert await room.event() == PbxHungUp(call=CALL, why="481 to our re-INVITE")


async def test_a_call_of_the_pbx_is_reoffered_with_digest_where_it_asks(pbx: WirePbx, room: Room) -> None:
    call, _ = await talking(pbx, room)
    await room.do(ReofferPbx(call=call, sdp=HOLD))
    first = await pbx.request("INVITE")
    pbx.send(respond(first, 401, headers=[CHALLENGE]))
    second = await pbx.request("INVITE")
    assert "Authorization" in second.headers
    pbx.send(respond(second, 200, headers=[("Content-Type", "application/sdp")], body=ANSWER))
    assert await room.event() == PbxReanswered(call=call, sdp=ANSWER)


async def test_without_any_password_a_trunk_by_address_still_takes_calls(
    pbx: WirePbx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRUNK_TEST_PASSWORD")
    async with a_room(pbx) as room:
        assert (await invited(pbx, room)).account == "1001"


# ---- the network


async def test_a_pbx_whose_name_is_unknown_is_503(pbx: WirePbx, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(self: Resolver, server: Server) -> tuple[Flow, ...]:
        return ()

    monkeypatch.setattr(Resolver, "locate", unknown)
    async with a_room(pbx) as room:
        await room.do(dial())
        refused = await room.event()
        assert isinstance(refused, PbxRefused)
        assert (refused.status, refused.provisional) == (503, False)


async def test_a_network_that_refuses_the_datagram_is_503(
    pbx: WirePbx, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = room.trunks._transport
    assert transport is not None

    (datagrams,) = transport._datagrams

    def unreachable(data: bytes, to: tuple[str, int]) -> None:
        datagrams.error_received(OSError("Network is unreachable"))

    monkeypatch.setattr(datagrams._udp, "sendto", unreachable)
    await room.do(dial())
    refused = await room.event()
    assert isinstance(refused, PbxRefused)
    assert (refused.status, refused.provisional) == (503, False)
    await is_forgotten(room)


async def test_a_silent_address_is_left_for_the_next_and_avoided_by_later_calls(
    pbx: WirePbx, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def locate(self: Resolver, server: Server) -> tuple[Flow, ...]:
        return Flow(*silent.address, link="main"), Flow(*pbx.address, link="main")

    monkeypatch.setattr(caller, "SPARE_SECONDS", 0.02)
    monkeypatch.setattr(Resolver, "locate", locate)
    later = CallId("later")
    async with wire_pbx() as silent, a_room(pbx) as room:
        await room.do(dial())
        assert (await silent.request("INVITE")).call_id == (await pbx.request("INVITE")).call_id
        monkeypatch.setattr(caller, "SPARE_SECONDS", 8)
        await room.do(DialPbx(call=later, trunk="main", account="1001", number="600", sdp=OFFER))
        says(pbx, await pbx.request("INVITE"), 200, ANSWER)
        assert await room.event() == PbxAnswered(call=later, sdp=ANSWER)


async def test_above_the_cap_of_calls_nothing_is_dialled(pbx: WirePbx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trunk, "MOST_CALLS", 1)
    async with a_room(pbx) as room:
        await talking(pbx, room)
        await room.do(dial())
        refused = await room.event()
        assert isinstance(refused, PbxRefused)
        assert refused.status == 503


async def test_the_end_of_the_room_cancels_what_rings(pbx: WirePbx) -> None:
    async with a_room(pbx) as room:
        says(pbx, await dialled(pbx, room), 180)
        await room.event()
    assert (await pbx.request("CANCEL")).method == "CANCEL"
