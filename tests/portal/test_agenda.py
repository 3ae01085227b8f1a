"""A slot is looked at when something in it may be due, and not otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from bridge.portal.agenda import Agenda
from bridge.store.promises import Slot

NEVER = float("inf")


def test_everything_is_looked_at_first_and_then_only_where_something_happened() -> None:
    agenda = Agenda()
    assert agenda.take(set(Slot)) == set(Slot)
    agenda.saw(set(Slot), {})
    assert (agenda.take(set(Slot)), agenda.next_at(set(Slot))) == (set(), NEVER)
    agenda.open([Slot.RING])
    assert agenda.take({Slot.FINISH}) == set(), "there is no room for it"
    assert agenda.take(set(Slot)) == {Slot.RING}


def test_what_is_promised_during_a_look_is_not_forgotten() -> None:
    agenda = Agenda()
    agenda.take(set(Slot))
    agenda.open([Slot.FINISH])
    agenda.saw(set(Slot), {})
    assert agenda.take(set(Slot)) == {Slot.FINISH}


def test_the_next_time_is_that_of_the_slots_with_room() -> None:
    agenda = Agenda()
    agenda.saw(set(Slot), {Slot.RING: 7.0, Slot.FINISH: 5.0})
    assert agenda.next_at(set(Slot)) == 5.0
    assert agenda.next_at({Slot.RING}) == 7.0
    agenda.saw({Slot.FINISH}, {})
    assert agenda.next_at(set(Slot)) == 7.0


@dataclass
class Lane:
    """What a lane does with its agenda, and the promises as the store has them."""

    agenda: Agenda = field(default_factory=Agenda)
    now: float = 0.0
    waiting: dict[Slot, list[float]] = field(default_factory=lambda: {slot: [] for slot in Slot})

    def look(self, free: set[Slot]) -> None:
        """There is room for one of each."""
        taken = self.agenda.take(free)
        next_at, more = {}, set()
        for slot in taken:
            times = sorted(self.waiting[slot])
            if times and times[0] <= self.now:
                self.waiting[slot].remove(times[0])
                more.add(slot)
            elif times:
                next_at[slot] = times[0]
        self.agenda.saw(taken, next_at)
        self.agenda.open(more)

    def is_forgotten(self, slot: Slot) -> bool:
        due = any(at <= self.now for at in self.waiting[slot])
        return due and self.agenda.next_at([slot]) > self.now and slot not in self.agenda._open


ACTS = st.one_of(
    st.tuples(st.just("promise"), st.sampled_from(Slot), st.floats(0, 10)),
    st.tuples(st.just("look"), st.sets(st.sampled_from(Slot)), st.just(0.0)),
    st.tuples(st.just("wait"), st.just(None), st.floats(0, 10)),
)


@given(st.lists(ACTS, max_size=40))
def test_whatever_is_due_is_on_the_agenda(acts: list[tuple[str, object, float]]) -> None:
    lane = Lane()
    for what, where, seconds in acts:
        if what == "promise" and isinstance(where, Slot):
            lane.waiting[where].append(lane.now + seconds)
            lane.agenda.open([where])
        elif what == "look" and isinstance(where, set):
            lane.look(where)
        else:
            lane.now += seconds
        assert not any(map(lane.is_forgotten, Slot))
