"""What must hold whatever order the facts of a call come in."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bridge.calls import commands as do
from bridge.calls import events as on
from bridge.calls.call import Call, State
from bridge.calls.commands import Direction
from bridge.calls.events import CallId, Client, ClientKind, Event, Operator
from bridge.calls.recording import RecordingMode, RecordingRules
from bridge.calls.routing import Directory

from .story import ANNA, BORIS, DIRECTORY, ID, INVITED, OTHER, TAB, Story

AT_HAND = Call(id=CallId("call-2"), state=State.TALKING, answered_by=ANNA)
"""Another call of Anna's, for a conference."""
operators = st.sampled_from([ANNA, BORIS])
tabs = st.sampled_from([TAB, OTHER])
clients = st.none() | st.builds(
    Client,
    kind=st.just(ClientKind.CONTACT),
    id=st.just(12),
    name=st.just("Jonas Weber"),
    responsible=st.none() | operators,
    responsible_name=st.just(""),
    at_work=st.booleans(),
)
facts: st.SearchStrategy[Event] = st.one_of(
    st.builds(on.PbxCancelled, call=st.just(ID), elsewhere=st.booleans()),
    st.builds(on.PbxConfirmed, call=st.just(ID), answer=st.sampled_from([b"", b"v=0"])),
    st.builds(on.PbxPartyChanged, call=st.just(ID), number=st.just("2"), name=st.just("")),
    st.builds(on.PbxReoffered, call=st.just(ID), offer=st.just(b"v=0")),
    st.builds(on.PbxHungUp, call=st.just(ID), why=st.just("BYE")),
    st.builds(on.BrowserAnswered, call=st.just(ID), tab=tabs, offer=st.just("o"), sdp=st.just("v=0")),
    st.builds(on.MediaReady, call=st.just(ID), tab=tabs, sdp=st.just(b"v=0")),
    st.builds(on.EarlyMediaReady, call=st.just(ID), sdp=st.just(b"v=0")),
    st.builds(on.MediaReanswered, call=st.just(ID), sdp=st.just(b"v=0"), held=st.booleans()),
    st.builds(on.BrowserLost, call=st.just(ID), tab=tabs, why=st.just("silent")),
    st.builds(on.PbxFellSilent, call=st.just(ID)),
    st.builds(on.MediaOffered, call=st.just(ID), operator=operators, tab=tabs, offer=st.just("o"), sdp=st.just("v=0")),
    st.builds(on.OperatorAnswered, call=st.just(ID), operator=operators, tab=tabs, voice=tabs),
    st.builds(on.OperatorDeclined, call=st.just(ID), operator=operators),
    st.builds(on.OperatorHungUp, call=st.just(ID), operator=operators),
    st.builds(on.OperatorMuted, call=st.just(ID), operator=operators, muted=st.booleans()),
    st.builds(
        on.QualityChanged,
        call=st.just(ID),
        quality=st.builds(on.Quality, heard=st.just(4.4), said=st.just(2.0), trouble=st.sampled_from(list(on.Trouble))),
    ),
    st.builds(on.VoiceStarted, call=st.just(ID), operator=operators, tab=tabs),
    st.builds(on.VoiceFailed, call=st.just(ID), operator=operators, tab=tabs, why=st.just("denied")),
    st.builds(on.TabLeft, call=st.just(ID), operator=operators, tab=tabs, online=st.booleans()),
    st.builds(on.CallerFound, call=st.just(ID), client=clients),
    st.builds(on.CallRegistered, call=st.just(ID), card=st.just("card")),
    st.builds(on.DeadlinePassed, call=st.just(ID)),
    st.builds(on.OperatorHeld, call=st.just(ID), operator=operators, held=st.booleans()),
    st.builds(on.OperatorPressed, call=st.just(ID), operator=operators, digits=st.just("1#")),
    st.builds(on.OperatorRecorded, call=st.just(ID), operator=operators, recorded=st.booleans()),
    st.builds(on.RecordingFailed, call=st.just(ID), why=st.just("the disk is full")),
    st.builds(on.OperatorTook, call=st.just(ID), operator=operators, voice=tabs),
    st.builds(on.PbxRang, call=st.just(ID)),
    st.builds(on.PbxProgressed, call=st.just(ID), sdp=st.just(b"v=0")),
    st.builds(on.PbxAnswered, call=st.just(ID), sdp=st.just(b"v=0")),
    st.builds(
        on.PbxRefused,
        call=st.just(ID),
        status=st.sampled_from([400, 404, 408, 480, 486, 487, 503, 603]),
        phrase=st.just(""),
        cause=st.sampled_from([0, 1, 16, 17, 19, 34]),
        provisional=st.booleans(),
    ),
    st.builds(on.PbxReanswered, call=st.just(ID), sdp=st.just(b"v=0")),
    st.builds(on.PbxRefusedReoffer, call=st.just(ID), status=st.just(488)),
    st.builds(on.MediaReoffered, call=st.just(ID), sdp=st.just(b"v=0")),
    st.builds(on.MediaHeld, call=st.just(ID)),
    st.builds(on.PbxLegMoved, call=st.just(ID), sdp=st.just(b"v=1")),
    st.builds(on.CodecChanged, call=st.just(ID), tab=tabs),
    st.builds(on.OperatorTransferred, call=st.just(ID), operator=operators, number=st.sampled_from(["", "300"])),
    st.builds(on.OperatorConnected, call=st.just(ID), operator=operators, other=st.just("call-2"), number=st.just("2")),
    st.builds(on.OperatorMerged, call=st.just(ID), operator=operators, other=st.just(AT_HAND.id)),
    st.builds(on.OperatorSplit, call=st.just(ID), operator=operators),
    st.builds(on.ConferenceOver, call=st.just(ID), other=st.just(AT_HAND.id), hung_up=st.booleans()),
    st.builds(on.PbxTransferProgressed, call=st.just(ID), status=st.sampled_from([100, 180])),
    st.builds(on.PbxTransferred, call=st.just(ID)),
    st.builds(on.PbxReferred, call=st.just(ID), number=st.just("300")),
    st.builds(on.MediaOfferMade, call=st.just(ID), sdp=st.just(b"v=0")),
    st.builds(on.PbxPressed, call=st.just(ID), digits=st.just("1")),
    st.builds(on.DigitsUnsent, call=st.just(ID), digits=st.just("1")),
    st.builds(
        on.PbxTransferFailed,
        call=st.just(ID),
        status=st.sampled_from([0, 486]),
        phrase=st.just(""),
        refused=st.booleans(),
    ),
    st.builds(
        on.CommandFailed,
        call=st.just(ID),
        command=st.sampled_from(
            [
                "RingPbx",
                "AnswerPbx",
                "ConnectBrowser",
                "JoinMedia",
                "ReofferMedia",
                "HoldMedia",
                "ReofferPbx",
                "AcceptPbxAnswer",
                "DialPbx",
                "SendDigits",
                "TransferPbx",
                "ConnectPbx",
                "OfferMedia",
                "StartRecording",
                "JoinConference",
            ]
        ),
        why=st.just(""),
    ),
)


IN_TURNS = replace(
    DIRECTORY,
    accounts={("pbx", "1001"): ANNA, ("pbx", "1002"): BORIS},
    lines={INVITED.line: (ANNA, BORIS)},
    preferring_portals=frozenset({"portal"}),
)
RECORDED = replace(
    DIRECTORY,
    recordings={"portal": RecordingRules(mode=RecordingMode.ALWAYS)},
    recorded_lines={INVITED.line: RecordingMode.ASKED},
)
beginnings = st.sampled_from(
    [
        INVITED,
        replace(INVITED, caller="+49301234567"),
        on.OperatorDialled(call=ID, operator=ANNA, number="100", voice=TAB),
        on.OperatorDialled(call=ID, operator=ANNA, number="100", voice=None, card="externalCall.1"),
        on.OperatorDialled(call=ID, operator=BORIS, number="100", voice=TAB),
    ]
)


@given(
    beginning=beginnings,
    online=st.sampled_from([frozenset[Operator](), frozenset({ANNA}), frozenset({ANNA, BORIS})]),
    directory=st.sampled_from([DIRECTORY, IN_TURNS, RECORDED]),
    order=st.lists(st.tuples(facts, st.floats(0, 40)), max_size=30),
)
def test_whatever_the_order_a_call_ends_once_is_answered_once_closes_its_media_and_is_recorded_once(
    beginning: Event, online: frozenset[Operator], directory: Directory, order: list[tuple[Event, float]]
) -> None:
    story = Story(online=online, directory=directory)
    story.others = {AT_HAND.id: AT_HAND}
    story.tell(beginning)
    for event, seconds in order:
        if isinstance(event, on.DeadlinePassed) and story.call.deadline is None:
            continue
        story.tell(event, after=seconds)
    story.tell(on.BridgeStopped(call=ID))

    assert story.call.state is State.ENDED
    assert len(story.of(do.RegisterCall)) == 1
    assert len(story.of(do.FinishCall)) == 1
    assert len(story.of(do.AnswerPbx)) + len(story.of(do.DialPbx)) <= 1
    assert len(story.of(do.RecordAnswer)) <= 1
    assert len(story.of(do.RefusePbx)) + len(story.of(do.HangUpPbx)) + len(story.of(do.CancelPbx)) <= 1
    if story.of(do.CancelPbx):
        assert story.of(do.DialPbx)
    if story.of(do.RecordAnswer):
        assert not story.of(do.RefusePbx)
        assert not story.of(do.CancelPbx)
        assert story.record.status == "200"
    else:
        assert story.record.duration == 0
    kinds = [type(command) for command in story.done]
    if do.ConnectBrowser in kinds or do.JoinMedia in kinds:
        last_opened = max(i for i, kind in enumerate(kinds) if kind in {do.ConnectBrowser, do.JoinMedia})
        assert do.CloseMedia in kinds[last_opened:]
    heard_of_it = story.of(do.ShowCall)
    if story.of(do.RingOperators) or story.call.direction is Direction.OUTBOUND:
        assert heard_of_it
    if heard_of_it:
        assert (heard_of_it[-1].view.state, bool(heard_of_it[-1].view.ending)) == ("ended", True)
    assert len(story.of(do.LookUpCaller)) <= 1
    _assert_recorded_as_shown(story)
    conferring = [kind for kind in kinds if kind in {do.JoinConference, do.LeaveConference}]
    assert conferring[::2] == [do.JoinConference] * len(conferring[::2]), "joined and left in turn"
    assert conferring[1::2] == [do.LeaveConference] * len(conferring[1::2])
    rung = [operator for ring in story.of(do.RingOperators) for operator in ring.operators]
    assert len(rung) == len(set(rung)), "nobody's application is opened twice"


def _assert_recorded_as_shown(story: Story) -> None:
    """What was ordered is what the operator saw, at every moment; nothing is recorded before the answer or where nobody may."""
    runs, answered = "", False
    for command in story.done:
        match command:
            case do.RecordAnswer():
                answered = True
            case do.StartRecording():
                assert answered
                assert runs in ("", "failed")
                runs = "on"
            case do.PauseRecording():
                assert runs == "on"
                runs = "paused"
            case do.ResumeRecording():
                assert runs == "paused"
                runs = "on"
            case do.RaiseRecordingAlarm():
                runs = "failed"
            case do.ShowCall(view=view) if not view.ending and answered:
                assert view.recording in ({runs} if runs else {"", "off"})
            case _:
                pass
    if runs:
        assert story.directory is RECORDED


@given(
    online=st.sampled_from([frozenset({ANNA}), frozenset({BORIS}), frozenset({ANNA, BORIS})]),
    found=clients,
    looked_up=st.floats(0, 3),
)
def test_a_call_in_turns_rings_somebody_within_the_lookups_seconds(
    online: frozenset[Operator], found: Client | None, looked_up: float
) -> None:
    story = Story(online=online, directory=IN_TURNS)
    story.tell(replace(INVITED, caller="+49301234567"))
    if looked_up >= IN_TURNS.lookup_seconds:
        story.tell(on.DeadlinePassed(call=ID), after=IN_TURNS.lookup_seconds)
    else:
        story.tell(on.CallerFound(call=ID, client=found), after=looked_up)
    assert story.of(do.RingOperators)
    if story.call.turn_until is not None:
        story.tell(on.DeadlinePassed(call=ID), after=IN_TURNS.responsible_seconds)
    assert {each for ring in story.of(do.RingOperators) for each in ring.operators} == online
    assert story.state == "ringing"


@given(order=st.lists(facts, max_size=30))
def test_a_call_that_is_over_ignores_everything(order: list[Event]) -> None:
    story = Story()
    story.tell(INVITED, on.PbxCancelled(call=ID, elsewhere=False))
    before = list(story.done)
    story.tell(*order)
    assert story.done == before
