"""Watching one call: who has fallen silent, which reports are due, how it sounds."""

from __future__ import annotations

import random
from dataclasses import dataclass

from ..calls.events import CallId, PbxFellSilent, QualityChanged
from .equipment import Equipment
from .pages import Pages
from .pbx_leg import PbxLeg
from .pbx_session import PbxSession
from .quality import Ear
from .relay import Relay
from .webrtc import BrowserLeg


@dataclass(slots=True, kw_only=True)
class Silence:
    """How long a counter has not moved."""

    count: int = 0
    since: float = 0.0

    def begin(self, count: int, now: float) -> None:
        self.count, self.since = count, now

    def passed(self, count: int, now: float) -> float:
        if count != self.count:
            self.begin(count, now)
        return now - self.since


class Watch:
    """Looks at both legs of a call from time to time and reports what it finds."""

    def __init__(self, call: CallId, equipment: Equipment, pages: Pages, session: PbxSession) -> None:
        self._call, self._equipment = call, equipment
        self._pages, self._session = pages, session
        self._page_silence, self._pbx_silence = Silence(), Silence()
        self._pbx_reported = False
        self._ear = Ear()

    def expect_page(self, leg: BrowserLeg) -> None:
        """Its silence counts from now on, and how it sounds is judged anew."""
        self._ear.rest()
        self._page_silence.begin(leg.received, self._equipment.clock())

    def expect_pbx(self, pbx: PbxLeg) -> None:
        """Its silence counts from now on."""
        self._pbx_silence.begin(pbx.received, self._equipment.clock())
        self._pbx_reported = False

    def page_is_back(self, leg: BrowserLeg) -> bool:
        """It has spoken since the last look."""
        return leg.received != self._page_silence.count

    def speaks(self, relay: Relay, now: float) -> bool:
        """The page has spoken since the last look and is heard: nothing is to be done at once."""
        page = self._pages.speaker
        return page is not None and relay.talking and self._page_silence.passed(page.received, now) == 0

    def look(self, pbx: PbxLeg, relay: Relay, now: float) -> bool:
        """Report who fell silent; True if the PBX must be sent frames of ours until voice comes."""
        pages, patience = self._pages, self._equipment.patience
        self._look_at_pbx(pbx, now)
        self._report(pbx, now)
        self._listen(relay, pbx, now)
        if pages.joined is None:
            pages.look(now)
            return relay.sending
        passed = self._page_silence.passed(pages.legs[pages.joined].received, now)
        if passed >= patience.browser:
            pages.lose(pages.joined, f"no voice for {passed:.1f} s")
        return relay.sending and (passed >= patience.quiet or not relay.talking)

    def _look_at_pbx(self, pbx: PbxLeg, now: float) -> None:
        passed = self._pbx_silence.passed(pbx.received, now)
        if not self._session.pbx_should_speak:
            self._pbx_silence.since = now
        elif passed < self._equipment.patience.pbx:
            self._pbx_reported = False
        elif not self._pbx_reported:
            self._pbx_reported = True
            self._equipment.post(PbxFellSilent(call=self._call))

    def _report(self, pbx: PbxLeg, now: float) -> None:
        """Send the reports that are due."""
        for leg in (pbx, self._pages.speaker):
            if leg is not None and now >= leg.reports.due:
                pause = self._equipment.patience.report * random.uniform(0.5, 1.5)  # noqa: S311  # only spreads the load
                if leg.reports.put_off(now, pause):
                    leg.report(now)

    def _listen(self, relay: Relay, pbx: PbxLeg, now: float) -> None:
        """Judge how it sounds, while both speak and hear."""
        codec, page = self._session.codec, self._pages.speaker
        if page is None or codec is None or not (relay.talking and relay.hearing):
            self._ear.rest()
        elif quality := self._ear.listen(page.reports, pbx.reports, codec.name, now):
            self._equipment.post(QualityChanged(call=self._call, quality=quality))
