"""Keys in INFO, in and out: section 16 of the rules."""

from __future__ import annotations

import time

import pytest

from bridge.sip.info import key_in
from bridge.sip.message import Headers, Request
from bridge.sip.output import HungUp, Pressed

from .desks import Called, Calling, one, statuses
from .parties import reply

RELAY, BARE = "application/dtmf-relay", "application/dtmf"


def info(desk: Called, cseq: int, kind: str, body: bytes) -> Request:
    message = desk.within("INFO", cseq)
    return Request("INFO", message.uri, Headers([*message.headers, ("Content-Type", kind)]), body)


@pytest.mark.parametrize(
    ("kind", "body", "key"),
    [
        (RELAY, b"Signal=5\r\nDuration=160\r\n", "5"),
        (RELAY, b"signal = * \nduration = 160", "*"),
        (RELAY, b"Duration=160\r\nSignal=11\r\n", "#"),
        (RELAY, b"Signal=10", "*"),
        (RELAY, b"Signal= d\r\n", "D"),
        (RELAY + "; charset=x", b"Signal=0\r\n", "0"),
        (RELAY, b"Signal=16\r\n", ""),
        (RELAY, b"Signal=hold\r\n", ""),
        (BARE, b"5", "5"),
        (BARE, b" #\r\n", "#"),
        (BARE, b"10", "*"),
        (BARE, b"a", "A"),
        (BARE, b"", ""),
        (BARE, b"55", ""),
    ],
)
def test_section_16_both_bodies_are_read_any_letter_case_and_blanks(kind: str, body: bytes, key: str) -> None:
    desk = Called().confirmed()
    asked = info(desk, 2, kind, body)
    assert key_in(asked) == key
    assert statuses(desk.gets(asked)) == [(200, "INFO")]
    assert [fact for fact in desk.told if isinstance(fact, Pressed)] == ([Pressed(key)] if key else [])


def test_section_16_other_bodies_earn_415_and_an_unknown_package_469_and_an_empty_one_200() -> None:
    desk = Called().confirmed()
    assert statuses(desk.gets(info(desk, 2, "text/plain", b"5"))) == [(415, "INFO")]
    assert statuses(desk.gets(desk.within("INFO", 3, b"", ("Info-Package", "foo")))) == [(469, "INFO")]
    assert statuses(desk.gets(desk.within("INFO", 4))) == [(200, "INFO")]


def test_a_hostile_body_costs_linear_time() -> None:
    desk = Called().confirmed()
    begin = time.process_time()
    for body in (b"signal" * 9_000, b" " * 60_000, b"signal=" + b" " * 50_000, b"\n" * 60_000):
        assert key_in(info(desk, 2, RELAY, body)) == ""
    assert time.process_time() - begin < 2  # a quadratic search takes a quarter of a minute


def test_keys_of_ours_follow_one_another_each_after_the_answer_to_the_last() -> None:
    desk = Calling().confirmed()
    first = one(desk.does(desk.usage, desk.usage.press("1#", 0)), "INFO")
    assert (first.body, first.headers.get("Content-Type")) == (b"Signal=1\r\nDuration=160\r\n", RELAY)
    assert desk.does(desk.usage, desk.usage.press("9", 0)) == []
    second = one(desk.gets(reply(first, 200)), "INFO")
    third = one(desk.gets(reply(second, 200)), "INFO")
    assert (second.body[:8], third.body[:8]) == (b"Signal=#", b"Signal=9")
    assert desk.gets(reply(third, 200)) == []


@pytest.mark.parametrize("status", [415, 500])
def test_a_peer_that_refuses_one_key_is_sent_no_more_of_them_and_the_call_goes_on(status: int) -> None:
    desk = Calling().confirmed()
    first = one(desk.does(desk.usage, desk.usage.press("12", 0)), "INFO")
    assert desk.gets(reply(first, status)) == []
    assert one(desk.does(desk.usage, desk.usage.press("3", 0)), "INFO").body.startswith(b"Signal=3")


def test_section_9_a_481_to_an_info_ends_the_call() -> None:
    desk = Calling().confirmed()
    first = one(desk.does(desk.usage, desk.usage.press("1", 0)), "INFO")
    assert one(desk.gets(reply(first, 481)), "BYE")
    assert isinstance(desk.told[-1], HungUp)
