"""What the PBX hears where no voice of the page goes to it: comfort noise, or what was chosen instead; pure."""

from __future__ import annotations

from typing import Protocol

from ..calls.commands import MediaPolicy
from ..tones import Tone
from .relay import Relay

Frames = tuple[bytes, ...]


class Jukebox(Protocol):
    def frames(self, file: str, codec: str) -> Frames:
        """20 ms each; none if it does not know the file."""


class Filler:
    """Of one call."""

    def __init__(self, jukebox: Jukebox, *, held: bool = False, early: Tone | str = "") -> None:
        self._jukebox = jukebox
        self.held = held
        """We hold, and the PBX does not know of it."""
        self.early = early
        """What is to be heard before anybody answers, as `SpeakEarly.sound`; "" for nothing."""
        self._early_frames: tuple[str, Frames] = "", ()
        """And its codec and frames."""
        self._alone: float | None = None
        """Since when no page is joined to a call that had one."""
        self._lonely = False

    def speak_early(self, sound: Tone | str, codec: str, frames: Frames) -> None:
        """To be heard until a page speaks."""
        self.early, self._early_frames = sound, (codec, frames)

    def part(self, now: float) -> None:
        """The page that spoke is gone."""
        self._alone = now

    def join(self) -> bool:
        """A page speaks; whether it is the first one after something was heard early."""
        before, self.early, self._alone, self._lonely = self.early, "", None, False
        return before != ""

    def look(self, now: float, patience: float) -> bool:
        """Whether something else is to be heard from now on; `patience`: seconds in which most pages come back."""
        before = self._lonely
        self._lonely = self._alone is not None and now - self._alone >= patience
        return self._lonely != before

    def fill(self, relay: Relay, codec: str, policy: MediaPolicy) -> None:
        """Have the PBX hear, in its codec, what is due; what it hears already goes on."""
        if self.held or (self._lonely and policy.rejoin_music):
            relay.fill(self._jukebox.frames(policy.music, codec))
        elif self.early and self._early_frames[0] == codec:
            relay.fill(self._early_frames[1])
        else:
            relay.fill(())
