"""Addresses that want encryption on every hop: RFC 5630, section 4 of the rules."""

from __future__ import annotations

import pytest

from bridge import config
from bridge.sip.address import NameAddr
from bridge.sip.caller import Outbound
from bridge.sip.flow import Flow, Protocol
from bridge.sip.message import Request
from bridge.sip.peer import Peer
from bridge.sip.sundry import METHODS
from bridge.sip.verdict import judge_request

from .desks import Desk, one
from .parties import OFFER, Party, request

TLS = Flow("192.0.2.1", 5061, Protocol.TLS)
US = Flow("192.0.2.2", 5061, Protocol.TLS)


def contact_of(answers: list[object]) -> NameAddr:
    (found,) = [m for m in answers if hasattr(m, "headers") and m.headers.get("Contact")]
    return NameAddr.parse(found.headers.get("Contact") or "")


@pytest.mark.parametrize(
    ("uri", "headers", "scheme"),
    [
        ("sips:bob@192.0.2.2", (("Contact", "<sip:alice@192.0.2.1>"),), "sips"),
        ("sip:bob@192.0.2.2", (("Contact", "<sips:alice@192.0.2.1>"),), "sips"),
        (
            "sip:bob@192.0.2.2",
            (("Contact", "<sip:alice@192.0.2.1>"), ("Record-Route", "<sips:p@192.0.2.9;lr>")),
            "sips",
        ),
        ("sip:bob@192.0.2.2", (("Contact", "<sips:alice@192.0.2.1>"), ("Record-Route", "<sip:192.0.2.9;lr>")), "sip"),
        ("sip:bob@192.0.2.2", (("Contact", "<sip:alice@192.0.2.1>"),), "sip"),
    ],
)
def test_rfc_3261_12_1_1_our_contact_is_as_secure_as_the_way_that_the_call_came(
    uri: str, headers: tuple[tuple[str, str], ...], scheme: str
) -> None:
    desk = Desk(Party(US), TLS)
    desk.gets(request(uri=uri, headers=headers, body=OFFER))
    (usage,) = desk.agent.usages
    ours = contact_of(list(desk.does(usage, usage.ring(desk.now)))).uri  # type: ignore[attr-defined]
    assert (ours.scheme, ours.param("transport")) == (scheme, None if scheme == "sips" else "tls")


def test_a_call_to_a_sips_address_names_a_sips_contact() -> None:
    party = Party(US)
    calling: Outbound = party.calling(TLS, scheme="sips")
    desk = Desk(party, TLS)
    party.agent.call(calling, 0.0)
    invite = one(desk.sent(), "INVITE")
    assert invite.uri.startswith("sips:bob@")
    assert NameAddr.parse(invite.headers.get("Contact") or "").uri.scheme == "sips"


def judged(uri: str, *, is_secure: bool) -> int:
    asked: Request = request("OPTIONS", uri=uri)
    return judge_request(asked, ours=lambda uri: True, methods=METHODS, is_secure=is_secure).status


def test_a_sips_request_over_a_way_that_anybody_can_read_is_refused_and_never_taken_for_sip() -> None:
    assert judged("sips:bob@192.0.2.2", is_secure=False) == 480
    assert judged("sips:bob@192.0.2.2", is_secure=True) == 0
    assert judged("sip:bob@192.0.2.2", is_secure=False) == 0


def test_a_trunk_of_sips_addresses_says_so_everywhere() -> None:
    settings = {"name": "main", "server": "pbx.example", "transport": "tls", "sips": True, "route": True}
    peer = Peer(config.Trunk.model_validate(settings), {})
    assert (str(peer.uri("300")), str(peer.identity("1001"))) == ("sips:300@pbx.example", "sips:1001@pbx.example")
    assert peer.routes == ("<sips:pbx.example;lr>",)


@pytest.mark.parametrize("transport", ["udp", "tcp", "auto", "ws"])
def test_sips_without_tls_is_no_setting(transport: str) -> None:
    with pytest.raises(ValueError, match="sips wants"):
        config.Trunk.model_validate({"name": "main", "server": "pbx", "transport": transport, "sips": True})
