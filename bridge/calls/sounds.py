"""What is heard where nobody speaks, as far as it is said somewhere: a line's word counts before a trunk's, a trunk's before a portal's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Sounds:
    """What one place says; None: nothing."""

    tones: str | None = None
    """The country whose tones are heard (ISO 3166)."""
    music: str | None = None
    """What the other side hears while we hold, as `MediaPolicy.music`."""
    reminder: float | None = None
    """Seconds after which, and then so often, an operator is reminded of a call on hold; 0: never."""

    def before(self, other: Sounds) -> Sounds:
        """Both, this one first."""
        return Sounds(
            tones=other.tones if self.tones is None else self.tones,
            music=other.music if self.music is None else self.music,
            reminder=other.reminder if self.reminder is None else self.reminder,
        )


NOTHING = Sounds()


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundBook:
    lines: Mapping[str, Sounds] = field(default_factory=dict)
    """By number."""
    trunks: Mapping[str, Sounds] = field(default_factory=dict)
    portals: Mapping[str, Sounds] = field(default_factory=dict)
    everywhere: Sounds = NOTHING

    def of(self, portal: str, trunk: str, line: str) -> Sounds:
        places = self.lines.get(line, NOTHING), self.trunks.get(trunk, NOTHING), self.portals.get(portal, NOTHING)
        return places[0].before(places[1]).before(places[2]).before(self.everywhere)
