"""Offer, answer and hold with a PBX (RFC 3264), whoever begins."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.media.pbx_session import PbxSession
from bridge.media.sdp import Direction, SdpError

from .offers import ASTERISK, ODD_PBX
from .stage import pbx_answer, pbx_offer

US = "10.9.9.9", 21_000


def direction(sdp: bytes) -> str:
    found = re.findall(rb"^a=(sendrecv|sendonly|recvonly|inactive)\r$", sdp, re.MULTILINE)
    assert len(found) == 1
    return str(found[0].decode())


def version(sdp: bytes) -> int:
    found = re.match(rb"v=0\r\no=- 7 (\d+) IN IP4 10\.9\.9\.9\r\n", sdp)
    assert found
    return int(found[1])


def called() -> PbxSession:
    """A session that the PBX began."""
    session = PbxSession(7, bytes)
    session.invited(pbx_offer(5000, "PCMU"))
    session.answer("PCMU", US)
    return session


def calling() -> PbxSession:
    """A session that we began."""
    session = PbxSession(7, bytes)
    session.offer(["PCMU", "PCMA"], US)
    session.answered(pbx_answer(5000, "PCMU"))
    return session


@pytest.mark.parametrize("begin", [called, calling])
def test_hold_and_resume_offer_what_is_in_use_under_a_new_version_each(begin: Callable[[], PbxSession]) -> None:
    session = begin()
    first = version(session.text)
    for count, (held, wire) in enumerate([(True, "sendonly"), (False, "sendrecv"), (False, "sendrecv")], 1):
        offer = session.hold(held, US)
        assert (direction(offer), version(offer)) == (wire, first + count)
        assert b"m=audio 21000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n" in offer


def test_hold_keeps_every_m_line_of_the_pbx_in_its_place_and_its_payload_types() -> None:
    session = PbxSession(7, bytes)
    session.invited(ODD_PBX.replace("a=sendonly", "a=sendrecv").encode())
    session.answer("PCMA", US)
    lines = session.hold(True, US).decode().splitlines()
    assert [line for line in lines if line.startswith(("m=", "a=ptime"))] == [
        "m=image 0 udptl t38",
        "m=audio 0 RTP/SAVP 0",
        "m=audio 21000 RTP/AVP 8 101",
        "a=ptime:30",
        "m=text 0 RTP/AVP 98",
    ]


def test_a_second_offer_of_ours_keeps_our_payload_types_though_the_pbx_answered_with_others() -> None:
    session = PbxSession(7, bytes)
    session.offer(["opus"], US)
    session.answered(pbx_answer(5000, "opus").replace(b"107", b"98"))
    assert session.codec
    assert (session.codec.payload_type, session.payload_type) == (98, 107)
    assert b" RTP/AVP 107 110\r\n" in session.hold(True, US)


def test_after_a_new_offer_of_the_pbx_its_payload_types_count() -> None:
    session = PbxSession(7, bytes)
    session.offer(["opus"], US)
    session.answered(pbx_answer(5000, "opus"))
    answer = session.reoffered(pbx_offer(5000, "PCMU", "opus", version=2).replace(b"107", b"98"), US)
    assert b" RTP/AVP 98\r\n" in answer
    assert session.codec
    assert (session.codec.payload_type, session.payload_type) == (98, 98)


@pytest.mark.parametrize(
    ("theirs", "ours", "held"),
    [
        ("sendrecv", "sendonly", False),
        ("recvonly", "sendonly", False),
        ("sendonly", "inactive", True),
        ("inactive", "inactive", True),
    ],
)
def test_a_pbx_that_offers_during_our_hold_gets_an_answer_that_holds(theirs: str, ours: str, held: bool) -> None:
    session = called()
    session.hold(True, US)
    session.answered(pbx_answer(5000, "PCMU", direction="recvonly"))
    answer = session.reoffered(pbx_offer(5000, "PCMU", direction=theirs, version=3), US)
    assert (direction(answer), session.pbx_holds) == (ours, held)
    assert direction(session.hold(False, US)) == ("recvonly" if held else "sendrecv")


def test_a_pbx_that_asks_for_our_offer_during_our_hold_gets_one_that_holds() -> None:
    session = called()
    session.hold(True, US)
    session.answered(pbx_answer(5000, "PCMU", direction="recvonly"))
    assert direction(session.reoffered(b"", US)) == "sendonly"


def test_section_10_a_reinvite_without_sdp_is_offered_everything_with_the_codec_in_use_first() -> None:
    session = called()
    offer = session.reoffered(b"", US, ("PCMA", "PCMU", "opus"))
    assert re.search(rb"^m=audio 21000 RTP/AVP 0 8 107( 101)?\r$", offer, re.MULTILINE)
    session.answered(pbx_answer(5000, "PCMA"))
    assert session.codec is not None
    assert session.codec.name == "PCMA"


def test_a_new_offer_without_the_codec_in_use_takes_another_that_is_allowed() -> None:
    session = called()
    answer = session.reoffered(pbx_offer(5000, "PCMA", version=2), US, ("PCMU", "PCMA"))
    assert b"RTP/AVP 8" in answer
    assert session.codec is not None
    assert session.codec.name == "PCMA"


def test_inactive_is_an_answer_to_our_hold_and_not_a_hold_of_the_pbxs_own() -> None:
    """Many telephones answer so. Taken for a hold, it would leave the operator unheard after resuming."""
    session = called()
    session.hold(True, US)
    session.answered(pbx_answer(5000, "PCMU", direction="inactive"))
    assert not session.pbx_listens
    session.reoffered(pbx_offer(5000, "PCMU", direction="inactive", version=3), US)
    assert not session.pbx_holds, "a session refresh repeats what was agreed"
    assert direction(session.hold(False, US)) == "sendrecv"


def test_a_pbx_may_hold_by_its_answer_to_our_resuming() -> None:
    session = called()
    session.hold(True, US)
    session.answered(pbx_answer(5000, "PCMU", direction="recvonly"))
    session.hold(False, US)
    session.answered(pbx_answer(5000, "PCMU", direction="sendonly"))
    assert session.pbx_holds
    assert direction(session.hold(True, US)) == "inactive"


def test_an_unusable_offer_or_answer_changes_nothing() -> None:
    session = called()
    session.hold(True, US)
    before = session.text, session.codec, session.theirs, session.held, session.pbx_listens
    for bad in (b"", b"v=0", pbx_answer(5000, "PCMA"), pbx_answer(0, "PCMU")):
        with pytest.raises(SdpError):
            session.answered(bad)
    for bad in (b"junk", pbx_offer(5000, "PCMA")):
        with pytest.raises(SdpError):
            session.reoffered(bad, US)
    assert before == (session.text, session.codec, session.theirs, session.held, session.pbx_listens)


def test_an_answer_must_keep_the_audio_in_its_place() -> None:
    session = PbxSession(7, bytes)
    session.invited(ODD_PBX.encode())
    session.answer("PCMA", US)
    session.hold(True, US)
    with pytest.raises(SdpError, match="leaves the audio out"):
        session.answered(pbx_answer(5000, "PCMA"))


def test_a_pbx_that_is_silent_is_missed_only_where_nobody_holds_and_it_said_it_would_speak() -> None:
    session = PbxSession(7, bytes)
    session.offer(["PCMA"], US)
    assert not session.pbx_should_speak
    session.answered(ASTERISK.encode())
    assert session.pbx_should_speak
    session.hold(True, US)
    assert not session.pbx_should_speak
    session.hold(False, US)
    session.reoffered(ASTERISK.replace("sendrecv", "recvonly").encode(), US)
    assert not session.pbx_should_speak


# ---- whatever the order


@dataclass
class StrictPbx:
    """A PBX that follows RFC 3264 to the letter and has its own wish to hold."""

    held: bool = False
    told: int = 0
    """Newest version seen of ours."""

    def check(self, sdp: bytes) -> Direction:
        number = version(sdp)
        assert number >= self.told
        self.told = number
        return Direction(direction(sdp))

    def answer(self, offer: bytes) -> bytes:
        before = self.told
        theirs = self.check(offer)
        assert self.told > before, "a new offer has a new version"
        mine = Direction.of(sends=theirs.receives, receives=theirs.sends and not self.held)
        return pbx_answer(5000, "PCMU", direction=mine.value)

    def offer(self, told_to_hold: bool) -> Direction:
        return Direction.of(sends=not told_to_hold, receives=not self.held)


Move = tuple[str, bool]
MOVES = st.lists(st.tuples(st.sampled_from(["we hold", "refused", "they hold", "refresh"]), st.booleans()), max_size=20)


@given(MOVES, st.booleans())
def test_both_sides_may_hold_in_any_order_and_voice_comes_back_when_neither_does(
    moves: list[Move], ours_first: bool
) -> None:
    session, pbx = (calling() if ours_first else called()), StrictPbx()
    held = told_to_hold = False
    for move, wish in [*moves, ("they hold", False), ("we hold", False)]:
        if move == "we hold":
            held = told_to_hold = wish
            session.answered(pbx.answer(session.hold(wish, US)))
        elif move == "refused":
            session.hold(wish, US)
            session.hold(held, US)
        else:
            pbx.held = wish if move == "they hold" else pbx.held
            offered = pbx.offer(told_to_hold)
            theirs = pbx.check(session.reoffered(pbx_offer(5000, "PCMU", direction=offered.value), US))
            assert theirs.sends <= offered.receives
            assert theirs.receives <= offered.sends
        assert session.held == held
        assert session.pbx_holds == pbx.held
        assert not (session.pbx_holds and session.pbx_should_speak)
    assert direction(session.text) == "sendrecv"
    assert session.pbx_listens
    assert session.pbx_should_speak


def test_whoever_takes_the_pbxs_place_is_offered_everything_and_its_answer_read() -> None:
    with pytest.raises(SdpError):
        PbxSession(7, bytes).offered_anew(US, ("PCMU",))
    session = called()
    offer = session.offered_anew(US, ("PCMU", "PCMA"))
    assert re.search(rb"^m=audio 21000 RTP/AVP 0 8( 101)?\r$", offer, re.MULTILINE)
    session.answered(pbx_answer(6000, "PCMU"))
    assert session.theirs is not None
    assert session.theirs.address == ("127.0.0.1", 6000)
