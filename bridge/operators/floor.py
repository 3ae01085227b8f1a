"""The floor: who is there, which calls are on show, and what every page shall see, sound and open. Pure.

Tell it what happened, then `drain` it: it says whose pages need a new state and which page shall open the application.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ..calls.commands import CallView
from ..calls.events import CallId, Operator, TabId
from .bell import Bell, ring_on
from .board import Board
from .cards import Cards
from .picture import Angle, angle, picture, voice_of
from .presence import ABSENCE_SECONDS, Roster, Tab
from .protocol import CallState, PageKind, State
from .turn import Turn


class Outlook(NamedTuple):
    """Until something is drained, pages with equal outlooks shall show the same."""

    operator: Operator
    lead: bool
    relayed: bool
    """It may have a leg to make, and a TURN server could help it."""
    calls: tuple[Angle, ...]


class Floor:
    def __init__(self, turn: Turn | None = None) -> None:
        self._turn = turn
        self._renewal = 0
        """When what pages in calls know of the TURN server is to be replaced, Unix seconds."""
        self.roster = Roster()
        self.board = Board()
        self.cards = Cards()
        self._bells: dict[Operator, dict[CallId, Bell]] = {}
        self._stale: set[Operator] = set()
        self._voicemail: dict[Operator, int] = {}
        self._recalled: dict[Operator, set[TabId]] = {}
        """Pages on which the application was opened because it has to speak, until the operator's calls are over."""

    def put(self, tab: Tab, now: float) -> None:
        """A page came, came back or changed."""
        before = self.roster.lead(tab.operator)
        self.roster.put(tab)
        self._rearranged(tab.operator, before, now)

    def remove(self, name: TabId, now: float, *, returns: bool = True) -> None:
        """A page left; `returns` says that it may be on its way to the next one."""
        if tab := self.roster.tab(name):
            before = self.roster.lead(tab.operator)
            self.roster.remove(name, now + ABSENCE_SECONDS if returns else None)
            self._rearranged(tab.operator, before, now)

    def show(self, view: CallView, operators: Sequence[Operator], now: float) -> set[Operator]:
        """Put the call up for these operators only, the first of whom it is registered for; returns those who see it no more."""
        listed = set(operators)
        for operator in operators[:1]:
            self._await_card(operator, view, now)
        voices = {self.board.of(operator)[view.id].voice for operator in listed if view.id in self.board.of(operator)}
        leaving = self.board.show(view, listed)
        for operator in leaving:
            self.cards.over(operator, view.card, now)
        for operator in leaving | listed:
            self.roster.engage(operator, busy=bool(self.board.of(operator)))
            if not self.board.of(operator):
                self._recalled.pop(operator, None)
        if view.voice and view.voice not in voices and view.state != CallState.ENDED.value:
            self.roster.give_lead(view.voice)
        for operator in leaving | listed:
            self._changed(operator, now)
        return leaving

    def _await_card(self, operator: Operator, view: CallView, now: float) -> None:
        """A page of the operator draws the card of a call that has just been registered, unless it has another one."""
        known = self.board.of(operator)
        is_news = view.card and (view.id not in known or not known[view.id].card)
        if is_news and not known.keys() - {view.id} and any(tab.card for tab in self.roster.workers(operator)):
            self.cards.expect(operator, view.card, now)

    def card_shown(self, operator: Operator, card: str) -> None:
        """A page of the operator has drawn this card."""
        if self.cards.shown(operator, card):
            self._stale.add(operator)

    def voicemail(self, operator: Operator, new: int) -> None:
        """So many new voice messages wait for an operator."""
        if self._voicemail.get(operator, 0) != new:
            self._voicemail[operator] = new
            self._stale.add(operator)

    def ring(self, call: CallId, operators: Iterable[Operator]) -> None:
        """Open the application once for each of these, as soon as the call is on show and a page is there."""
        listed = set(operators)
        self.board.ring(call, listed)
        self._stale |= listed

    def lead_from(self, name: TabId, now: float) -> None:
        """The operator took a call on this page."""
        if tab := self.roster.tab(name):
            self.roster.give_lead(name)
            self._changed(tab.operator, now)

    def tick(self, now: float) -> float | None:
        """Do what is due; the next deadline, Unix seconds."""
        for operator in self.roster.expire(now):
            self._changed(operator, now)
        for operator in [one for one, bells in self._bells.items() if any(bell.due <= now for bell in bells.values())]:
            self._changed(operator, now)
        self._stale.update(self.cards.tick(now))
        dues: list[float] = [bell.due for bells in self._bells.values() for bell in bells.values()]
        if self._turn and (busy := self.board.operators()):
            if self._renewal <= now:
                self._stale.update(busy)
                self._renewal = self._turn.renewal(now)
            dues.append(self._renewal)
        others = (self.roster.deadline, self.cards.deadline)
        return min([*dues, *(due for due in others if due is not None)], default=None)

    def undrawn(self) -> list[tuple[Operator, CallId]]:
        """Live calls whose card the portal should raise once more, and for whom."""
        calls = [
            (operator, view.id)
            for operator, card in self.cards.again()
            for view in self.board.of(operator).values()
            if view.card == card
        ]
        return list(dict.fromkeys(calls))

    def drain(self) -> tuple[list[Tab], list[tuple[TabId, CallView]]]:
        """Pages that need a new state; pages that shall open the application now: once per call and operator, and again on
        the next page where only the application may speak and the call waits for a voice."""
        stale, self._stale = self._stale, set()
        opens: list[tuple[TabId, CallView]] = []
        for operator in stale:
            if lead := self.roster.lead(operator):
                for view in self.board.unopened(operator) or self._voiceless(operator, lead):
                    self.board.opened(view.id, operator)
                    if not self._has_telephone_in_sight(lead):
                        opens.append((lead, view))
        return [tab for operator in stale for tab in self.roster.tabs(operator)], opens

    def _voiceless(self, operator: Operator, lead: TabId) -> list[CallView]:
        """The call that waits for a voice which no page of the operator has, first seen on this page."""
        page = self.roster.tab(lead)
        if (
            page is None
            or page.may_capture
            or self.roster.volunteer(operator)
            or lead in self._recalled.get(operator, ())
        ):
            return []
        lost = CallState.REJOINING.value
        waiting = [view for view in self.board.of(operator).values() if view.state == lost and view.voice is None]
        mine = [view for view in waiting if view.answered_by == operator][:1]
        if mine:
            self._recalled.setdefault(operator, set()).add(lead)
        return mine

    def _has_telephone_in_sight(self, lead: TabId) -> bool:
        """A phone page is open already where the operator looks: another slider would only cover it."""
        page = self.roster.tab(lead)
        return page is not None and any(
            tab.kind is PageKind.PHONE and tab.visible and tab.browser == page.browser
            for tab in self.roster.tabs(page.operator)
        )

    def outlook(self, tab: Tab, farewells: Mapping[CallId, CallView]) -> Outlook:
        """How this page stands to everything that it shall show; calls that have just ended are shown once more."""
        bells = self._bells.get(tab.operator, {})
        live = self.board.of(tab.operator)
        views = {**live, **farewells}
        lead = self.roster.lead(tab.operator) == tab.id
        return Outlook(
            operator=tab.operator,
            lead=lead,
            relayed=self._turn is not None
            and any(lead or voice_of(view, tab.operator, self.roster) == tab.id for view in live.values()),
            calls=tuple(
                angle(view, tab, self.roster, bells[view.id].tab if view.id in bells else None)
                for view in sorted(views.values(), key=lambda view: view.started)
            ),
        )

    def state(self, outlook: Outlook, farewells: Mapping[CallId, CallView], now: float) -> State:
        """What pages with this outlook shall show."""
        operator = outlook.operator
        views = {**self.board.of(operator), **farewells}
        return State(
            lead=outlook.lead,
            desktop=self.cards.elsewhere(operator),
            voicemail=self._voicemail.get(operator, 0),
            ice_servers=self._turn.servers(operator, now) if self._turn and outlook.relayed else [],
            calls=[
                picture(views[seen.call], operator, seen, voice_of(views[seen.call], operator, self.roster), now)
                for seen in outlook.calls
            ],
        )

    def _rearranged(self, operator: Operator, before: TabId | None, now: float) -> None:
        """The lead may have moved, and with it what every page shows."""
        if self.board.of(operator) or self.roster.lead(operator) != before:
            self._changed(operator, now)

    def _changed(self, operator: Operator, now: float) -> None:
        self._stale.add(operator)
        before = self._bells.pop(operator, {})
        ringing = [view.id for view in self.board.of(operator).values() if view.state == CallState.RINGING.value]
        if ringing:
            self._bells[operator] = {call: ring_on(before.get(call), operator, self.roster, now) for call in ringing}
