"""URIs, name-addr and Via: reading, writing, comparing (RFC 3261, 19.1, 20.10, 25)."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sip.address import NameAddr, Uri, Via
from bridge.sip.message import Headers, SipError


@pytest.mark.parametrize(
    "text",
    [
        "sip:alice@atlanta.example",
        "sips:alice:s%20ecret@atlanta.example:5061;transport=tcp;lr?subject=a%20b&priority=urgent",
        "sip:[2001:db8::10]:5070;maddr=[2001:db8::1]",
        "sip:*21#@my_pbx_1:5060",
        "sip:a;par=b@host;x",
        "sip:%00%00@host",
        "tel:+1-201-555-0123;ext=22",
        "urn:service:sos?x;y",
    ],
)
def test_a_uri_is_written_as_it_was_read(text: str) -> None:
    assert str(Uri.parse(text)) == text


def test_the_parts_of_a_uri() -> None:
    uri = Uri.parse("SIP:bob;x=1:pw@Host:05060;Transport=TCP;lr;transport=udp?Replaces=a%40b")
    assert (uri.scheme, uri.user, uri.password, uri.host, uri.port) == ("sip", "bob;x=1", "pw", "Host", 5060)
    assert (uri.param("transport"), uri.param("LR"), uri.param("self")) == ("TCP", "", None)
    assert uri.headers == "Replaces=a%40b"
    assert str(uri.with_param("transport", "ws").with_param("ob")).endswith(
        ";transport=ws;lr;transport=udp;ob?Replaces=a%40b"
    )


def test_an_unescaped_at_sign_among_the_headers_is_no_user_part() -> None:
    uri = Uri.parse("sip:300@pbx?Replaces=12@pbx")
    assert (uri.user, uri.host, uri.headers) == ("300", "pbx", "Replaces=12@pbx")


@pytest.mark.parametrize(
    "text",
    ["", "sip", "sip:", "alice@host", "sip:a@", "sip:@host", "sip:a@ho st", "sip:a@<host>", "sip:a@host:65536", "sip:a@host:",
     "sip:a@host:5x", "sip:a@[::1", "sip:a@host;;lr", "sip:a@host;=x", "sip:a@ho/st", 'sip:"a"@host', "sip:a@h\x01", "sip:a@h:５"],
)  # fmt: skip
def test_a_broken_uri_is_refused(text: str) -> None:
    with pytest.raises(SipError):
        Uri.parse(text)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"),
        ("sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
         "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com"),
        ("sip:alice@atlanta.com?subject=project%20x&priority=urgent", "sip:alice@atlanta.com?priority=urgent&subject=project%20x"),
        ("tel:+1-201-555-0123", "tel:+1(201)5550.123"),
    ],
)  # fmt: skip
def test_rfc3261_19_1_4_equal_uris(left: str, right: str) -> None:
    assert Uri.parse(left).equals(Uri.parse(right))
    assert Uri.parse(right).equals(Uri.parse(left))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:carol@chicago.com;lr", "sip:carol@chicago.com"),
        ("sip:a%3Bb@chicago.com", "sip:a;b@chicago.com"),
        ("sip:%00@x.com", "sip:%00%00@x.com"),
        ("tel:7042;phone-context=a.com", "tel:7042;phone-context=b.com"),
    ],
)
def test_rfc3261_19_1_4_different_uris(left: str, right: str) -> None:
    assert not Uri.parse(left).equals(Uri.parse(right))
    assert not Uri.parse(right).equals(Uri.parse(left))


@pytest.mark.parametrize(
    ("text", "name", "uri", "params"),
    [
        ('"A. G. Bell" <sip:agb@bell.example> ;tag=a48s', "A. G. Bell", "sip:agb@bell.example", (("tag", "a48s"),)),
        (
            "Anonymous <sip:c8oqz84zk7z@privacy.org>;tag=hyh8",
            "Anonymous",
            "sip:c8oqz84zk7z@privacy.org",
            (("tag", "hyh8"),),
        ),
        ("sip:+12125551212@server.example;tag=887s", "", "sip:+12125551212@server.example", (("tag", "887s"),)),
        ('"a <b>, ;c\\"" <sip:a@b;lr>', 'a <b>, ;c"', "sip:a@b;lr", ()),
        ("<sip:a@b>; expires = 5 ; lr", "", "sip:a@b", (("expires", "5"), ("lr", None))),
        (
            "Bell, Alexander <sip:a.g.bell@example.com>;tag=43",
            "Bell, Alexander",
            "sip:a.g.bell@example.com",
            (("tag", "43"),),
        ),
        ("<sip:a@b>;", "", "sip:a@b", ()),
    ],
)
def test_the_parts_of_an_address(text: str, name: str, uri: str, params: tuple[tuple[str, str | None], ...]) -> None:
    address = NameAddr.parse(text)
    assert (address.name, str(address.uri), address.params) == (name, uri, params)
    assert NameAddr.parse(str(address)) == address


def test_without_brackets_quoted_parameters_may_hold_them() -> None:
    contact = NameAddr.parse('sip:a@b;+sip.instance="<urn:uuid:1;2>";reg-id=1')
    assert contact.param("+sip.instance") == "<urn:uuid:1;2>"
    assert contact.param("reg-id") == "1"


def test_tags_are_read_and_set() -> None:
    address = NameAddr.parse("<sip:a@b>;TAG=1;tag=2")
    assert address.tag == "1"
    assert address.with_tag("X").tag == "X"
    assert NameAddr.parse("<sip:a@b>").tag == ""
    assert str(NameAddr.parse("<sip:a@b>").with_tag("X")) == "<sip:a@b>;tag=X"


@pytest.mark.parametrize(
    "text",
    ["", "*", '"Mr. Watson <sip:a@b>', "<sip:a@b", "sip:a@b>", '"a" sip:a@b', "<sip:a@b> x", "<sip:a@b>;;tag=1", "<sip:a@b>;=1",
     '<sip:a@b>;x="y', "<>", "<a@b>", "sip:user@example.com?Route=%3Csip:sip.example.com%3E", '"a" "b" <sip:a@b>', "<sip:a@b:99999>"],
)  # fmt: skip
def test_a_broken_address_is_refused(text: str) -> None:
    with pytest.raises(SipError):
        NameAddr.parse(text)


def test_more_than_32_parameters_are_refused_with_513() -> None:
    with pytest.raises(SipError) as caught:
        NameAddr.parse("<sip:a@b>" + ";x" * 33)
    assert caught.value.status == 513


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport"),
        ("SIP / 2.0 / tls  my_host : 5061 ; branch = z9", "SIP/2.0/tls my_host:5061;branch=z9"),
        (
            "SIP/2.0/UDP [2001:db8::9]:5060;received=2001:db8::1;branch=b",
            "SIP/2.0/UDP [2001:db8::9]:5060;received=2001:db8::1;branch=b",
        ),
        ("SIP/2.0/UNKNOWN x.invalid", "SIP/2.0/UNKNOWN x.invalid"),
    ],
)
def test_a_via_is_read_and_written(text: str, written: str) -> None:
    via = Via.parse(text)
    assert str(via) == written
    assert Via.parse(written) == via


def test_received_and_rport_are_filled_in_place() -> None:
    via = Via.parse("SIP/2.0/UDP 10.0.0.1;rport;branch=b")
    assert (via.param("rport"), via.param("received"), via.branch) == ("", None, "b")
    filled = via.with_param("rport", "4711").with_param("received", "192.0.2.1")
    assert str(filled) == "SIP/2.0/UDP 10.0.0.1;rport=4711;branch=b;received=192.0.2.1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ",
        "SIP/1.0/UDP a",
        "SIP/2.0 a",
        "SIP/2.0/UDP a:70000",
        "SIP/2.0/UDP a b",
        "SIP/2.0/UDP 192.0.2.15;;,;,,",
    ],
)
def test_a_broken_via_is_refused(text: str) -> None:
    with pytest.raises(SipError):
        Via.parse(text)


_WORDS = st.text(st.sampled_from("abcXYZ019-_.!~*'()&=+$,;?/#%41"), min_size=1, max_size=12)
_PARAMS = st.lists(
    st.tuples(_WORDS.filter(lambda w: not set(w) & set(";=?,")), st.none() | st.just("v")), max_size=4
).map(tuple)
_URIS = st.builds(
    Uri, st.sampled_from(["sip", "sips"]), _WORDS, st.sampled_from(["", "p:w"]), st.sampled_from(["h.example", "[::1]"]),
    st.none() | st.integers(0, 65535), _PARAMS, st.sampled_from(["", "a=b&c=d"]),
)  # fmt: skip


@given(_URIS)
def test_a_uri_that_was_written_reads_the_same(uri: Uri) -> None:
    assert Uri.parse(str(uri)) == uri
    assert uri.equals(Uri.parse(str(uri)))


@given(st.text(st.characters(exclude_characters="\r\n\0"), max_size=20), _URIS, st.text("abc", max_size=5))
def test_an_address_that_was_written_reads_the_same(name: str, uri: Uri, tag: str) -> None:
    address = NameAddr(name, uri, (("tag", tag),))
    assert NameAddr.parse(str(address)) == address


@given(st.text(max_size=60) | st.text('sip:<>"@;,=?%[]/ 2.0UDP\\', max_size=40))
def test_random_text_raises_nothing_but_sip_error(text: str) -> None:
    for kind in (Uri, NameAddr, Via):
        try:
            value = kind.parse(text)
        except SipError:
            continue
        assert kind.parse(str(value)) == value


@pytest.mark.parametrize("sign", list('"<>,;\\ \t=:@%?[&/0a'))
@pytest.mark.parametrize(
    "prefix", ["", "<", '"', "SIP/2.0/UDP ", "SIP/", "sip:", "sip:a@b", "<sip:a@b>;", '<sip:a@b>;x="', "sip:a@b?"]
)
def test_64_kib_of_one_character_are_read_in_linear_time(prefix: str, sign: str) -> None:
    """A quadratic step would take minutes, and this suite with it."""
    for kind in (Uri, NameAddr, Via):
        with suppress(SipError):
            str(kind.parse(prefix + sign * 65536))
    with suppress(SipError):
        Headers([("Via", prefix + sign * 65536)]).all("Via")
