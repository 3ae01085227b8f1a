"""An INVITE that takes the place of a session that stands: RFC 3891, section 15 of the rules."""

from __future__ import annotations

from bridge.calls.commands import AnswerPbxReoffer, HangUpPbx, RefusePbxReoffer
from bridge.calls.events import PbxAnswered, PbxConfirmed, PbxHungUp, PbxPartyChanged, PbxProgressed, PbxReoffered

from .desks import Called, Calling, one, statuses
from .parties import ANSWER, OFFER, reply, request
from .test_trunk_outbound import CALL, dialled, says
from .wire import Room, WirePbx, talking

NEW = OFFER.replace(b"4000", b"6000")


def arrives(desk: Called | Calling, *replaces: str, method: str = "INVITE") -> list[tuple[int, str]]:
    headers = (("Contact", "<sip:alice@192.0.2.1:5060>"), *(("Replaces", each) for each in replaces))
    asked = request(method, branch=desk.branch(), call_id="new", from_tag="new", headers=headers, body=OFFER)
    return [answer for answer in statuses(desk.gets(asked)) if answer[0] != 100]


def names(desk: Called, *, remote: str = "alice", more: str = "") -> str:
    return f"call;to-tag={desk.usage.tag};from-tag={remote}{more}"


def test_section_15_two_replaces_or_replaces_outside_invite_earn_400() -> None:
    desk = Called().confirmed()
    assert arrives(desk, names(desk), names(desk)) == [(400, "INVITE")]
    assert arrives(desk, names(desk), method="OPTIONS") == [(400, "OPTIONS")]
    assert arrives(desk, "call;to-tag=x") == [(400, "INVITE")]


def test_section_15_no_match_earns_481() -> None:
    desk = Called().confirmed()
    assert arrives(desk, "call;to-tag=x;from-tag=alice") == [(481, "INVITE")]
    assert arrives(desk, names(desk, remote="somebody")) == [(481, "INVITE")]
    assert arrives(desk, f"call;to-tag=alice;from-tag={desk.usage.tag}") == [(481, "INVITE")], (
        "tags the wrong way round"
    )


def test_section_15_already_ended_earns_603() -> None:
    desk = Called().confirmed()
    desk.does(desk.usage, desk.usage.hang_up(16, 0))
    assert arrives(desk, names(desk)) == [(603, "INVITE")]


def test_section_15_confirmed_and_early_only_earns_486() -> None:
    desk = Called().confirmed()
    assert arrives(desk, names(desk, more=";early-only")) == [(486, "INVITE")]


def test_section_15_an_early_dialog_we_did_not_start_earns_481() -> None:
    desk = Called()
    desk.does(desk.usage, desk.usage.ring(0))
    assert arrives(desk, names(desk)) == [(481, "INVITE")]


def test_somebody_at_another_address_may_not_replace() -> None:
    desk = Calling()
    desk.gets(reply(desk.invite, 200, sdp=ANSWER))
    headers = (
        ("Contact", "<sip:x@192.0.2.9>"),
        ("Replaces", f"{desk.usage.call_id};to-tag={desk.usage.tag};from-tag=bob"),
    )
    asked = request(call_id="new", from_tag="new", headers=headers, body=OFFER)
    desk.agent.receive(asked.encode(), desk.usage.dialog.peer.at("192.0.2.9", 5060), 0)  # type: ignore[union-attr]
    assert statuses(desk.sent()) == [(403, "INVITE")]


async def replacing(pbx: WirePbx, replaces: str, body: bytes = NEW) -> None:
    pbx.send(pbx.message("INVITE", call="heir", branch="heir", body=body, headers={"Replaces": replaces}))


async def test_section_15_match_the_new_one_is_answered_with_the_media_of_the_old_which_gets_bye(
    pbx: WirePbx, room: Room
) -> None:
    call, tag = await talking(pbx, room)
    await replacing(pbx, f"wire;to-tag={tag};from-tag=pbxwire")
    assert await room.event() == PbxReoffered(call=call, offer=NEW)
    await room.do(AnswerPbxReoffer(call=call, sdp=OFFER))
    answered = await pbx.response(200)
    assert (answered.call_id, answered.body) == ("heir", OFFER)
    assert (await pbx.request("BYE")).call_id == "wire"
    assert await room.event() == PbxPartyChanged(call=call, number="+74951234567", name="Ann")
    pbx.send(pbx.message("ACK", call="heir", to_tag=answered.to_tag))
    assert await room.event() == PbxConfirmed(call=call)
    await room.do(HangUpPbx(call=call))
    assert (await pbx.request("BYE")).call_id == "heir"


async def test_an_heir_whose_offer_can_not_be_followed_changes_nothing(pbx: WirePbx, room: Room) -> None:
    call, tag = await talking(pbx, room)
    await replacing(pbx, f"wire;to-tag={tag};from-tag=pbxwire")
    await room.event()
    await room.do(RefusePbxReoffer(call=call, status=488, phrase=""))
    assert (await pbx.response(488)).call_id == "heir"
    pbx.send(pbx.message("BYE", to_tag=tag, cseq=3))
    assert await room.event() == PbxHungUp(call=call, why="BYE")


async def test_an_heir_without_an_offer_gets_ours(pbx: WirePbx, room: Room) -> None:
    call, tag = await talking(pbx, room)
    await replacing(pbx, f"wire;to-tag={tag};from-tag=pbxwire", b"")
    assert await room.event() == PbxReoffered(call=call, offer=b"")
    await room.do(AnswerPbxReoffer(call=call, sdp=OFFER))
    answered = await pbx.response(200)
    assert isinstance(await room.event(), PbxPartyChanged)
    pbx.send(pbx.message("ACK", call="heir", to_tag=answered.to_tag, body=NEW))
    assert await room.event() == PbxConfirmed(call=call, answer=NEW)


async def test_section_15_our_early_dialog_is_cancelled_and_the_call_answered(pbx: WirePbx, room: Room) -> None:
    invite = await dialled(pbx, room)
    says(pbx, invite, 183, OFFER)
    assert await room.event() == PbxProgressed(call=CALL, sdp=OFFER)
    await replacing(pbx, f"{invite.call_id};to-tag={invite.from_tag};from-tag=pbx")
    assert await room.event() == PbxReoffered(call=CALL, offer=NEW)
    await room.do(AnswerPbxReoffer(call=CALL, sdp=OFFER))
    assert (await pbx.response(200)).call_id == "heir"
    assert (await pbx.request("CANCEL")).call_id == invite.call_id
    assert await room.event() == PbxAnswered(call=CALL, sdp=b"")


async def test_when_the_call_is_hung_up_its_heir_is_refused(pbx: WirePbx, room: Room) -> None:
    call, tag = await talking(pbx, room)
    await replacing(pbx, f"wire;to-tag={tag};from-tag=pbxwire")
    await room.event()
    await room.do(HangUpPbx(call=call))
    assert (await pbx.response(480)).call_id == "heir"
    assert (await pbx.request("BYE")).call_id == "wire"


async def test_a_second_heir_is_busy_with_the_first(pbx: WirePbx, room: Room) -> None:
    _, tag = await talking(pbx, room)
    replaces = f"wire;to-tag={tag};from-tag=pbxwire"
    await replacing(pbx, replaces)
    await room.event()
    pbx.send(pbx.message("INVITE", call="second", body=NEW, headers={"Replaces": replaces}))
    assert (await pbx.response(486)).call_id == "second"
    assert room.posted.empty()


def test_require_replaces_is_understood() -> None:
    assert "replaces" in one([Calling().invite], "INVITE").headers.all("Supported")
    assert statuses(Called(("Require", "replaces")).first) == [(100, "INVITE")]
