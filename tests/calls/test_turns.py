"""The person who looks after a client hears the call first; the group is never kept waiting by the CRM."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.calls import commands as do
from bridge.calls import events as on
from bridge.calls.events import Client, ClientKind, Event, Operator
from bridge.calls.routing import Directory

from .story import ANNA, ANSWERED, BORIS, ID, INVITED, OFFERED, READY, TAB, Story, names

CARL = Operator("portal", 3)
DIRECTORY = Directory(
    accounts={("pbx", "1001"): ANNA, ("pbx", "1002"): BORIS, ("pbx", "1003"): CARL},
    lines={"+49305": (ANNA, BORIS)},
    preferring_lines={"+49305": True},
    lookup_seconds=1,
    responsible_seconds=10,
    ring_seconds=30,
)
TO_THE_LINE = replace(INVITED, line="+49305", caller="+49301234567")


def client(responsible: Operator | None = BORIS, *, at_work: bool = True) -> on.CallerFound:
    who = Client(
        kind=ClientKind.CONTACT,
        id=12,
        name="Jonas Weber",
        responsible=responsible,
        responsible_name="Boris",
        at_work=at_work,
    )
    return on.CallerFound(call=ID, client=who)


NOBODY = on.CallerFound(call=ID, client=None)
LATE = on.DeadlinePassed(call=ID)


def ringing(*, online: frozenset[Operator] = frozenset({ANNA, BORIS, CARL}), directory: Directory = DIRECTORY) -> Story:
    story = Story(online=online, directory=directory)
    assert names(story.tell(TO_THE_LINE)) == ["RingPbx", "RegisterCall", "LookUpCaller"]
    assert story.call.deadline == story.now + 1
    return story


def rung(story: Story) -> list[Operator]:
    return [operator for ring in story.of(do.RingOperators) for operator in ring.operators]


def test_the_pbx_hears_180_at_once_and_the_promise_is_given_before_anybody_rings() -> None:
    story = ringing()
    assert not story.of(do.ShowCall)
    (register,) = story.of(do.RegisterCall)
    assert (register.operator, register.number, register.show) == (ANNA, "+49301234567", False)
    (look_up,) = story.of(do.LookUpCaller)
    assert (look_up.portal, look_up.number) == ("portal", "+49301234567")


def test_the_responsible_rings_alone_then_the_group_joins_in() -> None:
    story = ringing()
    assert names(story.tell(client(), after=0.2)) == ["RingOperators"]
    assert rung(story) == [BORIS]
    shown = story.of(do.ShowCall)[-1]
    assert (shown.operators, shown.view.name, shown.view.client.responsible_name) == ((BORIS,), "Jonas Weber", "Boris")
    story.tell(LATE, after=10)
    assert rung(story) == [BORIS, ANNA]
    assert story.of(do.ShowCall)[-1].operators == (BORIS, ANNA)
    story.tell(LATE, after=19.8)
    assert story.state == "ended"
    assert (story.record.operator, story.record.status) == (BORIS, "304")
    assert story.of(do.RefusePbx)[0].status == 480


def test_somebody_outside_the_group_may_be_the_one_who_rings_first() -> None:
    story = ringing()
    story.tell(client(CARL))
    story.tell(LATE, after=10)
    assert rung(story) == [CARL, ANNA, BORIS]


@pytest.mark.parametrize(
    "found",
    [
        NOBODY,
        client(None),
        client(at_work=False),
        client(Operator("portal", 99)),
    ],
    ids=["nobody", "without a responsible", "off work", "no operator of ours"],
)
def test_without_somebody_to_prefer_the_group_rings_at_once(found: Event) -> None:
    story = ringing(online=frozenset({ANNA, BORIS, Operator("portal", 99)}))
    story.tell(found)
    assert rung(story) == [ANNA, BORIS]
    assert story.call.deadline == story.call.ring_until


def test_a_responsible_who_talks_is_left_in_peace() -> None:
    story = ringing()
    story.busy = frozenset({BORIS})
    story.tell(client())
    assert rung(story) == [ANNA, BORIS], "second calls of the group's members are the group's own affair"


def test_a_responsible_without_a_page_is_not_waited_for() -> None:
    story = ringing(online=frozenset({ANNA}))
    story.tell(client())
    assert rung(story) == [ANNA]


def test_a_crm_that_hangs_costs_the_lookups_seconds_and_what_it_says_later_is_still_shown() -> None:
    story = ringing()
    assert names(story.tell(LATE, after=1)) == ["RingOperators"]
    assert rung(story) == [ANNA, BORIS]
    assert names(story.tell(client(), after=3)) == []
    assert story.of(do.ShowCall)[-1].view.name == "Jonas Weber"


def test_a_decline_of_the_responsible_passes_the_call_on() -> None:
    story = ringing()
    story.tell(client())
    story.tell(on.OperatorDeclined(call=ID, operator=BORIS), after=2)
    assert rung(story) == [BORIS, ANNA]
    assert story.call.operators == (ANNA,)
    gone = [shown for shown in story.of(do.ShowCall) if shown.operators == (BORIS,)][-1]
    assert (gone.view.state, gone.view.ending) == ("ended", "declined")


def test_a_decline_with_nobody_left_to_ring_is_a_decline() -> None:
    story = ringing(online=frozenset({BORIS}))
    story.tell(client(), on.OperatorDeclined(call=ID, operator=BORIS))
    assert (story.state, story.record.status, story.of(do.RefusePbx)[0].status) == ("ended", "603", 486)


def test_when_the_group_has_gone_home_the_responsible_rings_on_to_the_end() -> None:
    story = ringing(online=frozenset({BORIS}))
    story.tell(client())
    story.tell(LATE, after=10)
    assert (rung(story), story.call.deadline) == ([BORIS], story.call.ring_until)


def test_nobody_can_take_the_call_480_at_once_and_no_look_up() -> None:
    story = Story(online=frozenset(), directory=DIRECTORY)
    assert names(story.tell(TO_THE_LINE)) == ["RegisterCall", "RefusePbx", "FinishCall"]


def test_a_caller_who_gives_up_during_the_look_up_is_a_missed_call() -> None:
    story = ringing()
    story.tell(on.PbxCancelled(call=ID, elsewhere=False), client())
    assert (story.state, story.record.operator, story.record.status) == ("ended", ANNA, "304")
    assert not rung(story)
    assert not story.of(do.ShowCall), "nobody has heard of it"


def test_the_responsible_answers_and_the_group_never_hears_of_it() -> None:
    story = ringing()
    story.tell(client(ANNA), OFFERED, ANSWERED, READY)
    assert (story.state, rung(story)) == ("talking", [ANNA])


def test_a_voice_that_fails_gives_the_turn_back_and_its_end_is_kept() -> None:
    story = ringing()
    story.tell(client(ANNA), OFFERED, ANSWERED)
    story.tell(on.VoiceFailed(call=ID, operator=ANNA, tab=TAB, why="denied"), after=4)
    assert (story.state, story.call.deadline) == ("ringing", story.now - 4 + 10)
    story.tell(LATE, after=6)
    assert rung(story) == [ANNA, BORIS]


@pytest.mark.parametrize("caller", ["", "102", "anonymous"])
def test_nobody_is_looked_up_for_a_withheld_or_internal_number(caller: str) -> None:
    story = Story(online=frozenset({ANNA, BORIS}), directory=DIRECTORY)
    story.tell(replace(TO_THE_LINE, caller=caller))
    assert not story.of(do.LookUpCaller)
    assert rung(story) == [ANNA, BORIS]


def test_a_portal_may_prefer_and_a_line_may_not() -> None:
    everywhere = replace(DIRECTORY, preferring_lines={"+49305": False}, preferring_portals=frozenset({"portal"}))
    story = Story(online=frozenset({ANNA, BORIS}), directory=everywhere)
    story.tell(TO_THE_LINE)
    assert rung(story) == [ANNA, BORIS]
    other = Story(online=frozenset({ANNA, BORIS}), directory=everywhere)
    other.tell(replace(TO_THE_LINE, line="1001"))
    assert rung(other) == []


# ---- the card


def test_the_card_is_raised_for_those_whose_turn_it_is() -> None:
    story = ringing()
    registered = on.CallRegistered(call=ID, card="externalCall.1")
    assert names(story.tell(registered)) == []
    story.tell(client())
    story.tell(LATE, after=10)
    assert [(show.card, show.operators) for show in story.of(do.ShowCard)] == [
        ("externalCall.1", (BORIS,)),
        ("externalCall.1", (ANNA,)),
    ]


def test_a_card_that_comes_later_is_raised_for_whoever_rings_then() -> None:
    story = ringing()
    story.tell(client())
    assert not story.of(do.ShowCard)
    story.tell(on.CallRegistered(call=ID, card="externalCall.1"))
    assert [show.operators for show in story.of(do.ShowCard)] == [(BORIS,)]


def test_without_turns_the_registration_raises_the_card() -> None:
    story = Story()
    story.tell(INVITED, on.CallRegistered(call=ID, card="externalCall.1"), client())
    assert not story.of(do.ShowCard)


REGISTERED = on.CallRegistered(call=ID, card="externalCall.1")


def test_a_group_that_rings_together_sees_the_card_all_of_it() -> None:
    """The registration raises it for the first one only."""
    plain = replace(DIRECTORY, preferring_lines={}, preferring_portals=frozenset())
    story = Story(online=frozenset({ANNA, BORIS}), directory=plain)
    story.tell(TO_THE_LINE, REGISTERED)
    (register,) = story.of(do.RegisterCall)
    assert [show.operators for show in story.of(do.ShowCard)] == [
        tuple(each for each in (ANNA, BORIS) if each != register.operator)
    ]


@pytest.mark.parametrize("who", [ANNA, BORIS])
def test_who_answered_before_the_call_was_registered_sees_its_card(who: Operator) -> None:
    plain = replace(DIRECTORY, preferring_lines={}, preferring_portals=frozenset())
    story = Story(online=frozenset({ANNA, BORIS}), directory=plain)
    story.tell(TO_THE_LINE)
    (register,) = story.of(do.RegisterCall)
    story.tell(replace(ANSWERED, operator=who), REGISTERED)
    raised = {each for show in story.of(do.ShowCard) for each in show.operators} | {register.operator}
    assert who in raised
    assert register.operator not in {each for show in story.of(do.ShowCard) for each in show.operators}
