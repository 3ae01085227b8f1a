"""A PBX is asked now and then whether it is there (OPTIONS, RFC 3261 section 11)."""

from __future__ import annotations

from bridge.sip.address import Uri
from bridge.sip.checkup import Checkup, Health, HealthChanged
from bridge.sip.flow import Flow
from bridge.sip.message import Request, respond
from bridge.sip.output import Ask

from .parties import ALICE, BOB, identity


def checkup(ways: list[Flow]) -> Checkup:
    return Checkup(
        trunk="office", way=lambda: ways[0] if ways else None, domain=Uri.parse("sip:pbx.example"), me=identity(ALICE),
        every=60.0, now=0.0,
    )  # fmt: skip


def asked(one: Checkup, now: float) -> Request:
    (ask,) = one.wake(now)
    assert isinstance(ask, Ask)
    assert (ask.to, ask.request.method, ask.request.uri) == (BOB, "OPTIONS", "sip:pbx.example")
    return ask.request


def test_it_is_asked_once_a_minute_and_a_change_is_told_once() -> None:
    one = checkup([BOB])
    assert (one.health, one.wake(59.0)) == (Health.UNKNOWN, [])
    first = asked(one, 60.0)
    assert one.wake(200.0) == [], "one question at a time"
    assert one.responded(first, respond(first, 401), 60.25) == [HealthChanged("office", Health.ANSWERS)]
    assert (one.status, one.seconds, one.since) == (401, 0.25, 60.25)
    second = asked(one, 120.25)
    assert second.cseq == (2, "OPTIONS")
    assert one.responded(second, respond(second, 200), 120.3) == []
    assert (one.status, one.since) == (200, 60.25)
    third = asked(one, 180.3)
    assert one.unanswered(third, 408, 212.3) == [HealthChanged("office", Health.SILENT)]
    assert one.deadline == 272.3


def test_a_pbx_whose_name_is_not_known_yet_is_asked_when_it_is() -> None:
    ways: list[Flow] = []
    one = checkup(ways)
    assert one.wake(60.0) == []
    ways.append(BOB)
    assert asked(one, 120.0).cseq == (1, "OPTIONS")


def test_once_stopped_it_asks_no_more_and_late_answers_change_nothing() -> None:
    one = checkup([BOB])
    first = asked(one, 60.0)
    one.stop()
    assert one.wake(500.0) == []
    assert one.unanswered(first, 408, 92.0) == []
    assert one.responded(first, respond(first, 200), 92.0) == []
    assert (one.health, one.deadline) == (Health.UNKNOWN, None)
