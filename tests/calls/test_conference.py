"""Two calls of an operator become one conversation: either both are in it or neither is, whatever happens to whom."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bridge.calls import commands as do
from bridge.calls import events as on
from bridge.calls.call import Call, State, World
from bridge.calls.commands import Command
from bridge.calls.events import CallId, Event
from bridge.calls.step import step

from .story import ANNA, ANSWERED, BORIS, DIRECTORY, ID, INVITED, OFFERED, OTHER, READY, TAB, Story, names

SECOND = CallId("call-2")
MERGED = on.OperatorMerged(call=ID, operator=ANNA, other=SECOND)
HELD = on.PbxReanswered(call=ID, sdp=b"held")
TOLD = on.MediaReoffered(call=ID, sdp=b"offer")


def beside(**facts: object) -> Call:
    """The call that is talked on."""
    return replace(Call(id=SECOND, state=State.TALKING, answered_by=ANNA), **facts)  # type: ignore[arg-type]


def waiting() -> Story:
    """A held call, and another one that talks."""
    story = Story()
    story.others = {SECOND: beside()}
    story.tell(INVITED, OFFERED, ANSWERED, READY, on.OperatorHeld(call=ID, operator=ANNA, held=True), TOLD, HELD)
    assert story.state == "held"
    return story


def joined() -> Story:
    story = waiting()
    story.tell(MERGED, TOLD, HELD)
    assert (story.state, story.call.view.conference) == ("talking", SECOND)
    return story


def test_a_held_call_is_resumed_and_joined() -> None:
    story = waiting()
    assert names(story.tell(MERGED)) == ["JoinConference", "HoldMedia"]
    assert story.of(do.JoinConference) == [do.JoinConference(call=ID, other=SECOND)]
    assert story.call.view.conference == SECOND
    assert names(story.tell(TOLD, HELD)) == ["ReofferPbx", "AcceptPbxAnswer"]
    assert story.state == "talking"


def test_the_call_that_is_talked_on_is_only_joined() -> None:
    story = Story()
    story.tell(INVITED, OFFERED, ANSWERED, READY)
    story.others = {SECOND: beside(state=State.HELD)}
    assert names(story.tell(MERGED)) == ["JoinConference"]


def test_a_call_with_somebody_else_or_one_that_is_gone_is_no_partner() -> None:
    for others in ({}, {SECOND: beside(answered_by=BORIS)}, {SECOND: beside(state=State.RINGING)}):
        story = waiting()
        story.others = others
        assert story.tell(MERGED) == []
    third = beside(conference=joined().call.conference)
    story = waiting()
    story.others = {SECOND: replace(third, conference=replace(third.conference, other=CallId("call-3")))}  # type: ignore[type-var]
    assert story.tell(MERGED) == [], "three are enough"


def test_split_holds_the_first_again() -> None:
    story = joined()
    assert names(story.tell(on.OperatorSplit(call=ID, operator=ANNA))) == ["LeaveConference", "HoldMedia"]
    assert story.of(do.HoldMedia)[-1].held
    story.tell(TOLD, HELD)
    assert (story.state, story.call.view.conference) == ("held", None)


def test_only_the_operator_splits() -> None:
    assert joined().tell(on.OperatorSplit(call=ID, operator=BORIS)) == []


def test_split_while_the_pbx_still_thinks_about_the_resume_holds_after_its_word() -> None:
    story = waiting()
    story.tell(MERGED, TOLD)
    assert names(story.tell(on.OperatorSplit(call=ID, operator=ANNA))) == ["LeaveConference"]
    assert names(story.tell(HELD)) == ["AcceptPbxAnswer", "HoldMedia"]
    assert story.of(do.HoldMedia)[-1].held
    story.tell(TOLD, HELD)
    assert story.state == "held"


def test_a_hold_that_was_under_way_is_taken_back_after_the_pbxs_word() -> None:
    story = Story()
    story.others = {SECOND: beside()}
    story.tell(INVITED, OFFERED, ANSWERED, READY, on.OperatorHeld(call=ID, operator=ANNA, held=True), TOLD)
    assert names(story.tell(MERGED)) == ["JoinConference"]
    assert names(story.tell(HELD)) == ["AcceptPbxAnswer", "HoldMedia"]
    assert not story.of(do.HoldMedia)[-1].held
    story.tell(TOLD, HELD)
    assert story.state == "talking"


def test_when_the_other_one_hangs_up_this_one_goes_on_as_an_ordinary_call() -> None:
    story = joined()
    over = on.ConferenceOver(call=ID, other=SECOND, hung_up=True)
    assert names(story.tell(over)) == ["LeaveConference"]
    assert (story.state, story.call.view.conference) == ("talking", None)
    assert story.tell(over) == []


def test_when_the_other_one_only_leaves_this_one_is_held_as_before() -> None:
    story = joined()
    over = on.ConferenceOver(call=ID, other=SECOND, hung_up=False)
    assert names(story.tell(over)) == ["LeaveConference", "HoldMedia"]


def test_a_page_that_is_reloaded_comes_back_into_the_conference() -> None:
    story = joined()
    assert names(story.tell(on.TabLeft(call=ID, operator=ANNA, tab=TAB, online=True))) == []
    assert (story.state, story.call.view.conference) == ("rejoining", SECOND)
    story.tell(on.MediaOffered(call=ID, operator=ANNA, tab=OTHER, offer="o2", sdp="v=0"))
    story.tell(on.MediaReady(call=ID, tab=OTHER, sdp=b"v=0"))
    assert (story.state, story.call.view.conference) == ("talking", SECOND)


def test_a_pbx_that_does_not_resume_the_call_keeps_it_out_and_the_page_says_so() -> None:
    story = waiting()
    story.tell(MERGED, TOLD)
    assert "LeaveConference" in names(story.tell(on.PbxRefusedReoffer(call=ID, status=488)))
    assert (story.state, story.call.view.conference, story.call.view.conference_failed) == ("held", None, True)


def test_a_voice_room_that_can_not_mix_leaves_both_as_they_were() -> None:
    story = waiting()
    story.tell(MERGED)
    failed = story.tell(on.CommandFailed(call=ID, command="JoinConference", why="no"))
    assert names(failed) == ["LeaveConference"]
    story.tell(TOLD, HELD)  # it was about to be resumed
    story.tell(TOLD, HELD)
    assert (story.state, story.call.view.conference_failed) == ("held", True)
    story.tell(MERGED)
    assert not story.call.view.conference_failed


def test_passing_the_parties_on_to_one_another_keeps_the_conference_until_it_has_worked() -> None:
    story = joined()
    story.tell(on.OperatorConnected(call=ID, operator=ANNA, other=SECOND, number="2"), TOLD, HELD)
    assert (story.state, story.call.view.conference) == ("transferring", SECOND)
    story.tell(on.PbxTransferFailed(call=ID, status=486, phrase="", refused=False))
    story.tell(TOLD, HELD)
    assert (story.state, story.call.view.conference) == ("talking", SECOND)


def test_each_call_has_its_own_record_of_its_own_talk() -> None:
    story = joined()
    story.tell(on.PbxHungUp(call=ID, why="BYE"), after=7)
    assert (story.record.status, story.record.duration) == ("200", 7)
    assert story.call.view.conference is None


# ---- both calls at once


class Pair:
    """Both calls and the mailbox between them, as the switchboard has it."""

    def __init__(self) -> None:
        self.calls: dict[CallId, Call] = {}
        self.media: dict[CallId, bool] = {ID: False, SECOND: False}
        """Whether the voice room was told last to let the call hear the other one."""
        for call in (ID, SECOND):
            for event in (INVITED, OFFERED, ANSWERED, READY):
                self.tell(replace(event, call=call))

    def tell(self, first: Event) -> None:
        mail = deque([first])
        while mail:
            event = mail.popleft()
            before = self.calls.get(event.call)
            if before is None and not isinstance(event, on.PbxInvited):
                continue
            world = World(now=1.0, online=frozenset({ANNA}), directory=DIRECTORY, calls=self.calls)
            after, commands = step(before or Call(id=event.call), event, world)
            self._obey(commands)
            if before and before.conference and before.conference != after.conference:
                hung_up = after.state is State.ENDED
                mail.append(on.ConferenceOver(call=before.conference.other, other=after.id, hung_up=hung_up))
            self.calls[after.id] = after
            if after.state is State.ENDED:
                del self.calls[after.id]

    def _obey(self, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, do.JoinConference | do.LeaveConference):
                self.media[command.call] = isinstance(command, do.JoinConference)

    def partner(self, call: CallId) -> CallId | None:
        live = self.calls.get(call)
        return live.conference.other if live and live.conference else None


ids = st.sampled_from([ID, SECOND])
happenings = st.one_of(
    st.builds(on.OperatorSplit, call=ids, operator=st.just(ANNA)),
    st.builds(on.OperatorHeld, call=ids, operator=st.just(ANNA), held=st.booleans()),
    st.builds(on.MediaReoffered, call=ids, sdp=st.just(b"v=0")),
    st.builds(on.PbxReanswered, call=ids, sdp=st.just(b"v=0")),
    st.builds(on.MediaHeld, call=ids),
    st.builds(on.PbxRefusedReoffer, call=ids, status=st.just(488)),
    st.builds(on.TabLeft, call=ids, operator=st.just(ANNA), tab=st.just(TAB), online=st.just(True)),
    st.builds(on.MediaOffered, call=ids, operator=st.just(ANNA), tab=st.just(TAB), offer=st.just("o"), sdp=st.just("")),
    st.builds(on.MediaReady, call=ids, tab=st.just(TAB), sdp=st.just(b"v=0")),
    st.builds(on.OperatorConnected, call=ids, operator=st.just(ANNA), other=ids, number=st.just("2")),
    st.builds(on.PbxTransferFailed, call=ids, status=st.just(486), phrase=st.just(""), refused=st.just(False)),
    st.builds(on.CommandFailed, call=ids, command=st.sampled_from(["JoinConference", "HoldMedia"]), why=st.just("")),
    st.builds(on.PbxHungUp, call=ids, why=st.just("BYE")),
    st.just("merge"),
)


@given(order=st.lists(happenings, max_size=25))
def test_whatever_happens_both_calls_agree_on_whether_there_is_a_conference(order: list[Event | str]) -> None:
    pair = Pair()
    for event in order:
        if isinstance(event, Event):
            pair.tell(event)
        else:
            pair.tell(on.OperatorMerged(call=ID, operator=ANNA, other=SECOND))
            pair.tell(on.OperatorMerged(call=SECOND, operator=ANNA, other=ID))
        assert (pair.partner(ID) == SECOND) == (pair.partner(SECOND) == ID)
        for call in pair.calls:
            assert pair.media[call] == (pair.partner(call) is not None)
