"""How a call ended -> Bitrix24's STATUS_CODE: each row of section 19 of the SIP rules."""

from __future__ import annotations

import pytest

from bridge.calls import commands as do
from bridge.calls import events as on
from bridge.calls.events import Event
from bridge.calls.outcome import refusal

from .story import ANNA, ANSWERED, ID, INVITED, OFFERED, READY, TAB, Story

DIALLED = on.OperatorDialled(call=ID, operator=ANNA, number="100", voice=TAB)
HELD = [
    on.OperatorHeld(call=ID, operator=ANNA, held=True),
    on.MediaReoffered(call=ID, sdp=b""),
    on.PbxReanswered(call=ID, sdp=b""),
]
TRANSFER = on.OperatorTransferred(call=ID, operator=ANNA, number="300")
ENDS: list[list[Event]] = [
    [on.OperatorHungUp(call=ID, operator=ANNA)],
    [on.PbxHungUp(call=ID, why="BYE")],
    [on.PbxFellSilent(call=ID)],
    [on.BridgeStopped(call=ID)],
    [on.TabLeft(call=ID, operator=ANNA, tab=TAB, online=False), on.DeadlinePassed(call=ID)],
    [*HELD, TRANSFER, on.PbxTransferred(call=ID)],
    [*HELD, TRANSFER, on.PbxHungUp(call=ID, why="BYE")],
    [on.PbxTransferred(call=ID)],
]


def told(*events: Event) -> do.FinishCall:
    story = Story()
    story.tell(*events)
    return story.record


@pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end[-1]).__name__)
def test_section_19_answered_however_it_ended_is_200(end: list[Event]) -> None:
    assert told(INVITED, OFFERED, ANSWERED, READY, *end).status == "200"


@pytest.mark.parametrize(
    "end", [on.PbxCancelled(call=ID, elsewhere=False), on.DeadlinePassed(call=ID), on.PbxHungUp(call=ID, why="BYE")]
)
def test_section_19_incoming_and_nobody_reached_is_304(end: Event) -> None:
    assert told(INVITED, end).status == "304"


def test_section_19_incoming_and_no_operator_there_is_304() -> None:
    story = Story(online=frozenset())
    story.tell(INVITED)
    assert story.record.status == "304"


def test_section_19_answered_elsewhere_is_not_missed() -> None:
    assert told(INVITED, on.PbxCancelled(call=ID, elsewhere=True)).status == "200"


def test_section_19_incoming_declined_by_the_operator_is_603() -> None:
    assert told(INVITED, on.OperatorDeclined(call=ID, operator=ANNA)).status == "603"


def test_section_19_outgoing_cancelled_by_the_operator_is_603_s() -> None:
    assert told(DIALLED, READY, on.OperatorHungUp(call=ID, operator=ANNA)).status == "603-S"


@pytest.mark.parametrize(
    ("code", "statuses", "causes"),
    [
        ("603", (603, 607, 608), ()),
        ("486", (486, 600), (17,)),
        ("404", (404, 410, 604, 485, 416), (1, 22)),
        ("484", (484,), (28,)),
        ("480", (480, 487), (18, 19, 20)),
        ("403", (403, 401, 407), (21, 55, 57)),
        ("402", (402,), ()),
        ("423", (423,), ()),
        ("503", (500, 501, 502, 503, 504, 513, 488, 606, 415), (27, 34, 38, 41, 42, 58, 65, 88, 102, 127)),
        ("OTHER", (302, 400, 405, 420, 422, 493), ()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_section_19_refused_from_the_far_end(code: str, statuses: tuple[int, ...], causes: tuple[int, ...]) -> None:
    assert {refusal(status, "", 0, provisional=True)[1].status for status in statuses} == {code}
    for vague in (480, 500, 503, 603):
        assert {refusal(vague, "", cause, provisional=True)[1].status for cause in causes} <= {code}


@pytest.mark.parametrize(("provisional", "code"), [(True, "480"), (False, "503")])
def test_section_19_408_is_no_answer_after_ringing_and_a_failure_before(provisional: bool, code: str) -> None:
    assert refusal(408, "", 0, provisional=provisional)[1].status == code


def test_section_19_a_cause_does_not_overrule_a_status_that_says_more() -> None:
    assert refusal(404, "", 17, provisional=True)[1].status == "404"


def test_section_19_the_original_code_and_phrase_are_the_reason() -> None:
    assert refusal(486, "Busy Here", 0, provisional=True)[1].reason == "486 Busy Here"
