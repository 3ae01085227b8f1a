"""Reliable provisional responses and early dialogs: RFC 3262, RFC 3311; sections 10 and 11 of the rules."""

from __future__ import annotations

import pytest

from bridge.sip.message import Request, Response
from bridge.sip.output import Accepted, Cancelled, HungUp, PartyChanged, Progressed, Rang, Refused, Reoffered

from .desks import Called, Calling, one, statuses
from .parties import ANSWER, OFFER, reply

Pair = tuple[str, str]
SUPPORTS: Pair = ("Supported", "100rel")
REQUIRES: Pair = ("Require", "100rel")
MEDIA = ANSWER.replace(b"5000", b"6000")


def first(messages: list[Request | Response]) -> Response:
    (message,) = messages
    assert isinstance(message, Response)
    return message


def rings(desk: Called) -> Response:
    return first(desk.does(desk.usage, desk.usage.ring(desk.now)))


def speaks(desk: Called, sdp: bytes = ANSWER) -> Response:
    return first(desk.does(desk.usage, desk.usage.progress(sdp, desk.now)))


def prack(desk: Called, response: Response, cseq: int = 2, body: bytes = b"") -> Request:
    rack = f"{response.headers.get('RSeq')} 1 INVITE"
    return desk.within("PRACK", cseq, body, ("RAck", rack))


# ---- the called side


@pytest.mark.parametrize(("headers", "reliable"), [((), False), ((SUPPORTS,), False), ((REQUIRES,), True)])
def test_section_11_a_180_is_reliable_only_where_the_caller_demands_it(headers: tuple[Pair], reliable: bool) -> None:
    response = rings(Called(*headers))
    assert response.status == 180
    assert ("RSeq" in response.headers, response.headers.all("Require") == ("100rel",)) == (reliable, reliable)


@pytest.mark.parametrize(("headers", "reliable"), [((), False), ((SUPPORTS,), True), ((REQUIRES,), True)])
def test_early_media_is_reliable_where_it_can_be(headers: tuple[Pair], reliable: bool) -> None:
    response = speaks(Called(*headers))
    assert (response.status, response.body, "RSeq" in response.headers) == (183, ANSWER, reliable)


def test_section_11_never_for_100() -> None:
    trying = first(Called(REQUIRES).first)
    assert (trying.status, "RSeq" in trying.headers) == (100, False)


def test_section_7_1xx_rel_is_repeated_doubling_without_a_cap_until_the_prack() -> None:
    desk = Called(REQUIRES)
    ringing = rings(desk)
    assert [when for when, _ in desk.waits(20)] == [0.5, 1.5, 3.5, 7.5, 15.5]
    assert statuses(desk.gets(prack(desk, ringing))) == [(200, "PRACK")]
    assert desk.waits(59) == []


def test_section_11_no_prack_in_64_t1_is_a_5xx_to_the_invite() -> None:
    desk = Called(REQUIRES)
    rings(desk)
    seen = [message for _, message in desk.waits(32)]
    assert (504, "INVITE") in statuses(seen)
    assert any(isinstance(fact, HungUp) for fact in desk.told)


def test_section_11_a_prack_that_matches_nothing_earns_481() -> None:
    desk = Called(REQUIRES)
    ringing = rings(desk)
    wrong = ringing.headers.set("RSeq", str(int(ringing.headers.get("RSeq") or 0) + 1))
    assert statuses(desk.gets(prack(desk, Response(180, "", wrong)))) == [(481, "PRACK")]
    assert statuses(desk.gets(desk.within("PRACK", 3, b"", ("RAck", "nonsense")))) == [(481, "PRACK")]
    assert statuses(desk.gets(desk.within("PRACK", 4))) == [(481, "PRACK")]


def test_section_11_the_next_one_waits_for_the_prack_and_counts_one_up() -> None:
    desk = Called(REQUIRES)
    ringing = rings(desk)
    assert desk.does(desk.usage, desk.usage.progress(ANSWER, 0)) == []
    acknowledged, speaking = desk.gets(prack(desk, ringing))
    assert isinstance(speaking, Response)
    assert speaking.status == 183
    assert int(speaking.headers.get("RSeq") or 0) == int(ringing.headers.get("RSeq") or 0) + 1
    assert acknowledged.cseq[1] == "PRACK"


def test_section_11_a_2xx_may_overtake_a_prack_and_the_late_prack_is_welcome() -> None:
    desk = Called(REQUIRES)
    ringing = rings(desk)
    desk.answered()
    assert statuses(desk.gets(prack(desk, ringing))) == [(200, "PRACK")]


def test_section_11_a_2xx_waits_for_the_prack_of_what_carried_sdp() -> None:
    desk = Called(SUPPORTS)
    speaking = speaks(desk)
    assert desk.does(desk.usage, desk.usage.answer(ANSWER, 0)) == []
    assert statuses(desk.gets(prack(desk, speaking))) == [(200, "PRACK"), (200, "INVITE")]


def test_an_offer_in_a_prack_is_refused_and_the_response_is_acknowledged_all_the_same() -> None:
    desk = Called(SUPPORTS)
    speaking = speaks(desk)
    assert statuses(desk.gets(prack(desk, speaking, body=OFFER))) == [(488, "PRACK")]
    assert desk.waits(30) == []


def test_a_cancel_stops_the_repetitions() -> None:
    desk = Called(REQUIRES)
    rings(desk)
    assert statuses(desk.gets(desk.cancel())) == [(200, "CANCEL"), (487, "INVITE")]
    assert Cancelled(elsewhere=False) in desk.told
    assert [message for _, message in desk.waits(0.6) if message.cseq[1] == "INVITE" and message.body] == []


def test_ringing_stays_silent_where_it_would_have_to_bring_an_offer_that_is_not_there_yet() -> None:
    desk = Called(REQUIRES, offer=b"")
    assert desk.does(desk.usage, desk.usage.ring(0)) == []
    assert statuses(desk.does(desk.usage, desk.usage.answer(OFFER, 0))) == [(200, "INVITE")]


# ---- late offer


def test_section_10_an_invite_without_sdp_is_answered_with_our_offer_and_the_ack_has_the_answer() -> None:
    desk = Called(offer=b"").answered()
    desk.gets(desk.within("ACK", 1, ANSWER))
    assert desk.told[-1].answer == ANSWER  # type: ignore[attr-defined]


def test_section_10_an_ack_without_answer_is_a_bye_with_a_reason() -> None:
    desk = Called(offer=b"").answered()
    bye = one(desk.gets(desk.within("ACK", 1)), "BYE")
    assert bye.headers.get("Reason") == "Q.850;cause=88"
    assert isinstance(desk.told[-1], HungUp)


def test_section_10_a_reinvite_without_sdp_brings_its_answer_in_the_ack_too() -> None:
    desk = Called().confirmed()
    desk.gets(desk.within("INVITE", 2))
    assert desk.told[-1] == Reoffered(b"")
    desk.does(desk.usage, desk.usage.answer_reoffer(OFFER, 0))
    desk.gets(desk.within("ACK", 2, MEDIA))
    assert desk.told[-1].answer == MEDIA  # type: ignore[attr-defined]


# ---- the calling side


def reliably(desk: Calling, status: int, rseq: int, sdp: bytes = b"", tag: str = "bob") -> Response:
    return reply(desk.invite, status, tag=tag, sdp=sdp, headers=(REQUIRES, ("RSeq", str(rseq))))


def pracks(messages: list[Request | Response]) -> list[str | None]:
    return [m.headers.get("RAck") for m in messages if isinstance(m, Request) and m.method == "PRACK"]


def test_section_11_an_invite_of_ours_supports_100rel() -> None:
    assert "100rel" in Calling().invite.headers.all("Supported")


def test_section_11_a_prack_stands_in_the_early_dialog_with_its_own_cseq() -> None:
    desk = Calling()
    asked = one(desk.gets(reliably(desk, 180, 7)), "PRACK")
    assert asked.headers.get("RAck") == "7 1 INVITE"
    assert (asked.cseq, asked.to_tag, asked.uri) == ((2, "PRACK"), "bob", "sip:bob@192.0.2.2:5060")
    assert desk.told == [Rang()]
    desk.gets(reply(asked, 200))
    desk.gets(reply(desk.invite, 200, sdp=ANSWER))
    assert one(desk.does(desk.usage, desk.usage.hang_up(16, 0)), "BYE").cseq[0] == 3


def test_section_11_a_repeated_one_is_not_acknowledged_anew_and_a_gap_is_not_believed() -> None:
    desk = Calling()
    assert pracks(desk.gets(reliably(desk, 180, 7))) == ["7 1 INVITE"]
    assert pracks(desk.gets(reliably(desk, 180, 7))) == []
    assert pracks(desk.gets(reliably(desk, 183, 9, ANSWER))) == []
    assert desk.told == [Rang()]
    assert pracks(desk.gets(reliably(desk, 183, 8, ANSWER))) == ["8 1 INVITE"]
    assert desk.told == [Rang(), Progressed(ANSWER)]


def test_each_fork_counts_for_itself() -> None:
    desk = Calling()
    assert pracks(desk.gets(reliably(desk, 180, 7, tag="one"))) == ["7 1 INVITE"]
    assert pracks(desk.gets(reliably(desk, 180, 99, tag="two"))) == ["99 1 INVITE"]


@pytest.mark.parametrize("final", [b"", ANSWER])
def test_section_10_the_answer_in_a_reliable_183_is_final_and_the_2xx_adds_nothing(final: bytes) -> None:
    desk = Calling()
    desk.gets(reliably(desk, 183, 7, ANSWER))
    assert one(desk.gets(reply(desk.invite, 200, sdp=final)), "ACK")
    assert desk.told == [Progressed(ANSWER), Accepted(b"")]


def test_section_10_the_answer_in_a_plain_183_is_a_preview_and_the_same_is_expected_in_the_200() -> None:
    desk = Calling()
    desk.gets(reply(desk.invite, 183, sdp=ANSWER))
    desk.gets(reply(desk.invite, 200, sdp=ANSWER))
    assert desk.told == [Progressed(ANSWER), Accepted(ANSWER)]


def test_a_prack_that_nobody_answers_harms_nothing() -> None:
    desk = Calling()
    desk.gets(reliably(desk, 180, 7))
    desk.waits(33)
    desk.gets(reply(desk.invite, 200, sdp=ANSWER))
    assert desk.told == [Rang(), Accepted(ANSWER)]


# ---- UPDATE


def test_section_10_update_with_sdp_in_an_early_dialog_is_answered_once_the_answer_was_reliable() -> None:
    desk = Calling()
    desk.gets(reliably(desk, 183, 7, ANSWER))
    assert desk.gets(desk.within("UPDATE", 1, MEDIA)) == []
    assert statuses(desk.does(desk.usage, desk.usage.answer_reoffer(OFFER, 0))) == [(200, "UPDATE")]
    desk.gets(reply(desk.invite, 200, sdp=ANSWER))
    # What the 200 repeats is older than what the UPDATE brought.
    assert desk.told == [Progressed(ANSWER), Reoffered(MEDIA), Accepted(b"")]


def test_section_10_update_with_sdp_while_an_offer_of_ours_is_open_earns_491() -> None:
    desk = Calling()
    desk.gets(reply(desk.invite, 183, sdp=ANSWER))
    assert statuses(desk.gets(desk.within("UPDATE", 1, MEDIA))) == [(491, "UPDATE")]


def test_section_10_update_with_sdp_while_theirs_is_open_earns_500_and_retry_after() -> None:
    desk = Called()
    (refused,) = desk.gets(desk.within("UPDATE", 2, OFFER))
    assert isinstance(refused, Response)
    assert refused.status == 500
    assert 0 <= int(refused.headers.get("Retry-After") or 99) <= 10


@pytest.mark.parametrize("header", ["P-Asserted-Identity", "Remote-Party-ID"])
def test_section_20_an_update_says_who_is_at_the_other_end_now(header: str) -> None:
    desk = Called().confirmed()
    asserted = (header, '"Vera" <sip:+49301@pbx>')
    assert statuses(desk.gets(desk.within("UPDATE", 2, b"", asserted))) == [(200, "UPDATE")]
    assert desk.told[-1] == PartyChanged("+49301", "Vera")
    told = len(desk.told)
    desk.gets(desk.within("UPDATE", 3, b"", asserted))
    assert len(desk.told) == told, "no news"


def test_section_20_a_reinvite_may_say_it_too_and_a_withheld_number_stays_withheld() -> None:
    desk = Calling().confirmed()
    private = (("P-Asserted-Identity", "<sip:+49301@pbx>"), ("Privacy", "id"))
    desk.gets(desk.within("INVITE", 1, OFFER, headers=private))
    assert desk.told[-2:] == [PartyChanged("", ""), Reoffered(OFFER)]


def test_a_refused_call_that_was_acknowledged_reliably_is_refused_once() -> None:
    desk = Calling()
    desk.gets(reliably(desk, 180, 7))
    desk.gets(reply(desk.invite, 486))
    assert [type(fact) for fact in desk.told if isinstance(fact, Refused)] == [Refused]
