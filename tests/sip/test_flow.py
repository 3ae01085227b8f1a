"""Where a request of a dialog and where a response goes (RFC 3261 18.2.2, RFC 3581, RFC 5118, RFC 7118)."""

from __future__ import annotations

import pytest

from bridge.sip.address import Uri, Via
from bridge.sip.flow import Flow, Protocol, next_hop, numeric_host, return_flow
from bridge.sip.matching import stamp
from bridge.sip.message import Request

from .parties import identity, request

UDP = Flow("192.0.2.1", 5060)
TCP = Flow("192.0.2.1", 5060, Protocol.TCP, "office", 3)
TLS = Flow("192.0.2.1", 5061, Protocol.TLS, "office", 4)
WSS = Flow("192.0.2.1", 443, Protocol.WSS, "office", 5)


@pytest.mark.parametrize(
    ("uri", "peer", "hop"),
    [
        ("sip:a@192.0.2.9", UDP, Flow("192.0.2.9", 5060)),
        ("sip:a@192.0.2.9:5070;transport=tcp", UDP, Flow("192.0.2.9", 5070, Protocol.TCP)),
        ("sip:a@[2001:DB8::0:9]:5070", UDP, Flow("2001:db8::9", 5070)),
        ("sip:a@192.0.2.1:5060;transport=tcp", TCP, TCP),
        ("sip:a@192.0.2.1", TCP, TCP),
        ("sip:a@192.0.2.9;transport=tcp", TCP, Flow("192.0.2.9", 5060, Protocol.TCP, "office")),
        ("sip:a@192.0.2.9", TCP, Flow("192.0.2.9", 5060, Protocol.UDP, "office")),
        ("sip:a@192.0.2.9;transport=tls", TLS, Flow("192.0.2.9", 5061, Protocol.TLS, "office")),
        ("sips:a@192.0.2.9", UDP, Flow("192.0.2.9", 5061, Protocol.TLS)),
    ],
)
def test_a_numeric_next_hop_is_where_the_request_goes(uri: str, peer: Flow, hop: Flow) -> None:
    assert next_hop(Uri.parse(uri), peer) == hop


@pytest.mark.parametrize("peer", [UDP, TCP, TLS, WSS])
@pytest.mark.parametrize("uri", ["sip:a@pbx.example", "sip:a@df7jal23ls0d.invalid;transport=ws"])
def test_a_name_is_never_looked_up(uri: str, peer: Flow) -> None:
    assert next_hop(Uri.parse(uri), peer) == peer


@pytest.mark.parametrize("uri", ["sip:a@192.0.2.9", "sip:a@192.0.2.9;transport=tcp", "sip:a@192.0.2.9;transport=ws"])
def test_a_secure_dialog_is_never_continued_in_the_clear(uri: str) -> None:
    assert next_hop(Uri.parse(uri), TLS) == TLS


def test_behind_a_websocket_everything_is_reached_through_it() -> None:
    assert next_hop(Uri.parse("sip:a@10.0.0.7:5060;transport=udp"), WSS) == WSS


def test_a_response_on_a_stream_goes_back_by_its_connection_and_else_to_the_port_of_via() -> None:
    source = Flow("192.0.2.1", 40000, Protocol.TCP, connection=3)
    assert return_flow(Via.parse("SIP/2.0/TCP 192.0.2.1:5070;branch=z9hG4bK1"), source) == Flow(
        "192.0.2.1", 5070, Protocol.TCP, connection=3
    )
    assert return_flow(Via.parse("SIP/2.0/TLS x.invalid"), Flow("192.0.2.1", 40000, Protocol.TLS)).port == 5061


@pytest.mark.parametrize("written", ["[2001:db8::9]", "2001:db8::9"])
def test_rfc5118_4_5_received_with_and_without_brackets(written: str) -> None:
    via = Via.parse(f"SIP/2.0/UDP [2001:db8::9:1];received={written};branch=z9hG4bK1")
    assert return_flow(via, Flow("2001:db8::9", 5060)) == Flow("2001:db8::9", 5060)


def test_an_ipv6_via_that_tells_the_truth_is_left_alone() -> None:
    asked = request()
    asked = Request("BYE", asked.uri, asked.headers.set("Via", "SIP/2.0/UDP [2001:db8::9];branch=z9hG4bK1"))
    assert stamp(asked, Flow("2001:db8::9", 5060)) is asked


def test_via_and_contact_name_the_transport_and_bracket_ipv6() -> None:
    me = identity(Flow("2001:db8::2", 5061))
    assert str(me.via(TLS)).startswith("SIP/2.0/TLS [2001:db8::2]:5061;branch=z9hG4bK")
    assert str(me.contact("1001", TLS)) == "<sip:1001@[2001:db8::2]:5061;transport=tls>"
    assert str(me.contact("1001", WSS)) == "<sip:1001@[2001:db8::2]:5061;transport=ws>"
    assert str(me.contact("1001", UDP)) == "<sip:1001@[2001:db8::2]:5061>"


@pytest.mark.parametrize(("host", "number"), [("[::1]", "::1"), ("192.0.2.1", "192.0.2.1"), ("pbx", ""), ("1.2.3", "")])
def test_a_numeric_host(host: str, number: str) -> None:
    assert numeric_host(host) == number
