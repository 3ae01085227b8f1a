"""Session timers in both roles: RFC 4028, section 12 of the rules."""

from __future__ import annotations

import pytest

from bridge.sip.message import Request, Response
from bridge.sip.output import HungUp, Reanswered, Reoffered, ReofferRefused
from bridge.sip.session_timer import FLOOR

from .desks import Called, Calling, Desk, one, statuses
from .parties import ANSWER, OFFER, reply

Pair = tuple[str, str]
TIMER: Pair = ("Supported", "timer")
UPDATE: Pair = ("Allow", "INVITE, ACK, BYE, UPDATE")


def expires(seconds: int, refresher: str = "") -> Pair:
    return "Session-Expires", f"{seconds};refresher={refresher}" if refresher else str(seconds)


def called(*headers: Pair) -> Called:
    """The peer called with these headers, and we answered."""
    desk = Called(*headers)
    return desk.confirmed() if desk.agent.usages else desk


def calling(*headers: Pair) -> Calling:
    """We called, and the peer answered with these headers."""
    desk = Calling()
    desk.gets(reply(desk.invite, 200, sdp=ANSWER, headers=headers))
    return desk


def requests(seen: list[tuple[float, Request | Response]]) -> list[tuple[float, str]]:
    return [(when, message.method) for when, message in seen if isinstance(message, Request)]


def lost(desk: Desk) -> bool:
    return any(isinstance(fact, HungUp) for fact in desk.told)


# ---- asked by the peer


def test_section_12_uas_too_short_earns_422_and_min_se() -> None:
    desk = Called(TIMER, expires(89))
    (refused,) = desk.first
    assert isinstance(refused, Response)
    assert (refused.status, refused.headers.get("Min-SE")) == (422, str(FLOOR))
    assert desk.agent.usages == ()


def test_section_12_uas_too_short_from_a_peer_that_knows_no_timer_is_raised_instead() -> None:
    desk = called(expires(60))
    assert desk.answer.headers.get("Session-Expires") == f"{FLOOR};refresher=uas"


@pytest.mark.parametrize(
    ("headers", "granted", "required"),
    [
        ((TIMER, expires(600)), "600;refresher=uac", True),
        ((TIMER, expires(600, "uac")), "600;refresher=uac", True),
        ((TIMER, expires(600, "uas")), "600;refresher=uas", False),
        ((expires(600),), "600;refresher=uas", False),
        ((TIMER,), "1800;refresher=uac", True),
        ((TIMER, ("Min-SE", "2000")), "2000;refresher=uac", True),
        ((), None, False),
        ((TIMER, expires(600, "nonsense")), "600;refresher=uac", True),
        ((TIMER, ("Session-Expires", "soon")), "1800;refresher=uac", True),
    ],
)
def test_section_12_uas_the_2xx_names_interval_and_refresher(
    headers: tuple[Pair, ...], granted: str | None, required: bool
) -> None:
    answer = called(*headers).answer
    assert answer.headers.get("Session-Expires") == granted
    assert ("timer" in answer.headers.all("Require")) is required
    assert "timer" in answer.headers.all("Supported")


def test_section_12_the_other_side_says_bye_when_nobody_refreshed() -> None:
    desk = called(TIMER, expires(600, "uac"))
    assert requests(desk.waits(567)) == []
    assert requests(desk.waits(600))[:1] == [(568.0, "BYE")]
    assert lost(desk)


def test_a_short_session_ends_a_third_before_its_time() -> None:
    assert requests(called(TIMER, expires(90, "uac")).waits(90))[0] == (60.0, "BYE")


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_section_12_every_refresh_renegotiates_and_starts_anew(method: str) -> None:
    desk = called(TIMER, expires(600, "uac"))
    desk.waits(300)
    body = OFFER if method == "INVITE" else b""
    desk.gets(desk.within(method, 2, body, TIMER, expires(90, "uac")))
    if method == "INVITE":
        desk.does(desk.usage, desk.usage.answer_reoffer(ANSWER, desk.now))
        desk.gets(desk.within("ACK", 2))
    assert requests(desk.waits(400))[0] == (360.0, "BYE")


def test_section_12_roles_are_translated_when_the_request_goes_the_other_way() -> None:
    desk = called(TIMER, expires(600, "uac"))  # they refresh
    asked = one(desk.does(desk.usage, desk.usage.reoffer(OFFER, 10)), "INVITE")
    assert asked.headers.get("Session-Expires") == "600;refresher=uas"
    ours = called(TIMER, UPDATE, expires(600, "uas"))
    refresh = next(message for _, message in ours.waits(301) if isinstance(message, Request))
    assert refresh.headers.get("Session-Expires") == "600;refresher=uac"


def test_a_refresh_that_is_too_short_earns_422_and_the_session_stands() -> None:
    desk = called(TIMER, expires(600, "uac"))
    refused = desk.gets(desk.within("UPDATE", 2, b"", TIMER, expires(30)))
    assert statuses(refused) == [(422, "UPDATE")]
    assert not lost(desk)


# ---- asked by us


def test_section_12_an_invite_of_ours_asks_for_1800_seconds() -> None:
    invite = Calling().invite
    assert invite.headers.get("Session-Expires") == "1800"
    assert "timer" in invite.headers.all("Supported")


def test_section_12_uac_retries_a_422_with_min_se() -> None:
    desk = Calling()
    again = one(desk.gets(reply(desk.invite, 422, headers=(("Min-SE", "3600"),))), "INVITE")
    assert (again.headers.get("Session-Expires"), again.headers.get("Min-SE")) == ("3600", "3600")
    assert again.cseq[0] == desk.invite.cseq[0] + 1
    assert desk.told == []


def test_a_peer_that_always_wants_more_is_given_up() -> None:
    desk = Calling()
    invite, asked = desk.invite, 0
    for most in (2000, 3000, 4000, 5000):
        messages = desk.gets(reply(invite, 422, headers=(("Min-SE", str(most)),)))
        if again := [m for m in messages if isinstance(m, Request) and m.method == "INVITE"]:
            invite, asked = again[0], asked + 1
    assert (asked, len(desk.agent.usages)) == (3, 0)


def test_section_12_a_2xx_without_session_expires_is_no_timer() -> None:
    assert requests(calling().waits(10_000)) == []


def test_section_12_the_refresher_sends_update_at_half_time_and_again_after_each_answer() -> None:
    desk = calling(UPDATE, expires(600, "uac"))
    when, update = next(pair for pair in desk.waits(301) if isinstance(pair[1], Request))
    assert isinstance(update, Request)
    assert (when, update.method, update.body) == (300.0, "UPDATE", b"")
    desk.gets(reply(update, 200, headers=(expires(200, "uac"),)))
    assert requests(desk.waits(402))[0] == (401.0, "UPDATE")
    assert not lost(desk)


def test_section_12_without_update_it_is_a_reinvite_with_the_same_sdp_that_nobody_hears_of() -> None:
    desk = calling(expires(600, "uac"), ("Allow", "INVITE, ACK, BYE"))
    refresh = next(message for _, message in desk.waits(301) if isinstance(message, Request))
    assert (refresh.method, refresh.body) == ("INVITE", OFFER)
    assert one(desk.gets(reply(refresh, 200, sdp=ANSWER, headers=(expires(600, "uac"),))), "ACK")
    assert [fact for fact in desk.told if isinstance(fact, Reanswered)] == []
    assert requests(desk.waits(602))[0] == (601.0, "INVITE")


def test_the_refreshing_reinvite_repeats_the_newest_description() -> None:
    desk = calling(expires(600, "uac"), ("Allow", "INVITE, ACK, BYE"))
    hold = OFFER + b"a=sendonly\r\n"
    asked = one(desk.does(desk.usage, desk.usage.reoffer(hold, 1)), "INVITE")
    desk.gets(reply(asked, 200, sdp=ANSWER, headers=(expires(600, "uac"),)))
    refresh = next(message for _, message in desk.waits(400) if isinstance(message, Request))
    assert refresh.body == hold


@pytest.mark.parametrize("status", [405, 501])
def test_a_peer_that_does_not_know_update_after_all_gets_a_reinvite(status: int) -> None:
    desk = calling(UPDATE, expires(600, "uac"))
    update = next(message for _, message in desk.waits(301) if isinstance(message, Request))
    assert one(desk.gets(reply(update, status)), "INVITE").body == OFFER


def test_a_refresh_may_be_told_422_too() -> None:
    desk = calling(UPDATE, expires(600, "uac"))
    update = next(message for _, message in desk.waits(301) if isinstance(message, Request))
    again = one(desk.gets(reply(update, 422, headers=(("Min-SE", "900"),))), "UPDATE")
    assert again.headers.get("Session-Expires") == "900;refresher=uac"


@pytest.mark.parametrize("status", [408, 481])
@pytest.mark.parametrize("allow", [UPDATE, ("Allow", "INVITE, ACK, BYE")])
def test_section_12_a_refresh_408_or_481_ends_the_call(status: int, allow: Pair) -> None:
    desk = calling(allow, expires(600, "uac"))
    refresh = next(message for _, message in desk.waits(301) if isinstance(message, Request))
    assert one(desk.gets(reply(refresh, status)), "BYE")
    assert lost(desk)


@pytest.mark.parametrize("allow", [UPDATE, ("Allow", "INVITE, ACK, BYE")])
def test_section_12_other_errors_are_retried_until_the_deadline(allow: Pair) -> None:
    desk = calling(allow, expires(600, "uac"))
    tries, message = 0, desk.invite
    while not lost(desk):
        assert desk.agent.next_deadline is not None
        for _, seen in desk.waits(desk.agent.next_deadline):
            assert isinstance(seen, Request)
            if seen.method != "BYE":
                tries, message = tries + 1, seen
                desk.gets(reply(message, 500))
    assert desk.now == 568.0
    assert tries > 10
    assert ReofferRefused(500) not in desk.told


def test_an_offer_of_the_peer_is_a_refresh_like_any_other() -> None:
    desk = calling(UPDATE, expires(600, "uas"))
    desk.waits(500)
    desk.gets(desk.within("INVITE", 1, OFFER, headers=(TIMER, expires(600, "uac"))))
    assert Reoffered(OFFER) in desk.told
    desk.does(desk.usage, desk.usage.answer_reoffer(ANSWER, desk.now))
    assert (1068.0, "BYE") in requests(desk.waits(1100)) or lost(desk)
