"""Digest credentials: check values computed elsewhere, and what servers offer (RFC 7616, 8760)."""

from __future__ import annotations

import pytest

from bridge.sip.digest import Challenge, authorise, challenges
from bridge.sip.message import Headers, Response


def response(*lines: str, header: str = "WWW-Authenticate") -> Response:
    return Response(401, "Unauthorized", Headers((header, line) for line in lines))


def challenge(algorithm: str = "", qop: str = "") -> Challenge:
    more = (f", algorithm={algorithm}" if algorithm else "") + (f', qop="{qop}"' if qop else "")
    return challenges(response(f'Digest realm="pbx.example", nonce="bm9uY2U="{more}'))[0]


def credentials(wanted: Challenge, username: str = "1001", body: bytes = b"") -> str:
    name, value = authorise(
        wanted,
        method="REGISTER",
        uri="sip:pbx.example",
        username=username,
        password="s3cret",
        nc=1,
        cnonce="c0ffee",
        body=body,
    )
    assert name == {"WWW-Authenticate": "Authorization", "Proxy-Authenticate": "Proxy-Authorization"}[wanted.header]
    return value


@pytest.mark.parametrize(
    ("algorithm", "qop", "username", "expected"),
    [
        ("", "", "1001", "629af6ec19a0f18ee5e4c5cc879a35f5"),
        ("MD5", "auth", "1001", "4ec747c05f73ecb8d5c3df37e9874538"),
        ("", "auth,auth-int", "1001", "4ec747c05f73ecb8d5c3df37e9874538"),
        ("MD5-sess", "auth", "1001", "ed6626d152c3b8be83568d6484f137fb"),
        ("SHA-256", "auth", "1001", "0999b991203a49a264710e78ab2e0e3064aa6fb7facaa6646780033648c00604"),
        ("sha-256", "auth", "1001", "0999b991203a49a264710e78ab2e0e3064aa6fb7facaa6646780033648c00604"),
        ("SHA-512-256", "auth", "1001", "afac3715a794921991fb287fecd5948b510ae2dce7cdc42f08e4190966766ce6"),
        ("MD5", "auth", "Олег", "17a1579fa7a4fd2c0ad620458517e41d"),
    ],
)
def test_check_values(algorithm: str, qop: str, username: str, expected: str) -> None:
    assert f'response="{expected}"' in credentials(challenge(algorithm, qop), username)


def test_rfc7616_3_9_1_example() -> None:
    wanted = Challenge(
        realm="http-auth@example.org", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", algorithm="SHA-256",
        qop=("auth", "auth-int"), opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", stale=False, header="WWW-Authenticate",
    )  # fmt: skip
    _, value = authorise(
        wanted, method="GET", uri="/dir/index.html", username="Mufasa", password="Circle of Life", nc=1,
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )  # fmt: skip
    assert 'response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"' in value
    assert 'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"' in value


def test_what_is_quoted_and_what_is_not() -> None:
    value = credentials(challenge("SHA-256", "auth"))
    assert value.startswith(
        'Digest username="1001", realm="pbx.example", nonce="bm9uY2U=", uri="sip:pbx.example", response="'
    )
    assert value.endswith('", algorithm=SHA-256, cnonce="c0ffee", qop=auth, nc=00000001')


def test_an_old_challenge_gets_an_old_answer() -> None:
    value = credentials(challenge())
    assert not any(name in value for name in ("qop", "nc=", "cnonce", "algorithm", "opaque"))


def test_auth_int_covers_the_body_where_nothing_else_is_offered() -> None:
    one, other = (credentials(challenge("MD5", "auth-int"), body=body) for body in (b"a", b"b"))
    assert "qop=auth-int" in one
    assert one != other


def test_realm_and_username_may_hold_commas_quotes_and_equal_signs() -> None:
    (wanted,) = challenges(response(r'Digest realm="a, \"b\"=c\\", nonce="n=,", opaque=""'))
    assert (wanted.realm, wanted.nonce, wanted.opaque) == (r'a, "b"=c' + "\\", "n=,", "")
    value = credentials(wanted, username='x"y')
    assert r'username="x\"y"' in value
    assert r'realm="a, \"b\"=c\\"' in value
    assert 'opaque=""' in value


def test_the_topmost_supported_challenge_of_each_realm_counts() -> None:
    found = challenges(
        response(
            'NoOneKnowsThisScheme realm="a", nonce="0"',
            'Digest realm="a", nonce="1", algorithm=SHA-1024',
            'Digest realm="a", nonce="2", algorithm=SHA-256, qop="auth-conf"',
            'digest REALM="a",NONCE="3",algorithm="SHA-256",qop=auth,stale=TRUE',
            'Digest realm="a", nonce="4", algorithm=MD5',
            'Digest realm="b", nonce="5"',
        )
    )
    assert [(item.realm, item.nonce, item.stale) for item in found] == [("a", "3", True), ("b", "5", False)]


def test_a_proxys_challenge_is_answered_in_its_own_header() -> None:
    (wanted,) = challenges(response('Digest realm="a", nonce="1"', header="Proxy-Authenticate"))
    assert wanted.header == "Proxy-Authenticate"
    assert credentials(wanted)


@pytest.mark.parametrize(
    "line",
    ["", "Digest", "Digest ,,,", 'Digest realm="a"', 'Digest nonce="a"', 'Digest realm="a, nonce="b"', "Basic x"],
)
def test_a_broken_challenge_is_skipped(line: str) -> None:
    assert challenges(response(line)) == ()
