"""What the engine plays to the sides of one call in the place of a voice: a sound before the answer, an announcement, a line that
is not dead."""

from __future__ import annotations

import asyncio
from typing import Final

from ...tones import Tone
from . import sounds
from .line import PBX, EngineLine

FOREVER: Final = 1_000_000
"""Times."""


class Prompts:
    """Whatever it asks of the engine may end in EngineError or EngineSilentError."""

    def __init__(self, line: EngineLine) -> None:
        self._line = line
        self._early = self._comfort = False
        self._until = 0.0
        """When an announcement is over; 0 without one."""

    @property
    def announcing(self) -> bool:
        """Both sides hear an announcement, and are to hear nothing of one another."""
        return self._until > 0

    async def early(self, sound: Tone | str) -> None:
        """Until somebody is joined the caller hears this over and over; ConfigError for a file of no use."""
        blob = await asyncio.to_thread(sounds.early, sound)
        await self._line.sound(PBX, blob, FOREVER)
        self._early = True

    async def joined(self) -> None:
        """Somebody speaks to the PBX now."""
        if self._early or self._comfort:
            self._early = self._comfort = False
            await self._line.hush(PBX)

    async def announce(self, source: str, page: str, now: float) -> None:
        """Tell both sides; `page` is the tag of one."""
        blob, seconds = await asyncio.to_thread(sounds.announced, source)
        self._until = now + seconds
        for tag in (PBX, page):
            await self._line.sound(tag, blob)

    def is_told(self, now: float) -> bool:
        """Whether an announcement has come to its end, said once."""
        told = 0 < self._until <= now
        if told:
            self._until = 0.0
        return told

    async def comfort(self, *, quiet: bool) -> None:
        """While no voice comes from a page the PBX hears a line that is not dead."""
        if self._early or self.announcing or quiet is self._comfort:
            return
        if quiet:
            await self._line.sound(PBX, sounds.comfort(), FOREVER)
        else:
            await self._line.hush(PBX)
        self._comfort = quiet

    def forgotten(self) -> None:
        """The engine knows nothing of the call any more, and plays nothing."""
        self._early = self._comfort = False
        self._until = 0.0
