"""The codec: framing, headers, round trips and hostile bytes (RFC 3261, 7; torture messages after RFC 4475)."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.sip.digest import challenges
from bridge.sip.message import (
    FaultyRequestError,
    Headers,
    Request,
    Response,
    SipError,
    caller_of,
    is_keepalive,
    parse,
    respond,
    session_description,
)
from bridge.sip.verdict import judge_request, judge_response

from .samples import ASTERISK, FREESWITCH, INVITES, KAMAILIO, RINGING, SDP, wire

CHALLENGED = RINGING.replace(b"180 Ringing", b"401 Unauthorized").replace(
    b"Contact: ", b'WWW-Authenticate: Digest realm="a,\\"b", nonce="c", qop="auth,auth-int", algorithm=MD5\r\nContact: '
)


def request(text: str | bytes) -> Request:
    message = parse(wire(text) if isinstance(text, str) else text)
    assert isinstance(message, Request)
    return message


def refused(text: str | bytes) -> FaultyRequestError:
    with pytest.raises(FaultyRequestError) as caught:
        parse(wire(text) if isinstance(text, str) else text)
    return caught.value


def dropped(data: bytes) -> bool:
    with pytest.raises(SipError) as caught:
        parse(data)
    return caught.value.status is None and not isinstance(caught.value, FaultyRequestError)


def small(extra: str = "", uri: str = "sip:1001@pbx.example") -> bytes:
    head = f"OPTIONS {uri} SIP/2.0\r\nVia: SIP/2.0/UDP a.example;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n"
    return f"{head}Call-ID: 1\r\nCSeq: 1 OPTIONS\r\n{extra}\r\n".encode()


# ---- what PBXs send


@pytest.mark.parametrize("name", INVITES)
def test_a_vendors_invite_equals_itself_after_writing_and_reading(name: str) -> None:
    message = request(INVITES[name])
    assert parse(message.encode()) == message
    assert message.body == SDP.encode()
    assert message.via.branch.startswith("z9hG4bK")


def test_asterisk_invite_reads_as_meant() -> None:
    message = request(ASTERISK)
    assert (message.method, message.uri, message.cseq) == ("INVITE", "sip:1001@192.0.2.20:5080", (21342, "INVITE"))
    assert (message.from_tag, message.to_tag) == ("8a1f0c52-7d3e-4a2b-9c8d-1e0f2a3b4c5d", "")
    assert message.via.param("rport") == ""
    assert "timer" in message.headers.all("supported")
    assert caller_of(message) == ("+74951234567", "Мария Кюри")


def test_freeswitch_invite_reads_as_meant() -> None:
    message = request(FREESWITCH)
    assert message.headers.get("x-fs-support") == "update_display,send_info", "an unknown header is kept verbatim"
    assert caller_of(message) == ("1000", "Extension 1000")


def test_kamailio_invite_with_compact_joined_and_folded_headers() -> None:
    message = request(KAMAILIO)
    assert [via.split()[0] for via in message.headers.all("Via")] == ["SIP/2.0/UDP", "SIP/2.0/TCP", "SIP/2.0/WSS"]
    assert len(message.headers.all("Contact")) == 2
    assert message.headers.all("Supported") == ("replaces", "outbound", "gruu")
    assert message.call_id == "1j9FpLxk3uxtm8tn@10.0.0.7"
    assert message.cseq == (314, "INVITE")
    assert message.from_tag == "a73kszlfl"
    assert caller_of(message) == ("", "")


# ---- section 2


def test_bare_line_feeds_and_leading_line_ends_are_read() -> None:
    assert request(
        b"\r\n\r\n" + ASTERISK.replace(b"\r\n", b"\n").replace(SDP.encode().replace(b"\r\n", b"\n"), SDP.encode())
    )
    assert request(small().replace(b"\r\n", b"\n")) == request(small())


def test_folding_counts_as_one_space_and_is_never_written() -> None:
    message = request(small("Subject: first\r\n \t  second\r\n\tthird\r\n"))
    assert message.headers.get("Subject") == "first second third"
    assert b"\r\n " not in message.encode()


def test_empty_values_are_legal() -> None:
    message = request(small("Supported:\r\nSubject :\r\n"))
    assert "Supported" in message.headers
    assert (message.headers.get("Supported"), message.headers.all("Supported")) == ("", ())


@pytest.mark.parametrize(
    ("compact", "full"), [("i", "Call-ID"), ("K", "Supported"), ("x", "Session-Expires"), ("y", "Identity")]
)
def test_compact_names_mean_the_full_ones(compact: str, full: str) -> None:
    assert list(Headers([(compact, "1")])) == [(full, "1")]
    assert Headers([(full.upper(), "1")]).get(compact) == "1"


def test_lists_are_split_outside_quotes_and_brackets_only() -> None:
    headers = Headers([("Contact", '"a, \\", b" <sip:x@y;p=1,2>, <sip:z@y>;q="0,5"'), ("Contact", ",<sip:w@y>,")])
    assert headers.all("Contact") == ('"a, \\", b" <sip:x@y;p=1,2>', '<sip:z@y>;q="0,5"', "<sip:w@y>")


@pytest.mark.parametrize(
    "name", ["Authorization", "WWW-Authenticate", "Proxy-Authenticate", "Proxy-Authorization", "X-Own"]
)
def test_commas_of_credentials_and_unknown_headers_never_split(name: str) -> None:
    value = 'Digest realm="a", nonce="b", qop="auth,auth-int"'
    assert Headers([(name, value), (name, value)]).all(name) == (value, value)


def test_names_in_an_old_code_page_are_read_as_latin_1() -> None:
    data = small().replace(b"From: <", b'From: "' + "Иван".encode("cp1251") + b'" <')
    message = request(data)
    assert message.from_tag == "1"
    assert parse(message.encode()) == message


def test_a_body_is_cut_to_content_length_and_else_the_rest() -> None:
    assert request(small("Content-Length: 3\r\n") + b"abcdef").body == b"abc"
    assert request(small() + b"ab\r\n\r\ncd").body == b"ab\r\n\r\ncd"


def test_content_length_is_written_by_the_codec_alone() -> None:
    message = Response(200, "OK", Headers([("Content-Length", "99"), ("Subject", "x")]), b"four")
    assert message.encode() == b"SIP/2.0 200 OK\r\nSubject: x\r\nContent-Length: 4\r\n\r\nfour"
    assert "Content-Length" not in parse(message.encode()).headers


@pytest.mark.parametrize("data", [b"", b"\r\n", b"\r\n\r\n", b"\0", b"\0\0\0\0"])
def test_a_keepalive_is_known(data: bytes) -> None:
    assert is_keepalive(data)


@pytest.mark.parametrize("data", [b"\r\n\r\n\r\n", b"abc", b"\0\0\0\0\0"])
def test_other_packets_are_no_keepalive(data: bytes) -> None:
    assert not is_keepalive(data)


def test_caps_are_answered_with_513() -> None:
    assert refused(small("Subject: " + "x" * 9000 + "\r\n")).status == 513
    assert refused(small("X-A: 1\r\n" * 130)).status == 513
    assert dropped(small() + b"x" * 65536)


@pytest.mark.parametrize(
    "data",
    [b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12), b"GET / HTTP/1.1\r\n\r\n", b"hello", b"SIP/2.0 abc OK\r\n\r\n"],
)
def test_what_is_no_sip_is_dropped(data: bytes) -> None:
    assert dropped(data)


def test_a_faulty_response_is_dropped() -> None:
    assert dropped(RINGING.replace(b"CSeq", b"Content-Length: 10\r\nCSeq"))
    assert dropped(RINGING.replace(b"SIP/2.0 180", b"SIP/3.0 180"))


def test_a_faulty_ack_is_dropped() -> None:
    assert dropped(small("Content-Length: 10\r\n").replace(b"OPTIONS", b"ACK"))


def test_a_refused_request_can_still_be_answered() -> None:
    error = refused(small("Content-Length: 10\r\n"))
    answer = respond(error.request, error.status or 0)
    assert answer.encode().startswith(b"SIP/2.0 400 Bad Request\r\nVia: SIP/2.0/UDP a.example;branch=z9hG4bK1\r\n")


# ---- headers


def test_headers_change_by_making_new_ones() -> None:
    headers = Headers([("via", "one, two"), ("Via", "three"), ("To", "x")])
    assert headers.replace_first("Via", "ONE").all("Via") == ("ONE", "two", "three")
    assert headers.drop_first("Via").drop_first("Via").all("Via") == ("three",)
    assert headers.prepend("Via", "zero").get("Via") == "zero"
    assert list(headers.set("v", ["a", "b"])) == [("Via", "a"), ("Via", "b"), ("To", "x")]
    assert list(headers.set("CSeq", "1 ACK"))[-1] == ("CSeq", "1 ACK")
    assert list(headers.add("To", "y").without("Via")) == [("To", "x"), ("To", "y")]
    assert headers.all("Via") == ("one", "two", "three")


def test_dropping_the_first_of_nothing_is_an_error() -> None:
    with pytest.raises(SipError):
        Headers().drop_first("Via")


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\rb", "a\0b"])
def test_nothing_can_be_smuggled_into_a_header(value: str) -> None:
    for change in (Headers().add, Headers().prepend, Headers().set):
        with pytest.raises(SipError):
            change("Subject", value)
    with pytest.raises(SipError):
        Headers([(value, "x")])


def test_nothing_can_be_smuggled_into_a_start_line() -> None:
    with pytest.raises(SipError):
        Request("INVITE", "sip:a@b SIP/2.0\r\nX: y", Headers()).encode()


# ---- respond (section 8)


def test_a_response_copies_what_rfc_3261_8_2_6_says() -> None:
    answer = respond(request(KAMAILIO), 180, to_tag="ours", headers=[("Contact", "<sip:us@here>")])
    assert (answer.status, answer.phrase, answer.to_tag, answer.from_tag) == (180, "Ringing", "ours", "a73kszlfl")
    assert answer.headers.all("Via") == request(KAMAILIO).headers.all("Via")
    assert answer.headers.all("Record-Route") == request(KAMAILIO).headers.all("Record-Route")
    assert answer.headers.get("Contact") == "<sip:us@here>"
    assert answer.cseq == (314, "INVITE")


def test_a_tag_that_is_there_stays() -> None:
    message = request(small().replace(b"<sip:c@d>", b"<sip:c@d>;tag=9"))
    assert respond(message, 200, to_tag="ours").to_tag == "9"


def test_only_100_copies_timestamp_and_has_no_tag() -> None:
    message = request(small("Timestamp: 54\r\n"))
    assert respond(message, 100, to_tag="ours").to_tag == ""
    assert respond(message, 100).headers.get("Timestamp") == "54"
    assert "Timestamp" not in respond(message, 200, to_tag="ours").headers


def test_a_refusal_has_no_record_route() -> None:
    assert "Record-Route" not in respond(request(KAMAILIO), 486, to_tag="ours").headers


def test_a_request_without_via_can_not_be_answered() -> None:
    with pytest.raises(SipError):
        respond(Request("OPTIONS", "sip:a@b", Headers()), 400)


# ---- the caller (section 4, last line)


@pytest.mark.parametrize(
    ("headers", "caller"),
    [
        ('P-Asserted-Identity: "Ann" <sip:+1(202)555.01-00@x>, <tel:+12025550101>', ("+12025550100", "Ann")),
        ("P-Asserted-Identity: <tel:+1-202-555-0101>", ("+12025550101", "")),
        ("P-Asserted-Identity: <broken\r\nRemote-Party-ID: <sip:77@x>;privacy=off", ("77", "")),
        ("P-Asserted-Identity: <sip:77@x>\r\nPrivacy: id", ("", "")),
        ("P-Asserted-Identity: <sip:77@x>\r\nPrivacy: header; ID", ("", "")),
        ("Remote-Party-ID: <sip:77@x>;privacy=full", ("", "")),
        ("P-Asserted-Identity: <sip:anonymous@anonymous.invalid>", ("", "")),
        ("P-Asserted-Identity: <sip:j.doe-x@x>", ("j.doe-x", "")),
        ("P-Asserted-Identity: <sip:%2B7495;phone-context=x@x;user=phone>", ("+7495", "")),
        ("Subject: none", ("a", "")),
    ],
)
def test_the_caller_is_whom_the_network_asserts(headers: str, caller: tuple[str, str]) -> None:
    assert caller_of(request(small(headers + "\r\n"))) == caller


# ---- bodies


def test_the_first_sdp_of_a_multipart_body_counts() -> None:
    body = (
        "preamble\r\n--b1\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
        f"--b1\r\nContent-Type: Application/SDP; x=y\r\n\r\n{SDP}\r\n--b1--\r\n"
    )
    headers = Headers([("Content-Type", 'multipart/mixed; boundary="b1"')])
    assert session_description(Request("INVITE", "sip:a@b", headers, body.encode())) == SDP.encode()
    assert session_description(Request("INVITE", "sip:a@b", headers, b"--b1--")) == b""


# ---- torture messages modelled on RFC 4475


def test_rfc4475_3_1_1_1_a_short_tortuous_invite() -> None:
    message = request(
        """
        INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0
        TO :
         sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n
        from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>
          ;
          tag = 98asjd8
        MaX-fOrWaRdS: 0068
        Call-ID: wsinv.ndaksdj@192.0.2.1
        Content-Length   : 150
        cseq: 0009
          INVITE
        Via  : SIP  /   2.0
         /UDP
            192.0.2.2;branch=390skdjuw
        s :
        NewFangledHeader:   newfangled value
         continued newfangled value
        UnknownHeaderWithUnusualValue: ;;,,;;,;
        Content-Type: application/sdp
        Route:
         <sip:services.example.com;lr;unknownwith=value;unknown-no-value>
        v:  SIP  / 2.0  / TCP     spindle.example.com   ;
          branch  =   z9hG4bK9ikj8  ,
         SIP  /    2.0   / UDP  192.168.255.111   ; branch=
         z9hG4bK30239
        m:"Quoted string \\"\\"" <sip:jdrosen@example.com> ; newparam =
              newvalue ;
          secondparam ; q = 0.33

        """
        + "x" * 150
    )
    assert (message.to_tag, message.from_tag, message.cseq) == ("1918181833n", "98asjd8", (9, "INVITE"))
    assert (message.via.host, message.via.branch) == ("192.0.2.2", "390skdjuw")
    assert len(message.headers.all("Via")) == 3
    assert message.headers.get("unknownheaderwithunusualvalue") == ";;,,;;,;"
    assert parse(message.encode()) == message


def test_rfc4475_3_1_1_2_wide_range_of_valid_characters() -> None:
    message = request("""
        !interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0
        Via: SIP/2.0/UDP host1.example.com;rport;branch=z9hG4bK-.!%66*_+`'~
        To: "привет ' DEL" <sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com>
        From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%="работающий";tag=_token~1'+`*%!-.
        Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/"][?}{
        CSeq: 139122385 !interesting-Method0123456789_*+`.%indeed'~
        Max-Forwards: 255
        extensionHeader-!.%*+_`'~: ﻿大停電

        """)
    assert message.from_tag == "_token~1'+`*%!-."
    assert message.cseq == (139122385, message.method)
    assert parse(message.encode()) == message


def test_rfc4475_3_1_1_5_escaped_nulls_in_uris_are_data() -> None:
    message = request(small("Contact: <sip:%00@host5.example.com>\r\nContact: <sip:%00%00@host5.example.com>\r\n"))
    assert len(message.headers.all("Contact")) == 2
    assert parse(message.encode()) == message


def test_rfc4475_3_1_1_7_long_values_are_kept() -> None:
    message = request(small(f"Unknown-{'long' * 30}Name: {'x' * 4000}\r\n"))
    assert parse(message.encode()) == message


def test_rfc4475_3_1_1_8_extra_octets_after_the_message_are_cut() -> None:
    second = small()
    assert request(small("Content-Length: 0\r\n") + second).body == b""


def test_rfc4475_3_1_1_9_semicolon_parameters_in_the_user_part() -> None:
    assert (
        request(small(uri="sip:user;par=u%40example.net@example.com")).uri == "sip:user;par=u%40example.net@example.com"
    )


def test_rfc4475_3_1_1_13_no_reason_phrase() -> None:
    for line in (b"SIP/2.0 180 \r\n", b"SIP/2.0 180\r\n"):
        message = parse(RINGING.replace(b"SIP/2.0 180 Ringing\r\n", line))
        assert isinstance(message, Response)
        assert (message.status, message.phrase) == (180, "")


def test_rfc4475_3_1_1_12_unusual_reason_phrase() -> None:
    message = parse(RINGING.replace(b"Ringing", "= 2**3 * 9 ** 3, но достаточно".encode()))
    assert isinstance(message, Response)
    assert message.phrase == "= 2**3 * 9 ** 3, но достаточно"


def test_rfc4475_3_1_2_2_content_length_larger_than_the_message_is_400() -> None:
    assert refused(small("Content-Length: 9999\r\n") + b"short").status == 400


def test_rfc4475_3_1_2_3_negative_content_length_is_400() -> None:
    assert refused(small("Content-Length: -999\r\n")).status == 400


def test_rfc4475_3_1_2_16_unknown_protocol_version_is_505() -> None:
    error = refused(small("Content-Length: 9\r\n").replace(b"SIP/2.0\r\nVia", b"SIP/7.0\r\nVia"))
    assert error.status == 505
    assert respond(error.request, 505).phrase == "Version Not Supported"


def test_rfc4475_3_3_9_several_content_lengths_are_400() -> None:
    assert refused(small("Content-Length: 0\r\nContent-Length: 1\r\n") + b"x").status == 400


def test_a_request_without_an_end_of_headers_is_400() -> None:
    assert refused(small()[:-2]).status == 400


# ---- properties


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing_but_sip_error(data: bytes) -> None:
    _survive(data)


@given(st.data(), st.sampled_from([*INVITES.values(), RINGING]))
@settings(max_examples=300, deadline=None)
def test_mutated_messages_raise_nothing_but_sip_error_and_round_trip(data: st.DataObject, message: bytes) -> None:
    mutated = bytearray(message)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(mutated)))
        length = data.draw(st.integers(0, 12))
        mutated[place : place + length] = data.draw(
            st.binary(max_size=6)
            | st.sampled_from([b"\r\n", b"\n ", b'"', b"<", b">", b",", b";;", b"\\", b"%", b"\0", b"\xc3"])
        )
    _survive(bytes(mutated))


def _survive(data: bytes) -> None:
    try:
        message = parse(data)
    except SipError:
        return
    assert parse(message.encode()) == message
    for read in (lambda: message.via, lambda: message.cseq, lambda: message.from_tag, lambda: message.to_tag):
        with suppress(SipError):
            read()
    session_description(message)
    if isinstance(message, Request):
        caller_of(message)
        judge_request(message, ours=lambda _: True, methods=frozenset({"INVITE"}))
    else:
        judge_response(message)
        challenges(message)


_NAMES = st.from_regex(r"[A-Za-z0-9.!%*_+`'~-]{1,12}", fullmatch=True)
_VALUES = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=30)


@given(st.lists(st.tuples(_NAMES, _VALUES), max_size=10), st.binary(max_size=50))
def test_a_message_that_was_written_reads_the_same(pairs: list[tuple[str, str]], body: bytes) -> None:
    headers = Headers(pairs).without("Content-Length")
    for message in (Request("INFO", "sip:a@b", headers, body), Response(200, "OK", headers, body)):
        assert parse(message.encode()) == message


_HEADERS = [
    "Via",
    "Contact",
    "From",
    "Route",
    "Call-ID",
    "CSeq",
    "Max-Forwards",
    "Content-Type",
    "WWW-Authenticate",
    "X",
]


@pytest.mark.parametrize("sign", list('"<>,;\\ \t=:@%?([&/0a\r\0'))
def test_a_line_of_one_repeated_character_is_read_in_linear_time(sign: str) -> None:
    """A quadratic step over 64 KiB would take minutes, and this suite with it."""
    for header in _HEADERS:
        for prefix in ("", "<", '"', "SIP/2.0/UDP ", "sip:", "<sip:a@b>;", "multipart/mixed;boundary="):
            line = prefix + sign * (65000 // 8)
            _survive(small(f"{header}: {line}\r\n"))
            _survive(small().replace(b"sip:1001@", line.replace(" ", "+").encode() + b"@"))
    _survive(small() + sign.encode() * 60000)
    _survive(sign.encode() * 65000)
