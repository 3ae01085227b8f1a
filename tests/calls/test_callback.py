"""A client asks to be called: somebody takes it, the client is dialled, one record of a callback."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.calls import commands as do
from bridge.calls import events as on
from bridge.calls.events import Event

from .story import ANNA, ANSWERED, BORIS, DIRECTORY, ID, OFFERED, READY, TAB, Story

ASKED = on.CallbackAsked(call=ID, operators=(ANNA, BORIS), number="+49301", line="100", text="Call me back")
BOTH = replace(DIRECTORY, accounts={("pbx", "1001"): ANNA, ("pbx", "1002"): BORIS})


def _story() -> Story:
    return Story(online=frozenset({ANNA, BORIS}), directory=BOTH)


def test_it_rings_like_a_call_of_the_client_and_says_what_the_form_says() -> None:
    story = _story()
    commands = story.tell(ASKED)
    assert [type(command) for command in commands] == [do.RegisterCall, do.RingOperators, do.ShowCall]
    (register,) = story.of(do.RegisterCall)
    assert (register.callback, register.number, register.operator, register.show) == (True, "+49301", ANNA, True)
    assert (story.call.view.name, story.call.view.state, story.call.view.direction.value) == (
        "Call me back",
        "ringing",
        "inbound",
    )


def test_who_takes_it_speaks_first_then_the_client_is_dialled_from_their_account() -> None:
    story = _story()
    story.tell(ASKED, OFFERED)
    assert story.of(do.ConnectBrowser)[0].pbx_offer == b"", "nobody at the PBX has offered anything"
    story.tell(ANSWERED)
    assert story.state == "dialling"
    story.tell(READY)
    (dial,) = story.of(do.DialPbx)
    assert (dial.account, dial.number) == ("1001", "+49301")
    story.tell(on.PbxAnswered(call=ID, sdp=b"v=0"))
    story.tell(on.PbxHungUp(call=ID, why="BYE"), after=7)
    assert (story.record.status, story.record.duration, story.record.operator) == ("200", 7, ANNA)
    assert len(story.of(do.RegisterCall)) == 1


def test_the_other_one_takes_it() -> None:
    story = _story()
    story.tell(ASKED, on.OperatorDeclined(call=ID, operator=ANNA))
    story.tell(on.OperatorAnswered(call=ID, operator=BORIS, tab=TAB, voice=TAB), READY)
    assert story.of(do.DialPbx)[0].account == "1002"
    story.tell(on.PbxRefused(call=ID, status=486, phrase="Busy Here", cause=0, provisional=True))
    assert (story.record.status, story.record.operator) == ("486", BORIS)


@pytest.mark.parametrize(
    ("events", "after", "status"),
    [
        ([on.DeadlinePassed(call=ID)], 30, "304"),
        ([on.OperatorDeclined(call=ID, operator=ANNA), on.OperatorDeclined(call=ID, operator=BORIS)], 1, "603"),
        ([on.BridgeStopped(call=ID)], 1, "304"),
    ],
    ids=["nobody", "declined", "stopped"],
)
def test_a_callback_that_nobody_takes_is_in_the_crm_all_the_same(
    events: list[Event], after: float, status: str
) -> None:
    story = _story()
    story.tell(ASKED)
    story.tell(*events, after=after)
    assert (story.state, story.record.status) == ("ended", status)
    assert not story.of(do.RefusePbx) + story.of(do.DialPbx) + story.of(do.CancelPbx)


def test_nobody_online_and_nobody_with_an_account() -> None:
    for story in (Story(online=frozenset(), directory=BOTH), Story(online=frozenset({BORIS}))):
        story.tell(ASKED)
        assert (story.state, story.record.status) == ("ended", "304")
        assert "callback was asked for" in story.record.reason


def test_who_takes_it_and_has_no_microphone_ends_it_with_a_record() -> None:
    story = _story()
    story.tell(ASKED, ANSWERED, on.VoiceFailed(call=ID, operator=ANNA, tab=TAB, why="denied"))
    assert (story.state, story.record.status) == ("ended", "503")
