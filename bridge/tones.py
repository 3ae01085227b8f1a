"""The tones of the telephone, by country; pure.

What a network lets its callers hear differs from country to country: ITU-T E.180 Supplement 2 and its later editions ("Various
tones used in national networks", annex to the ITU Operational Bulletin) list it, ETSI TR 101 041-2 does so for Europe; for Russia
and its neighbours GOST 45.223-2001, for Britain BT SIN 350. The special information tone is the same everywhere (E.180).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

VOLUME: Final = 0.1
"""Of full scale, for each of the frequencies that sound together."""
LASTS: Final = 4.5
"""Seconds, to the nearest whole turn: what is heard of a call that failed."""
SHORT: Final = 2.0
"""Likewise, where the other side has only declined."""


@dataclass(frozen=True, slots=True)
class Part:
    hertz: tuple[int, ...]
    """What sounds together; nothing: a pause."""
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tone:
    """Sounds and pauses in turn."""

    parts: tuple[Part, ...]
    times: int = 0
    """How often they are heard; 0: until somebody stops it."""
    volume: float = VOLUME
    """0 to 1, of each frequency."""

    def __str__(self) -> str:
        return ", ".join(f"{'+'.join(map(str, part.hertz)) or 'pause'} {part.seconds:g} s" for part in self.parts)

    @property
    def seconds(self) -> float:
        """Of one turn."""
        return sum(part.seconds for part in self.parts)

    def lasting(self, seconds: float) -> Tone:
        """As many whole turns as come closest to it, one at least."""
        return replace(self, times=max(1, round(seconds / self.seconds)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The tones of one country."""

    ringback: Tone
    """It rings at the other end."""
    busy: Tone
    congestion: Tone
    """The network could not do it, or whoever answers for it there; "reorder" in America."""
    unobtainable: Tone
    """No such number."""


def cadence(hertz: tuple[int, ...], *seconds: float) -> Tone:
    """Sound, pause, sound, …, in seconds."""
    return Tone(parts=tuple(Part(() if at % 2 else hertz, length) for at, length in enumerate(seconds)))


SPECIAL_INFORMATION: Final = Tone(
    parts=(Part((950,), 0.33), Part((1400,), 0.33), Part((1800,), 0.33), Part((), 1.0)),
)


def _plan(
    hertz: int,
    ringback: tuple[float, ...],
    busy: float,
    congestion: float | tuple[float, ...],
    *,
    ringing: tuple[int, ...] = (),
    unobtainable: Tone = SPECIAL_INFORMATION,
) -> Plan:
    """`busy` and `congestion`: as long a pause as the sound, if one figure says it. `ringing`: if it is not `hertz`."""
    parts = congestion if isinstance(congestion, tuple) else (congestion, congestion)
    return Plan(
        ringback=cadence(ringing or (hertz,), *ringback),
        busy=cadence((hertz,), busy, busy),
        congestion=cadence((hertz,), *parts),
        unobtainable=unobtainable,
    )


_TWICE: Final = (0.4, 0.2, 0.4, 2.0)
"""The double ring of Britain and of those who learned it there."""
_AMERICAN: Final = Plan(
    ringback=cadence((440, 480), 2.0, 4.0),
    busy=cadence((480, 620), 0.5, 0.5),
    congestion=cadence((480, 620), 0.25, 0.25),
    unobtainable=SPECIAL_INFORMATION,
)
_SOVIET: Final = _plan(425, (1.0, 4.0), 0.35, 0.175)

ELSEWHERE: Final = _plan(425, (1.0, 4.0), 0.5, 0.25)
"""Where nothing else is known: what E.180 recommends."""

# A ringing tone that is modulated is written as its carrier with both sidebands.
PLANS: Final = {
    "AT": _plan(420, (1.0, 5.0), 0.4, 0.2),
    "AU": _plan(425, _TWICE, 0.375, 0.375, ringing=(413, 438)),
    "BE": _plan(425, (1.0, 3.0), 0.5, 0.167),
    "BR": _plan(425, (1.0, 4.0), 0.25, (0.25, 0.25, 0.75, 0.25)),
    "BY": _SOVIET,
    "CA": _AMERICAN,
    "CH": _plan(425, (1.0, 4.0), 0.5, 0.2),
    "CN": _plan(450, (1.0, 4.0), 0.35, 0.7),
    "CZ": _plan(425, (1.0, 4.0), 0.33, 0.165),
    "DE": _plan(425, (1.0, 4.0), 0.48, 0.24),
    "ES": _plan(425, (1.5, 3.0), 0.2, (0.2, 0.2, 0.2, 0.2, 0.2, 0.6)),
    "FI": _plan(425, (1.0, 4.0), 0.3, 0.2),
    "FR": _plan(440, (1.5, 3.5), 0.5, 0.25),
    "GB": _plan(
        400,
        _TWICE,
        0.375,
        (0.4, 0.35, 0.225, 0.525),
        ringing=(400, 450),
        unobtainable=cadence((400,), 3.0),
    ),
    "IN": _plan(400, _TWICE, 0.75, 0.25, ringing=(375, 400, 425)),
    "IT": _plan(425, (1.0, 4.0), 0.5, 0.2),
    "JP": _plan(400, (1.0, 2.0), 0.5, 0.5, ringing=(384, 400, 416)),
    "KZ": _SOVIET,
    "MX": _plan(425, (1.0, 4.0), 0.25, 0.25),
    "NL": _plan(425, (1.0, 4.0), 0.5, 0.25),
    "NO": _plan(425, (1.0, 4.0), 0.5, 0.2),
    "NZ": _plan(
        400,
        _TWICE,
        0.5,
        0.25,
        ringing=(400, 450),
        unobtainable=cadence((400,), 0.075, 0.1, 0.075, 0.1, 0.075, 0.1, 0.075, 0.4),
    ),
    "PL": _plan(425, (1.0, 4.0), 0.5, 0.5),
    "PT": _plan(425, (1.0, 5.0), 0.5, 0.2),
    "RU": _SOVIET,
    "SE": _plan(425, (1.0, 5.0), 0.25, (0.25, 0.75)),
    "TR": _plan(450, (2.0, 4.0), 0.5, (0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.6, 0.2)),
    "UA": _SOVIET,
    "US": _AMERICAN,
    "ZA": _plan(400, _TWICE, 0.5, 0.25, ringing=(367, 400, 433)),
}


def plan_of(country: str) -> Plan:
    """`country`: ISO 3166, in capitals."""
    return PLANS.get(country, ELSEWHERE)


def reminder(seconds: float) -> Tone:
    """A quiet double beep so often."""
    beeps = cadence((425,), 0.15, 0.1, 0.15).parts
    pause = seconds - sum(part.seconds for part in beeps)
    return Tone(parts=(Part((), pause), *beeps), volume=VOLUME / 3)
