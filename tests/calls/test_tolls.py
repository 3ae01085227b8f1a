"""A number that the portal's rules forbid is never dialled, whichever way it is asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.calls import commands as do
from bridge.calls import events as on
from bridge.calls.call import Call, World
from bridge.calls.events import CallId, Operator
from bridge.calls.numbering import AsTheyCome
from bridge.calls.outcome import Ending, TransferFailure
from bridge.calls.step import step
from bridge.calls.tolls import Dialled, TollBreach, TollRules, breach

from .story import ANNA, BORIS, DIRECTORY, ID, READY, TAB, Story

OTHERS = Operator("elsewhere", 1)
RULES = TollRules(allowed=("+49", "0"), forbidden=("+49900",))


def verdict(rules: TollRules, number: str, *, at: datetime | None = None, at_once: int = 0) -> TollBreach | None:
    now = at.timestamp() if at else 0.0
    return breach(rules, ANNA, AsTheyCome().dialled("portal", "pbx", number), (), at_once, now)


def story() -> Story:
    return Story(directory=replace(DIRECTORY, tolls={"portal": RULES}))


def dialled(number: str) -> on.OperatorDialled:
    return on.OperatorDialled(call=ID, operator=ANNA, number=number, voice=TAB)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("+4930123456", None),
        ("+49900123456", TollBreach.FORBIDDEN_PREFIX),
        ("0049900123456", TollBreach.FORBIDDEN_PREFIX),
        ("01149900123456", TollBreach.FORBIDDEN_PREFIX),
        ("+882123456", TollBreach.NOT_ALLOWED),
        ("*21*00882123#", TollBreach.NOT_ALLOWED),
        ("1002", None),
        ("112", None),
    ],
)
def test_prefixes_decide_but_not_over_extensions_and_emergency_calls(number: str, expected: TollBreach | None) -> None:
    assert verdict(RULES, number) is expected


@pytest.mark.parametrize(("hour", "refused"), [(19, False), (20, True), (0, True), (6, True), (7, False)])
def test_a_night_spans_midnight_in_the_portals_time_zone(hour: int, refused: bool) -> None:
    zone = timezone(timedelta(hours=9))
    rules = TollRules(night=(20 * 60, 7 * 60), night_allowed=("+4930",), zone=zone)
    at = datetime(2026, 1, 5, hour, tzinfo=zone).astimezone(UTC)
    assert (verdict(rules, "+4989123456", at=at) is TollBreach.NIGHT) is refused
    assert verdict(rules, "+4930123456", at=at) is None


def test_one_call_more_than_may_live_at_once_is_refused() -> None:
    assert verdict(TollRules(at_once=2), "+4930123456", at_once=1) is None
    assert verdict(TollRules(at_once=2), "+4930123456", at_once=2) is TollBreach.TOO_MANY


@given(st.lists(st.tuples(st.sampled_from([ANNA, BORIS, OTHERS]), st.floats(0, 40)), max_size=40))
def test_no_minute_holds_more_calls_than_the_rules_allow(wishes: list[tuple[Operator, float]]) -> None:
    rules = TollRules(operator_per_minute=2, portal_per_minute=3)
    now, made = 0.0, list[Dialled]()
    number = AsTheyCome().dialled("portal", "pbx", "+4930123456")
    for operator, pause in wishes:
        now += pause
        broken = breach(rules, operator, number, made, 0, now)
        before = [each.operator for each in made if each.at > now - 60]
        full = before.count(operator) >= 2 or sum(each.portal == operator.portal for each in before) >= 3
        assert (broken is not None) == full
        if broken is None:
            made.append(Dialled(CallId("c"), operator, now))


@pytest.mark.parametrize("voice", [TAB, None], ids=["typed", "clicked"])
def test_a_forbidden_number_is_never_dialled_and_the_crm_hears_403(voice: on.TabId | None) -> None:
    told = story()
    told.tell(replace(dialled("+49900123456"), voice=voice))
    told.tell(on.MediaOffered(call=ID, operator=ANNA, tab=TAB, offer="o1", sdp="v=0"), READY)
    assert told.call.ending is Ending.FORBIDDEN
    assert not told.of(do.DialPbx)
    assert not told.of(do.CancelPbx)
    assert (told.record.status, told.record.reason) == ("403", TollBreach.FORBIDDEN_PREFIX.value)
    assert told.record.card_stays
    (alarm,) = told.of(do.RaiseTollAlarm)
    assert (alarm.operator, alarm.number) == (ANNA, "+49900123456")


def talking() -> Story:
    told = story()
    told.tell(dialled("+4930123456"), READY, on.PbxAnswered(call=ID, sdp=b"v=0"))
    assert told.state == "talking"
    return told


def test_a_call_is_not_passed_on_to_a_forbidden_number() -> None:
    told = talking()
    told.tell(on.OperatorTransferred(call=ID, operator=ANNA, number="+49900123456"))
    assert told.state == "talking"
    assert told.call.transfer_failed is TransferFailure.FORBIDDEN
    assert told.of(do.RaiseTollAlarm)
    assert not told.of(do.TransferPbx)


def test_a_pbx_that_wants_a_forbidden_number_called_hears_403() -> None:
    told = talking()
    told.tell(on.PbxReferred(call=ID, number="+49900123456"))
    (refusal,) = told.of(do.RefusePbxReferral)
    assert refusal.status == 403
    assert not told.of(do.OfferMedia)


def test_what_was_dialled_lately_is_held_against_the_next_call() -> None:
    directory = replace(DIRECTORY, tolls={"portal": TollRules(operator_per_minute=1)})
    lately = (Dialled(CallId("call-0"), ANNA, 990.0),)
    world = World(now=1000.0, online=frozenset({ANNA}), directory=directory, dialled=lately)
    call, _ = step(Call(id=ID), dialled("+4930123456"), world)
    refused, commands = step(call, READY, world)
    assert refused.ending is Ending.FORBIDDEN
    _, commands = step(call, READY, replace(world, now=1051.0))
    assert any(isinstance(command, do.DialPbx) for command in commands)
