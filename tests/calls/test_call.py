"""The life of one call, and what must hold whatever order the facts come in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.calls import commands as do
from bridge.calls import events as on
from bridge.calls.call import State
from bridge.calls.commands import Direction
from bridge.calls.events import Event
from bridge.calls.outcome import INBOUND, OUTBOUND, Ending
from bridge.calls.routing import Directory, TrunkPolicy
from bridge.operators import protocol

from .story import ANNA, ANSWERED, BORIS, DIRECTORY, ID, INVITED, OFFERED, OTHER, READY, TAB, Story


def test_a_page_whose_voice_is_on_its_way_is_joined_without_waiting_for_its_first_packet() -> None:
    story = Story()
    story.tell(INVITED, OFFERED, ANSWERED)
    assert story.tell(on.VoiceStarted(call=ID, operator=ANNA, tab=OTHER)) == []
    started = story.tell(on.VoiceStarted(call=ID, operator=ANNA, tab=TAB))
    assert started == [do.JoinMedia(call=ID, tab=TAB, speaks=True)]


def test_an_invite_rings_the_pbx_the_operator_and_the_crm_at_once() -> None:
    commands = Story().tell(INVITED)
    assert [type(command) for command in commands] == [
        do.RingPbx,
        do.RegisterCall,
        do.RingOperators,
        do.LookUpCaller,
        do.ShowCall,
    ]
    register = commands[1]
    assert isinstance(register, do.RegisterCall)
    assert (register.operator, register.direction, register.number, register.show) == (
        ANNA,
        Direction.INBOUND,
        "+49301",
        True,
    )


def test_the_pbx_is_answered_only_when_the_operator_can_be_heard() -> None:
    story = Story()
    story.tell(INVITED, OFFERED, ANSWERED)
    assert story.call.state.value == "joining"
    assert not story.of(do.AnswerPbx)
    story.tell(READY)
    assert story.of(do.AnswerPbx)[0].sdp == b"answer"
    assert story.call.state is State.TALKING


def test_talk_time_counts_from_the_answer() -> None:
    story = Story()
    story.tell(INVITED)
    story.tell(ANSWERED, after=5)
    story.tell(READY, after=1)
    story.tell(on.PbxHungUp(call=ID, why="BYE"), after=42)
    assert (story.record.status, story.record.duration, story.record.operator) == ("200", 42, ANNA)
    assert not story.of(do.HangUpPbx)
    assert story.of(do.CloseMedia)


def test_operator_hangs_up_says_bye() -> None:
    story = Story()
    story.tell(INVITED, ANSWERED, READY, on.OperatorHungUp(call=ID, operator=ANNA))
    assert len(story.of(do.HangUpPbx)) == 1
    assert story.record.status == "200"


@pytest.mark.parametrize(("elsewhere", "status"), [(False, "304"), (True, "200")])
def test_caller_gives_up_is_missed_unless_somebody_else_answered(elsewhere: bool, status: str) -> None:
    story = Story()
    story.tell(INVITED, OFFERED, on.PbxCancelled(call=ID, elsewhere=elsewhere))
    assert story.record.status == status
    assert not story.of(do.RefusePbx), "the INVITE got its 487 already"
    assert story.of(do.CloseMedia), "the warm leg is closed"


@pytest.mark.parametrize("status", [486, 603])
def test_decline_is_486_or_603_by_the_trunks_setting_and_603_in_the_crm(status: int) -> None:
    directory = Directory(accounts=DIRECTORY.accounts, trunks={"pbx": TrunkPolicy(decline_status=status)})
    story = Story(directory=directory)
    story.tell(INVITED, on.OperatorDeclined(call=ID, operator=ANNA))
    assert [command.status for command in story.of(do.RefusePbx)] == [status]
    assert story.record.status == "603"


def test_nobody_online_is_480_at_once_and_missed() -> None:
    story = Story(online=frozenset())
    story.tell(INVITED)
    assert [command.status for command in story.of(do.RefusePbx)] == [480]
    assert (story.record.status, story.of(do.RegisterCall)[0].show) == ("304", False)
    assert not story.of(do.RingPbx)


def test_nobody_answers_in_time_is_480_and_missed() -> None:
    story = Story()
    story.tell(INVITED)
    assert story.call.deadline == 1030
    story.tell(on.DeadlinePassed(call=ID), after=30)
    assert [command.status for command in story.of(do.RefusePbx)] == [480]
    assert story.record.status == "304"


def test_an_account_nobody_stands_behind_is_404_without_a_record() -> None:
    story = Story(directory=Directory())
    story.tell(INVITED)
    assert [command.status for command in story.of(do.RefusePbx)] == [404]
    assert not story.of(do.FinishCall)
    assert not story.of(do.RegisterCall)


@pytest.mark.parametrize(
    "lost",
    [
        on.VoiceFailed(call=ID, operator=ANNA, tab=TAB, why="denied"),
        on.TabLeft(call=ID, operator=ANNA, tab=TAB, online=True),
        on.BrowserLost(call=ID, tab=TAB, why="closed"),
    ],
)
def test_page_or_microphone_lost_while_joining_rings_again(lost: Event) -> None:
    story = Story()
    story.tell(INVITED, ANSWERED, lost)
    assert (story.call.state, story.call.voice, story.call.deadline) == (State.RINGING, None, story.call.ring_until)
    story.tell(
        on.OperatorAnswered(call=ID, operator=ANNA, tab=OTHER, voice=OTHER), on.MediaReady(call=ID, tab=OTHER, sdp=b"")
    )
    assert story.call.state is State.TALKING


def test_the_reason_is_told_also_when_the_leg_was_lost_first() -> None:
    story = Story()
    story.tell(INVITED, ANSWERED, on.BrowserLost(call=ID, tab=TAB, why="closed"))
    story.tell(on.VoiceFailed(call=ID, operator=ANNA, tab=TAB, why="denied"))
    assert (story.call.state, story.call.notice) == (State.RINGING, "denied")


def test_a_leg_that_comes_up_after_its_page_lost_the_call_answers_nothing() -> None:
    story = Story()
    story.tell(INVITED, ANSWERED, on.VoiceFailed(call=ID, operator=ANNA, tab=TAB, why="denied"), READY)
    assert not story.of(do.AnswerPbx)


def test_the_first_answer_wins() -> None:
    story = Story()
    story.tell(INVITED, ANSWERED, on.OperatorAnswered(call=ID, operator=ANNA, tab=OTHER, voice=OTHER))
    assert story.call.voice == TAB


def test_a_stranger_can_neither_answer_decline_offer_nor_hang_up() -> None:
    story = Story()
    story.tell(INVITED)
    ringing = story.call
    story.tell(
        on.OperatorAnswered(call=ID, operator=BORIS, tab=OTHER, voice=OTHER),
        on.OperatorDeclined(call=ID, operator=BORIS),
        on.OperatorHungUp(call=ID, operator=BORIS),
        on.MediaOffered(call=ID, operator=BORIS, tab=OTHER, offer="x", sdp="v=0"),
    )
    assert story.call == ringing


def test_voice_lost_keeps_the_pbx_leg_and_the_next_page_rejoins() -> None:
    story = Story()
    story.tell(INVITED, ANSWERED, READY, on.TabLeft(call=ID, operator=ANNA, tab=TAB, online=False))
    assert (story.call.state, story.call.voice) == (State.REJOINING, None)
    assert not story.of(do.HangUpPbx)
    commands = story.tell(on.MediaOffered(call=ID, operator=ANNA, tab=OTHER, offer="o2", sdp="v=0"), after=1)
    assert [type(command) for command in commands] == [do.ConnectBrowser, do.JoinMedia, do.ShowCall]
    story.tell(on.MediaReady(call=ID, tab=OTHER, sdp=b"answer"))
    assert (story.call.state, story.call.deadline) == (State.TALKING, None)
    assert len(story.of(do.AnswerPbx)) == 1


def test_voice_lost_for_good_is_a_clean_end_with_the_talk_time() -> None:
    story = Story()
    story.tell(INVITED, ANSWERED, READY)
    story.tell(on.BrowserLost(call=ID, tab=TAB, why="silent"), after=10)
    story.tell(on.DeadlinePassed(call=ID), after=30)
    assert (story.record.status, story.record.duration) == ("200", 40)
    assert len(story.of(do.HangUpPbx)) == 1


def test_rfc3261_14_a_reinvite_is_followed_and_its_failure_leaves_the_session() -> None:
    story = Story()
    story.tell(INVITED, ANSWERED, READY)
    assert [type(c) for c in story.tell(on.PbxReoffered(call=ID, offer=b"hold"))] == [do.ReofferMedia]
    story.tell(on.MediaReanswered(call=ID, sdp=b"ok", held=True))
    assert story.call.pbx_holds
    refused = story.tell(on.CommandFailed(call=ID, command="ReofferMedia", why="no codec"))
    assert [type(c) for c in refused] == [do.RefusePbxReoffer]
    assert story.call.state is State.TALKING


def test_no_common_codec_is_488() -> None:
    story = Story()
    story.tell(INVITED, ANSWERED, on.CommandFailed(call=ID, command="ConnectBrowser", why="no codec"))
    assert [command.status for command in story.of(do.RefusePbx)] == [488]


def test_a_broken_warm_offer_costs_nothing() -> None:
    story = Story()
    story.tell(INVITED, OFFERED, on.CommandFailed(call=ID, command="ConnectBrowser", why="garbage"))
    assert story.call.state is State.RINGING


def test_a_declining_member_of_a_group_leaves_it_ringing_for_the_others() -> None:
    story = Story()
    story.tell(INVITED)
    story.call = replace(story.call, operators=(ANNA, BORIS))
    story.tell(on.OperatorDeclined(call=ID, operator=ANNA))
    assert (story.call.state, story.call.operators) == (State.RINGING, (BORIS,))
    story.tell(on.OperatorDeclined(call=ID, operator=BORIS))
    assert story.record.status == "603"


def test_every_ending_before_the_answer_has_an_outcome() -> None:
    answered_only = {Ending.OPERATOR_HUNG_UP, Ending.CALLER_HUNG_UP, Ending.TRANSFERRED}
    assert set(Ending) - answered_only == set(INBOUND) | set(OUTBOUND)


def test_pages_know_every_state_and_ending() -> None:
    assert {state.value for state in State} - {"new"} == {state.value for state in protocol.CallState}
    assert {ending.value for ending in Ending} | {""} == {ended.value for ended in protocol.Ended}


def test_how_a_call_sounds_is_shown_and_stays_with_the_call_that_ended() -> None:
    quality = on.Quality(heard=4.4, said=2.7, trouble=on.Trouble.OPERATOR_LOSS)
    story = Story()
    story.tell(INVITED, ANSWERED, READY)
    assert story.of(do.ShowCall)[-1].view.quality is None
    story.tell(on.QualityChanged(call=ID, quality=quality))
    assert story.of(do.ShowCall)[-1].view.quality == quality
    story.tell(on.OperatorHungUp(call=ID, operator=ANNA))
    assert story.of(do.ShowCall)[-1].view.quality == quality


def test_every_trouble_of_a_voice_has_its_word_for_the_page() -> None:
    assert {trouble.value for trouble in on.Trouble} == set(protocol.Trouble)


def test_a_card_that_no_page_has_drawn_is_raised_once_more_for_whoever_misses_it() -> None:
    story = Story()
    story.tell(INVITED)
    assert not story.tell(on.CardNotDrawn(call=ID, operator=ANNA)), "it is not registered yet"
    story.tell(on.CallRegistered(call=ID, card="externalCall.1"))
    assert story.tell(on.CardNotDrawn(call=ID, operator=ANNA)) == [
        do.ShowCard(call=ID, card="externalCall.1", operators=(ANNA,))
    ]


def test_a_page_that_may_not_speak_leaves_the_call_waiting_for_another_one() -> None:
    story = Story()
    story.tell(INVITED, OFFERED, ANSWERED, READY, on.TabLeft(call=ID, operator=ANNA, tab=TAB, online=True))
    story.tell(replace(OFFERED, tab=OTHER), on.VoiceFailed(call=ID, operator=ANNA, tab=OTHER, why="not-delegated"))
    assert (story.state, story.call.voice, story.call.notice) == ("rejoining", None, "not-delegated")
    story.tell(OFFERED, READY)
    assert (story.state, story.call.notice) == ("talking", "")
