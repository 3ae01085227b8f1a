"""Whether a call is recorded, and what its operator may say about that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.calls import commands as do
from bridge.calls import events as on
from bridge.calls.recording import Recording, RecordingMode, RecordingRules

from .story import ANNA, ANSWERED, BORIS, DIRECTORY, ID, INVITED, OFFERED, READY, TAB, Story, names

LOST = on.BrowserLost(call=ID, tab=TAB, why="closed")
FAILED = on.RecordingFailed(call=ID, why="the disk is full")


def story(mode: RecordingMode, *, pausable: bool = True, lines: dict[str, RecordingMode] | None = None) -> Story:
    rules = RecordingRules(mode=mode, pausable=pausable, announcement="beep", beep_seconds=15)
    return Story(directory=replace(DIRECTORY, recordings={"portal": rules}, recorded_lines=lines or {}))


def talking(mode: RecordingMode, *, pausable: bool = True, lines: dict[str, RecordingMode] | None = None) -> Story:
    told = story(mode, pausable=pausable, lines=lines)
    told.tell(INVITED, OFFERED, ANSWERED, READY)
    return told


def record(recorded: bool, operator: on.Operator = ANNA) -> on.OperatorRecorded:
    return on.OperatorRecorded(call=ID, operator=operator, recorded=recorded)


def test_a_call_is_recorded_from_its_answer_on_as_its_portal_says() -> None:
    told = story(RecordingMode.ALWAYS)
    told.tell(INVITED, OFFERED, ANSWERED)
    assert not told.of(do.StartRecording)
    told.tell(READY)
    assert told.of(do.StartRecording) == [
        do.StartRecording(call=ID, portal="portal", announcement="beep", beep_seconds=15)
    ]
    assert told.call.view.recording == "on"


def test_an_outgoing_call_is_recorded_once_somebody_has_answered() -> None:
    told = story(RecordingMode.ALWAYS)
    told.tell(on.OperatorDialled(call=ID, operator=ANNA, number="+4930123456", voice=TAB), READY)
    assert not told.of(do.StartRecording)
    told.tell(on.PbxAnswered(call=ID, sdp=b"answer"))
    assert len(told.of(do.StartRecording)) == 1


@pytest.mark.parametrize("mode", [RecordingMode.NEVER, RecordingMode.ASKED])
def test_a_call_that_is_not_to_be_recorded_is_not(mode: RecordingMode) -> None:
    told = talking(mode)
    assert not told.of(do.StartRecording)
    assert told.call.view.recording == ("off" if mode is RecordingMode.ASKED else "")


@pytest.mark.parametrize(
    ("portal", "line"), [(RecordingMode.NEVER, RecordingMode.ALWAYS), (RecordingMode.ALWAYS, RecordingMode.NEVER)]
)
def test_a_line_has_a_will_of_its_own(portal: RecordingMode, line: RecordingMode) -> None:
    assert bool(talking(portal, lines={"100": line}).of(do.StartRecording)) == (line is RecordingMode.ALWAYS)
    assert bool(talking(portal, lines={"200": line}).of(do.StartRecording)) == (portal is RecordingMode.ALWAYS)


def test_the_operator_starts_pauses_and_resumes() -> None:
    told = talking(RecordingMode.ASKED)
    assert names(told.tell(record(True))) == ["StartRecording"]
    assert names(told.tell(record(True))) == []
    assert names(told.tell(record(False))) == ["PauseRecording"]
    assert told.call.view.recording == "paused"
    assert names(told.tell(record(False))) == []
    assert names(told.tell(record(True))) == ["ResumeRecording"]
    assert told.call.view.recording == "on"


def test_a_recording_that_may_not_be_interrupted_is_not() -> None:
    told = talking(RecordingMode.ALWAYS, pausable=False)
    assert not told.call.view.recording_pausable
    assert names(told.tell(record(False))) == []
    assert told.call.recording is Recording.ON


def test_who_is_not_on_the_call_decides_nothing() -> None:
    told = talking(RecordingMode.ASKED)
    assert names(told.tell(record(True, BORIS))) == []


def test_while_the_page_changes_the_recording_goes_on_and_can_be_paused() -> None:
    told = talking(RecordingMode.ALWAYS)
    told.tell(LOST)
    assert told.state == "rejoining"
    assert names(told.tell(record(False))) == ["PauseRecording"]
    told.tell(on.MediaOffered(call=ID, operator=ANNA, tab=TAB, offer="o2", sdp="v=0"), READY)
    assert len(told.of(do.StartRecording)) == 1
    assert told.call.view.recording == "paused"


@pytest.mark.parametrize(
    "failure", [FAILED, on.CommandFailed(call=ID, command="StartRecording", why="the disk is full")]
)
def test_when_recording_fails_the_call_goes_on_and_the_administrators_hear_of_it(failure: on.Event) -> None:
    told = talking(RecordingMode.ALWAYS)
    assert told.tell(failure)[0] == do.RaiseRecordingAlarm(call=ID, operator=ANNA, why="the disk is full")
    assert told.state == "talking"
    assert told.call.view.recording == "failed"
    assert names(told.tell(record(True))) == ["StartRecording"]


def test_the_end_of_the_call_is_the_end_of_its_recording() -> None:
    told = talking(RecordingMode.ALWAYS)
    assert names(told.tell(on.PbxHungUp(call=ID, why="BYE"))) == ["CloseMedia", "FinishCall"]
    assert names(told.tell(FAILED)) == []
