"""A place that was silent is asked until it answers (RFC 3263 4.3)."""

from __future__ import annotations

import pytest

from bridge.sip.address import Uri
from bridge.sip.message import Request, respond
from bridge.sip.output import Ask
from bridge.sip.probe import Probe, WokeUp

from .parties import ALICE, BOB, identity


def probe() -> Probe:
    return Probe(way=BOB, domain=Uri.parse("sip:pbx.example"), me=identity(ALICE), now=0.0)


def asked(one: Probe, now: float) -> Request:
    (ask,) = one.wake(now)
    assert isinstance(ask, Ask)
    assert ask.to == BOB
    return ask.request


def test_it_asks_options_every_half_minute_while_nobody_answers() -> None:
    one = probe()
    assert one.wake(29.0) == []
    first = asked(one, 30.0)
    assert (first.method, first.uri, one.deadline) == ("OPTIONS", "sip:pbx.example", None)
    one.unanswered(first, 408, 62.0)
    assert one.deadline == 92.0
    assert asked(one, 92.0).cseq == (2, "OPTIONS")


@pytest.mark.parametrize("status", [200, 404, 405, 500])
def test_whatever_the_answer_somebody_gave_it(status: int) -> None:
    one = probe()
    assert one.responded(asked(one, 30.0), respond(asked_options(), status), 30.1) == [WokeUp(BOB)]
    assert one.over


@pytest.mark.parametrize("status", [408, 503])
def test_these_answers_are_none(status: int) -> None:
    one = probe()
    assert one.responded(asked(one, 30.0), respond(asked_options(), status), 31.0) == []
    assert one.deadline == 61.0


def asked_options() -> Request:
    return asked(probe(), 30.0)


def test_a_place_that_nobody_wants_any_more_is_asked_no_more() -> None:
    one = probe()
    one.stop()
    assert (one.wake(100.0), one.deadline) == ([], None)
