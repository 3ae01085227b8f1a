"""The PBX tells us to transfer: RFC 3515, section 15 of the rules."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from bridge.calls.commands import FollowPbxReferral, HangUpPbx, RefusePbxReferral, ReofferPbx
from bridge.calls.events import CallId, PbxConfirmed, PbxHungUp, PbxPartyChanged, PbxReferred, PbxRefusedReoffer
from bridge.sip.message import Request

from .desks import Called, statuses
from .test_trunk_outbound import says
from .wire import OFFER, Room, WirePbx, talking

ANSWER = OFFER.replace(b"4000", b"5000")
TO = {"Refer-To": "<sip:300@pbx.example>"}


async def referred(pbx: WirePbx, room: Room, **headers: str) -> tuple[CallId, str]:
    call, tag = await talking(pbx, room)
    pbx.send(pbx.message("REFER", to_tag=tag, cseq=5, headers={**TO, "Referred-By": "<sip:ann@pbx>", **headers}))
    assert await room.event() == PbxReferred(call=call, number="300")
    return call, tag


async def fragment(pbx: WirePbx) -> tuple[str, str]:
    """The next NOTIFY: what it reports, and the state of the subscription."""
    notify = await pbx.request("NOTIFY")
    says(pbx, notify, 200)
    assert notify.headers.get("Event") == "refer"
    return notify.body.decode().strip(), (notify.headers.get("Subscription-State") or "").partition(";")[0]


@pytest.mark.parametrize("lines", [0, 2])
def test_section_15_refer_without_exactly_one_refer_to_earns_400(lines: int) -> None:
    desk = Called().confirmed()
    asked = desk.within("REFER", 2, b"", *[("Refer-To", "<sip:300@pbx>")] * lines)
    assert statuses(desk.gets(asked)) == [(400, "REFER")]


@pytest.mark.parametrize(
    "replaces",
    [
        "Replaces=x",
        "Replaces=a%3Bto-tag%3Db",
        "Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc&Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc",
        "Replaces=a%0D%0AX-Evil%3A%201%3Bto-tag%3Db%3Bfrom-tag%3Dc",
        "Replaces=a%3Bto-tag%3Db%2Cd%3Bfrom-tag%3Dc",
        "Replaces=%FF%3Bto-tag%3Db%3Bfrom-tag%3Dc",
    ],
)
def test_section_15_refer_to_with_a_replaces_that_names_no_dialog_earns_400(replaces: str) -> None:
    desk = Called().confirmed()
    asked = desk.within("REFER", 2, b"", ("Refer-To", f"<sip:300@pbx?{replaces}>"))
    assert statuses(desk.gets(asked)) == [(400, "REFER")]
    again = desk.within("REFER", 3, b"", ("Refer-To", "<sip:300@pbx>"))
    assert desk.gets(again) == [], "the next one is considered"


@pytest.mark.parametrize("written", ["<{}>", "{}", '"Ann?" <{}>'], ids=["in brackets", "bare", "named"])
@pytest.mark.parametrize("escaped", [True, False])
async def test_section_15_whom_the_new_party_replaces_is_passed_on_and_no_other_header_of_the_refer_to(
    pbx: WirePbx, room: Room, escaped: bool, written: str
) -> None:
    wish = "12@10.0.0.1;to-tag=a.b;from-tag=c~d;early-only"
    wish = quote(wish, safe="") if escaped else wish
    target = f"sip:300@pbx.example?Subject=x&replaces={wish}&Require=evil&Body=x"
    call, _ = await referred(pbx, room, **{"Refer-To": written.format(target)})
    await room.do(FollowPbxReferral(call=call, sdp=OFFER))
    invite = await pbx.request("INVITE")
    assert invite.headers.all("Replaces") == ("12@10.0.0.1;to-tag=a.b;from-tag=c~d;early-only",)
    assert invite.headers.all("Require") == ("replaces",), "or a PBX without it would call somebody anew"
    assert (invite.headers.get("Subject"), invite.body) == (None, OFFER)


def test_section_15_only_in_a_dialog_that_stands() -> None:
    desk = Called()
    assert statuses(desk.gets(desk.within("REFER", 2, b"", ("Refer-To", "<sip:300@pbx>")))) == [(603, "REFER")]


def test_a_referral_that_nobody_decides_is_refused_before_its_sender_gives_up() -> None:
    desk = Called().confirmed()
    assert desk.gets(desk.within("REFER", 2, b"", ("Refer-To", "<sip:300@pbx>"))) == []
    assert statuses([message for _, message in desk.waits(11)]) == [(603, "REFER")]


@pytest.mark.parametrize(
    "target",
    [
        "<sip:evil@pbx>",
        "<sip:evil@pbx?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>",
        "<sip:300;x=y@pbx>",
        "<sip:pbx>",
        "<mailto:x@y>",
    ],
)
async def test_section_15_toll_fraud_other_destinations_than_numbers_earn_603(
    pbx: WirePbx, room: Room, target: str
) -> None:
    _, tag = await talking(pbx, room)
    pbx.send(pbx.message("REFER", to_tag=tag, cseq=5, headers={"Refer-To": target}))
    assert (await pbx.response(603)).cseq[1] == "REFER"
    assert room.posted.empty()


async def test_a_referral_against_the_policy_earns_603(pbx: WirePbx, room: Room) -> None:
    call, _ = await referred(pbx, room)
    await room.do(RefusePbxReferral(call=call, status=603))
    assert (await pbx.response(603)).cseq[1] == "REFER"


async def test_section_15_the_new_party_is_called_its_progress_notified_and_the_old_session_ended(
    pbx: WirePbx, room: Room
) -> None:
    call, _ = await referred(pbx, room)
    await room.do(FollowPbxReferral(call=call, sdp=OFFER))
    assert (await pbx.response(202)).cseq[1] == "REFER"
    assert await fragment(pbx) == ("SIP/2.0 100 Trying", "active")
    invite = await pbx.request("INVITE")
    host, port = pbx.address
    assert (invite.uri, invite.body) == (f"sip:300@{host}:{port}", OFFER)
    assert invite.headers.get("Referred-By") == "<sip:ann@pbx>"
    says(pbx, invite, 180)
    assert await fragment(pbx) == ("SIP/2.0 180 Ringing", "active")
    says(pbx, invite, 200, ANSWER)
    await pbx.request("ACK")
    assert await fragment(pbx) == ("SIP/2.0 200 OK", "terminated")
    assert (await pbx.request("BYE")).call_id == "wire"
    assert [await room.event(), await room.event()] == [
        PbxConfirmed(call=call, answer=ANSWER),
        PbxPartyChanged(call=call, number="300", name=""),
    ]
    await room.do(HangUpPbx(call=call))
    assert (await pbx.request("BYE")).call_id == invite.call_id


async def test_section_15_failure_is_notified_and_the_call_goes_on(pbx: WirePbx, room: Room) -> None:
    call, tag = await referred(pbx, room)
    await room.do(FollowPbxReferral(call=call, sdp=OFFER))
    assert await fragment(pbx) == ("SIP/2.0 100 Trying", "active")
    says(pbx, await pbx.request("INVITE"), 486)
    assert await fragment(pbx) == ("SIP/2.0 486 Busy Here", "terminated")
    pbx.send(pbx.message("BYE", to_tag=tag, cseq=9))
    assert await room.event() == PbxHungUp(call=call, why="BYE")


async def test_without_a_subscription_nothing_is_notified(pbx: WirePbx, room: Room) -> None:
    call, _ = await referred(pbx, room, **{"Refer-Sub": "false"})
    await room.do(FollowPbxReferral(call=call, sdp=OFFER))
    accepted, invite = await pbx.response(202), await pbx.request("INVITE")
    assert accepted.headers.get("Refer-Sub") == "false"
    says(pbx, invite, 200, ANSWER)
    seen = [await pbx.request("ACK"), await pbx.request("BYE")]
    assert [request.method for request in seen] == ["ACK", "BYE"]


@pytest.mark.parametrize("answered", [True, False])
async def test_a_pbx_that_leaves_at_once_does_not_take_the_call_with_it(
    pbx: WirePbx, room: Room, answered: bool
) -> None:
    call, tag = await referred(pbx, room)
    await room.do(FollowPbxReferral(call=call, sdp=OFFER))
    invite = await pbx.request("INVITE")
    pbx.send(pbx.message("BYE", to_tag=tag, cseq=9))
    await pbx.response(200)
    assert room.posted.empty()
    says(pbx, invite, 200 if answered else 486, ANSWER if answered else b"")
    event = await room.event()
    assert event == (PbxConfirmed(call=call, answer=ANSWER) if answered else PbxHungUp(call=call, why="BYE"))


@pytest.mark.parametrize("leaves", [True, False])
async def test_what_was_offered_to_the_party_before_is_told_to_have_come_to_nothing(
    pbx: WirePbx, room: Room, leaves: bool
) -> None:
    """Whatever waits for its word in the call would wait for ever."""
    call, tag = await referred(pbx, room)
    await room.do(ReofferPbx(call=call, sdp=ANSWER, tentative=True))
    assert (await pbx.request("INVITE")).to_tag
    await room.do(FollowPbxReferral(call=call, sdp=OFFER))
    invite = await pbx.request("INVITE")
    if leaves:
        pbx.send(pbx.message("BYE", to_tag=tag, cseq=9))
        await pbx.response(200)
    says(pbx, invite, 200, ANSWER)
    assert [await room.event() for _ in range(3)] == [
        PbxConfirmed(call=call, answer=ANSWER),
        PbxPartyChanged(call=call, number="300", name=""),
        PbxRefusedReoffer(call=call, status=487),
    ]


async def test_an_operator_who_hangs_up_meanwhile_gives_up_the_new_party_too(pbx: WirePbx, room: Room) -> None:
    call, _ = await referred(pbx, room)
    await room.do(FollowPbxReferral(call=call, sdp=OFFER))
    invite = await pbx.request("INVITE")
    says(pbx, invite, 180)
    while await fragment(pbx) != ("SIP/2.0 180 Ringing", "active"):
        pass
    await room.do(HangUpPbx(call=call))
    methods: set[str] = set()
    while methods != {"CANCEL", "BYE"}:
        message = await pbx.receive()
        if isinstance(message, Request) and message.method in {"CANCEL", "BYE"}:
            methods.add(message.method)
