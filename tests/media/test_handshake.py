"""DTLS-SRTP and ICE in the descriptions of a PBX (RFC 5763, 8839, 8842), without a socket."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.calls.commands import Secrecy
from bridge.media.handshake import Handshake
from bridge.media.pbx_sdp import parse_pbx_offer
from bridge.media.pbx_session import PbxSession
from bridge.media.peer import MAX_CANDIDATES, candidates
from bridge.media.sdp import SdpError, parse

from .offers import FINGERPRINT, WEBRTC_ASTERISK
from .stage import pbx_offer

US = "10.9.9.9", 21_000
OURS = "AB:" * 31 + "CD"
OTHER_PRINT = FINGERPRINT.replace("40:41", "41:40")


def counting() -> Callable[[int], bytes]:
    numbers = iter(range(1, 1000))
    return lambda size: next(numbers).to_bytes(size, "big")


def changed(text: str, *changes: tuple[str, str]) -> bytes:
    for pattern, replacement in changes:
        text, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        assert count, pattern
    return text.encode()


def without_ice(text: str) -> str:
    return re.sub(r"a=(ice|candidate).*\r\n", "", text)


def session(secrecy: Secrecy = Secrecy.ALLOWED) -> PbxSession:
    found = PbxSession(7, counting())
    found.begin(OURS)
    found.secrecy = secrecy
    return found


def called(offer: str | bytes = WEBRTC_ASTERISK) -> tuple[PbxSession, list[str]]:
    """A session that the PBX began, and the lines of our answer."""
    found = session()
    found.invited(offer.encode() if isinstance(offer, str) else offer)
    return found, found.answer("PCMU", US).decode().splitlines()


def answer_of_a_pbx(setup: str = "active", ice: bool = True, prints: str = FINGERPRINT, port: int = 14628) -> bytes:
    text = changed(
        WEBRTC_ASTERISK,
        ("a=setup:actpass", f"a=setup:{setup}"),
        (FINGERPRINT, prints),
        ("m=audio 14628", f"m=audio {port}"),
    ).decode()
    return (text if ice else without_ice(text)).encode()


def calling(answer: bytes | None = None) -> tuple[PbxSession, list[str]]:
    """A session that we began, and the lines of our offer."""
    found = session(Secrecy.WEBRTC)
    lines = found.offer(["PCMU"], US).decode().splitlines()
    found.answered(answer or answer_of_a_pbx())
    return found, lines


def handshake(found: PbxSession) -> Handshake:
    assert found.handshake is not None
    return found.handshake


# ---- the PBX offers


def test_an_offer_of_a_webrtc_endpoint_is_answered_active_with_ice_and_mux_and_without_bundle() -> None:
    found, lines = called()
    assert lines == [
        "v=0",
        "o=- 7 1 IN IP4 10.9.9.9",
        "s=-",
        "c=IN IP4 10.9.9.9",
        "t=0 0",
        "m=audio 21000 UDP/TLS/RTP/SAVPF 0 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        f"a=fingerprint:sha-256 {OURS}",
        "a=setup:active",
        "a=ice-ufrag:0000000000000001",
        "a=ice-pwd:00000000000000000000000000000002",
        "a=candidate:1 1 udp 2130706431 10.9.9.9 21000 typ host",
        "a=rtcp-mux",
        "a=ptime:20",
        "a=sendrecv",
        "a=mid:audio-0",
    ]
    theirs = handshake(found).theirs
    assert theirs.fingerprints == (("sha-256", FINGERPRINT),)
    assert theirs.opened_by_us
    assert not handshake(found).controlling, "who offers nominates"


def test_of_their_candidates_addresses_of_our_kind_are_kept_best_first_and_names_never() -> None:
    found, _ = called()
    assert handshake(found).theirs.candidates == (("10.1.2.3", 14_628), ("192.0.2.1", 14_628))


def test_a_flood_of_candidates_is_cut_off() -> None:
    lines = "".join(f"a=candidate:1 1 udp {n} 10.0.{n // 250}.{n % 250} 9 typ host\r\n" for n in range(1, 800))
    (section,) = parse(WEBRTC_ASTERISK + lines)
    assert len(candidates(section)) == MAX_CANDIDATES


@pytest.mark.parametrize(
    ("theirs", "ours"), [("actpass", "active"), ("active", "passive"), ("passive", "active"), ("holdconn", "active")]
)
def test_the_role_in_dtls_follows_rfc_5763_section_5(theirs: str, ours: str) -> None:
    found, lines = called(changed(WEBRTC_ASTERISK, ("setup:actpass", f"setup:{theirs}")))
    assert f"a=setup:{ours}" in lines
    assert handshake(found).theirs.opened_by_us is (ours == "active")


def test_without_ice_the_pbx_is_met_at_the_address_that_it_announced() -> None:
    found, lines = called(without_ice(WEBRTC_ASTERISK))
    assert not [line for line in lines if "ice" in line or "candidate" in line]
    assert handshake(found).theirs.address == ("10.1.2.3", 14_628)
    assert f"a=fingerprint:sha-256 {OURS}" in lines


def test_a_lite_pbx_leaves_nominating_to_us() -> None:
    found, _ = called(WEBRTC_ASTERISK.replace("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n"))
    assert handshake(found).controlling
    assert handshake(found).theirs.lite


@pytest.mark.parametrize("proto", ["UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP"])
def test_the_answer_keeps_the_profile_of_the_offer(proto: str) -> None:
    _, lines = called(WEBRTC_ASTERISK.replace("UDP/TLS/RTP/SAVPF", proto))
    assert f"m=audio 21000 {proto} 0 101" in lines


def test_the_unset_address_of_an_ice_offer_is_no_hold() -> None:
    found, lines = called(
        changed(WEBRTC_ASTERISK, ("c=IN IP4 10.1.2.3", "c=IN IP4 0.0.0.0"), ("m=audio 14628", "m=audio 9"))
    )
    assert "a=sendrecv" in lines
    assert found.pbx_listens


@pytest.mark.parametrize(
    ("secrecy", "text"),
    [
        (Secrecy.NEVER, WEBRTC_ASTERISK),
        (Secrecy.DTLS, pbx_offer(5000, "PCMU").decode()),
        (Secrecy.DTLS, pbx_offer(5000, "PCMU").decode().replace("RTP/AVP", "RTP/SAVP")),
        (Secrecy.REQUIRED, pbx_offer(5000, "PCMU").decode()),
        (Secrecy.ALLOWED, re.sub(r"a=fingerprint.*\r\n", "", WEBRTC_ASTERISK)),
        (Secrecy.ALLOWED, WEBRTC_ASTERISK.replace("SHA-256 ", "SHA-1 ")),
        (Secrecy.ALLOWED, WEBRTC_ASTERISK.replace(":5F\r", "\r")),
    ],
    ids=[
        "dtls, but never encrypted",
        "plain, but dtls required",
        "keys without any, but dtls required",
        "plain, but encryption required",
        "no fingerprint",
        "an old hash only",
        "a short hash",
    ],
)
def test_an_offer_that_the_policy_or_a_missing_proof_forbids_is_refused(secrecy: Secrecy, text: str) -> None:
    with pytest.raises(SdpError, match="we take"):
        parse_pbx_offer(text.encode(), secrecy)


def test_where_both_are_offered_dtls_goes_before_keys_in_the_description_and_those_before_plain() -> None:
    plain = pbx_offer(5000, "PCMU").decode()
    secure = "m=audio 5002 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40 + "\r\n"
    dtls = WEBRTC_ASTERISK[WEBRTC_ASTERISK.index("m=audio") :]
    assert parse_pbx_offer((plain + secure + dtls).encode(), Secrecy.ALLOWED).index == 2
    assert parse_pbx_offer((plain + secure).encode(), Secrecy.ALLOWED).index == 1
    assert parse_pbx_offer((plain + dtls).encode(), Secrecy.NEVER).index == 0


# ---- the PBX offers again


def test_the_same_transport_offered_again_is_answered_in_the_same_words_and_goes_on() -> None:
    found, lines = called()
    before = handshake(found)
    again = changed(WEBRTC_ASTERISK, ("a=sendrecv", "a=sendonly"), ("o=- 1391527316 1391527316", "o=- 1391527316 9"))
    second = found.reoffered(again, US).decode().splitlines()
    assert handshake(found) is before
    assert [line for line in lines if "ice-" in line or "setup" in line] == [
        line for line in second if "ice-" in line or "setup" in line
    ]


def test_a_fingerprint_that_is_written_twice_is_the_same() -> None:
    found, _ = called()
    before = handshake(found)
    found.reoffered(changed(WEBRTC_ASTERISK, (r"(a=fingerprint:.*\r\n)", r"\1\1")), US)
    assert handshake(found) is before


@pytest.mark.parametrize(
    "change",
    [
        (FINGERPRINT, OTHER_PRINT),
        ("a=ice-ufrag:.*\r", "a=ice-ufrag:restarted\r"),
        ("a=ice-pwd:.*\r", f"a=ice-pwd:{'r' * 24}\r"),
        ("a=setup:actpass", "a=setup:active"),
    ],
    ids=["fingerprint", "ICE name", "ICE password", "role"],
)
def test_another_fingerprint_ice_name_or_role_is_a_new_association_with_new_names_of_ours(
    change: tuple[str, str],
) -> None:
    found, lines = called()
    before = handshake(found)
    second = found.reoffered(changed(WEBRTC_ASTERISK, change), US).decode().splitlines()
    assert handshake(found) != before
    assert not {line for line in lines if "ice-" in line} & {line for line in second if "ice-" in line}


def test_without_ice_another_address_is_a_new_association_and_the_hold_of_rfc_2543_is_none() -> None:
    plain = without_ice(WEBRTC_ASTERISK)
    found, _ = called(plain)
    before = handshake(found)
    held = found.reoffered(changed(plain, ("c=IN IP4 10.1.2.3", "c=IN IP4 0.0.0.0")), US)
    assert handshake(found) is before
    assert b"a=recvonly" in held or b"a=inactive" in held
    found.reoffered(changed(plain, ("c=IN IP4 10.1.2.3", "c=IN IP4 10.1.2.4")), US)
    assert handshake(found) != before
    assert handshake(found).theirs.address == ("10.1.2.4", 14_628)


@pytest.mark.parametrize(("setup", "may"), [("active", True), ("passive", False)])
def test_a_pbx_without_ice_that_opens_dtls_may_begin_anew_where_it_says_so(setup: str, may: bool) -> None:
    found, _ = calling(answer_of_a_pbx(setup, ice=False))
    before = handshake(found)
    found.hold(True, US)
    held = answer_of_a_pbx(setup, ice=False)
    found.answered(held.replace(b"connection:new", b"connection:existing"))
    assert handshake(found) is before
    found.hold(False, US)
    found.answered(held)
    after = handshake(found)
    assert (after != before) is may
    assert after.says_the_same(before)
    found.answered(held)
    assert handshake(found) is after, "an answer that repeats itself asks for nothing"


def test_a_pbx_may_go_from_dtls_to_keys_to_plain_where_that_is_allowed() -> None:
    found, _ = called()
    assert found.by_dtls
    answer = found.reoffered(pbx_offer(5000, "PCMU", version=2), US)
    assert b"m=audio 21000 RTP/AVP 0 101" in answer
    assert b"fingerprint" not in answer
    assert (found.handshake, found.by_dtls) == (None, False)


# ---- we offer


def test_where_the_trunk_wants_dtls_our_offer_leaves_the_role_to_the_pbx() -> None:
    _, lines = calling()
    assert lines[5:] == [
        "m=audio 21000 UDP/TLS/RTP/SAVPF 0 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        f"a=fingerprint:sha-256 {OURS}",
        "a=setup:actpass",
        "a=ice-ufrag:0000000000000001",
        "a=ice-pwd:00000000000000000000000000000002",
        "a=candidate:1 1 udp 2130706431 10.9.9.9 21000 typ host",
        "a=rtcp-mux",
        "a=ptime:20",
        "a=sendrecv",
    ]


def test_without_webrtc_our_offer_has_neither_ice_nor_feedback() -> None:
    found = session(Secrecy.DTLS)
    lines = found.offer(["PCMU"], US).decode().splitlines()
    assert "m=audio 21000 UDP/TLS/RTP/SAVP 0 101" in lines
    assert {f"a=fingerprint:sha-256 {OURS}", "a=setup:actpass"} <= set(lines)
    assert not [line for line in lines if "ice" in line or "candidate" in line]


@pytest.mark.parametrize(("setup", "opened_by_us"), [("active", False), ("passive", True)])
def test_the_answer_says_who_opens_dtls_and_we_nominate(setup: str, opened_by_us: bool) -> None:
    found, _ = calling(answer_of_a_pbx(setup))
    assert handshake(found).theirs.opened_by_us is opened_by_us
    assert handshake(found).controlling
    assert found.terms.muxed


def test_a_pbx_that_knows_no_ice_is_met_where_it_announced() -> None:
    found, _ = calling(answer_of_a_pbx(ice=False))
    assert handshake(found).theirs.address == ("10.1.2.3", 14_628)


@pytest.mark.parametrize("begin", [called, calling])
def test_hold_and_resume_keep_the_transport_and_say_the_role_that_was_agreed(
    begin: Callable[[], tuple[PbxSession, list[str]]],
) -> None:
    found, lines = begin()
    before = handshake(found)
    for held in (True, False):
        offer = found.hold(held, US).decode().splitlines()
        assert {line for line in lines if "ice-" in line} <= set(offer)
        assert f"a=setup:{before.ours.setup}" in offer
        role = "passive" if before.ours.setup == "active" else "active"
        found.answered(answer_of_a_pbx(role))
        assert handshake(found) is before


def test_an_answer_of_another_branch_is_another_association_under_the_names_that_we_offered() -> None:
    found, _ = calling()
    before = handshake(found)
    found.answered(answer_of_a_pbx(prints=OTHER_PRINT))
    assert handshake(found) != before
    assert handshake(found).ours.credentials == before.ours.credentials


def test_who_takes_the_place_of_the_pbx_is_met_under_names_of_its_own() -> None:
    found, _ = calling()
    before = handshake(found)
    offer = found.offered_anew(US, ["PCMU"])
    assert b"a=setup:actpass" in offer
    assert before.ours.credentials is not None
    assert before.ours.credentials.username.encode() not in offer
    assert handshake(found) is before, "until somebody answers"
    found.answered(answer_of_a_pbx())
    assert handshake(found).ours.credentials != before.ours.credentials


@pytest.mark.parametrize(
    "answer",
    [
        pbx_offer(5000, "PCMU"),
        pbx_offer(5000, "PCMU").replace(b"RTP/AVP", b"RTP/SAVP"),
        re.sub(rb"a=fingerprint.*\r\n", b"", answer_of_a_pbx()),
    ],
    ids=["plain", "keys", "no fingerprint"],
)
def test_an_answer_without_a_proof_is_refused_and_nothing_is_agreed(answer: bytes) -> None:
    found = session(Secrecy.WEBRTC)
    found.offer(["PCMU"], US)
    with pytest.raises(SdpError):
        found.answered(answer)
    assert (found.handshake, found.codec) == (None, None)


def test_no_password_stands_in_what_is_logged() -> None:
    found, _ = called()
    password = handshake(found).theirs.password
    ours = handshake(found).ours.credentials
    assert ours is not None
    for secret in (password, ours.password):
        assert secret not in repr(handshake(found)) + repr(found.theirs) + repr(found.terms)


NAMES = ["setup", "fingerprint", "candidate", "ice-ufrag", "ice-pwd", "ice-lite", "rtcp-mux", "mid"]


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.text(max_size=60)), max_size=12), st.integers(0, 20))
def test_whatever_stands_in_these_attributes_the_description_is_used_or_refused(
    attributes: list[tuple[str, str]], at: int
) -> None:
    lines = WEBRTC_ASTERISK.split("\r\n")
    place = lines.index("m=audio 14628 UDP/TLS/RTP/SAVPF 8 0 101") + 1 + at
    lines[place:place] = [f"a={name}:{value}" for name, value in attributes]
    found = session()
    try:
        found.invited("\r\n".join(lines).encode("utf-8", "surrogatepass"))
        found.answer("PCMU", US)
    except SdpError:
        return
    parse(found.text)
