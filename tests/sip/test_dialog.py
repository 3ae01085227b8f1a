"""Dialogs: route sets, targets, CSeq (RFC 3261 section 12)."""

from __future__ import annotations

import pytest

from bridge.sip.address import NameAddr, Uri
from bridge.sip.dialog import Dialog
from bridge.sip.flow import Flow
from bridge.sip.message import SipError

from .parties import ALICE, BOB, identity, reply, request

ME = identity(BOB)
PROXIES = (("Record-Route", "<sip:192.0.2.50;lr;ftag=x>, <sip:192.0.2.51:5070;lr>"),)
CONTACT = (("Contact", "<sip:alice@192.0.2.1:5062>"),)


def callee(*headers: tuple[str, str]) -> Dialog:
    invite = request(headers=headers or CONTACT, cseq=10)
    return Dialog.of_server(invite, tag="bob", contact=ME.contact("bob", ALICE), peer=ALICE)


def caller(*headers: tuple[str, str]) -> Dialog:
    invite = request(cseq=10)
    return Dialog.of_client(
        invite, reply(invite, 200, headers=headers), contact=identity(ALICE).contact("alice", BOB), peer=BOB
    )


def test_callee_takes_the_route_set_in_order_and_the_target_from_contact() -> None:
    asked, to = callee(*CONTACT, *PROXIES).request("BYE", ME)
    assert asked.uri == "sip:alice@192.0.2.1:5062"
    assert asked.headers.all("Route") == ("<sip:192.0.2.50;lr;ftag=x>", "<sip:192.0.2.51:5070;lr>")
    assert to == Flow("192.0.2.50", 5060)
    assert (asked.from_tag, asked.to_tag, asked.call_id) == ("bob", "alice", "call")


def test_caller_reverses_the_route_set() -> None:
    asked, to = caller(*PROXIES).request("BYE", identity(ALICE))
    assert asked.headers.all("Route") == ("<sip:192.0.2.51:5070;lr>", "<sip:192.0.2.50;lr;ftag=x>")
    assert to == Flow("192.0.2.51", 5070)
    assert asked.uri == "sip:bob@192.0.2.2:5060"


def test_a_strict_router_gets_the_request_uri_and_the_target_goes_last() -> None:
    asked, to = callee(*CONTACT, ("Record-Route", "<sip:192.0.2.50>, <sip:192.0.2.51;lr>")).request("BYE", ME)
    assert asked.uri == "sip:192.0.2.50"
    assert asked.headers.all("Route") == ("<sip:192.0.2.51;lr>", "<sip:alice@192.0.2.1:5062>")
    assert to == Flow("192.0.2.50", 5060)


def test_a_next_hop_that_is_a_name_means_where_the_dialog_came_from() -> None:
    _, to = callee(("Contact", "<sip:alice@pbx.example>")).request("BYE", ME)
    assert to == ALICE


def test_our_cseq_counts_up_and_the_ack_repeats_that_of_its_invite() -> None:
    dialog, invite = caller(), request(cseq=10)
    assert [dialog.request("INFO", ME)[0].cseq for _ in range(2)] == [(11, "INFO"), (12, "INFO")]
    signed = type(invite)(invite.method, invite.uri, invite.headers.add("Authorization", "Digest x"))
    ack, _ = dialog.acknowledge(signed, ME)
    assert (ack.cseq, ack.headers.get("Authorization")) == ((10, "ACK"), "Digest x")
    assert ack.via.branch != invite.via.branch


def test_an_incoming_cseq_has_to_grow_gaps_allowed() -> None:
    dialog = callee()
    orders = [(10, False), (9, False), (11, True), (11, False), (40, True), (39, False)]
    assert [dialog.in_order(request("INFO", cseq=number)) for number, _ in orders] == [fine for _, fine in orders]


def test_target_refresh_changes_the_target_only() -> None:
    dialog = callee(*CONTACT, *PROXIES)
    dialog.refresh(request(headers=(("Contact", "<sip:new@192.0.2.77>"), ("Record-Route", "<sip:192.0.2.99;lr>"))))
    asked, to = dialog.request("BYE", ME)
    assert asked.uri == "sip:new@192.0.2.77"
    assert to == Flow("192.0.2.50", 5060)


def test_a_broken_contact_spoils_an_invite_but_no_later_refresh() -> None:
    with pytest.raises(SipError):
        callee(("Contact", "<sip:alice@"))
    with pytest.raises(SipError):
        callee(("X-None", "here"))
    dialog = callee()
    dialog.refresh(request(headers=(("Contact", "<sip:alice@"),)))
    assert str(dialog.target) == "sip:alice@192.0.2.1:5062"


def test_a_response_without_a_usable_way_back_leaves_the_way_of_the_invite() -> None:
    dialog = caller(("Record-Route", "<<>"))
    assert dialog.routes == ()
    assert dialog.remote == NameAddr("", Uri.parse("sip:bob@192.0.2.2")).with_tag("bob")
