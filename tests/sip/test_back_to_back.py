"""Two pure stacks over a link that loses 30 %, doubles and reorders: every call is answered once and ends once."""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.sip.callee import Inbound
from bridge.sip.caller import Outbound
from bridge.sip.output import (
    Accepted,
    Confirmed,
    Fact,
    Output,
    Pressed,
    Progressed,
    Reanswered,
    Referred,
    Refused,
    Reoffered,
    ReofferRefused,
    TransferFailed,
    Transferred,
    Unreachable,
)
from bridge.sip.owner import Gone, Invited
from bridge.sip.session import Stage
from bridge.sip.usage import Usage

from .parties import ANSWER, BOB, OFFER, Party, World, count_of, endings

AFTERMATH = 64 * 0.5 + 5
"""64·T1 + T4 seconds."""
LONG = 200.0


def begin(
    world: World, *, answer_after: float | None = 1.0, require: tuple[str, ...] = (), early: bool = False
) -> Outbound:
    """Alice calls; Bob rings at once, or speaks early, and answers."""
    world.alice.react = _answering(world, world.alice, None)
    world.bob.react = _answering(world, world.bob, answer_after, early=early)
    call = world.alice.calling(BOB, headers=tuple(("Require", tag) for tag in require))
    world.alice.agent.call(call, world.now)
    return call


def _answering(
    world: World, party: Party, after: float | None, *, early: bool = False
) -> Callable[[Usage, Fact], None]:
    """Rings, answers after so many seconds, and says yes to every new offer."""

    def react(usage: Usage, fact: Fact) -> None:
        if isinstance(fact, Reoffered):
            world.act(party, usage, usage.answer_reoffer(ANSWER, world.now))
        if isinstance(usage, Inbound) and isinstance(fact, Invited):
            world.act(party, usage, usage.progress(ANSWER, world.now) if early else usage.ring(world.now))
            if after is not None:
                world.at(world.now + after, lambda: world.act(party, usage, usage.answer(ANSWER, world.now)))

    return react


def nothing_is_left(world: World) -> bool:
    return all(party.agent.pending == 0 and party.agent.next_deadline is None for party in world.parties)


def check_ends(world: World) -> None:
    """Facts that may come once come once, and everything that began is gone."""
    for party in world.parties:
        for facts in party.told.values():
            assert count_of(Accepted, facts) <= 1
            assert count_of(Confirmed, facts) <= 1
            assert count_of(Gone, facts) == 1
            assert endings(facts) <= 1


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("who_ends", ["alice", "bob"])
def test_an_answered_call_survives_the_link_and_leaves_nothing(seed: int, who_ends: str) -> None:
    world = World(seed)
    call = begin(world)
    world.run(80)
    (callee,) = world.bob.told
    assert count_of(Accepted, world.alice.told[call]) == 1
    assert count_of(Confirmed, world.bob.told[callee]) == 1
    party, usage = (world.alice, call) if who_ends == "alice" else (world.bob, callee)
    world.act(party, usage, usage.hang_up(16, world.now))
    world.run(world.now + LONG)
    check_ends(world)
    told = world.bob.told[callee] if who_ends == "alice" else world.alice.told[call]
    assert endings(told) == 1
    assert nothing_is_left(world)


@pytest.mark.parametrize("seed", range(30))
def test_a_refused_call_is_told_once(seed: int) -> None:
    world = World(seed)
    call = begin(world, answer_after=None)
    world.run(20)
    (callee,) = world.bob.told
    assert isinstance(callee, Inbound)
    world.act(world.bob, callee, callee.refuse(486, "", world.now))
    world.run(world.now + LONG)
    check_ends(world)
    assert [fact.status for fact in world.alice.told[call] if isinstance(fact, Refused)] == [486]
    assert nothing_is_left(world)


@pytest.mark.parametrize("seed", range(60))
def test_a_cancel_meets_ringing_or_answer_and_both_sides_agree(seed: int) -> None:
    world = World(seed)
    call = begin(world, answer_after=1 + seed % 7 * 0.1)
    world.at(1.3, lambda: world.act(world.alice, call, call.hang_up(16, world.now)))
    world.run(LONG)
    check_ends(world)
    assert count_of(Accepted, world.alice.told[call]) + count_of(Refused, world.alice.told[call]) == 1
    assert all(endings(facts) == 1 for facts in world.bob.told.values())
    assert nothing_is_left(world)


@pytest.mark.parametrize("loss", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(25))
def test_two_reoffers_at_once_are_each_settled_once_and_without_loss_both_are_answered(seed: int, loss: float) -> None:
    world = World(seed, loss=loss)
    call = begin(world)
    world.run(80)
    (callee,) = world.bob.told
    apart = seed % 5 * 0.1
    world.at(world.now + 0.1, lambda: world.act(world.alice, call, call.reoffer(OFFER, world.now)))
    world.at(world.now + 0.1 + apart, lambda: world.act(world.bob, callee, callee.reoffer(OFFER, world.now)))
    world.run(world.now + 120)
    ours, theirs = world.alice.told[call], world.bob.told[callee]
    for asked, answered in ((ours, theirs), (theirs, ours)):
        assert count_of(Reanswered, asked) == count_of(Reoffered, answered)
        assert count_of(Reanswered, asked) + asked.count(ReofferRefused(491)) == 1
    assert loss or count_of(Reanswered, ours) == count_of(Reanswered, theirs) == 1
    world.act(world.alice, call, call.hang_up(16, world.now))
    world.run(world.now + LONG)
    check_ends(world)
    assert nothing_is_left(world)


@pytest.mark.parametrize("seed", range(40))
def test_of_two_forks_that_answer_one_wins_and_the_other_is_hung_up(seed: int) -> None:
    world = World(seed, forked=True)
    call = begin(world, answer_after=1.0)
    world.carol.react = _answering(world, world.carol, 1.0 + seed % 4 * 0.2)
    world.run(80)
    assert count_of(Accepted, world.alice.told[call]) == 1
    callees = [(party, usage) for party in (world.bob, world.carol) for usage in party.told]
    assert [usage.stage for _, usage in callees].count(Stage.CONFIRMED) == 1
    assert sum(endings(party.told[usage]) for party, usage in callees) == len(callees) - 1
    world.act(world.alice, call, call.hang_up(16, world.now))
    world.run(world.now + LONG)
    check_ends(world)
    assert nothing_is_left(world)


def test_everything_is_gone_64_t1_and_t4_after_the_last_call_ended() -> None:
    world = World(7)
    calls = [begin(world, answer_after=0.2 * i) for i in range(20)]
    world.run(60)
    for call in calls:
        world.act(world.alice, call, call.hang_up(16, world.now))
    while world.alice.agent.usages or world.bob.agent.usages:
        world.run(world.now + 0.1)
    world.run(world.now + AFTERMATH)
    assert nothing_is_left(world)


def test_a_dead_callee_is_given_up_after_64_t1() -> None:
    world = World(1, loss=1)
    call = begin(world)
    world.run(31.9)
    assert world.alice.told.get(call, []) == []
    world.run(32.1)
    assert [type(fact) for fact in world.alice.told[call]] == [Unreachable, Refused, Gone]
    assert nothing_is_left(world)


DEEDS = [
    "ring", "progress", "answer", "refuse", "hang up", "reoffer", "say yes", "say no",
    "transfer", "press", "follow", "report", "refuse to follow",
]  # fmt: skip
moments = st.floats(min_value=0, max_value=40, allow_nan=False)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.3, 0.6]),
    caller_ends=st.lists(moments, min_size=1, max_size=3),
    caller_reoffers=st.lists(moments, max_size=3),
    caller_does=st.lists(st.tuples(moments, st.sampled_from(["transfer", "press", "follow", "report"])), max_size=3),
    extensions=st.sampled_from([(), (("Require", "100rel"),), (("Require", "100rel, timer"),)]),
    callee_does=st.lists(st.tuples(moments, st.sampled_from(DEEDS)), max_size=8),
)
def test_whatever_the_order_a_call_ends_once_and_leaves_nothing(
    seed: int,
    loss: float,
    caller_ends: list[float],
    caller_reoffers: list[float],
    caller_does: list[tuple[float, str]],
    extensions: tuple[tuple[str, str], ...],
    callee_does: list[tuple[float, str]],
) -> None:
    world = World(seed, loss=loss)

    def either_does(party: Party, usage: Usage, deed: str) -> None:
        outputs = {
            "reoffer": lambda: usage.reoffer(OFFER, world.now),
            "say yes": lambda: usage.answer_reoffer(ANSWER, world.now),
            "say no": lambda: usage.refuse_reoffer(488, "", world.now),
            "hang up": lambda: usage.hang_up(16, world.now),
            "transfer": lambda: usage.transfer("<sip:300@192.0.2.3>", world.now),
            "press": lambda: usage.press("1#", world.now),
            "follow": lambda: usage.follow_referral(world.now),
            "report": lambda: usage.tell_referral(200, "", world.now),
            "refuse to follow": lambda: usage.refuse_referral(603, world.now),
        }[deed]()
        world.act(party, usage, outputs)

    def does(usage: Inbound, deed: str) -> None:
        match deed:
            case "ring":
                world.act(world.bob, usage, usage.ring(world.now))
            case "answer":
                world.act(world.bob, usage, usage.answer(ANSWER, world.now))
            case "progress":
                world.act(world.bob, usage, usage.progress(ANSWER, world.now))
            case "refuse":
                world.act(world.bob, usage, usage.refuse(603, "", world.now))
            case _:
                either_does(world.bob, usage, deed)

    def bob(usage: Usage, fact: Fact) -> None:
        if isinstance(usage, Inbound) and isinstance(fact, Invited):
            for after, deed in [*callee_does, (45.0, "hang up")]:
                world.at(world.now + after, lambda usage=usage, deed=deed: does(usage, deed))  # type: ignore[misc]

    world.bob.react = bob
    call = world.alice.calling(BOB, headers=extensions)
    world.alice.agent.call(call, 0.0)
    for when, deed in caller_does:
        world.at(when, lambda deed=deed: either_does(world.alice, call, deed))  # type: ignore[misc]
    for when in caller_ends:
        world.at(when, lambda: world.act(world.alice, call, call.hang_up(16, world.now)))
    for when in caller_reoffers:
        world.at(when, lambda: world.act(world.alice, call, call.reoffer(OFFER, world.now)))
    world.run(300)
    check_ends(world)
    assert nothing_is_left(world)


# ---- what a call can do, a thousand times


@pytest.mark.parametrize("seed", range(20))
def test_section_12_a_call_of_two_hours_is_refreshed_over_a_bad_link_and_lasts(seed: int) -> None:
    world = World(seed)
    call = begin(world)
    world.run(7200)
    (callee,) = world.bob.told
    assert (call.stage, callee.stage) == (Stage.CONFIRMED, Stage.CONFIRMED)
    world.act(world.alice, call, call.hang_up(16, world.now))
    world.run(world.now + LONG)
    check_ends(world)
    assert nothing_is_left(world)


@pytest.mark.parametrize("seed", range(5))
def test_section_12_a_call_whose_network_died_ends_on_both_sides_when_its_session_expires(seed: int) -> None:
    world = World(seed)
    call = begin(world)
    world.run(80)
    (callee,) = world.bob.told
    world.loss = 1.0
    world.run(80 + 1800 + LONG)
    assert endings(world.alice.told[call]) == endings(world.bob.told[callee]) == 1
    assert nothing_is_left(world)


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("outcome", [200, 486])
def test_section_15_a_transfer_over_a_bad_link_is_told_once_and_both_sides_agree(seed: int, outcome: int) -> None:
    world = World(seed)
    call = begin(world)
    follow = world.bob.react

    def bob(usage: Usage, fact: Fact) -> None:
        follow(usage, fact)
        if isinstance(fact, Referred):
            world.act(world.bob, usage, usage.follow_referral(world.now))
            world.at(world.now + 3, lambda: world.act(world.bob, usage, usage.tell_referral(outcome, "", world.now)))

    world.bob.react = bob
    world.run(80)
    world.act(world.alice, call, call.transfer("<sip:300@192.0.2.3>", world.now))
    world.run(world.now + 80)
    told = [fact for fact in world.alice.told[call] if isinstance(fact, Transferred | TransferFailed)]
    assert len(told) == 1
    assert isinstance(told[0], Transferred) == (outcome == 200)
    world.act(world.alice, call, call.hang_up(16, world.now))
    world.run(world.now + LONG)
    check_ends(world)
    assert nothing_is_left(world)


@pytest.mark.parametrize("seed", range(25))
def test_section_16_keys_in_info_arrive_once_each_and_in_order(seed: int) -> None:
    world = World(seed)
    call = begin(world)
    world.run(80)
    (callee,) = world.bob.told
    world.act(world.alice, call, call.press("12345#", world.now))
    world.run(world.now + 120)
    heard = "".join(fact.key for fact in world.bob.told[callee] if isinstance(fact, Pressed))
    assert heard == "12345#"


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("early", [True, False])
def test_section_11_reliable_ringing_over_a_bad_link_leads_to_one_answer(seed: int, early: bool) -> None:
    world = World(seed)
    call = begin(world, require=("100rel",), early=early, answer_after=20)
    world.run(150)
    (callee,) = world.bob.told
    assert count_of(Accepted, world.alice.told[call]) == count_of(Confirmed, world.bob.told[callee]) == 1
    assert count_of(Progressed, world.alice.told[call]) == early
    world.act(world.bob, callee, callee.hang_up(16, world.now))
    world.run(world.now + LONG)
    check_ends(world)
    assert nothing_is_left(world)


def test_a_crowd_of_dialogs_with_everything_they_can_do_all_end_and_nothing_leaks() -> None:
    """`make soak` runs it with 10,000."""
    crowd(int(os.environ.get("SIP_DIALOGS", "300")), seed=11)


def crowd(dialogs: int, seed: int) -> None:
    """Up to five calls a second; each side does something of its own in each, and hangs up at some time or other."""
    world, dice = World(seed, loss=0.2), Random(seed)
    deeds: list[Callable[[Usage], list[Output]]] = [
        lambda usage: usage.reoffer(OFFER, world.now),
        lambda usage: usage.press("1#", world.now),
        lambda usage: usage.transfer("<sip:300@192.0.2.3>", world.now),
        lambda usage: [],
    ]
    first = begin(world, answer_after=0.5)
    world.at(30, lambda: world.act(world.alice, first, first.hang_up(16, world.now)))
    follow = world.bob.react

    def bob(usage: Usage, fact: Fact) -> None:
        follow(usage, fact)
        if isinstance(fact, Referred):
            world.act(world.bob, usage, usage.follow_referral(world.now))
            world.act(world.bob, usage, usage.tell_referral(dice.choice([200, 486]), "", world.now))
        elif isinstance(fact, Confirmed):
            schedule(world.bob, usage)

    def schedule(party: Party, usage: Usage) -> None:
        for _ in range(2):
            deed = dice.choice(deeds)
            world.at(world.now + dice.uniform(0, 40), lambda deed=deed: world.act(party, usage, deed(usage)))  # type: ignore[misc]
        if dice.random() < 0.5:
            world.at(world.now + dice.uniform(5, 60), lambda: world.act(party, usage, usage.hang_up(16, world.now)))

    def starts() -> None:
        call = world.alice.calling(BOB, headers=dice.choice([(), (("Require", "100rel"),)]))
        world.alice.agent.call(call, world.now)
        schedule(world.alice, call)
        world.at(world.now + 90, lambda: world.act(world.alice, call, call.hang_up(16, world.now)))

    world.bob.react = bob
    until = max(60.0, dialogs / 5)
    for _ in range(dialogs):
        world.at(dice.uniform(0, until), starts)
    world.run(until + 600)
    assert len(world.alice.told) > dialogs * 0.95
    check_ends(world)
    assert nothing_is_left(world)
