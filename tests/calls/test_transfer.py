"""A call is passed on: blind, attended, and back to the operator when it fails."""

from __future__ import annotations

import pytest

from bridge.calls import commands as do
from bridge.calls import events as on
from bridge.calls.call import TRANSFER_SECONDS
from bridge.calls.events import CallId, Event
from bridge.calls.routing import Directory

from .story import ANNA, ANSWERED, BORIS, ID, INVITED, OFFERED, OTHER, READY, TAB, Story, names

DIRECTORY = Directory(accounts={("pbx", "1001"): ANNA, ("pbx", "1002"): BORIS}, ring_seconds=30, rejoin_seconds=30)
CONSULTATION = CallId("call-2")
BLIND = on.OperatorTransferred(call=ID, operator=ANNA, number="300")
HOLD = on.MediaReoffered(call=ID, sdp=b"hold")
HELD = on.PbxReanswered(call=ID, sdp=b"held")
BUSY = on.PbxTransferFailed(call=ID, status=486, phrase="Busy Here", refused=False)
TAKEN = on.PbxTransferProgressed(call=ID, status=100)


def talking() -> Story:
    story = Story(directory=DIRECTORY)
    story.tell(INVITED, OFFERED, ANSWERED, READY, after=1)
    assert story.state == "talking"
    return story


def held() -> Story:
    story = talking()
    story.tell(on.OperatorHeld(call=ID, operator=ANNA, held=True), HOLD, HELD)
    assert story.state == "held"
    return story


def test_a_blind_transfer_holds_refers_and_hangs_up_with_one_record_of_the_one_who_talked() -> None:
    story = talking()
    assert names(story.tell(BLIND)) == ["HoldMedia"]
    assert names(story.tell(HOLD, HELD)) == ["ReofferPbx", "AcceptPbxAnswer", "TransferPbx"]
    assert story.of(do.TransferPbx) == [do.TransferPbx(call=ID, number="300")]
    assert (story.state, story.call.view.transfer_to, story.call.view.held) == ("transferring", "300", True)
    story.tell(TAKEN, on.PbxTransferProgressed(call=ID, status=180))
    assert story.call.view.transfer_rings
    commands = story.tell(on.PbxTransferred(call=ID), after=10)
    assert names(commands) == ["HangUpPbx", "CloseMedia", "FinishCall"]
    assert (story.record.operator, story.record.status, story.record.duration) == (ANNA, "200", 10)
    assert story.call.view.ending == "transferred"


def test_a_held_call_is_referred_at_once() -> None:
    assert names(held().tell(BLIND)) == ["TransferPbx"]


def test_a_colleague_is_reached_at_the_account_they_have_at_the_same_pbx() -> None:
    story = held()
    story.tell(on.OperatorTransferred(call=ID, operator=ANNA, number="", to=BORIS))
    assert story.of(do.TransferPbx)[0].number == "1002"


def test_a_colleague_without_an_account_there_is_a_sentence_and_the_call_goes_on() -> None:
    story = Story()
    story.tell(INVITED, OFFERED, ANSWERED, READY)
    story.tell(on.OperatorTransferred(call=ID, operator=ANNA, number="", to=BORIS))
    assert (story.state, story.call.view.transfer_failed) == ("talking", "unknown-number")


def test_only_the_operator_on_the_call_passes_it_on() -> None:
    assert talking().tell(on.OperatorTransferred(call=ID, operator=BORIS, number="300")) == []


def test_a_pbx_that_refuses_the_hold_is_asked_for_the_transfer_all_the_same() -> None:
    story = talking()
    story.tell(BLIND, HOLD)
    assert names(story.tell(on.PbxRefusedReoffer(call=ID, status=488))) == ["TransferPbx"]


@pytest.mark.parametrize("command", ["HoldMedia", "ReofferPbx"])
def test_a_hold_that_cannot_be_had_does_not_stop_a_transfer(command: str) -> None:
    story = talking()
    story.tell(BLIND)
    assert names(story.tell(on.CommandFailed(call=ID, command=command, why=""))) == ["TransferPbx"]


@pytest.mark.parametrize("command", ["TransferPbx", "ConnectPbx"])
def test_a_room_that_can_not_refer_gives_the_call_back(command: str) -> None:
    story = held()
    story.tell(BLIND, on.CommandFailed(call=ID, command=command, why=""))
    assert (story.state, story.call.view.transfer_failed) == ("held", "failed")


def test_failure_returns_a_call_that_was_talking_to_talking() -> None:
    story = talking()
    story.tell(BLIND, HOLD, HELD, TAKEN)
    assert names(story.tell(BUSY)) == ["HoldMedia"]
    assert (story.state, story.call.view.transfer_failed) == ("held", "busy")
    story.tell(on.MediaReoffered(call=ID, sdp=b"resume"), HELD)
    assert (story.state, story.call.view.transfer_failed) == ("talking", "busy")
    story.tell(on.OperatorHeld(call=ID, operator=ANNA, held=True))
    assert story.call.view.transfer_failed == ""


def test_failure_leaves_a_held_call_held() -> None:
    story = held()
    assert names(story.tell(BLIND, BUSY)) == ["TransferPbx"]
    assert story.state == "held"


@pytest.mark.parametrize(
    ("status", "refused", "failure"),
    [
        (486, False, "busy"),
        (480, False, "unavailable"),
        (487, False, "no-answer"),
        (408, False, "no-answer"),
        (404, False, "unknown-number"),
        (484, False, "failed"),
        (603, False, "rejected"),
        (403, True, "forbidden"),
        (603, True, "unsupported"),
        (405, True, "unsupported"),
        (501, True, "unsupported"),
        (503, False, "failed"),
        (0, False, "untold"),
    ],
)
def test_section_15_why_it_failed_is_told(status: int, refused: bool, failure: str) -> None:
    story = held()
    story.tell(BLIND, on.PbxTransferFailed(call=ID, status=status, phrase="", refused=refused))
    assert story.call.view.transfer_failed == failure


def test_a_pbx_that_says_nothing_gives_the_call_back_in_the_end() -> None:
    story = held()
    story.tell(BLIND, TAKEN)
    story.tell(on.DeadlinePassed(call=ID), after=TRANSFER_SECONDS)
    assert (story.state, story.call.view.transfer_failed) == ("held", "untold")


def test_a_deadline_before_the_hold_was_confirmed_resumes_the_voice() -> None:
    story = talking()
    story.tell(BLIND, HOLD)
    assert names(story.tell(on.DeadlinePassed(call=ID), after=TRANSFER_SECONDS)) == ["HoldMedia"]
    assert story.of(do.HoldMedia)[-1].held is False
    story.tell(HELD)
    assert story.state == "talking"


def test_section_15_a_bye_right_after_202_is_success() -> None:
    story = held()
    story.tell(BLIND, TAKEN)
    story.tell(on.PbxHungUp(call=ID, why="BYE"))
    assert (story.call.view.ending, story.record.status) == ("transferred", "200")
    assert story.of(do.HangUpPbx) == []


def test_a_bye_before_the_refer_is_the_other_side_that_left() -> None:
    story = talking()
    story.tell(BLIND, on.PbxHungUp(call=ID, why="BYE"))
    assert story.call.view.ending == "caller-hung-up"


def test_the_operator_may_hang_up_while_it_is_passed_on() -> None:
    story = held()
    story.tell(BLIND)
    assert "HangUpPbx" in names(story.tell(on.OperatorHungUp(call=ID, operator=ANNA)))


def test_a_page_that_leaves_meanwhile_does_not_stop_it_and_a_failure_waits_for_the_next_page() -> None:
    story = talking()
    story.tell(BLIND, HOLD, HELD, on.TabLeft(call=ID, operator=ANNA, tab=TAB, online=True))
    assert story.state == "transferring"
    story.tell(BUSY)
    assert (story.state, story.call.deadline) == ("rejoining", story.now + 30)
    story.tell(on.MediaOffered(call=ID, operator=ANNA, tab=OTHER, offer="o2", sdp="v=0"))
    story.tell(on.MediaReady(call=ID, tab=OTHER, sdp=b"v=0"))
    assert story.state == "held"


def test_an_attended_transfer_refers_to_the_other_call() -> None:
    story = held()
    story.tell(on.OperatorConnected(call=ID, operator=ANNA, other=CONSULTATION, number="1002"))
    assert story.of(do.ConnectPbx) == [do.ConnectPbx(call=ID, other=CONSULTATION)]
    assert story.call.view.transfer_to == "1002"
    story.tell(on.PbxTransferred(call=ID))
    assert story.record.status == "200"


@pytest.mark.parametrize("before", [[], [on.OperatorHeld(call=ID, operator=ANNA, held=True), HOLD, HELD]])
def test_the_call_that_was_consulted_hears_that_it_is_over(before: list[Event]) -> None:
    story = talking()
    story.tell(*before)
    assert "HangUpPbx" in names(story.tell(on.PbxTransferred(call=ID)))
    assert (story.call.view.ending, story.record.status) == ("transferred", "200")


def test_a_dialled_call_knows_which_one_it_asks_about() -> None:
    story = Story(directory=DIRECTORY)
    story.tell(on.OperatorDialled(call=ID, operator=ANNA, number="1002", voice=TAB, consults=CONSULTATION))
    assert story.call.view.consults == CONSULTATION
