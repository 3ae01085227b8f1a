"""One call seen by one user agent: what is answered, repeated and told, row by row (RFC 3261 sections 9, 13-15)."""

from __future__ import annotations

import pytest

from bridge.sip.message import Request, Response
from bridge.sip.output import Cancelled, Confirmed, HungUp, Reoffered
from bridge.sip.owner import Gone, Invited
from bridge.sip.session import Stage

from .desks import Called, one, statuses
from .parties import ANSWER, OFFER, reply, request

# ---- the called side, before the answer


def test_section_10_an_invite_gets_100_at_once_and_is_told() -> None:
    desk = Called()
    assert statuses(desk.first) == [(100, "INVITE")]
    assert desk.first[0].to_tag == ""
    assert [type(fact) for fact in desk.told] == [Invited]


def test_section_10_ringing_carries_tag_and_contact_and_is_repeated_every_60_s() -> None:
    desk = Called()
    (ringing,) = desk.does(desk.usage, desk.usage.ring(0.0))
    assert isinstance(ringing, Response)
    assert (ringing.status, ringing.to_tag) == (180, desk.usage.tag)
    assert ringing.headers.get("Contact") == "<sip:bob@192.0.2.2:5060>"
    assert [when for when, _ in desk.waits(200)] == [60, 120, 180]
    desk.answered()
    assert all(m.cseq[1] == "INVITE" and m.status == 200 for _, m in desk.waits(230) if isinstance(m, Response))


def test_a_success_is_repeated_until_the_ack() -> None:
    desk = Called().answered()
    times = [when for when, message in desk.waits(10)]
    assert times == [0.5, 1.5, 3.5, 7.5]
    desk.gets(desk.within("ACK", cseq=1))
    assert desk.waits(60) == []
    assert isinstance(desk.told[-1], Confirmed)
    assert desk.usage.stage is Stage.CONFIRMED


def test_an_ack_of_another_cseq_confirms_nothing() -> None:
    desk = Called().answered()
    desk.gets(desk.within("ACK", cseq=2))
    assert desk.usage.stage is Stage.ANSWERED


def test_section_10_without_ack_in_64_t1_the_call_is_ended_with_bye() -> None:
    desk = Called().answered()
    sent = [message for _, message in desk.waits(32)]
    assert one(sent, "BYE").uri == "sip:alice@192.0.2.1:5060"
    assert desk.told[-1] == HungUp("no ACK in 32 s")


def test_a_refusal_ends_the_call_with_one_final_answer() -> None:
    desk = Called()
    assert statuses(desk.does(desk.usage, desk.usage.refuse(486, "", 0.0))) == [(486, "INVITE")]
    assert desk.does(desk.usage, desk.usage.answer(ANSWER, 0.0)) == []
    assert isinstance(desk.told[-1], Gone)


@pytest.mark.parametrize(
    ("reason", "elsewhere"),
    [
        ((), False),
        ((("Reason", 'SIP;cause=200;text="Call completed elsewhere"'),), True),
        ((("Reason", "Q.850;cause=16, SIP ;cause=200"),), True),
        ((("Reason", "Q.850;cause=26"),), True),
        ((("Reason", "Q.850;cause=16"),), False),
        ((("Reason", "SIP;cause=600"),), False),
    ],
)
def test_section_10_cancel_gets_200_and_the_invite_487(reason: tuple[tuple[str, str], ...], elsewhere: bool) -> None:
    desk = Called()
    desk.does(desk.usage, desk.usage.ring(0.0))
    answers = desk.gets(desk.cancel(*reason))
    assert sorted(statuses(answers)) == [(200, "CANCEL"), (487, "INVITE")]
    assert {answer.to_tag for answer in answers} == {desk.usage.tag}
    assert Cancelled(elsewhere) in desk.told


def test_section_10_a_cancel_after_our_200_gets_200_and_changes_nothing() -> None:
    desk = Called().answered()
    assert statuses(desk.gets(desk.cancel())) == [(200, "CANCEL")]
    assert desk.usage.stage is Stage.ANSWERED


def test_section_10_a_cancel_of_an_unknown_invite_gets_481() -> None:
    desk = Called()
    assert statuses(desk.gets(request("CANCEL", branch="z9hG4bKother"))) == [(481, "CANCEL")]


def test_section_10_a_bye_before_the_ack_is_legal() -> None:
    desk = Called().answered()
    assert statuses(desk.gets(desk.within("BYE", 2))) == [(200, "BYE")]
    assert desk.waits(100) == []
    assert desk.told[-2:] == [HungUp("BYE"), Gone()]


def test_section_10_a_bye_in_the_early_dialog_ends_the_invite_with_487() -> None:
    desk = Called()
    desk.does(desk.usage, desk.usage.ring(0.0))
    assert sorted(statuses(desk.gets(desk.within("BYE", 2)))) == [(200, "BYE"), (487, "INVITE")]


def test_hanging_up_before_the_answer_refuses_with_480() -> None:
    desk = Called()
    assert statuses(desk.does(desk.usage, desk.usage.hang_up(16, 0.0))) == [(480, "INVITE")]


def test_hanging_up_right_after_the_200_waits_for_the_ack() -> None:
    desk = Called().answered()
    assert desk.does(desk.usage, desk.usage.hang_up(16, 0.0)) == []
    bye = one(desk.gets(desk.within("ACK", 1)), "BYE")
    assert bye.headers.get("Reason") == "Q.850;cause=16"
    assert not any(isinstance(fact, Confirmed) for fact in desk.told)


def test_hanging_up_right_after_the_200_without_any_ack_ends_with_bye_and_no_news() -> None:
    desk = Called().answered()
    desk.does(desk.usage, desk.usage.hang_up(16, 0.0))
    one([message for _, message in desk.waits(32)], "BYE")
    assert not any(isinstance(fact, HungUp) for fact in desk.told)


def test_section_10_a_second_invite_in_the_dialog_while_the_first_waits_gets_500_and_retry_after() -> None:
    desk = Called()
    (answer,) = desk.gets(desk.within("INVITE", 2, OFFER))
    assert isinstance(answer, Response)
    assert answer.status == 500
    assert 0 <= int(answer.headers.get("Retry-After") or "x") <= 10


def test_a_merged_request_gets_482() -> None:
    desk = Called()
    assert statuses(desk.gets(request(branch="z9hG4bKotherway", body=OFFER))) == [(482, "INVITE")]
    assert len(desk.agent.usages) == 1


# ---- either side, once the session stands


def test_section_10_a_bye_gets_200_and_is_told_with_its_reason() -> None:
    desk = Called().confirmed()
    desk.gets(desk.within("BYE", 2, b"", ("Reason", "Q.850;cause=16")))
    assert desk.told[-2:] == [HungUp("BYE (Q.850;cause=16)"), Gone()]


def test_crossing_byes_both_get_200_and_are_no_news() -> None:
    desk = Called().confirmed()
    ours = one(desk.does(desk.usage, desk.usage.hang_up(16, 0.0)), "BYE")
    assert statuses(desk.gets(desk.within("BYE", 2))) == [(200, "BYE")]
    desk.gets(reply(ours, 481))
    assert [type(fact) for fact in desk.told[2:]] == [Gone]


@pytest.mark.parametrize("status", [200, 481, 500, 603])
def test_after_bye_the_call_is_over_whatever_the_answer(status: int) -> None:
    desk = Called().confirmed()
    bye = one(desk.does(desk.usage, desk.usage.hang_up(16, 0.0)), "BYE")
    desk.gets(reply(bye, status))
    assert isinstance(desk.told[-1], Gone)


def test_after_bye_without_any_answer_the_call_is_over_in_64_t1() -> None:
    desk = Called().confirmed()
    desk.does(desk.usage, desk.usage.hang_up(16, 0.0))
    desk.waits(32)
    assert isinstance(desk.told[-1], Gone)


def test_a_reinvite_is_told_answered_and_repeated_until_its_ack() -> None:
    desk = Called().confirmed()
    assert statuses(desk.gets(desk.within("INVITE", 2, OFFER))) == [(100, "INVITE")]
    assert desk.told[-1] == Reoffered(OFFER)
    (answer,) = desk.does(desk.usage, desk.usage.answer_reoffer(ANSWER, 0.0))
    assert isinstance(answer, Response)
    assert (answer.status, answer.body) == (200, ANSWER)
    assert [when for when, _ in desk.waits(2)] == [0.5, 1.5]
    desk.gets(desk.within("ACK", 2))
    assert desk.waits(20) == []
    assert desk.usage.stage is Stage.CONFIRMED


def test_a_reinvite_moves_the_target_of_later_requests() -> None:
    desk = Called().confirmed()
    desk.gets(desk.within("INVITE", 2, OFFER))
    desk.does(desk.usage, desk.usage.answer_reoffer(ANSWER, 0.0))
    assert one(desk.does(desk.usage, desk.usage.hang_up(16, 0.0)), "BYE").uri == "sip:alice@192.0.2.1:5099"


def test_section_10_a_refused_reinvite_leaves_the_call_as_it_was() -> None:
    desk = Called().confirmed()
    desk.gets(desk.within("INVITE", 2, OFFER))
    assert statuses(desk.does(desk.usage, desk.usage.refuse_reoffer(488, "", 0.0))) == [(488, "INVITE")]
    assert desk.usage.stage is Stage.CONFIRMED


def test_a_reinvite_that_we_do_not_answer_in_10_s_gets_500() -> None:
    desk = Called().confirmed()
    desk.gets(desk.within("INVITE", 2, OFFER))
    seen = desk.waits(10)
    assert [(when, statuses([message])) for when, message in seen] == [(10, [(500, "INVITE")])]
    assert desk.does(desk.usage, desk.usage.answer_reoffer(ANSWER, 10.0)) == []


def test_a_reinvite_while_one_is_pending_gets_500() -> None:
    desk = Called().confirmed()
    desk.gets(desk.within("INVITE", 2, OFFER))
    assert statuses(desk.gets(desk.within("INVITE", 3, OFFER))) == [(500, "INVITE")]


def test_a_cancelled_reinvite_gets_487_and_the_call_goes_on() -> None:
    desk = Called().confirmed()
    again = desk.within("INVITE", 2, OFFER)
    desk.gets(again)
    headers = again.headers.set("CSeq", "2 CANCEL").without("Content-Type")
    answers = desk.gets(Request("CANCEL", again.uri, headers))
    assert sorted(statuses(answers)) == [(200, "CANCEL"), (487, "INVITE")]
    assert desk.usage.stage is Stage.CONFIRMED
    assert desk.does(desk.usage, desk.usage.answer_reoffer(ANSWER, 0.0)) == []


def test_a_reinvite_without_ack_ends_the_call() -> None:
    desk = Called().confirmed()
    desk.gets(desk.within("INVITE", 2, OFFER))
    desk.does(desk.usage, desk.usage.answer_reoffer(ANSWER, 0.0))
    one([message for _, message in desk.waits(32)], "BYE")
    assert HungUp("no ACK in 32 s") in desk.told


def test_rfc_5407_a_reinvite_that_overtakes_the_ack_confirms_the_call() -> None:
    desk = Called().answered()
    desk.gets(desk.within("INVITE", 2, OFFER))
    assert desk.told[-2:] == [Confirmed(), Reoffered(OFFER)]
    assert [message for when, message in desk.waits(5)] == []


def test_a_bye_meets_a_pending_reinvite() -> None:
    desk = Called().confirmed()
    desk.gets(desk.within("INVITE", 2, OFFER))
    assert sorted(statuses(desk.gets(desk.within("BYE", 3)))) == [(200, "BYE"), (487, "INVITE")]


def test_a_request_older_than_the_last_gets_500() -> None:
    desk = Called().confirmed()
    assert statuses(desk.gets(desk.within("INFO", 5))) == [(200, "INFO")]
    assert statuses(desk.gets(desk.within("INFO", 4))) == [(500, "INFO")]


def test_update_without_sdp_gets_200_with_contact_and_refreshes_the_target() -> None:
    desk = Called().confirmed()
    (answer,) = desk.gets(desk.within("UPDATE", 2))
    assert isinstance(answer, Response)
    assert (answer.status, answer.headers.get("Contact")) == (200, "<sip:bob@192.0.2.2:5060>")
    assert one(desk.does(desk.usage, desk.usage.hang_up(16, 0.0)), "BYE").uri == "sip:alice@192.0.2.1:5099"


def test_section_10_update_with_sdp_is_a_reoffer_whose_answer_needs_no_ack() -> None:
    desk = Called().confirmed()
    assert desk.gets(desk.within("UPDATE", 2, OFFER)) == []
    assert desk.told[-1] == Reoffered(OFFER)
    assert statuses(desk.does(desk.usage, desk.usage.answer_reoffer(ANSWER, 0.0))) == [(200, "UPDATE")]
    assert desk.waits(31) == []


def test_update_with_sdp_while_the_first_offer_is_open_gets_500() -> None:
    desk = Called()
    assert statuses(desk.gets(desk.within("UPDATE", 2, OFFER))) == [(500, "UPDATE")]


@pytest.mark.parametrize(
    ("method", "headers", "body", "status"),
    [
        ("OPTIONS", (), b"", 200),
        ("INFO", (), b"", 200),
        ("INFO", (("Content-Type", "application/dtmf-relay"),), b"Signal=5\r\nDuration=160\r\n", 200),
        ("INFO", (("Content-Type", "application/x-else"),), b"x", 415),
        ("INFO", (("Info-Package", "foo"),), b"", 469),
        ("NOTIFY", (("Event", "message-summary"),), b"", 200),
        ("NOTIFY", (("Event", "conference"),), b"", 489),
        ("REFER", (), b"", 400),
        ("MESSAGE", (), b"", 405),
        ("PUBLISH", (), b"", 405),
        ("SUBSCRIBE", (("Event", "presence"),), b"", 489),
        ("NONSENSE", (), b"", 405),
    ],
)
def test_other_requests_in_the_dialog_change_nothing(
    method: str, headers: tuple[tuple[str, str], ...], body: bytes, status: int
) -> None:
    desk = Called().confirmed()
    asked = desk.within(method, 2, b"", *headers)
    asked = Request(asked.method, asked.uri, asked.headers, body)
    (answer,) = desk.gets(asked)
    assert isinstance(answer, Response)
    assert answer.status == status
    assert ("Allow" in answer.headers) >= (status == 405)
    assert desk.usage.stage is Stage.CONFIRMED


@pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE", "OPTIONS"])
def test_a_request_for_no_dialog_of_ours_gets_481(method: str) -> None:
    desk = Called().confirmed()
    stray = request(method, branch="z9hG4bKstray", to="<sip:bob@192.0.2.2>;tag=unknown", cseq=9)
    assert statuses(desk.gets(stray)) == [(481, method)]


def test_someone_elses_from_tag_gets_481_and_does_not_end_the_call() -> None:
    desk = Called().confirmed()
    to = f"<sip:bob@192.0.2.2>;tag={desk.usage.tag}"
    forged = request("BYE", branch="z9hG4bKforged", to=to, cseq=9, from_tag="mallory")
    assert statuses(desk.gets(forged)) == [(481, "BYE")]
    assert desk.usage.stage is Stage.CONFIRMED
