"""Torture messages modelled on RFC 4475 and RFC 5118, over datagram and over a stream cut at every byte.

Each stands for the feature that its section is about; the text is ours. A verdict is the first status that is answered, or
the reason for which the message was dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from bridge.sip.address import Uri
from bridge.sip.agent import UserAgent
from bridge.sip.flow import Flow, Protocol
from bridge.sip.framer import Framed, Framer, Lost, Whole
from bridge.sip.message import Request, Response, parse
from bridge.sip.owner import Standing
from bridge.sip.transaction import Send

from .parties import ALICE, BOB, identity

STREAM = Flow(ALICE.host, 40_000, Protocol.TCP, "pbx", 1)
SDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
FIELDS = {
    "Via": "SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bKtorture",
    "From": '"Alice" <sip:alice@example.org>;tag=a1',
    "To": "<sip:bob@example.net>",
    "Call-ID": "torture@192.0.2.1",
    "Max-Forwards": "70",
    "Contact": "<sip:alice@192.0.2.1>",
}


def wire(
    start: str, changes: dict[str, str | None] | None = None, *, more: str = "", body: str = "", length: str | None = ""
) -> bytes:
    """A good message with some of its headers changed or (None) left out. `length`: "" the right one, None no such header."""
    method = start.split()[0]
    fields = {**FIELDS, "CSeq": f"1 {'INVITE' if method.startswith('SIP') else method}", **(changes or {})}
    lines = [start, *(f"{name}: {value}" for name, value in fields.items() if value is not None)]
    text = "\r\n".join(lines) + f"\r\n{more}"
    if length is not None:
        text += f"Content-Length: {length or len(body.encode())}\r\n"
    return f"{text}\r\n{body}".encode()


def options(changes: dict[str, str | None] | None = None, *, uri: str = "sip:bob@192.0.2.2", more: str = "") -> bytes:
    return wire(f"OPTIONS {uri} SIP/2.0", changes, more=more)


def invite(
    changes: dict[str, str | None] | None = None, *, uri: str = "sip:bob@192.0.2.2", more: str = "", body: str = SDP,
    kind: str = "application/sdp",
) -> bytes:  # fmt: skip
    return wire(f"INVITE {uri} SIP/2.0", changes, more=f"{more}Content-Type: {kind}\r\n", body=body)


def response(line: str = "SIP/2.0 200 OK", changes: dict[str, str | None] | None = None) -> bytes:
    return wire(line, {"Via": "SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKours", **(changes or {})})


MULTIPART = (
    "--edge\r\nContent-Type: application/sdp\r\n\r\n" + SDP
    + "--edge\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: binary\r\n\r\n\x01\x02\r\n--edge--\r\n"
)  # fmt: skip
OVERLARGE = "36893488147419103232"

TORTURE: dict[str, tuple[bytes, int | str]] = {
    # RFC 4475, valid
    "rfc4475_3_1_1_1_tortuous_but_valid": (
        b"INVITE sip:bob@192.0.2.2;unknown SIP/2.0\r\nTO :\r\n sip:bob@example.net ;  x    = y\r\n"
        b'fRoM   : "A \\\\\\""       <sip:alice@example.org>\r\n  ;\r\n  tag = a1\r\nMAX-forwards: 0068\r\n'
        b"i: tortuous@192.0.2.1\r\ncseq: 0009\r\n  INVITE\r\nVia  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.1;branch=old\r\n"
        b"s :\r\nUnknown:   ;;,,;;,;\r\nRoute:\r\n <sip:services.example.com;lr;some=value;flag>\r\n"
        b"v:  SIP  / 2.0  / TCP     hop.example.com   ;\r\n  branch  =   z9hG4bKx  ,\r\n SIP  /    2.0   / UDP  10.1.1.1 ; branch=\r\n z9hG4bKy\r\n"
        b'm:"Q \\"\\"" <sip:alice@192.0.2.1> ; new =\r\n      value ;\r\n  second ; q = 0.33\r\nContent-Length   : 0\r\n\r\n', 100
    ),
    "rfc4475_3_1_1_2_every_character_that_a_token_may_have": (
        wire("!odd-M3thod_*+`.%'~ sip:bob@192.0.2.2 SIP/2.0", {"To": '"ж\x7f' + "\" <sip:b&ob=+$,;?/:x@example.net>"}), 400
    ),
    "rfc4475_3_1_1_2_an_unknown_method_of_odd_characters": (wire("!odd-M3thod_*+`.%'~ sip:bob@192.0.2.2 SIP/2.0"), 405),
    "rfc4475_3_1_1_3_percent_escapes": (
        invite({"To": "<sip:%75ser@example.com>", "Contact": "<sip:cal%6Cer@192.0.2.1;%6C%72;n%61me=v%61lue%25%34%31>"},
               uri="sip:b%6Fb@192.0.2.2"), 100
    ),
    "rfc4475_3_1_1_4_escaped_nulls": (options({"To": "<sip:nul%00@example.net>", "Contact": "<sip:%00@x>, <sip:%00%00@x>"}), 200),
    "rfc4475_3_1_1_5_a_percent_that_is_no_escape": (wire("OPT%49ONS sip:bob@192.0.2.2 SIP/2.0"), 405),
    "rfc4475_3_1_1_6_no_blank_before_the_bracket": (options({"From": "caller<sip:alice@example.org>;tag=a1"}), 200),
    "rfc4475_3_1_1_7_long_values": (
        invite({"To": f'"{"long " * 200}" <sip:bob{"b" * 300}@example.net>', "Call-ID": "x" * 500}, more=f"X-{'y' * 200}: z\r\n"), 100
    ),
    "rfc4475_3_1_1_9_semicolons_in_the_user_part": (options({"To": "<sip:user;par=u%40example.net@example.com>"}), 200),
    "rfc4475_3_1_1_10_unknown_transports_in_via": (
        options(more="Via: SIP/2.0/UNKNOWN t1.example.com;branch=z9hG4bK1\r\nVia: SIP/2.0/SCTP t2.example.com;branch=z9hG4bK2\r\n"), 200
    ),
    "rfc4475_3_1_1_11_multipart": (invite(body=MULTIPART, kind="multipart/mixed;boundary=edge"), 100),
    "rfc4475_3_1_1_12_an_unusual_reason_phrase": (response("SIP/2.0 200 = 2**3 * 9 ** 2 nichts Übliches"), "stray response"),
    "rfc4475_3_1_1_13_an_empty_reason_phrase": (response("SIP/2.0 100 "), "stray response"),
    # RFC 4475, invalid
    "rfc4475_3_1_2_1_extra_separators": (invite({"Contact": '"Joe" <sip:joe@example.org>;;;;'}), 400),
    "rfc4475_3_1_2_1_extra_separators_in_via": (invite({"Via": "SIP/2.0/UDP 192.0.2.15;;,;,,"}), "unreadable"),
    "rfc4475_3_1_2_3_a_negative_content_length": (wire("OPTIONS sip:bob@192.0.2.2 SIP/2.0", length="-999"), 400),
    "rfc4475_3_1_2_4_overlarge_numbers": (options({"CSeq": f"{OVERLARGE} OPTIONS", "Max-Forwards": "300"}), 400),
    "rfc4475_3_1_2_4_an_overlarge_expires": (options(more=f"Expires: 1{'0' * 60}\r\n"), 200),
    "rfc4475_3_1_2_5_overlarge_numbers_in_a_response": (response(changes={"CSeq": f"{OVERLARGE} INVITE"}), "faulty response"),
    "rfc4475_3_1_2_6_an_unterminated_quoted_string": (options({"To": '"Mr. J. User <sip:j.user@example.com>'}), 400),
    "rfc4475_3_1_2_7_brackets_around_the_request_uri": (invite(uri="<sip:bob@192.0.2.2>"), 400),
    "rfc4475_3_1_2_8_blanks_within_the_request_uri": (invite(uri="sip:bob@192.0.2.2; lr"), 400),
    "rfc4475_3_1_2_9_several_blanks_in_the_request_line": (invite(uri=" sip:bob@192.0.2.2 "), 400),
    "rfc4475_3_1_2_10_blanks_at_the_end_of_the_request_line": (wire("OPTIONS sip:bob@192.0.2.2 SIP/2.0  "), 200),
    "rfc4475_3_1_2_11_escaped_headers_in_the_request_uri": (invite(uri="sip:bob@192.0.2.2?Route=%3Csip:example.com%3E"), 400),
    "rfc4475_3_1_2_12_an_invalid_time_zone": (invite(more="Date: Fri, 01 Jan 2010 16:00:00 EST\r\n"), 100),
    "rfc4475_3_1_2_13_no_brackets_around_a_uri_with_headers": (invite({"Contact": "sip:a@example.com?Route=%3Csip:x%3E"}), 400),
    "rfc4475_3_1_2_14_blanks_within_brackets": (options({"To": "<sip:bob @example.net>"}), 400),
    "rfc4475_3_1_2_15_odd_signs_in_a_display_name": (options({"From": "Bell, Alexander <sip:a.g.bell@example.com>;tag=43"}), 200),
    "rfc4475_3_1_2_16_an_unknown_version": (wire("OPTIONS sip:bob@192.0.2.2 SIP/7.0"), 505),
    "rfc4475_3_1_2_17_another_method_in_cseq": (options({"CSeq": "8 INVITE"}), 400),
    "rfc4475_3_1_2_18_another_method_in_cseq_of_an_unknown_one": (wire("NEWMETHOD sip:bob@192.0.2.2 SIP/2.0", {"CSeq": "8 INVITE"}), 400),
    "rfc4475_3_1_2_19_an_overlarge_status": (response("SIP/2.0 4294967301 better not break the receiver"), "faulty response"),
    # RFC 4475, transactions and applications
    "rfc4475_3_2_1_a_branch_that_is_only_the_cookie": (options({"Via": "SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bK"}), 200),
    "rfc4475_3_3_1_missing_headers": (invite({"Call-ID": None, "From": None, "To": None}), "faulty request"),
    "rfc4475_3_3_1_a_missing_call_id": (invite({"Call-ID": None}), "faulty request"),
    "rfc4475_3_3_2_an_unknown_scheme": (options(uri="nobodyKnowsThisScheme:totallyopaquecontent"), 416),
    "rfc4475_3_3_3_a_known_but_atypical_scheme": (options(uri="soap.beep://192.0.2.103:3002"), 416),
    "rfc4475_3_3_4_unknown_schemes_in_headers": (
        options({"To": "isbn:2983792873", "From": "<http://www.example.com>;tag=3234", "Contact": "<name:John_Smith>"}), 200
    ),
    "rfc4475_3_3_5_unknown_extensions": (options(more="Require: nothingSupportsThis, nothingSupportsThisEither\r\nProxy-Require: x\r\n"), 420),
    "rfc4475_3_3_6_an_unknown_content_type": (invite(body="<audio/>", kind="application/unknownformat"), 415),
    "rfc4475_3_3_7_an_unknown_authorization_scheme": (options(more="Authorization: NoOneKnowsThisScheme opaque-data=here\r\n"), 200),
    "rfc4475_3_3_8_several_values_of_single_headers": (
        invite(more="Call-ID: second@x\r\nCSeq: 5 INVITE\r\nTo: sip:someone@example.net\r\nFrom: sip:else@x;tag=9\r\nMax-Forwards: 5\r\n"), 400
    ),
    "rfc4475_3_3_9_several_content_lengths": (wire("OPTIONS sip:bob@192.0.2.2 SIP/2.0", more="l: 13\r\n", length="14"), 400),
    "rfc4475_3_3_10_a_response_that_is_not_ours": (response(changes={"Via": "SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1, SIP/2.0/UDP 192.0.2.2"}), "faulty response"),
    "rfc4475_3_3_11_max_forwards_0": (options({"Max-Forwards": "0"}), 200),
    "rfc4475_3_3_12_register_where_there_is_no_registrar": (
        wire("REGISTER sip:192.0.2.2 SIP/2.0", {"Contact": "sip:user@example.com;unknown=x"}), 405
    ),
    "rfc4475_3_3_14_register_with_an_escaped_header": (
        wire("REGISTER sip:192.0.2.2 SIP/2.0", {"Contact": "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>"}), 405
    ),
    "rfc4475_3_3_15_nothing_acceptable": (invite(more="Accept: text/nobodyKnowsThis\r\n"), 406),
    "rfc4475_3_4_1_an_invite_of_rfc_2543": (
        invite({"Via": "SIP/2.0/UDP gw.example.com", "From": "<sip:+13035551111@gw.example.net;user=phone>", "To": "sip:bob@example.com"}), 100
    ),
    # RFC 5118
    "rfc5118_4_1_an_ipv6_reference": (
        options({"Via": "SIP/2.0/UDP [2001:db8::9:1];rport;branch=z9hG4bK6", "Contact": "<sip:a@[2001:db8::1]>"}, uri="sip:[2001:db8::10]"), 200
    ),
    "rfc5118_4_2_brackets_missing": (options(uri="sip:2001:db8::10"), 400),
    "rfc5118_4_3_a_port_that_may_belong_to_the_address": (options(uri="sip:[2001:db8::10:5070]"), 200),
    "rfc5118_4_4_a_port_behind_the_brackets": (options(uri="sip:[2001:db8::10]:5070"), 200),
    "rfc5118_4_5_received_with_brackets": (options({"Via": "SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bK6"}), 200),
    "rfc5118_4_5_received_without_brackets": (options({"Via": "SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bK6"}), 200),
    "rfc5118_4_6_ipv6_in_the_description": (invite(body=SDP.replace("IP4 192.0.2.1", "IP6 2001:db8::20")), 100),
    "rfc5118_4_7_both_families_in_the_headers": (
        invite(more="Via: SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKas3-111\r\n"
                    "Record-Route: <sip:192.0.2.1:5060;lr>, <sip:[2001:db8::9]:6050;lr>\r\n"), 100
    ),
    "rfc5118_4_8_both_families_in_the_description": (invite(body=SDP + "m=video 6000 RTP/AVP 31\r\nc=IN IP6 2001:db8::1\r\n"), 100),
    "rfc5118_4_9_ipv4_mapped": (
        invite({"Via": "SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKmapped", "Contact": "<sip:a@[::ffff:192.0.2.2]:5060>"}), 100
    ),
    "rfc5118_4_10_three_colons": (options(uri="sip:bob@[2001:db8:::192.0.2.1]"), 200),
}  # fmt: skip


@dataclass
class Everything:
    """Whatever is addressed to us is ours; everybody is known."""

    agent: UserAgent = field(init=False)

    def __post_init__(self) -> None:
        self.agent = UserAgent(me=identity(BOB), owner=self)

    def standing(self, source: Flow) -> Standing:
        return Standing.KNOWN

    def hears(self, source: Flow, now: float) -> bool:
        return True

    def vet(self, request: Request, source: Flow, now: float) -> Flow | Response:
        return source

    def is_ours(self, uri: Uri, source: Flow) -> bool:
        return True

    def outside(self, request: Request, source: Flow, now: float) -> Response | None:
        return None

    def verdict(self) -> int | str:
        """On the one message that came."""
        sent = [parse(item.data) for item in self.agent.drain() if isinstance(item, Send)]
        statuses = [message.status for message in sent if isinstance(message, Response)]
        return statuses[0] if statuses else next(iter(self.agent.counts), "")


@pytest.mark.parametrize("name", TORTURE)
def test_over_datagram(name: str) -> None:
    data, expected = TORTURE[name]
    us = Everything()
    us.agent.receive(data, ALICE, 0.0)
    assert us.verdict() == expected


@pytest.mark.parametrize("name", TORTURE)
def test_over_a_stream_cut_at_every_byte(name: str) -> None:
    data, expected = TORTURE[name]
    whole = Framer().feed(data, 0.0)
    for cut in range(1, len(data)):
        framer = Framer()
        assert [*framer.feed(data[:cut], 0.0), *framer.feed(data[cut:], 0.0)] == whole
    us = Everything()
    _hand_over(us, whole)
    assert us.verdict() == expected


def _hand_over(us: Everything, items: list[Framed]) -> None:
    for item in items:
        if isinstance(item, Whole):
            us.agent.receive(item.data, STREAM, 0.0)
        elif isinstance(item, Lost):
            us.agent.spoilt(item.data, item.status, item.why, STREAM)


# ---- what differs between the two


def test_rfc4475_3_1_1_8_extra_octets_are_cut_from_a_datagram_and_begin_the_next_message_on_a_stream() -> None:
    data = options() + options({"Call-ID": "second"})
    us = Everything()
    us.agent.receive(data, ALICE, 0.0)
    assert len(us.agent.drain()) == 1
    assert [type(item) for item in Framer().feed(data, 0.0)] == [Whole, Whole]


def test_rfc4475_3_1_2_2_too_long_a_content_length_spoils_a_datagram_and_is_waited_for_on_a_stream() -> None:
    data = wire("OPTIONS sip:bob@192.0.2.2 SIP/2.0", length="99")
    us = Everything()
    us.agent.receive(data, ALICE, 0.0)
    assert us.verdict() == 400
    framer = Framer()
    assert framer.feed(data, 0.0) == []
    assert framer.deadline is not None


def test_without_a_content_length_a_datagram_is_fine_and_a_stream_is_lost() -> None:
    data = wire("OPTIONS sip:bob@192.0.2.2 SIP/2.0", length=None)
    us = Everything()
    us.agent.receive(data, ALICE, 0.0)
    assert us.verdict() == 200
    us = Everything()
    _hand_over(us, Framer().feed(data, 0.0))
    assert us.verdict() == 400
