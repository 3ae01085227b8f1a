"""What becomes of a call, drawn by lot from a seed (pure)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum

KEYPAD = "0123456789*#"


class End(Enum):
    UNANSWERED = "unanswered"
    DECLINED = "declined"
    BY_PAGE = "page"
    BY_PBX = "pbx"

    @property
    def is_answered(self) -> bool:
        return self in {End.BY_PAGE, End.BY_PBX}


class Act(Enum):
    HOLD = "hold"
    KEYS = "keys"
    RELOAD = "reload"
    """The page says goodbye and another one goes on with the call."""
    VANISH = "vanish"
    """The same without a goodbye: the socket is closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    end: End
    ring: float
    """Seconds until somebody does something."""
    talk: float = 0.0
    """Seconds, holds and reloads included."""
    acts: tuple[tuple[float, Act], ...] = ()
    """With the second of the talk, ascending."""
    keys: str = ""
    hold: float = 0.0


def draw(chance: random.Random, talk: tuple[float, float]) -> Plan:
    """`talk`: seconds, the shortest and the longest."""
    (end,) = chance.choices(list(End), weights=(4, 2, 47, 47))
    if not end.is_answered:
        return Plan(end=end, ring=chance.uniform(1, 6))
    seconds = chance.uniform(*talk)
    names = [act for act, share in zip(Act, (0.12, 0.12, 0.05, 0.03), strict=True) if chance.random() < share]
    chance.shuffle(names)
    at = [seconds * (number + chance.uniform(0.3, 0.7)) / len(names) for number in range(len(names))]
    return Plan(
        end=end,
        ring=chance.uniform(0.5, 3),
        talk=seconds,
        acts=tuple(zip(at, names, strict=True)),
        keys="".join(chance.choices(KEYPAD, k=chance.randint(1, 6))),
        hold=min(seconds / 4, chance.uniform(2, 10)),
    )
