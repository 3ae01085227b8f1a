"""A PBX proves who it is (RFC 3261 22.4, RFC 7616, RFC 8760): replays, old nonces and forged ones are refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sip.challenge import Challenger, Proven, Unproven
from bridge.sip.digest import authorise, challenges
from bridge.sip.message import Request, respond

from .parties import request


def challenger() -> Challenger:
    numbers = iter(range(1, 10_000))
    return Challenger("bridge", {"pbx": "s3cret"}, lambda size: f"{next(numbers):0{2 * size}x}")


def asked(one: Challenger, now: float = 0.0, invite: Request | None = None) -> Unproven:
    outcome = one.check(invite or request(), now)
    assert isinstance(outcome, Unproven)
    return outcome


def signed(outcome: Unproven, *, password: str = "s3cret", user: str = "pbx", nc: int = 1, uri: str = "",
           algorithm: str = "SHA-256") -> Request:  # fmt: skip
    invite = request()
    lines = [line for line in outcome.headers if f"algorithm={algorithm}," in line[1]]
    (challenge,) = challenges(respond(invite, 401, headers=lines))
    header = authorise(
        challenge, method="INVITE", uri=uri or invite.uri, username=user, password=password, nc=nc, cnonce="c0ffee"
    )
    return Request("INVITE", invite.uri, invite.headers.add(*header))


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
def test_the_right_password_proves(algorithm: str) -> None:
    one = challenger()
    assert one.check(signed(asked(one), algorithm=algorithm), 1.0) == Proven("pbx")


def test_rfc8760_2_4_the_strongest_is_offered_first_with_one_nonce() -> None:
    first, second = (value for _, value in asked(challenger()).headers)
    assert "algorithm=SHA-256," in first
    assert "algorithm=MD5," in second
    assert first.partition("nonce=")[2].partition(",")[0] == second.partition("nonce=")[2].partition(",")[0]
    assert not asked(challenger()).wrong


@pytest.mark.parametrize("wrong", [{"password": "guess"}, {"user": "nobody"}, {"user": ""}, {"uri": "sip:else@x"}])
def test_a_wrong_answer_is_told_and_never_what_was_wrong(wrong: dict[str, Any]) -> None:
    one = challenger()
    outcome = one.check(signed(asked(one), **wrong), 1.0)
    assert isinstance(outcome, Unproven)
    assert outcome.wrong
    assert all("stale" not in value for _, value in outcome.headers)


def test_a_replay_is_refused() -> None:
    one = challenger()
    proof = signed(asked(one))
    assert isinstance(one.check(proof, 1.0), Proven)
    again = one.check(proof, 2.0)
    assert isinstance(again, Unproven)
    assert all("stale=true" in value for _, value in again.headers)


def test_the_count_has_to_grow_gaps_allowed() -> None:
    one = challenger()
    outcome = asked(one)
    assert isinstance(one.check(signed(outcome, nc=5), 1.0), Proven)
    assert isinstance(one.check(signed(outcome, nc=4), 1.0), Unproven)
    assert isinstance(one.check(signed(outcome, nc=9), 1.0), Proven)


def test_an_old_nonce_is_stale_and_not_a_wrong_password() -> None:
    one = challenger()
    old = one.check(signed(asked(one)), 301.0)
    assert isinstance(old, Unproven)
    assert not old.wrong
    assert all("stale=true" in value for _, value in old.headers)


def test_a_nonce_of_somebody_else_is_not_accepted() -> None:
    theirs = Challenger("bridge", {"pbx": "s3cret"}, lambda size: "ab" * size)
    assert isinstance(challenger().check(signed(asked(theirs)), 1.0), Unproven)


def test_asking_costs_no_memory_and_answering_little() -> None:
    one = challenger()
    for now in range(1000):
        outcome = asked(one, float(now))
        one.check(signed(outcome), float(now))
    assert len(one._counts) <= 302


def test_another_realms_credentials_are_none_of_ours() -> None:
    one = challenger()
    invite = request(
        headers=(("Authorization", 'Digest realm="other", nonce="x", response="y"'), ("Contact", "<sip:a>"))
    )
    assert not asked(one, invite=invite).wrong


@given(st.text(max_size=200))
def test_whatever_is_shown_nothing_is_proven_and_nothing_raised(text: str) -> None:
    clean = "".join(sign for sign in text if sign not in "\r\n\0")
    invite = request()
    for value in (clean, f"Digest {clean}", f'Digest realm="bridge", {clean}'):
        shown = Request("INVITE", invite.uri, invite.headers.add("Authorization", value))
        assert isinstance(challenger().check(shown, 1.0), Unproven)
