"""Two pure stacks over a link that loses 30 %, doubles and reorders: every call is answered once and ends once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.sip.agent import Gone, Invited
from bridge.sip.callee import Inbound
from bridge.sip.caller import Outbound
from bridge.sip.output import Accepted, Confirmed, Fact, Reanswered, Refused, Reoffered, ReofferRefused, Unreachable
from bridge.sip.usage import Stage, Usage

from .parties import ANSWER, BOB, OFFER, Party, World, count_of, endings

AFTERMATH = 64 * 0.5 + 5
"""64·T1 + T4 seconds."""
LONG = 200.0


def begin(world: World, *, answer_after: float | None = 1.0) -> Outbound:
    """Alice calls; Bob rings at once and answers."""
    world.alice.react = _answering(world, world.alice, None)
    world.bob.react = _answering(world, world.bob, answer_after)
    call = world.alice.calling(BOB)
    world.alice.agent.call(call, world.now)
    return call


def _answering(world: World, party: Party, after: float | None) -> Callable[[Usage, Fact], None]:
    """Rings, answers after so many seconds, and says yes to every new offer."""

    def react(usage: Usage, fact: Fact) -> None:
        if isinstance(fact, Reoffered):
            world.act(party, usage, usage.answer_reoffer(ANSWER, world.now))
        if isinstance(usage, Inbound) and isinstance(fact, Invited):
            world.act(party, usage, usage.ring(world.now))
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


DEEDS = ["ring", "progress", "answer", "refuse", "hang up", "reoffer", "say yes", "say no"]
moments = st.floats(min_value=0, max_value=40, allow_nan=False)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.3, 0.6]),
    caller_ends=st.lists(moments, min_size=1, max_size=3),
    caller_reoffers=st.lists(moments, max_size=3),
    callee_does=st.lists(st.tuples(moments, st.sampled_from(DEEDS)), max_size=8),
)
def test_whatever_the_order_a_call_ends_once_and_leaves_nothing(
    seed: int, loss: float, caller_ends: list[float], caller_reoffers: list[float], callee_does: list[tuple[float, str]]
) -> None:
    world = World(seed, loss=loss)

    def does(usage: Inbound, deed: str) -> None:
        outputs = {
            "ring": lambda: usage.ring(world.now),
            "answer": lambda: usage.answer(ANSWER, world.now),
            "progress": lambda: usage.progress(ANSWER, world.now),
            "refuse": lambda: usage.refuse(603, "", world.now),
            "reoffer": lambda: usage.reoffer(OFFER, world.now),
            "say yes": lambda: usage.answer_reoffer(ANSWER, world.now),
            "say no": lambda: usage.refuse_reoffer(488, "", world.now),
            "hang up": lambda: usage.hang_up(16, world.now),
        }[deed]()
        world.act(world.bob, usage, outputs)

    def bob(usage: Usage, fact: Fact) -> None:
        if isinstance(usage, Inbound) and isinstance(fact, Invited):
            for after, deed in [*callee_does, (45.0, "hang up")]:
                world.at(world.now + after, lambda usage=usage, deed=deed: does(usage, deed))  # type: ignore[misc]

    world.bob.react = bob
    call = world.alice.calling(BOB)
    world.alice.agent.call(call, 0.0)
    for when in caller_ends:
        world.at(when, lambda: world.act(world.alice, call, call.hang_up(16, world.now)))
    for when in caller_reoffers:
        world.at(when, lambda: world.act(world.alice, call, call.reoffer(OFFER, world.now)))
    world.run(300)
    check_ends(world)
    assert nothing_is_left(world)
