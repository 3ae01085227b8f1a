"""Which worker carries which call, whatever dies when."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge.calls.events import CallId
from bridge.media.workers.placement import LOOP, MOST_MOVES, PAUSES, STEADY, Phase, Placement

A, B, C = CallId("a"), CallId("b"), CallId("c")


def live(slots: int, *, most_calls: int = 10, most_cpu: float = 0.9) -> Placement:
    placement = Placement(slots, most_calls=most_calls, most_cpu=most_cpu)
    for slot in range(slots):
        placement.ready(slot, placement.started(slot, 0))
    return placement


def test_calls_are_spread_and_stay_where_they_are() -> None:
    placement = live(2)
    assert [placement.place(call) for call in (A, B, A)] == [0, 1, 0]
    assert placement.forget(A) == 0
    assert placement.place(C) == 0


def test_a_worker_without_cpu_left_gets_no_new_call_until_it_is_calm() -> None:
    placement = live(2)
    for _ in range(20):
        placement.loaded(0, 1, 1.0)
    assert [placement.place(call) for call in (A, B)] == [1, 1]
    for _ in range(20):
        placement.loaded(1, 2, 1.0)
    assert placement.place(C) is None
    assert "no room" in placement.obstacle
    for _ in range(20):
        placement.loaded(0, 1, 0.2)
    assert placement.obstacle == ""
    assert placement.place(C) == 0


def test_a_call_that_runs_goes_even_to_a_busy_worker_when_its_own_dies() -> None:
    placement = live(2)
    placement.place(A)
    for _ in range(20):
        placement.loaded(1, 2, 1.0)
    assert placement.ended(0, 1, 100) == [A]
    assert placement.place(A) == 1
    assert placement.place(B) is None


def test_calls_wait_for_the_first_worker_that_lives() -> None:
    placement = live(2)
    placement.place(A)
    placement.place(B)
    assert placement.ended(1, 2, 100) == [B]
    assert placement.ended(0, 1, 101) == [A, B]
    assert placement.place(A) is None
    assert placement.obstacle == "no media worker runs"
    assert sorted(placement.ready(1, placement.started(1, 102))) == [A, B]
    assert placement.place(A) == placement.place(B) == 1


def test_a_call_is_put_beside_another_one_where_there_is_room() -> None:
    placement = live(2, most_calls=2)
    assert placement.place(A) == 0
    assert placement.place(B, beside=A) == 0
    assert placement.place(C, beside=A) == 1, "it is full"
    assert placement.place(CallId("d"), beside=CallId("unknown")) == 1


def test_two_calls_that_are_tied_move_together() -> None:
    placement = live(3)
    placement.place(A)
    placement.place(B)
    assert not placement.tie(A, B), "they are apart"
    placement.place(C, beside=A)
    assert placement.tie(A, C)
    assert placement.ended(0, 1, 100) == [A, C]
    assert placement.place(A) == placement.place(C)
    placement.forget(C)
    assert placement.ended(2, 3, 101) == [A]
    assert placement.place(A) == 1, "as any other call"


def test_no_word_of_a_dead_incarnation_is_believed() -> None:
    placement = live(1)
    placement.place(A)
    assert placement.believes(A, 0, 1)
    placement.ended(0, 1, 100)
    assert not placement.believes(A, 0, 1)
    placement.ready(0, placement.started(0, 101))
    assert placement.believes(A, 0, 2)
    assert not placement.believes(A, 0, 1)
    assert placement.ended(0, 1, 102) == [], "it is dead already"


def test_a_worker_that_dies_again_and_again_is_started_ever_later_and_reported() -> None:
    placement = live(1)
    now, pauses = 0.0, []
    for deaths in range(1, 10):
        placement.ended(0, deaths, now)
        pauses.append(placement.slots[0].due - now)
        assert placement.loops(0) == (deaths >= LOOP)
        now = placement.slots[0].due
        placement.ready(0, placement.started(0, now))
    assert pauses == [*PAUSES, PAUSES[-1], PAUSES[-1]]
    placement.ended(0, 10, now + STEADY)
    assert (placement.slots[0].due, placement.loops(0)) == (now + STEADY, False)


def test_a_call_that_was_with_every_worker_that_died_is_not_given_to_another() -> None:
    placement = live(1)
    placement.place(A)
    for moves in range(1, MOST_MOVES + 1):
        placement.ended(0, moves, 0)
        placement.ready(0, placement.started(0, 0))
    assert placement.is_doomed(A)
    assert placement.place(A) is None
    assert placement.place(B) == 0
    placement.forget(A)
    assert not placement.is_doomed(A)


class Crews(RuleBasedStateMachine):
    """Workers come and go, calls come and go."""

    calls = st.sampled_from([CallId(name) for name in "abcdef"])

    @initialize(slots=st.integers(1, 3), most_calls=st.integers(1, 4))
    def begin(self, slots: int, most_calls: int) -> None:
        self.placement = Placement(slots, most_calls=most_calls, most_cpu=0.9)
        self.most_calls = most_calls
        self.now = 0.0
        self.live: dict[int, int] = {}
        self.dead: list[tuple[int, int]] = []
        self.known: set[CallId] = set()

    @rule(index=st.integers(0, 2))
    def start(self, index: int) -> None:
        slot = index % len(self.placement.slots)
        if self.placement.slots[slot].phase is Phase.RESTING:
            number = self.placement.started(slot, self.now)
            assert (slot, number) not in self.dead
            for call in self.placement.ready(slot, number):
                assert self.placement.place(call) == slot
            self.live[slot] = number

    @precondition(lambda self: self.live)
    @rule(data=st.data(), seconds=st.floats(0, 100))
    def die(self, data: st.DataObject, seconds: float) -> None:
        self.now += seconds
        slot = data.draw(st.sampled_from(sorted(self.live)))
        number = self.live.pop(slot)
        had = set(self.placement.slots[slot].calls)
        assert set(self.placement.ended(slot, number, self.now)) == had
        self.dead.append((slot, number))

    @rule(call=calls)
    def place(self, call: CallId) -> None:
        if self.placement.place(call) is not None:
            self.known.add(call)

    @rule(call=calls)
    def forget(self, call: CallId) -> None:
        self.placement.forget(call)
        self.known.discard(call)
        assert not self.placement.knows(call)

    @rule(index=st.integers(0, 2), cpu=st.floats(0, 2))
    def load(self, index: int, cpu: float) -> None:
        slot = index % len(self.placement.slots)
        self.placement.loaded(slot, self.live.get(slot, 0), cpu)

    @invariant()
    def every_call_has_one_home_that_lives_or_waits(self) -> None:
        placed = [call for slot in self.placement.slots for call in slot.calls]
        assert len(placed) == len(set(placed))
        for call in self.known:
            assert self.placement.knows(call), "no call is lost by a death"
        for index, slot in enumerate(self.placement.slots):
            assert len(slot.calls) <= self.most_calls
            assert not slot.calls or slot.phase is Phase.LIVE
            for call in slot.calls:
                assert self.placement.believes(call, index, self.live[index])

    @invariant()
    def nobody_dead_is_believed(self) -> None:
        for call in self.known:
            assert not any(self.placement.believes(call, slot, number) for slot, number in self.dead)


TestCrews = Crews.TestCase
