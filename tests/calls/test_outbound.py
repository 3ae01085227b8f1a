"""Calls that an operator starts, and what happens inside a call: hold, keypad, taking over."""

from __future__ import annotations

import pytest

from bridge.calls import commands as do
from bridge.calls import events as on
from bridge.calls.commands import Direction
from bridge.calls.outcome import Ending, refusal

from .story import ANNA, ANSWERED, BORIS, ID, INVITED, OFFERED, OTHER, READY, TAB, Story, names

DIALLED = on.OperatorDialled(call=ID, operator=ANNA, number="100", voice=TAB)
CLICKED = on.OperatorDialled(call=ID, operator=ANNA, number="100", voice=None, card="externalCall.7")
PICKED_UP = on.PbxAnswered(call=ID, sdp=b"answer")


def test_the_voice_comes_up_before_the_invite_goes_out() -> None:
    story = Story()
    assert names(story.tell(DIALLED)) == ["RegisterCall", "JoinMedia"]
    assert names(story.tell(OFFERED)) == ["ConnectBrowser", "JoinMedia"]
    (dial,) = [c for c in story.tell(READY) if isinstance(c, do.DialPbx)]
    assert (dial.trunk, dial.account, dial.number, dial.sdp) == ("pbx", "1001", "100", b"answer")
    assert story.of(do.RegisterCall)[0].direction is Direction.OUTBOUND


def test_answered_talked_hung_up() -> None:
    story = Story()
    story.tell(DIALLED, OFFERED, READY, on.PbxRang(call=ID))
    assert story.call.view.progress == "ringing"
    story.tell(PICKED_UP)
    assert story.state == "talking"
    story.tell(on.OperatorHungUp(call=ID, operator=ANNA), after=12)
    assert (story.record.status, story.record.duration) == ("200", 12)
    assert names(story.done)[-3:] == ["HangUpPbx", "CloseMedia", "FinishCall"]


def test_early_media_is_heard_and_a_later_180_does_not_stop_it() -> None:
    story = Story()
    story.tell(DIALLED, OFFERED, READY)
    assert names(story.tell(on.PbxProgressed(call=ID, sdp=b"early"))) == ["AcceptPbxAnswer"]
    story.tell(on.PbxRang(call=ID))
    assert story.call.view.progress == "early"


def test_cancelled_by_the_operator_is_603_s() -> None:
    story = Story()
    story.tell(DIALLED, OFFERED, READY, on.OperatorHungUp(call=ID, operator=ANNA))
    assert story.record.status == "603-S"
    assert len(story.of(do.CancelPbx)) == 1


def test_cancelled_before_the_invite_went_out_cancels_nothing() -> None:
    story = Story()
    story.tell(DIALLED, on.OperatorHungUp(call=ID, operator=ANNA))
    assert story.record.status == "603-S"
    assert not story.of(do.CancelPbx)


def test_click_to_call_uses_the_portals_call_id_and_the_leads_voice() -> None:
    story = Story()
    assert names(story.tell(CLICKED)) == ["RegisterCall"]
    assert story.of(do.RegisterCall)[0].card == "externalCall.7"
    assert story.call.view.card == "externalCall.7"
    assert names(story.tell(OFFERED)) == ["ConnectBrowser", "JoinMedia"]
    assert story.call.voice == TAB


def test_nobody_rings_for_ever() -> None:
    story = Story()
    story.tell(DIALLED, OFFERED, READY)
    assert story.call.deadline is not None
    story.tell(on.DeadlinePassed(call=ID), after=120)
    assert (story.record.status, len(story.of(do.CancelPbx))) == ("480", 1)


def test_without_a_microphone_no_invite_goes_out() -> None:
    story = Story()
    story.tell(DIALLED, on.VoiceFailed(call=ID, operator=ANNA, tab=TAB, why="denied"))
    assert not story.of(do.DialPbx)
    assert (story.record.status, story.call.notice) == ("503", "denied")


def test_an_operator_without_an_account_is_told_so() -> None:
    story = Story()
    story.tell(on.OperatorDialled(call=ID, operator=BORIS, number="100", voice=TAB))
    assert "no account" in story.record.reason


def test_the_page_may_navigate_while_it_rings_out() -> None:
    story = Story()
    story.tell(DIALLED, OFFERED, READY, on.TabLeft(call=ID, operator=ANNA, tab=TAB, online=False))
    assert story.call.voice is None
    story.tell(on.MediaOffered(call=ID, operator=ANNA, tab=OTHER, offer="o2", sdp="v=0"))
    story.tell(on.MediaReady(call=ID, tab=OTHER, sdp=b"again"))
    assert len(story.of(do.DialPbx)) == 1
    story.tell(PICKED_UP)
    assert (story.state, str(story.call.voice)) == ("talking", str(OTHER))


def test_an_answer_while_the_page_navigates_waits_for_the_next_page() -> None:
    story = Story()
    story.tell(DIALLED, OFFERED, READY, on.TabLeft(call=ID, operator=ANNA, tab=TAB, online=False), PICKED_UP)
    assert story.state == "rejoining"
    story.tell(on.MediaOffered(call=ID, operator=ANNA, tab=OTHER, offer="o2", sdp="v=0"))
    story.tell(on.MediaReady(call=ID, tab=OTHER, sdp=b"again"))
    assert story.state == "talking"


@pytest.mark.parametrize(
    ("status", "cause", "provisional", "ending", "code"),
    [
        (486, 0, True, Ending.BUSY, "486"),
        (600, 0, True, Ending.BUSY, "486"),
        (480, 17, True, Ending.BUSY, "486"),
        (404, 0, False, Ending.UNKNOWN_NUMBER, "404"),
        (410, 0, False, Ending.UNKNOWN_NUMBER, "404"),
        (503, 1, False, Ending.UNKNOWN_NUMBER, "404"),
        (484, 0, False, Ending.INCOMPLETE_NUMBER, "484"),
        (480, 19, True, Ending.NO_ANSWER, "480"),
        (480, 0, True, Ending.UNAVAILABLE, "480"),
        (408, 0, True, Ending.NO_ANSWER, "480"),
        (408, 0, False, Ending.FAILED, "503"),
        (403, 0, False, Ending.FORBIDDEN, "403"),
        (402, 0, False, Ending.NO_FUNDS, "402"),
        (423, 0, False, Ending.FORBIDDEN, "423"),
        (407, 0, False, Ending.FORBIDDEN, "403"),
        (603, 0, True, Ending.REJECTED, "603"),
        (603, 21, True, Ending.FORBIDDEN, "403"),
        (486, 34, True, Ending.BUSY, "486"),
        (503, 34, False, Ending.FAILED, "503"),
        (488, 0, False, Ending.FAILED, "503"),
        (420, 0, False, Ending.FAILED, "OTHER"),
    ],
)
def test_a_refusal_has_its_ending_and_its_bitrix24_status(
    status: int, cause: int, provisional: bool, ending: Ending, code: str
) -> None:
    found, outcome = refusal(status, "Phrase", cause, provisional=provisional)
    assert (found, outcome.status, outcome.reason) == (ending, code, f"{status} Phrase")


def talking() -> Story:
    story = Story()
    story.tell(INVITED, OFFERED, ANSWERED, READY)
    return story


def test_held_is_shown_only_after_the_pbx_confirmed() -> None:
    story = talking()
    assert names(story.tell(on.OperatorHeld(call=ID, operator=ANNA, held=True))) == ["HoldMedia"]
    assert names(story.tell(on.MediaReoffered(call=ID, sdp=b"sendonly"))) == ["ReofferPbx"]
    assert not story.call.view.held
    assert names(story.tell(on.PbxReanswered(call=ID, sdp=b"recvonly"))) == ["AcceptPbxAnswer"]
    assert (story.state, story.call.view.held) == ("held", True)
    story.tell(on.OperatorHeld(call=ID, operator=ANNA, held=False), on.MediaReoffered(call=ID, sdp=b"sendrecv"))
    story.tell(on.PbxReanswered(call=ID, sdp=b"sendrecv"))
    assert (story.state, story.call.view.held) == ("talking", False)


def test_a_refused_hold_leaves_the_call_as_it_was_shown() -> None:
    story = talking()
    story.tell(on.OperatorHeld(call=ID, operator=ANNA, held=True), on.MediaReoffered(call=ID, sdp=b"x"))
    (back,) = [c for c in story.tell(on.PbxRefusedReoffer(call=ID, status=488)) if isinstance(c, do.HoldMedia)]
    assert not back.held
    assert not names(story.tell(on.MediaReoffered(call=ID, sdp=b"y"))), "going back is offered to nobody"
    assert story.state == "talking"


def test_a_second_click_while_the_pbx_thinks_changes_nothing() -> None:
    story = talking()
    story.tell(on.OperatorHeld(call=ID, operator=ANNA, held=True))
    assert not story.tell(on.OperatorHeld(call=ID, operator=ANNA, held=False))


def test_a_held_call_stays_held_through_a_navigation() -> None:
    story = talking()
    story.tell(on.OperatorHeld(call=ID, operator=ANNA, held=True), on.MediaReoffered(call=ID, sdp=b"x"))
    story.tell(on.PbxReanswered(call=ID, sdp=b"x"), on.TabLeft(call=ID, operator=ANNA, tab=TAB, online=False))
    assert (story.state, story.call.view.held) == ("rejoining", True)
    story.tell(on.MediaOffered(call=ID, operator=ANNA, tab=OTHER, offer="o2", sdp="v=0"))
    story.tell(on.MediaReady(call=ID, tab=OTHER, sdp=b"answer"))
    assert story.state == "held"


def test_keys_go_to_the_pbx_in_a_call_and_nowhere_else() -> None:
    story = Story()
    pressed = on.OperatorPressed(call=ID, operator=ANNA, digits="12#")
    story.tell(INVITED)
    assert not story.tell(pressed)
    story.tell(OFFERED, ANSWERED, READY)
    assert [c.digits for c in story.tell(pressed) if isinstance(c, do.SendDigits)] == ["12#"]
    assert not story.tell(on.OperatorPressed(call=ID, operator=BORIS, digits="1"))


def test_taking_over_moves_the_voice_and_the_old_page_leaving_then_harms_nothing() -> None:
    story = talking()
    assert names(story.tell(on.OperatorTook(call=ID, operator=ANNA, voice=OTHER))) == ["JoinMedia"]
    story.tell(on.TabLeft(call=ID, operator=ANNA, tab=TAB, online=True))
    assert (story.state, str(story.call.voice)) == ("talking", str(OTHER))


def test_the_codec_the_pbx_chose_is_asked_of_the_page() -> None:
    story = Story()
    story.tell(DIALLED, OFFERED, READY)
    assert names(story.tell(on.CodecChanged(call=ID, tab=TAB))) == ["AskReoffer"]


def test_the_card_of_a_call_that_reached_nobody_stays_for_a_while_any_other_goes_at_once() -> None:
    busy, cancelled, answered = Story(), Story(), Story()
    for story in (busy, cancelled, answered):
        story.tell(DIALLED, OFFERED, READY)
    busy.tell(on.PbxRefused(call=ID, status=486, phrase="Busy Here", cause=0, provisional=True))
    cancelled.tell(on.OperatorHungUp(call=ID, operator=ANNA))
    answered.tell(PICKED_UP, on.PbxHungUp(call=ID, why="BYE"))
    assert busy.record.card_stays == 8
    assert cancelled.record.card_stays == answered.record.card_stays == 0
