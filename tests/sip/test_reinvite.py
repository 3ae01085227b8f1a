"""Our own offers within a session: RFC 3261 section 14.1, glare included."""

from __future__ import annotations

import pytest

from bridge.sip.login import Login
from bridge.sip.message import Request, Response
from bridge.sip.output import HungUp, Reanswered, Reoffered, ReofferRefused
from bridge.sip.owner import Gone
from bridge.sip.session import Stage

from .desks import Called, Calling, Desk, one, statuses
from .parties import ALICE, ANSWER, OFFER, reply

HOLD = OFFER + b"a=sendonly\r\n"
RESUME = OFFER + b"a=sendrecv\r\n"


def asks(desk: Calling | Called, sdp: bytes = HOLD) -> Request:
    return one(desk.does(desk.usage, desk.usage.reoffer(sdp, desk.now)), "INVITE")


def methods(messages: list[Request | Response]) -> list[str]:
    return [message.method for message in messages if isinstance(message, Request)]


def next_sent(desk: Desk, within: float) -> tuple[float, Request]:
    """The next request, and how long it took."""
    start = desk.now
    ((when, message), *_) = desk.waits(start + within)
    assert isinstance(message, Request)
    return when - start, message


def test_a_reoffer_goes_to_the_remote_target_with_the_next_cseq_and_is_acknowledged() -> None:
    desk = Calling().confirmed()
    asked = asks(desk)
    assert (asked.uri, asked.cseq, asked.to_tag) == ("sip:bob@192.0.2.2:5060", (2, "INVITE"), "bob")
    assert (asked.body, asked.headers.get("Contact")) == (HOLD, "<sip:alice@192.0.2.1:5060>")
    assert desk.gets(reply(asked, 100)) == []
    ack = one(desk.gets(reply(asked, 200, sdp=ANSWER)), "ACK")
    assert ack.cseq == (2, "ACK")
    assert desk.told[-1] == Reanswered(ANSWER)
    assert desk.gets(reply(asked, 200, sdp=ANSWER)) == [ack]
    assert desk.told.count(Reanswered(ANSWER)) == 1


def test_the_called_side_may_reoffer_too() -> None:
    desk = Called().confirmed()
    asked = asks(desk)
    assert (asked.cseq, asked.from_tag, asked.to_tag) == ((1, "INVITE"), desk.usage.tag, "alice")
    one(desk.gets(reply(asked, 200, tag="alice", sdp=ANSWER)), "ACK")
    assert desk.told[-1] == Reanswered(ANSWER)


def test_the_answer_moves_the_target_of_later_requests() -> None:
    desk = Calling().confirmed()
    asked = asks(desk)
    moved = reply(asked, 200, sdp=ANSWER)
    moved = Response(200, "OK", moved.headers.set("Contact", "<sip:bob@192.0.2.2:5099>"), ANSWER)
    desk.gets(moved)
    assert one(desk.does(desk.usage, desk.usage.hang_up(16, 0.0)), "BYE").uri == "sip:bob@192.0.2.2:5099"


def test_a_second_reoffer_waits_for_the_first() -> None:
    desk = Calling().confirmed()
    first = asks(desk)
    assert desk.does(desk.usage, desk.usage.reoffer(RESUME, 0.0)) == []
    sent = desk.gets(reply(first, 200, sdp=ANSWER))
    assert methods(sent) == ["ACK", "INVITE"]
    assert one(sent, "INVITE").body == RESUME
    desk.gets(reply(one(sent, "INVITE"), 200, sdp=ANSWER))
    assert desk.told[-2:] == [Reanswered(ANSWER)] * 2


def test_an_older_success_that_is_repeated_still_gets_its_ack() -> None:
    desk = Calling().confirmed()
    first = asks(desk)
    ack = one(desk.gets(reply(first, 200, sdp=ANSWER)), "ACK")
    desk.gets(reply(asks(desk, RESUME), 200, sdp=ANSWER))
    assert desk.gets(reply(first, 200, sdp=ANSWER)) == [ack]


def test_a_reoffer_right_behind_our_answer_waits_for_its_ack() -> None:
    desk = Called().answered()
    assert desk.does(desk.usage, desk.usage.reoffer(HOLD, 0.0)) == []
    assert one(desk.gets(desk.within("ACK", 1)), "INVITE").body == HOLD


def test_a_reoffer_waits_while_theirs_is_open_and_until_our_answer_is_acknowledged() -> None:
    desk = Called().confirmed()
    desk.gets(desk.within("INVITE", 2, OFFER))
    assert desk.does(desk.usage, desk.usage.reoffer(HOLD, 0.0)) == []
    assert statuses(desk.does(desk.usage, desk.usage.answer_reoffer(ANSWER, 0.0))) == [(200, "INVITE")]
    assert one(desk.gets(desk.within("ACK", 2)), "INVITE").body == HOLD


def test_a_reoffer_follows_at_once_when_theirs_is_refused() -> None:
    desk = Called().confirmed()
    desk.gets(desk.within("INVITE", 2, OFFER))
    desk.does(desk.usage, desk.usage.reoffer(HOLD, 0.0))
    sent = desk.does(desk.usage, desk.usage.refuse_reoffer(488, "", 0.0))
    assert statuses(sent) == [(488, "INVITE")]
    assert one(sent, "INVITE").body == HOLD


def test_before_the_answer_nothing_is_reoffered() -> None:
    desk = Calling()
    assert desk.does(desk.usage, desk.usage.reoffer(HOLD, 0.0)) == []
    assert methods(desk.gets(reply(desk.invite, 200, sdp=ANSWER))) == ["ACK"]


# ---- glare


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_section_10_their_offer_while_ours_is_open_gets_491(method: str) -> None:
    desk = Called().confirmed()
    asks(desk)
    assert statuses(desk.gets(desk.within(method, 2, OFFER))) == [(491, method)]
    assert not any(isinstance(fact, Reoffered) for fact in desk.told)


def test_section_10_who_placed_the_call_tries_again_2_to_4_s_after_491() -> None:
    desk = Calling().confirmed()
    asked = asks(desk)
    assert methods(desk.gets(reply(asked, 491))) == ["ACK"]
    pause, again = next_sent(desk, 5)
    assert 2.1 <= pause <= 4.0
    assert (again.body, again.cseq[0]) == (HOLD, asked.cseq[0] + 1)


def test_section_10_who_was_called_tries_again_within_2_s_of_491() -> None:
    desk = Called().confirmed()
    desk.gets(reply(asks(desk), 491, tag="alice"))
    pause, again = next_sent(desk, 5)
    assert 0 <= pause <= 2.0
    assert again.body == HOLD


def test_after_three_more_tries_491_is_a_refusal() -> None:
    desk = Calling().confirmed()
    asked = asks(desk)
    for _ in range(3):
        desk.gets(reply(asked, 491))
        _, asked = next_sent(desk, 5)
    assert not any(isinstance(fact, ReofferRefused) for fact in desk.told)
    desk.gets(reply(asked, 491))
    assert desk.told[-1] == ReofferRefused(491)
    assert desk.waits(100) == []


def test_theirs_is_taken_during_the_pause_and_ours_waits_for_it() -> None:
    desk = Called().confirmed()
    desk.gets(reply(asks(desk), 491, tag="alice"))
    assert statuses(desk.gets(desk.within("INVITE", 2, OFFER))) == [(100, "INVITE")]
    assert desk.waits(5) == []
    desk.does(desk.usage, desk.usage.answer_reoffer(ANSWER, desk.now))
    assert one(desk.gets(desk.within("ACK", 2)), "INVITE").body == HOLD


def test_a_newer_wish_takes_the_place_of_the_one_that_pauses() -> None:
    desk = Calling().confirmed()
    desk.gets(reply(asks(desk), 491))
    assert desk.does(desk.usage, desk.usage.reoffer(RESUME, desk.now)) == []
    assert next_sent(desk, 5)[1].body == RESUME


def test_hanging_up_during_the_pause_ends_it() -> None:
    desk = Calling().confirmed()
    desk.gets(reply(asks(desk), 491))
    desk.gets(reply(one(desk.does(desk.usage, desk.usage.hang_up(16, desk.now)), "BYE"), 200))
    assert [message for _, message in desk.waits(100)] == []
    assert desk.agent.pending == 0


# ---- refusals


@pytest.mark.parametrize("status", [302, 403, 488, 500, 603])
def test_section_10_a_refusal_leaves_the_session_as_it_was(status: int) -> None:
    desk = Calling().confirmed()
    assert methods(desk.gets(reply(asks(desk), status))) == ["ACK"]
    assert desk.told[-1] == ReofferRefused(status)
    assert desk.usage.stage is Stage.CONFIRMED
    asks(desk, RESUME)


@pytest.mark.parametrize("status", [408, 481])
def test_section_10_408_and_481_end_the_session(status: int) -> None:
    desk = Calling().confirmed()
    assert methods(desk.gets(reply(asks(desk), status))) == ["ACK", "BYE"]
    assert desk.told[-1] == HungUp(f"{status} to our re-INVITE")


def test_silence_ends_the_session() -> None:
    desk = Calling().confirmed()
    asks(desk)
    one([message for when, message in desk.waits(32) if when == 32], "BYE")
    assert desk.told[-1] == HungUp("our re-INVITE was not answered")
    desk.waits(100)
    assert isinstance(desk.told[-1], Gone)
    assert desk.agent.pending == 0


def test_a_peer_that_says_no_more_than_100_is_cancelled_and_the_session_goes_on() -> None:
    desk = Calling().confirmed()
    asked = asks(desk)
    desk.gets(reply(asked, 100))
    cancel = one([message for _, message in desk.waits(32)], "CANCEL")
    assert cancel.via.branch == asked.via.branch
    desk.gets(reply(asked, 487))
    assert desk.told[-1] == ReofferRefused(487)
    assert desk.usage.stage is Stage.CONFIRMED


def test_a_peer_that_ignores_even_the_cancel_is_lost() -> None:
    desk = Calling().confirmed()
    desk.gets(reply(asks(desk), 100))
    desk.waits(64)
    assert HungUp("our re-INVITE was not answered") in desk.told
    desk.waits(200)
    assert desk.agent.pending == 0


def test_a_tentative_offer_that_finds_no_answer_is_refused_and_the_session_goes_on() -> None:
    for behave in ("silent", "trying", "408"):
        desk = Calling().confirmed()
        asked = one(desk.does(desk.usage, desk.usage.reoffer(HOLD, desk.now, tentative=True)), "INVITE")
        if behave == "408":
            desk.gets(reply(asked, 408))
        elif behave == "trying":
            desk.gets(reply(asked, 100))
        desk.waits(70)
        assert [fact for fact in desk.told if isinstance(fact, ReofferRefused | HungUp)] == [ReofferRefused(408)]
        assert desk.usage.stage is Stage.CONFIRMED
        asks(desk, RESUME)


def test_a_tentative_offer_to_a_peer_that_knows_the_session_no_more_ends_it() -> None:
    desk = Calling().confirmed()
    asked = one(desk.does(desk.usage, desk.usage.reoffer(HOLD, desk.now, tentative=True)), "INVITE")
    desk.gets(reply(asked, 481))
    assert desk.told[-1] == HungUp("481 to our re-INVITE")


def test_an_answer_without_a_description_changes_nothing() -> None:
    desk = Calling().confirmed()
    assert methods(desk.gets(reply(asks(desk), 200))) == ["ACK"]
    assert desk.told[-1] == ReofferRefused(488)


def test_a_challenge_is_met_with_credentials() -> None:
    desk = Calling(Login("alice", "secret", lambda size: "0" * 2 * size)).confirmed()
    asked = asks(desk)
    wanted = ("WWW-Authenticate", 'Digest realm="pbx", nonce="n1", qop="auth"')
    again = one(desk.gets(reply(asked, 401, headers=(wanted,))), "INVITE")
    assert (again.cseq[0], again.body) == (asked.cseq[0] + 1, HOLD)
    ack = one(desk.gets(reply(again, 200, sdp=ANSWER)), "ACK")
    assert ack.headers.get("Authorization") == again.headers.get("Authorization") is not None


# ---- the end of the session


def test_their_bye_ends_a_reoffer_and_its_late_refusal_is_acknowledged() -> None:
    desk = Calling().confirmed()
    asked = asks(desk)
    desk.gets(reply(asked, 100))
    assert statuses(desk.gets(desk.within("BYE", 1))) == [(200, "BYE")]
    assert desk.told[-2:] == [HungUp("BYE"), Gone()]
    assert methods(desk.gets(reply(asked, 487))) == ["ACK"]
    desk.waits(100)
    assert desk.agent.pending == 0


def test_our_bye_does_not_wait_for_a_reoffer_whose_answer_is_still_acknowledged() -> None:
    desk = Calling().confirmed()
    asked = asks(desk)
    desk.gets(reply(asked, 100))
    bye = one(desk.does(desk.usage, desk.usage.hang_up(16, 0.0)), "BYE")
    assert methods(desk.gets(reply(asked, 200, sdp=ANSWER))) == ["ACK"]
    assert not any(isinstance(fact, Reanswered) for fact in desk.told)
    desk.gets(reply(bye, 200))
    desk.waits(100)
    assert desk.agent.pending == 0


def test_the_peer_is_asked_where_the_dialog_leads() -> None:
    desk = Called().confirmed()
    asks(desk)
    assert desk.places[-1] == ALICE
