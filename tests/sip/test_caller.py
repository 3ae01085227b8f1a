"""A call that goes out, seen by our user agent: RFC 3261 sections 9.1 and 13.2, RFC 3263 4.3."""

from __future__ import annotations

import pytest

from bridge.sip.flow import Flow
from bridge.sip.login import Login
from bridge.sip.message import Request, Response
from bridge.sip.output import Accepted, HungUp, Progressed, Rang, Refused, Unreachable
from bridge.sip.owner import Gone
from bridge.sip.session import Stage

from .desks import Calling, one, statuses
from .parties import ANSWER, BOB, OFFER, reply

SPARE = Flow("192.0.2.3", 5060)
EARLY = ANSWER.replace(b"5000", b"6000")
MOVED = ANSWER.replace(b"5000", b"7000")


def methods(messages: list[Request | Response]) -> list[str]:
    return [message.method for message in messages if isinstance(message, Request)]


def login(password: str = "secret") -> Login:
    return Login("alice", password, lambda size: "0" * 2 * size)


def challenge(nonce: str, header: str = "WWW-Authenticate", *, stale: bool = False) -> tuple[tuple[str, str]]:
    return ((header, f'Digest realm="pbx", nonce="{nonce}", qop="auth"{", stale=true" if stale else ""}'),)


# ---- provisional responses


def test_100_is_no_news() -> None:
    desk = Calling()
    assert desk.gets(reply(desk.invite, 100)) == []
    assert desk.told == []


@pytest.mark.parametrize("status", [180, 181, 183])
def test_ringing_is_told_once_however_often_and_by_how_many_forks(status: int) -> None:
    desk = Calling()
    for tag in ("a", "a", "b"):
        desk.gets(reply(desk.invite, status, tag=tag))
    assert desk.told == [Rang()]


def test_early_media_is_told_each_time_it_changes() -> None:
    desk = Calling()
    for status, sdp in ((183, EARLY), (183, EARLY), (180, b""), (180, MOVED), (183, EARLY)):
        desk.gets(reply(desk.invite, status, sdp=sdp))
    assert desk.told == [Progressed(EARLY), Rang(), Progressed(MOVED), Progressed(EARLY)]


def test_section_10_of_forks_with_early_media_the_one_that_spoke_up_last_counts() -> None:
    desk = Calling()
    for tag, sdp in (("a", EARLY), ("b", MOVED), ("a", EARLY), ("b", MOVED)):
        desk.gets(reply(desk.invite, 183, tag=tag, sdp=sdp))
    assert desk.told == [Progressed(EARLY), Progressed(MOVED)]


def test_199_is_no_ringing() -> None:
    desk = Calling()
    desk.gets(reply(desk.invite, 199))
    assert desk.told == []


# ---- answers


def test_an_answered_call_is_acknowledged_and_each_repeat_again() -> None:
    desk = Calling()
    (first,) = desk.gets(reply(desk.invite, 200, sdp=ANSWER))
    (again,) = desk.gets(reply(desk.invite, 200, sdp=ANSWER))
    assert isinstance(first, Request)
    assert (first.method, first.cseq, first.uri) == ("ACK", (1, "ACK"), "sip:bob@192.0.2.2:5060")
    assert again == first
    assert desk.told == [Accepted(ANSWER)]


def test_an_answer_without_a_description_gets_ack_and_bye_and_counts_as_488() -> None:
    desk = Calling()
    desk.gets(reply(desk.invite, 180))
    sent = desk.gets(reply(desk.invite, 200))
    assert methods(sent) == ["ACK", "BYE"]
    assert desk.told == [Rang(), Refused(488, "answered without a description", 0, True)]
    desk.gets(reply(one(sent, "BYE"), 200))
    assert isinstance(desk.told[-1], Gone)


def test_a_success_of_another_fork_gets_ack_and_bye() -> None:
    desk = Calling().confirmed()
    sent = desk.gets(reply(desk.invite, 200, tag="other", sdp=MOVED))
    assert methods(sent) == ["ACK", "BYE"]
    assert {message.to_tag for message in sent} == {"other"}
    assert methods(desk.gets(reply(desk.invite, 200, tag="other", sdp=MOVED))) == ["ACK"]
    desk.gets(reply(one(sent, "BYE"), 200, tag="other"))
    assert desk.usage.stage is Stage.CONFIRMED
    assert desk.told == [Accepted(ANSWER)]


def test_the_answer_to_another_forks_bye_does_not_end_our_own_goodbye() -> None:
    desk = Calling().confirmed()
    other = one(desk.gets(reply(desk.invite, 200, tag="other", sdp=MOVED)), "BYE")
    ours = one(desk.does(desk.usage, desk.usage.hang_up(16, 0.0)), "BYE")
    desk.gets(reply(other, 200, tag="other"))
    assert desk.usage.stage is Stage.LEAVING
    desk.gets(reply(ours, 200))
    assert isinstance(desk.told[-1], Gone)


# ---- refusals


@pytest.mark.parametrize(
    ("status", "reason", "cause"),
    [
        (486, 'Q.850;cause=17;text="User busy"', 17),
        (480, "SIP;cause=487, Q.850 ; cause=19", 19),
        (603, "Q.850;cause=nonsense", 0),
        (503, "SIP;cause=503", 0),
        (302, "Q.850", 0),
    ],
)
def test_a_refusal_is_told_with_its_q850_cause(status: int, reason: str, cause: int) -> None:
    desk = Calling()
    assert methods(desk.gets(reply(desk.invite, status, headers=(("Reason", reason),)))) == ["ACK"]
    refused, gone = desk.told
    assert isinstance(refused, Refused)
    assert (refused.status, refused.cause, refused.provisional) == (status, cause, False)
    assert isinstance(gone, Gone)


def test_a_redirection_is_not_followed() -> None:
    desk = Calling()
    sent = desk.gets(reply(desk.invite, 302, headers=(("Contact", "<sip:premium@192.0.2.99>"),)))
    assert methods(sent) == ["ACK"]
    assert set(desk.places) == {BOB}


def test_a_refusal_tells_whether_it_had_been_ringing() -> None:
    desk = Calling()
    desk.gets(reply(desk.invite, 180))
    desk.gets(reply(desk.invite, 480))
    assert Refused(480, "Temporarily Unavailable", 0, True) in desk.told


def test_silence_for_64_t1_counts_as_408() -> None:
    desk = Calling()
    desk.waits(32)
    assert Refused(408, "no answer from the network", 0, False) in desk.told
    assert desk.agent.pending == 0


def test_a_callee_whose_answers_were_all_lost_and_who_left_ends_the_call() -> None:
    desk = Calling()
    desk.gets(reply(desk.invite, 180))
    assert statuses(desk.gets(desk.within("BYE", 1))) == [(200, "BYE")]
    assert desk.told[-2:] == [HungUp("BYE before the answer"), Gone()]
    desk.waits(40)
    assert desk.agent.pending == 0


def test_an_offer_of_theirs_while_ours_is_open_gets_491() -> None:
    desk = Calling()
    desk.gets(reply(desk.invite, 180))
    assert statuses(desk.gets(desk.within("UPDATE", 1, OFFER))) == [(491, "UPDATE")]


# ---- CANCEL


def test_section_10_cancel_waits_for_the_first_provisional_response() -> None:
    desk = Calling()
    assert desk.does(desk.usage, desk.usage.hang_up(16, 0.0)) == []
    cancel = one(desk.gets(reply(desk.invite, 100)), "CANCEL")
    assert cancel.via == desk.invite.via
    assert desk.gets(reply(cancel, 200)) == []
    one(desk.gets(reply(desk.invite, 487)), "ACK")
    assert desk.told == [Refused(487, "Request Terminated", 0, False), Gone()]


def test_after_cancel_ringing_is_no_news() -> None:
    desk = Calling()
    desk.does(desk.usage, desk.usage.hang_up(16, 0.0))
    desk.gets(reply(desk.invite, 183, sdp=EARLY))
    desk.gets(reply(desk.invite, 180))
    assert desk.told == []


def test_section_10_a_200_that_crosses_our_cancel_gets_ack_and_bye() -> None:
    desk = Calling()
    desk.gets(reply(desk.invite, 180))
    one(desk.does(desk.usage, desk.usage.hang_up(16, 0.0)), "CANCEL")
    assert methods(desk.gets(reply(desk.invite, 200, sdp=ANSWER))) == ["ACK", "BYE"]
    assert desk.told == [Rang(), Refused(487, "answered too late", 0, True)]


def test_a_200_instead_of_any_provisional_response_to_a_call_given_up_gets_ack_and_bye() -> None:
    desk = Calling()
    desk.does(desk.usage, desk.usage.hang_up(16, 0.0))
    assert methods(desk.gets(reply(desk.invite, 200, sdp=ANSWER))) == ["ACK", "BYE"]


def test_section_10_without_a_final_answer_the_cancelled_call_is_given_up_after_64_t1() -> None:
    desk = Calling()
    desk.gets(reply(desk.invite, 180))
    desk.gets(reply(one(desk.does(desk.usage, desk.usage.hang_up(16, 0.0)), "CANCEL"), 200))
    desk.waits(32)
    assert [type(fact) for fact in desk.told] == [Rang, Refused, Gone]
    desk.waits(64)
    assert desk.agent.pending == 0


def test_a_200_after_giving_up_gets_ack_and_bye_all_the_same() -> None:
    desk = Calling()
    desk.gets(reply(desk.invite, 180))
    desk.does(desk.usage, desk.usage.hang_up(16, 0.0))
    desk.waits(40)
    assert methods(desk.gets(reply(desk.invite, 200, sdp=ANSWER))) == ["ACK", "BYE"]
    desk.waits(120)
    assert desk.agent.pending == 0


# ---- digest


def test_a_challenge_is_met_once_and_the_ack_repeats_the_credentials() -> None:
    desk = Calling(login())
    again = one(desk.gets(reply(desk.invite, 401, headers=challenge("n1"))), "INVITE")
    assert (again.cseq, again.call_id, again.from_tag) == ((2, "INVITE"), desk.invite.call_id, desk.invite.from_tag)
    assert again.via.branch != desk.invite.via.branch
    ack = one(desk.gets(reply(again, 200, sdp=ANSWER)), "ACK")
    assert ack.cseq == (2, "ACK")
    assert ack.headers.get("Authorization") == again.headers.get("Authorization") is not None


def test_a_stale_nonce_is_met_a_second_time_and_no_third() -> None:
    desk = Calling(login())
    second = one(desk.gets(reply(desk.invite, 407, headers=challenge("n1", "Proxy-Authenticate"))), "INVITE")
    third = one(desk.gets(reply(second, 407, headers=challenge("n2", "Proxy-Authenticate", stale=True))), "INVITE")
    assert third.cseq == (3, "INVITE")
    assert methods(desk.gets(reply(third, 407, headers=challenge("n3", "Proxy-Authenticate", stale=True)))) == ["ACK"]
    assert [fact.status for fact in desk.told if isinstance(fact, Refused)] == [407]


def test_a_wrong_password_is_a_refusal() -> None:
    desk = Calling(login("wrong"))
    again = one(desk.gets(reply(desk.invite, 401, headers=challenge("n1"))), "INVITE")
    desk.gets(reply(again, 401, headers=challenge("n2")))
    assert Refused(401, "Unauthorized", 0, False) in desk.told


def test_a_call_given_up_is_not_tried_again_for_a_challenge() -> None:
    desk = Calling(login())
    desk.does(desk.usage, desk.usage.hang_up(16, 0.0))
    assert methods(desk.gets(reply(desk.invite, 401, headers=challenge("n1")))) == ["ACK"]
    assert isinstance(desk.told[-1], Gone)


def test_a_challenged_bye_is_sent_again_with_credentials() -> None:
    desk = Calling(login()).confirmed()
    bye = one(desk.does(desk.usage, desk.usage.hang_up(16, 0.0)), "BYE")
    again = one(desk.gets(reply(bye, 407, headers=challenge("n1", "Proxy-Authenticate"))), "BYE")
    assert again.cseq[0] == bye.cseq[0] + 1
    assert "Proxy-Authorization" in again.headers
    desk.gets(reply(again, 200))
    assert isinstance(desk.told[-1], Gone)


# ---- failover


def test_rfc_3263_silence_of_8_s_leads_to_the_next_address_on_a_new_branch() -> None:
    desk = Calling(spares=(SPARE,))
    sent = [message for _, message in desk.waits(8)]
    again = sent[-1]
    assert isinstance(again, Request)
    assert (again.method, again.cseq, again.body) == ("INVITE", (1, "INVITE"), OFFER)
    assert again.via.branch != desk.invite.via.branch
    assert desk.places[-1] == SPARE
    assert desk.told == [Unreachable(BOB, 60)]
    desk.gets(reply(again, 180))
    cancel = one(desk.does(desk.usage, desk.usage.hang_up(16, desk.now)), "CANCEL")
    assert (cancel.via.branch, desk.places[-1]) == (again.via.branch, SPARE)


def test_rfc_3263_503_leads_to_the_next_address_and_its_retry_after_is_told() -> None:
    desk = Calling(spares=(SPARE,))
    sent = desk.gets(reply(desk.invite, 503, headers=(("Retry-After", "30"),)))
    assert methods(sent) == ["ACK", "INVITE"]
    assert desk.places[-2:] == [BOB, SPARE]
    assert desk.told == [Unreachable(BOB, 30)]
    desk.gets(reply(one(sent, "INVITE"), 503))
    assert Refused(503, "Service Unavailable", 0, False) in desk.told


@pytest.mark.parametrize("status", [404, 486, 500, 603])
def test_rfc_3263_no_other_refusal_leads_to_another_address(status: int) -> None:
    desk = Calling(spares=(SPARE,))
    assert methods(desk.gets(reply(desk.invite, status))) == ["ACK"]


def test_a_provisional_response_settles_the_address() -> None:
    desk = Calling(spares=(SPARE,))
    desk.gets(reply(desk.invite, 100))
    desk.waits(100)
    assert set(desk.places) == {BOB}


def test_an_address_that_wakes_up_after_it_was_given_up_is_cancelled() -> None:
    desk = Calling(spares=(SPARE,))
    desk.waits(8)
    cancel = one(desk.gets(reply(desk.invite, 180)), "CANCEL")
    assert (cancel.via.branch, desk.places[-1]) == (desk.invite.via.branch, BOB)
    assert Rang() not in desk.told


def test_an_answer_of_an_address_that_was_given_up_gets_ack_and_bye() -> None:
    desk = Calling(spares=(SPARE,))
    desk.waits(8)
    assert methods(desk.gets(reply(desk.invite, 200, tag="late", sdp=ANSWER))) == ["ACK", "BYE"]
    assert desk.usage.stage is Stage.INVITING


def test_when_every_address_is_silent_the_call_is_refused_with_408_and_nothing_is_left() -> None:
    desk = Calling(spares=(SPARE,))
    desk.waits(60)
    assert [type(fact) for fact in desk.told] == [Unreachable, Unreachable, Refused, Gone]
    assert desk.agent.pending == 0


def test_the_called_side_may_hang_up_the_call() -> None:
    desk = Calling().confirmed()
    assert statuses(desk.gets(desk.within("BYE", 1))) == [(200, "BYE")]
    assert desk.told[-2:] == [HungUp("BYE"), Gone()]
