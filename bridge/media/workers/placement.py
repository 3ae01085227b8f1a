"""Which media worker carries which call, whose word counts, and when a dead one is started anew; pure.

A slot is one worker's place: its ports. Whoever stands there is an incarnation, with a number that no other ever had.

    STARTING ──ready──► LIVE ──ended──► RESTING ──due──► STARTING     its calls go to other slots, or wait for the first that lives
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from ...calls.events import CallId

MEMORY: Final = 0.3
"""How much a new look at a worker's CPU counts against what was known."""
CALM: Final = 0.85
"""A busy worker takes calls again below this share of its limit."""
STEADY: Final = 60.0
"""Seconds; a worker that lived shorter died soon."""
PAUSES: Final = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Before it is started anew, by how many in a row died soon."""
LOOP: Final = 3
"""So many in a row that died soon are no accident."""
MOST_MOVES: Final = 5
"""A call that was with so many workers when they died, none of which lived long, is not tried on another one."""


class Phase(Enum):
    STARTING = "starting"
    LIVE = "live"
    RESTING = "resting"


@dataclass(slots=True, kw_only=True)
class Slot:
    """One worker's place, and what is known of whoever stands there."""

    incarnation: int = 0
    phase: Phase = Phase.RESTING
    since: float = 0.0
    """When it was started."""
    due: float = 0.0
    """When a resting one may be started."""
    deaths: int = 0
    """In a row, each soon after its start."""
    cpu: float = 0.0
    """Share of a core, smoothed."""
    full: bool = False
    calls: set[CallId] = field(default_factory=set)


class Placement:
    """The calls and the workers. `most_calls` and `most_cpu` (share of a core) are each worker's own limits."""

    def __init__(self, slots: int, *, most_calls: int, most_cpu: float) -> None:
        self.slots = [Slot() for _ in range(slots)]
        self._most_calls, self._most_cpu = most_calls, most_cpu
        self._homes: dict[CallId, int] = {}
        """Call -> slot; the slot's incarnation is the only one whose word counts."""
        self._homeless: dict[CallId, None] = {}
        """Calls that lost their worker and wait for another, longest first."""
        self._moves: dict[CallId, int] = {}
        self._tied: dict[CallId, CallId] = {}
        """Call -> another one that has to be where it is."""
        self._incarnations = 0

    # ---- the workers

    def started(self, slot: int, now: float) -> int:
        """Whoever is started now; its number."""
        self._incarnations += 1
        place = self.slots[slot]
        place.incarnation, place.phase, place.since = self._incarnations, Phase.STARTING, now
        place.cpu, place.full = 0.0, False
        return self._incarnations

    def ready(self, slot: int, incarnation: int) -> list[CallId]:
        """It takes calls from now on; those that waited for a worker and are its own now."""
        place = self.slots[slot]
        if place.incarnation != incarnation or place.phase is not Phase.STARTING:
            return []
        place.phase = Phase.LIVE
        waited = list(self._homeless)
        return [call for call in waited if self.place(call, fresh=False) == slot]

    def ended(self, slot: int, incarnation: int, now: float) -> list[CallId]:
        """It is dead; the calls that lost their voice, each with its next home or none yet."""
        place = self.slots[slot]
        if place.incarnation != incarnation or place.phase is Phase.RESTING:
            return []
        place.phase = Phase.RESTING
        lived_long = now - place.since >= STEADY
        place.deaths = 1 if lived_long else place.deaths + 1
        place.due = now + PAUSES[min(place.deaths, len(PAUSES)) - 1]
        lost, place.calls = sorted(place.calls), set()
        for call in lost:
            del self._homes[call]
            self._moves[call] = 1 if lived_long else self._moves.get(call, 0) + 1
            self._homeless[call] = None
        for call in lost:
            if not self.is_doomed(call):
                self.place(call, fresh=False)
        return lost

    def loaded(self, slot: int, incarnation: int, cpu: float) -> None:
        """What it used of a core since its last word."""
        place = self.slots[slot]
        if place.incarnation == incarnation:
            place.cpu += (cpu - place.cpu) * MEMORY
            if place.cpu >= self._most_cpu or place.cpu < self._most_cpu * CALM:
                place.full = place.cpu >= self._most_cpu

    def loops(self, slot: int) -> bool:
        """Its workers die one after the other: somebody has to look."""
        return self.slots[slot].deaths >= LOOP

    # ---- the calls

    def place(self, call: CallId, *, fresh: bool = True, beside: CallId | None = None) -> int | None:
        """The slot of a call: its own, else that of the call it is tied to, else that of the call `beside` which it may have to
        be tied to, else the live one with the fewest calls; None while there is none.

        A fresh call needs one that is not full; one that runs goes wherever there is room for another call.
        """
        if (home := self._homes.get(call)) is not None:
            return home
        if self.is_doomed(call):
            return None
        home = self._homes.get(self._tied[call]) if call in self._tied else None
        if home is None:
            home = self._choose(fresh=fresh and call not in self._homeless, beside=beside)
        if home is None:
            return None
        self._homes[call] = home
        self._homeless.pop(call, None)
        self.slots[home].calls.add(call)
        return home

    def _choose(self, *, fresh: bool, beside: CallId | None) -> int | None:
        open_ = [index for index, slot in enumerate(self.slots) if self._takes(slot, fresh=fresh)]
        near = self._homes.get(beside) if beside is not None else None
        if near in open_:
            return near
        return min(open_, key=lambda index: (len(self.slots[index].calls), self.slots[index].cpu, index), default=None)

    def tie(self, call: CallId, other: CallId) -> bool:
        """Wherever one goes, the other goes as well; False if they are in different places now."""
        if self._homes.get(call) != self._homes.get(other):
            return False
        self._tied[call], self._tied[other] = other, call
        return True

    def untie(self, call: CallId) -> None:
        if other := self._tied.pop(call, None):
            self._tied.pop(other, None)

    def _takes(self, slot: Slot, *, fresh: bool) -> bool:
        return slot.phase is Phase.LIVE and len(slot.calls) < self._most_calls and not (fresh and slot.full)

    def knows(self, call: CallId) -> bool:
        return call in self._homes or call in self._homeless

    def is_doomed(self, call: CallId) -> bool:
        """Workers die wherever it is: it may well be what kills them."""
        return self._moves.get(call, 0) >= MOST_MOVES

    def forget(self, call: CallId) -> int | None:
        """The call is over; the slot it was in."""
        self.untie(call)
        self._homeless.pop(call, None)
        self._moves.pop(call, None)
        home = self._homes.pop(call, None)
        if home is not None:
            self.slots[home].calls.discard(call)
        return home

    def believes(self, call: CallId, slot: int, incarnation: int) -> bool:
        """Whether what this incarnation says of the call counts."""
        return self._homes.get(call) == slot and self.slots[slot].incarnation == incarnation

    @property
    def obstacle(self) -> str:
        """Why no further call can be carried now, "" if one can."""
        live = [slot for slot in self.slots if slot.phase is Phase.LIVE]
        if not live:
            return "no media worker runs"
        return "" if any(self._takes(slot, fresh=True) for slot in live) else "the media workers have no room left"
