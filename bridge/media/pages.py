"""The browser legs of one call: any number of them may wait, at most one is joined."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

import structlog

from ..calls.events import BrowserLost, CallId, TabId
from . import page_sdp, sdp
from .equipment import Equipment
from .webrtc import BrowserLeg

log = structlog.get_logger()

MAX_LEGS_PER_CALL: Final = 8


class Pages:
    """Who may speak for the operator, who does, and who is to.

    `spoke(tab, length, now)` gets the packet in the buffer by which the wanted leg proves that it speaks; `parted()` is
    called when the joined leg is gone.
    """

    def __init__(
        self,
        call: CallId,
        equipment: Equipment,
        *,
        spoke: Callable[[TabId, int, float], None],
        parted: Callable[[], None],
    ) -> None:
        self.call = call
        self.legs: dict[TabId, BrowserLeg] = {}
        self.joined: TabId | None = None
        self.wanted: TabId | None = None
        self._owed_since = 0.0
        """When the wanted leg began to owe its voice."""
        self._equipment = equipment
        self._spoke, self._parted = spoke, parted
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def speaker(self) -> BrowserLeg | None:
        """The joined leg."""
        return self.legs[self.joined] if self.joined else None

    # ---- coming

    async def connect(self, tab: TabId, page: page_sdp.PageOffer, codec: sdp.Codec, ptime: int) -> str:
        """Our answer to a page that comes on a new transport, in place of the leg that its tab had."""
        if tab in self.legs:
            self.drop(tab)
        if len(self.legs) >= MAX_LEGS_PER_CALL:  # a page that was reloaded again and again: its oldest leg is dead
            self.drop(next(other for other in self.legs if other not in (self.joined, self.wanted)))
        equipment = self._equipment
        certificate = equipment.certificates.current(datetime.datetime.now(datetime.UTC))
        leg = BrowserLeg(
            equipment.hub, certificate, voice=partial(self._first_voice, tab), ended=partial(self._leg_ended, tab)
        )
        self.legs[tab] = leg
        answer = leg.answer(page, codec, ptime)
        self._spawn(leg.connect(equipment.patience.connect))
        return answer

    def want(self, tab: TabId) -> BrowserLeg | None:
        """The leg of `tab` is to speak from now on; None if it has yet to come."""
        self.wanted, self._owed_since = tab, self._equipment.clock()
        return self.legs.get(tab)

    def _first_voice(self, tab: TabId, length: int, now: float) -> None:
        if tab in self.legs and tab == self.wanted != self.joined:
            self._spoke(tab, length, now)

    def join(self, tab: TabId) -> None:
        """The leg of `tab` speaks; nobody else is needed."""
        for other in [other for other in self.legs if other != tab]:
            self.drop(other)
        self.joined = tab

    # ---- going

    def _leg_ended(self, tab: TabId, why: str) -> None:
        log.info("browser_leg_ended", call=self.call, tab=tab, joined=self.joined == tab, why=why)
        self.lose(tab, why)

    def lose(self, tab: TabId, why: str) -> None:
        """Close the leg of `tab`, and report it if it was the voice or was to be."""
        missed = tab in (self.joined, self.wanted)
        self.drop(tab)
        if self.wanted == tab:
            self.wanted = None
        if missed:
            self._equipment.post(BrowserLost(call=self.call, tab=tab, why=why))

    def drop(self, tab: TabId) -> None:
        """Close the leg of `tab`; if it was joined, the PBX leg goes on without."""
        leg = self.legs.pop(tab)
        leg.voice = nobody
        leg.association.disregard()  # the peer's goodbye may be quicker than ours, and its tab may have another leg by then
        if self.joined == tab:
            self.joined, self._owed_since = None, self._equipment.clock()
            self._parted()
        self._spawn(leg.close())

    def look(self, now: float) -> None:
        """A page that is to take the call over may connect and yet never speak."""
        tab = self.wanted
        if self.joined is None and tab in self.legs and now - self._owed_since >= self._equipment.patience.connect:
            self.lose(tab, "no voice from the new page")

    async def close(self) -> None:
        """Close every leg; nothing is posted any more."""
        self.wanted = None
        for tab in list(self.legs):
            self.drop(tab)
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._spoke, self._parted = _nobody_spoke, _nothing_parted  # whose owner owns this

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._equipment.spawn(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _nobody_spoke(tab: TabId, length: int, now: float) -> None:
    pass


def _nothing_parted() -> None:
    pass


def nobody(length: int, now: float) -> None:
    """Takes voice that nobody hears yet."""
