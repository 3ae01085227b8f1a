"""One account at its registrar (RFC 3261 section 10, RFC 5626 4.5)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bridge.sip.address import Uri
from bridge.sip.dialog import Identity
from bridge.sip.flow import Flow, Protocol
from bridge.sip.login import Login
from bridge.sip.message import Request, respond
from bridge.sip.output import Ask, Output, Unreachable
from bridge.sip.registration import Became, Registration, State

PBX = Flow("192.0.2.10", 5060)
CHALLENGE = ("WWW-Authenticate", 'Digest realm="pbx", nonce="{}", algorithm=MD5, qop="auth"')
OURS = "<sip:1001@192.0.2.2:5060>"


def account(fraction: float = 0.0, expires: int = 300, *, nat: bool = False) -> Registration:
    numbers = iter(range(1, 10_000))
    me = Identity(
        place=lambda to: ("192.0.2.2", 5060),
        token=lambda size: f"{next(numbers):0{2 * size}x}",
        fraction=lambda: fraction,
    )
    uri = Uri("sip", "1001", "", "pbx.example", None)
    registrar = Uri("sip", "", "", "pbx.example", None)
    login = Login("1001", "secret", me.token)
    return Registration(account=uri, registrar=registrar, expires=expires, login=login, me=me, ways=(PBX,), nat=nat)


def asked(outputs: Sequence[Output]) -> Request:
    (ask,) = [output for output in outputs if isinstance(output, Ask)]
    assert ask.to == PBX
    return ask.request


def answer(
    registration: Registration, request: Request, status: int, now: float, *headers: tuple[str, str]
) -> list[Output]:
    return registration.responded(request, respond(request, status, to_tag="pbx", headers=headers), now)


def challenged(registration: Registration, request: Request, nonce: str, now: float = 0.0) -> list[Output]:
    return answer(registration, request, 401, now, (CHALLENGE[0], CHALLENGE[1].format(nonce)))


def registered(registration: Registration, granted: int = 300, now: float = 0.0) -> Request:
    request = asked(registration.start(now))
    answer(registration, request, 200, now, ("Contact", f"{OURS};expires={granted}"))
    return request


def test_the_first_register_names_account_registrar_and_contact() -> None:
    request = asked(account().start(0.0))
    assert (request.method, request.uri) == ("REGISTER", "sip:pbx.example")
    assert request.headers.get("To") == "<sip:1001@pbx.example>"
    assert request.headers.get("Contact") == f"{OURS};expires=300"
    assert (request.headers.get("Expires"), request.to_tag) == ("300", "")


def test_a_challenge_is_met_with_the_next_cseq_a_new_branch_and_the_same_call() -> None:
    registration = account()
    first = asked(registration.start(0.0))
    second = asked(challenged(registration, first, "n1"))
    assert 'nonce="n1"' in (second.headers.get("Authorization") or "")
    assert (second.cseq[0], second.call_id, second.from_tag) == (first.cseq[0] + 1, first.call_id, first.from_tag)
    assert second.via.branch != first.via.branch
    assert answer(registration, second, 200, 0.1, ("Contact", OURS)) == [Became(State.REGISTERED, "")]


def test_a_refresh_spares_the_challenge_and_a_stale_nonce_is_no_wrong_password() -> None:
    registration = account()
    second = asked(challenged(registration, asked(registration.start(0.0)), "n1"))
    answer(registration, second, 200, 0.0, ("Contact", f"{OURS};expires=100"))
    refresh = asked(registration.wake(80.0))
    assert "nc=00000002" in (refresh.headers.get("Authorization") or "")
    again = asked(challenged(registration, refresh, "n2", 80.0))
    assert 'nonce="n2"' in (again.headers.get("Authorization") or "")
    answer(registration, again, 200, 80.0, ("Contact", OURS))
    assert registration.state is State.REGISTERED


def test_a_wrong_password_stops_for_ten_minutes_at_least() -> None:
    registration = account()
    second = asked(challenged(registration, asked(registration.start(0.0)), "n1"))
    assert challenged(registration, second, "n2") == [Became(State.REFUSED, "401 Unauthorized")]
    assert registration.deadline is not None
    assert registration.deadline >= 600
    assert asked(registration.wake(registration.deadline)).method == "REGISTER"


def test_a_registrar_that_always_says_stale_is_not_asked_for_ever() -> None:
    registration = account()
    request, rounds = asked(registration.start(0.0)), 0
    while outputs := [
        output
        for output in answer(
            registration, request, 401, 0.0, (CHALLENGE[0], CHALLENGE[1].format(rounds) + ", stale=true")
        )
        if isinstance(output, Ask)
    ]:
        request, rounds = asked(outputs), rounds + 1
    assert rounds == 2
    assert registration.state is State.REFUSED


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_stops_for_ten_minutes_at_least(status: int) -> None:
    registration = account()
    answer(registration, asked(registration.start(0.0)), status, 5.0)
    assert registration.state is State.REFUSED
    assert registration.deadline is not None
    assert registration.deadline >= 605


@pytest.mark.parametrize(("fraction", "refresh"), [(0.0, 80.0), (0.99, 89.9)])
def test_a_refresh_comes_at_80_to_90_percent_of_what_was_granted(fraction: float, refresh: float) -> None:
    registration = account(fraction)
    registered(registration, granted=100)
    assert registration.deadline == pytest.approx(refresh)


def test_a_short_grant_is_refreshed_5_s_before_its_end() -> None:
    registration = account(0.99)
    registered(registration, granted=20)
    assert registration.deadline == 15.0


@pytest.mark.parametrize(
    ("headers", "granted"),
    [
        ([("Contact", f"<sip:1001@192.0.2.9>;expires=600, {OURS};expires=120")], 120),
        ([("Contact", "<sip:1001@NAT.example:9999>;expires=200")], 200),
        ([("Contact", "<sip:x@1>;expires=60, <sip:y@2>;expires=70"), ("Expires", "150")], 150),
        ([("Contact", OURS), ("Expires", "160")], 160),
        ([], 300),
        ([("Contact", "<<broken>, " + OURS + ";expires=nonsense")], 300),
    ],
)
def test_the_granted_time_is_read_from_our_contact_first(headers: list[tuple[str, str]], granted: int) -> None:
    registration = account()
    answer(registration, asked(registration.start(0.0)), 200, 0.0, *headers)
    assert registration.deadline == pytest.approx(0.8 * granted)


def test_423_is_obeyed_at_once_and_only_if_it_asks_for_more() -> None:
    registration = account()
    again = asked(answer(registration, asked(registration.start(0.0)), 423, 0.0, ("Min-Expires", "1800")))
    assert again.headers.get("Expires") == "1800"
    answer(registration, again, 423, 0.0, ("Min-Expires", "60"))
    assert registration.state is State.FAILING


def test_silence_and_server_errors_are_tried_again_after_growing_pauses() -> None:
    registration, now, pauses = account(), 0.0, []
    request = asked(registration.start(now))
    for round_ in range(8):
        if round_ % 2:
            answer(registration, request, 500, now)
        else:
            registration.unanswered(request, 408, now)
        assert registration.deadline is not None
        pauses.append(registration.deadline - now)
        now = registration.deadline
        request = asked(registration.wake(now))
    assert pauses == [30, 60, 120, 240, 480, 900, 900, 900]
    assert registration.why


def test_retry_after_is_respected() -> None:
    registration = account()
    answer(registration, asked(registration.start(0.0)), 503, 0.0, ("Retry-After", "120 (busy)"))
    assert registration.deadline == 120


def test_success_after_failures_starts_the_back_off_anew() -> None:
    registration = account()
    for _ in range(5):
        registration.unanswered(asked(registration.start(0.0)), 408, 0.0)
    registered(registration)
    registration.unanswered(asked(registration.start(300.0)), 503, 300.0)
    assert registration.deadline == 330.0


def test_unregistering_asks_for_zero_seconds_and_is_over_when_answered_or_not() -> None:
    for answered in (True, False):
        registration = account()
        registered(registration)
        goodbye = asked(registration.stop(10.0))
        assert goodbye.headers.get("Expires") == "0"
        assert goodbye.headers.get("Contact") == f"{OURS};expires=0"
        outputs = answer(registration, goodbye, 200, 10.1) if answered else registration.unanswered(goodbye, 408, 42.0)
        assert outputs == [Became(State.OVER, "")]
        assert registration.deadline is None


def test_an_answer_to_the_refresh_that_comes_after_stop_does_not_revive_it() -> None:
    registration = account()
    registered(registration)
    refresh = asked(registration.start(80.0))
    registration.stop(80.1)
    answer(registration, refresh, 200, 80.2, ("Contact", OURS))
    assert registration.state in {State.STOPPING, State.OVER}


def test_what_never_was_registered_is_over_at_once() -> None:
    registration = account()
    assert registration.stop(0.0) == [Became(State.OVER, "")]


# ---- several places, flows, NAT

SPARE = Flow("192.0.2.11", 5060)


def ways(outputs: Sequence[Output]) -> list[Flow]:
    return [output.to for output in outputs if isinstance(output, Ask)]


def test_rfc3263_4_3_silence_leads_to_the_next_place_at_once_and_after_the_last_to_a_pause() -> None:
    registration = account()
    registration.move((PBX, SPARE))
    first = asked(registration.start(0.0))
    outputs = registration.unanswered(first, 408, 32.0)
    assert ways(outputs) == [SPARE]
    assert Unreachable(PBX, 60) in outputs
    (second,) = [output.request for output in outputs if isinstance(output, Ask)]
    outputs = registration.unanswered(second, 503, 64.0)
    assert (ways(outputs), registration.state) == ([], State.FAILING)
    assert registration.way == PBX


def test_rfc3263_4_3_503_with_retry_after_spares_the_place_for_so_long() -> None:
    registration = account()
    registration.move((PBX, SPARE))
    outputs = answer(registration, asked(registration.start(0.0)), 503, 1.0, ("Retry-After", "120"))
    assert Unreachable(PBX, 120) in outputs
    assert ways(outputs) == [SPARE]


def test_other_refusals_cause_no_failover() -> None:
    registration = account()
    registration.move((PBX, SPARE))
    assert ways(answer(registration, asked(registration.start(0.0)), 500, 1.0)) == []
    assert registration.way == PBX


def test_a_place_in_use_is_kept_when_dns_changes_its_mind_and_left_when_it_is_gone() -> None:
    registration = account()
    registered(registration)
    registration.move((SPARE, PBX))
    assert registration.way == PBX
    registration.move((SPARE,))
    assert registration.way == SPARE


@pytest.mark.parametrize(("fraction", "when"), [(0.0, 10.0), (0.5, 11.0)])
def test_rfc5626_4_5_a_connection_that_ends_is_registered_anew_after_a_random_moment(
    fraction: float, when: float
) -> None:
    stream = Flow("192.0.2.10", 5060, Protocol.TCP)
    registration = account(fraction)
    registration.move((stream,))
    (ask,) = [output for output in registration.start(0.0) if isinstance(output, Ask)]
    answer(registration, ask.request, 200, 0.0, ("Contact", f"{OURS};expires=300"))
    registration.lost(Flow("192.0.2.10", 5061, Protocol.TLS), 10.0)
    assert registration.deadline != when
    registration.lost(Flow("192.0.2.10", 5060, Protocol.TCP, connection=4), 10.0)
    assert registration.deadline == when
    assert ways(registration.wake(when)) == [stream]


def test_behind_nat_the_address_that_the_registrar_saw_is_registered_and_the_old_one_removed() -> None:
    registration = account(nat=True)
    request = asked(registration.start(0.0))
    seen = str(request.via.with_param("received", "203.0.113.7").with_param("rport", "40000"))
    outputs = registration.responded(request.__class__("REGISTER", request.uri, request.headers), respond(
        request.__class__("REGISTER", request.uri, request.headers.replace_first("Via", seen)), 200
    ), 0.0)  # fmt: skip
    again = asked(outputs)
    public, old = again.headers.all("Contact")
    assert public.startswith("<sip:1001@203.0.113.7:40000>")
    assert old == f"{OURS};expires=0"
    via = str(again.via.with_param("received", "203.0.113.7").with_param("rport", "40000"))
    settled = again.__class__("REGISTER", again.uri, again.headers.replace_first("Via", via))
    assert not [o for o in registration.responded(again, respond(settled, 200), 1.0) if isinstance(o, Ask)]
    assert asked(registration.start(100.0)).headers.all("Contact") == (
        "<sip:1001@203.0.113.7:40000>;expires=300",
    )  # fmt: skip


def test_rfc3608_the_service_route_of_the_registrar_is_remembered() -> None:
    registration = account()
    answer(registration, asked(registration.start(0.0)), 200, 0.0, ("Service-Route", "<sip:p1;lr>, <sip:p2;lr>"))
    assert registration.service == ("<sip:p1;lr>", "<sip:p2;lr>")


def test_rfc7616_3_5_the_next_nonce_of_authentication_info_is_used() -> None:
    registration = account()
    again = asked(challenged(registration, asked(registration.start(0.0)), "n1"))
    answer(registration, again, 200, 0.0, ("Authentication-Info", 'qop=auth, nextnonce="n2"'))
    refreshed = asked(registration.start(240.0)).headers.get("Authorization") or ""
    assert 'nonce="n2"' in refreshed
    assert "nc=00000001" in refreshed
