"""How a call sounded, from the verdicts on its voice; pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from .events import Quality, Trouble, Verdict

MOST_VERDICTS: Final = 500
"""Of one call; the oldest give way."""
BAD: Final = 3.1
"""Below it nearly everybody is dissatisfied (ITU-T G.107, annex B)."""
BAD_SECONDS: Final = 10.0
"""In a row of calls that were good else, this is worth a word; in a short call, half of it."""

TROUBLES: Final = {
    Trouble.OPERATOR_LOSS: "the operator's network lost parts of the voice",
    Trouble.OPERATOR_JITTER: "the operator's network carried the voice unevenly",
    Trouble.OPERATOR_DELAY: "the operator's network was slow",
    Trouble.PBX_LOSS: "parts of the voice were lost between the bridge and the PBX",
    Trouble.PBX_JITTER: "the voice came unevenly from the PBX",
    Trouble.PBX_DELAY: "the way to the PBX was long",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A time that sounded the same."""

    seconds: float
    quality: Quality

    @property
    def worse(self) -> float:
        return min(self.quality.heard, self.quality.said)


def noted(verdicts: tuple[Verdict, ...], verdict: Verdict) -> tuple[Verdict, ...]:
    return (*verdicts, verdict)[-MOST_VERDICTS:]


def stretches(verdicts: Sequence[Verdict], ended: float) -> Iterator[Stretch]:
    """Each verdict holds until the next one."""
    for verdict, end in zip(verdicts, [*(verdict.at for verdict in verdicts[1:]), ended], strict=False):
        yield Stretch(seconds=max(0.0, end - verdict.at), quality=verdict.quality)


def complaint(verdicts: Sequence[Verdict], ended: float) -> str:
    """A sentence for the record of a call that sounded badly for long, "" for any other."""
    heard = list(stretches(verdicts, ended))
    bad = [stretch for stretch in heard if stretch.worse < BAD]
    seconds = sum(stretch.seconds for stretch in bad)
    if not bad or seconds < min(BAD_SECONDS, sum(stretch.seconds for stretch in heard) / 2):
        return ""
    worst = min(bad, key=lambda stretch: stretch.worse)
    because = f": {TROUBLES[worst.quality.trouble]}" if worst.quality.trouble is not Trouble.NONE else ""
    return f"The voice was bad for {seconds:.0f} s{because} (MOS {worst.worse:.1f} of 4.5)"
