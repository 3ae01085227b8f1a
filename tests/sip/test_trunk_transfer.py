"""Transfers over the wire: what the PBX is asked, and what is posted."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from bridge.calls.commands import ConnectPbx, TransferPbx
from bridge.calls.events import CallId, PbxTransferFailed, PbxTransferProgressed, PbxTransferred
from bridge.errors import TheirsError
from bridge.sip.message import Headers, Request

from .test_trunk_outbound import CALL, answered, says
from .wire import Room, WirePbx, talking


def notify(pbx: WirePbx, refer: Request, cseq: int, fragment: bytes, state: str = "active") -> None:
    asked = pbx.message("NOTIFY", call=refer.call_id, cseq=cseq)
    pairs = [
        *asked.headers.set("To", refer.headers.get("From") or "").set("From", refer.headers.get("To") or ""),
        ("Event", "refer"),
        ("Subscription-State", state),
        ("Content-Type", "message/sipfrag"),
    ]
    pbx.send(Request("NOTIFY", asked.uri, Headers(pairs), fragment))


async def test_a_blind_transfer_names_the_number_at_the_pbx_and_its_progress_is_posted(
    pbx: WirePbx, room: Room
) -> None:
    call, _ = await talking(pbx, room)
    await room.do(TransferPbx(call=call, number="*300#"))
    refer = await pbx.request("REFER")
    host, port = pbx.address
    assert refer.headers.get("Refer-To") == f"<sip:*300%23@{host}:{port}>"
    says(pbx, refer, 202)
    notify(pbx, refer, 2, b"SIP/2.0 180 Ringing")
    assert [await room.event(), await room.event()] == [
        PbxTransferProgressed(call=call, status=100),
        PbxTransferProgressed(call=call, status=180),
    ]
    notify(pbx, refer, 3, b"SIP/2.0 200 OK", "terminated;reason=noresource")
    assert await room.event() == PbxTransferred(call=call)


async def test_an_attended_transfer_replaces_the_other_call_and_both_are_told(pbx: WirePbx, room: Room) -> None:
    call, _ = await talking(pbx, room)
    invite = await answered(pbx, room)
    await room.do(ConnectPbx(call=call, other=CALL))
    refer = await pbx.request("REFER")
    replaces = f"{invite.call_id};to-tag=pbx;from-tag={invite.from_tag}"
    host, port = pbx.address
    assert refer.headers.get("Refer-To") == f"<sip:pbx@{host}:{port}?Replaces={quote(replaces, safe='')}>"
    says(pbx, refer, 202)
    notify(pbx, refer, 2, b"SIP/2.0 200 OK", "terminated")
    assert [await room.event() for _ in range(3)] == [
        PbxTransferProgressed(call=call, status=100),
        PbxTransferred(call=call),
        PbxTransferred(call=CALL),
    ]


async def test_of_a_failed_attended_transfer_only_the_transferred_call_is_told(pbx: WirePbx, room: Room) -> None:
    call, _ = await talking(pbx, room)
    await answered(pbx, room)
    await room.do(ConnectPbx(call=call, other=CALL))
    says(pbx, await pbx.request("REFER"), 603)
    assert await room.event() == PbxTransferFailed(call=call, status=603, phrase="Decline", refused=True)
    assert room.posted.empty()


async def test_a_consulted_call_that_is_over_is_a_failure(pbx: WirePbx, room: Room) -> None:
    call, _ = await talking(pbx, room)
    await room.do(ConnectPbx(call=call, other=CallId("gone")))
    assert await room.event() == PbxTransferFailed(call=call, status=404, phrase="", refused=False)


@pytest.mark.parametrize("number", ["", "300@evil.example", "300?Replaces=x", "sip:300"])
async def test_toll_fraud_nothing_but_a_number_is_transferred_to(pbx: WirePbx, room: Room, number: str) -> None:
    call, _ = await talking(pbx, room)
    with pytest.raises(TheirsError):
        await room.do(TransferPbx(call=call, number=number))
    await pbx.refuses_to_hear()
