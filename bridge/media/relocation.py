"""When a PBX leg leaves its address for another one of ours, and when it is done with the old one; pure.

    SETTLED ─another address is ours for SETTLE seconds, or the old one is dead→ ASKED
    ASKED ─the PBX agrees→ AGREED ─its voice comes to the new place, or LINGER passed→ SETTLED, at the new one
      ├─ its voice comes to the new place→ SETTLED, at the new one
      └─ it refuses→ SETTLED, at the old one, if that still works; else it is asked again after a pause

Both places are listened at until it is settled again. Our voice leaves from the old one until the PBX agrees, unless that is dead.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

SETTLE: Final = 1.0
"""Seconds: routes may change several times while an interface comes up."""
LINGER: Final = 5.0
"""Seconds that the PBX's voice may still come to the old place once it has agreed."""
AGAIN: Final = 5.0
"""Seconds until what failed is tried again: to open the new place, or to ask a PBX that refused where there is no way back."""


class Phase(Enum):
    SETTLED = "settled"
    ASKED = "asked"
    AGREED = "agreed"


class Deed(Enum):
    MOVE = "move"
    """Open the new place and tell the PBX."""
    TURN = "turn"
    """Let our voice leave from there."""
    TELL = "tell"
    """Tell the PBX once more."""
    LEAVE = "leave"
    """Close the old place."""


class Relocation:
    """Of one leg; `look` says what is to be done, one deed at a time."""

    def __init__(self) -> None:
        self.phase = Phase.SETTLED
        self._seen, self._since = "", 0.0
        """Another address that is ours now, and since when."""
        self._unwanted = ""
        """Where the PBX did not want to follow to."""
        self._turned = False
        self._due: float | None = None
        self._rests_until = 0.0

    @property
    def settled(self) -> bool:
        return self.phase is Phase.SETTLED

    def look(self, now: float, *, here: str, home: str, dead: bool, ready: bool, heard: bool) -> Deed | None:
        """`here` is the old address, `home` the one that the system gives now, "" for none. `dead`: nothing can be sent from the
        old one any more; `ready`: voice can be sent from the new one; `heard`: some has come there."""
        if self.phase is Phase.SETTLED:
            return self._begin(now, here, home, dead=dead)
        if not self._turned and ready and (dead or heard or self.phase is Phase.AGREED):
            self._turned = True
            return Deed.TURN
        due = self._due is not None and now >= self._due
        if heard or (due and self.phase is Phase.AGREED):
            self._settle()
            return Deed.LEAVE
        if due:
            self._due = None
            return Deed.TELL
        return None

    def _begin(self, now: float, here: str, home: str, *, dead: bool) -> Deed | None:
        if home in ("", here):
            self._seen = self._unwanted = ""
            return None
        if home != self._seen:
            self._seen, self._since = home, now
        if now < self._rests_until or (not dead and (home == self._unwanted or now - self._since < SETTLE)):
            return None
        self.phase, self._turned, self._due = Phase.ASKED, False, None
        return Deed.MOVE

    def agreed(self, now: float) -> None:
        if self.phase is Phase.ASKED:
            self.phase, self._due = Phase.AGREED, now + LINGER

    def refused(self, now: float, *, dead: bool) -> bool:
        """True: back to the old place."""
        if self.phase is not Phase.ASKED:
            return False
        if dead:
            self._due = now + AGAIN
            return False
        self._settle()
        self._unwanted = self._seen
        return True

    def failed(self, now: float) -> None:
        """The new place could not be opened."""
        self._settle()
        self._rests_until = now + AGAIN

    def _settle(self) -> None:
        self.phase, self._due, self._unwanted = Phase.SETTLED, None, ""
