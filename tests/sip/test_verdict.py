"""One test per row of the table of faults: what a request or a response earns (RFC 3261, 8.2, 18.1; after RFC 4475)."""

from __future__ import annotations

import pytest

from bridge.sip.address import Uri
from bridge.sip.message import FaultyRequestError, Request, Response, SipError, parse, respond
from bridge.sip.verdict import Verdict, judge_request, judge_response

from .samples import ASTERISK, INVITES, RINGING

METHODS = frozenset({"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "UPDATE", "PRACK", "INFO", "REFER", "NOTIFY"})
BASE = {
    "": "INVITE sip:1001@pbx.example SIP/2.0",
    "Via": "SIP/2.0/UDP a.example;branch=z9hG4bK1",
    "From": '"A" <sip:a@a.example>;tag=1',
    "To": "<sip:1001@pbx.example>",
    "Call-ID": "1@a",
    "CSeq": "7 INVITE",
    "Contact": "<sip:a@192.0.2.1>",
    "Max-Forwards": "70",
}


def judged(changes: dict[str, str | None] | None = None, *, more: str = "", body: str = "") -> Verdict:
    """The verdict on a good INVITE with some headers changed, taken away (None) or added; "" is the start line."""
    fields = {name: value for name, value in {**BASE, **(changes or {})}.items() if value is not None}
    start = fields.pop("")
    lines = [start, *(f"{name}: {value}" for name, value in fields.items())]
    return verdict_on(("\r\n".join(lines) + f"\r\n{more}\r\n{body}").encode())


def verdict_on(data: bytes) -> Verdict:
    """As the trunk sees it: the codec's refusals count as well."""
    try:
        message = parse(data)
    except FaultyRequestError as fault:
        respond(fault.request, fault.status or 0)
        return Verdict(fault.status or 0, str(fault))
    except SipError:
        return Verdict(-1)
    assert isinstance(message, Request)
    return judge_request(message, ours=lambda uri: uri.user in {"1001", "gw+office"}, methods=METHODS)


def method(name: str, uri: str = "sip:1001@pbx.example") -> dict[str, str | None]:
    return {"": f"{name} {uri} SIP/2.0", "CSeq": f"7 {name}"}


def uri(text: str) -> dict[str, str | None]:
    return {"": f"INVITE {text} SIP/2.0"}


# ---- requests


@pytest.mark.parametrize("name", INVITES)
def test_what_a_pbx_sends_is_fine(name: str) -> None:
    assert verdict_on(INVITES[name]) == Verdict(0)


def test_sip_version_other_than_2_0() -> None:
    assert judged({"": "INVITE sip:1001@pbx.example SIP/7.0", "From": None}).status == 505


@pytest.mark.parametrize("name", ["From", "To", "Call-ID", "CSeq"])
def test_missing_mandatory_header_is_named(name: str) -> None:
    assert judged({name: None}) == Verdict(400, f"Missing {name} header")
    assert judged({name: ""}) == Verdict(400, f"Missing {name} header")


def test_missing_via_can_not_be_answered() -> None:
    assert judged({"Via": None}).status == -1


def test_missing_max_forwards_is_tolerated() -> None:
    assert judged({"Max-Forwards": None}).status == 0


@pytest.mark.parametrize("name", ["From", "To", "Call-ID", "CSeq", "Max-Forwards"])
def test_two_values_of_a_single_value_header(name: str) -> None:
    assert judged(more=f"{name}: {BASE[name]}\r\n") == Verdict(400, f"Multiple {name} headers")


def test_two_values_of_content_length() -> None:
    assert judged(more="Content-Length: 0\r\nl: 0\r\n").status == 400


@pytest.mark.parametrize(
    "value",
    ["4294967296 INVITE", "36893488147419103232 INVITE", "-1 INVITE", "x INVITE", "1", "1 INVITE 2", "１ INVITE"],
)
def test_cseq_number_out_of_range(value: str) -> None:
    assert judged({"CSeq": value}).status == 400


@pytest.mark.parametrize("value", ["0 INVITE", "2147483647 INVITE", "4294967295 INVITE", "0000000000000000001\tINVITE"])
def test_cseq_number_in_range(value: str) -> None:
    assert judged({"CSeq": value}).status == 0


@pytest.mark.parametrize("value", ["7 OPTIONS", "7 invite"])
def test_cseq_method_differs(value: str) -> None:
    assert judged({"CSeq": value}) == Verdict(400, "CSeq method does not match")


def test_from_without_tag_is_accepted() -> None:
    assert judged({"From": "sip:a@a.example"}).status == 0


def test_to_with_tag_is_left_to_the_dialogs() -> None:
    assert judged({"To": "<sip:1001@pbx.example>;tag=1"}).status == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("From", '"A <sip:a@a.example>;tag=1'),
        ("From", "<sip:a@a.example;tag=1"),
        ("From", "<sip:a@a.example>;;tag=1"),
        ("To", '"Mr. J. User <sip:j.user@example.com>'),
        ("To", "<sip:1001@pbx.example:65536>"),
        ("Contact", "<sip:a@192.0.2.1"),
        ("Contact", '"Joe" <sip:joe@example.org>;;;;'),
        ("Contact", "sip:user@example.com?Route=%3Csip:sip.example.com%3E"),
        ("Via", "SIP/2.0/UDP 192.0.2.15;;,;,,"),
        ("Via", "SIP/2.0/UDP a.example:70000;branch=z9hG4bK1"),
        ("Via", "SIP/2.0/UDP a.example;branch=z9hG4bK1, nonsense"),
    ],
)
def test_syntactically_broken_address_or_via(name: str, value: str) -> None:
    assert judged({name: value}) == Verdict(400, f"Malformed {name} header")


@pytest.mark.parametrize("sign", ["\x01", "\x1b", "\x7f", "\0", "\rX"])
def test_control_characters_nul_or_lone_cr_in_a_header(sign: str) -> None:
    assert judged(more=f"Subject: a{sign}b\r\n").status == 400


def test_a_control_character_in_from_is_answered_too() -> None:
    assert judged({"From": '"A\x07" <sip:a@a.example>;tag=1'}).status == 400


@pytest.mark.parametrize(
    "text",
    ["nobodyKnowsThisScheme:totallyopaquecontent", "soap.beep://192.0.2.103:3002", "http://pbx.example", "urn:x"],
)
def test_request_uri_scheme_unknown(text: str) -> None:
    assert judged(uri(text)).status == 416


def test_request_uri_not_ours() -> None:
    assert judged(uri("sip:9999@pbx.example")).status == 404


@pytest.mark.parametrize("text", ["sip:1001@pbx.example", "sips:1001@pbx.example:5061;transport=tls", "tel:1001"])
def test_request_uri_of_every_scheme_that_may_be_ours(text: str) -> None:
    assert judged(uri(text)).status == 0


@pytest.mark.parametrize(
    "text",
    ["sip:1001@pbx.example?Route=%3Csip:example.com%3E", "<sip:1001@pbx.example>", "sip:1001@pbx.example; lr", " sip:1001@pbx.example ",
     "sip:10%ZZ01@pbx.example", "sip:1001@pbx.example:65536", "pbx"],
)  # fmt: skip
def test_request_uri_with_headers_spaces_brackets_or_bad_escapes(text: str) -> None:
    assert judged(uri(text)).status == 400


@pytest.mark.parametrize("name", ["SUBSCRIBE", "PUBLISH", "invite", "NEWMETHOD"])
def test_unknown_method(name: str) -> None:
    verdict = judged(method(name))
    assert verdict.status == 405
    assert dict(verdict.headers)["Allow"] == "ACK, BYE, CANCEL, INFO, INVITE, NOTIFY, OPTIONS, PRACK, REFER, UPDATE"


def test_require_lists_something_unknown() -> None:
    verdict = judged(more="Require: timer, nothingSupportsThis\r\nRequire: precondition\r\n")
    assert verdict == Verdict(420, "", (("Unsupported", "nothingSupportsThis, precondition"),))


@pytest.mark.parametrize("name", ["CANCEL", "ACK"])
def test_require_is_not_judged_for_cancel_and_ack(name: str) -> None:
    assert judged(method(name), more="Require: precondition\r\n").status == 0


def test_proxy_require_concerns_proxies_only() -> None:
    assert judged(more="Proxy-Require: nothingSupportsThis\r\n").status == 0


@pytest.mark.parametrize("kind", ["application/unknownformat", "text/plain", "", "multipart/mixed;boundary=b"])
def test_invite_body_of_an_unknown_type(kind: str) -> None:
    verdict = judged(more=f"Content-Type: {kind}\r\n", body="<audio/>")
    assert verdict.status == 415
    assert "application/sdp" in dict(verdict.headers)["Accept"]


def test_body_of_an_unknown_type_may_be_optional() -> None:
    assert (
        judged(more="Content-Type: text/x\r\nContent-Disposition: render ; handling = optional\r\n", body="x").status
        == 0
    )


@pytest.mark.parametrize("kind", ["application/sdp", "Application/SDP ; charset=utf-8"])
def test_sdp_is_understood(kind: str) -> None:
    assert judged(more=f"Content-Type: {kind}\r\n", body="v=0\r\n").status == 0


def test_multipart_with_sdp_is_understood() -> None:
    body = "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b--\r\n"
    assert judged(more="Content-Type: multipart/mixed;boundary=b\r\n", body=body).status == 0


def test_info_understands_dtmf_and_nothing_else() -> None:
    assert judged(method("INFO"), more="Content-Type: application/dtmf-relay\r\n", body="Signal=5\r\n").status == 0
    assert judged(method("INFO"), more="Content-Type: application/x\r\n", body="x").status == 415
    assert judged(method("INFO")).status == 0


def test_content_encoding_present() -> None:
    verdict = judged(more="Content-Encoding: gzip\r\nContent-Type: application/sdp\r\n", body="x")
    assert verdict == Verdict(415, "", (("Accept-Encoding", "identity"),))


def test_max_forwards_0_is_processed_normally() -> None:
    assert judged({"Max-Forwards": "0"}).status == 0


@pytest.mark.parametrize("value", ["256", "-1", "x"])
def test_max_forwards_that_is_no_such_number(value: str) -> None:
    assert judged({"Max-Forwards": value}) == Verdict(400, "Malformed Max-Forwards header")


@pytest.mark.parametrize(
    "header",
    [
        "Date: Fri, 01 Jan 2010 16:00:00 EST",
        "Authorization: NoOneKnowsThisScheme opaque-data=here",
        "Expires: 99999999999999999999",
    ],
)
def test_bad_date_unknown_authorisation_and_expires_are_ignored(header: str) -> None:
    assert judged(more=header + "\r\n").status == 0


def test_unknown_schemes_in_to_and_from_and_unknown_contact_parameters_are_ignored() -> None:
    changes: dict[str, str | None] = {
        "To": "isbn:2983792873", "From": "<http://www.example.com>;tag=1", "Contact": "<sip:a@b>;fun;x=y",
    }  # fmt: skip
    assert judged(changes).status == 0


def test_content_length_larger_than_what_arrived() -> None:
    assert judged(more="Content-Length: 100\r\n", body="x").status == 400


def test_too_many_values_are_too_large() -> None:
    many = ", ".join(["<sip:a@b;lr>"] * 65)
    assert judged(more=f"Route: {many}\r\n").status == 513
    assert judged(more=f"Require: {', '.join(['timer'] * 65)}\r\n").status == 513
    assert judged(more="Contact: <sip:a@b>, <sip:a@c>\r\n" * 33).status == 513
    assert judged(more=f"Record-Route: <sip:a@b>{';x' * 33}\r\n").status == 513


# ---- ACK


@pytest.mark.parametrize("changes", [{"CSeq": "7 INVITE"}, {"CSeq": None}, {"From": None}, {"Via": "nonsense"}])
def test_an_ack_is_never_answered(changes: dict[str, str | None]) -> None:
    assert judged({**method("ACK"), **changes}).status == -1


def test_an_ack_to_a_refusal_reaches_its_transaction_whatever_was_wrong() -> None:
    assert judged({**method("ACK", "http://elsewhere"), "From": '"A <sip:a@b>', "Contact": "<broken"}).status == 0


# ---- responses


def judged_response(old: bytes = b"", new: bytes = b"") -> bool:
    assert not old or old in RINGING
    message = parse(RINGING.replace(old, new) if old else RINGING)
    assert isinstance(message, Response)
    return judge_response(message)


@pytest.mark.parametrize(
    ("old", "new"), [(b"180", b"100"), (b"180 Ringing", b"699"), (b"180 Ringing", b"299 "), (b"CSeq: 314", b"CSeq: 0")]
)
def test_a_good_response_goes_on(old: bytes, new: bytes) -> None:
    assert judged_response()
    assert judged_response(old, new)


@pytest.mark.parametrize("status", [b"0", b"99", b"700", b"4294967301"])
def test_response_status_outside_100_to_699(status: bytes) -> None:
    assert not judged_response(b"180", status)


def test_response_with_more_than_one_via() -> None:
    assert not judged_response(b"From:", b"Via: SIP/2.0/UDP b.example;branch=z9hG4bK2\r\nFrom:")
    assert not judged_response(b"rport=5080", b"rport=5080, SIP/2.0/UDP b.example;branch=z9hG4bK2")


@pytest.mark.parametrize("name", [b"Via", b"From", b"To", b"Call-ID", b"CSeq"])
def test_response_without_a_mandatory_header(name: bytes) -> None:
    assert not judged_response(b"\r\n" + name + b":", b"\r\nX:")


def test_response_with_cseq_out_of_range() -> None:
    assert not judged_response(b"314 INVITE", b"9292394834772304023312 OPTIONS")


def test_ours_is_asked_with_the_parsed_request_uri() -> None:
    seen: list[Uri] = []

    def ours(uri: Uri) -> bool:
        seen.append(uri)
        return True

    message = parse(ASTERISK)
    assert isinstance(message, Request)
    judge_request(message, ours=ours, methods=METHODS)
    assert (seen[0].user, seen[0].host, seen[0].port) == ("1001", "192.0.2.20", 5080)
