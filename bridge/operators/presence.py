"""Who is there, which tab leads, and which one speaks. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..calls.events import Operator, TabId
from .protocol import Capture, PageKind

ABSENCE_SECONDS = 5.0
"""How long a page that went away is waited for: a navigation takes a fraction of a second, a slow portal a few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """One connected page of an operator."""

    id: TabId
    browser: str
    operator: Operator
    kind: PageKind
    visible: bool
    capture: Capture
    card: bool
    """The portal's page offers the call card."""
    slider: bool
    """The document was opened in a slider (`IFRAME=Y` in its URI)."""
    since: int = 0
    """Order of arrival, given by the roster; a reconnected tab keeps its place."""
    became_visible: int = 0
    """When it last became visible, on the same scale; 0 for never."""

    @property
    def may_capture(self) -> bool:
        return self.capture is not Capture.NO

    @property
    def rank(self) -> tuple[bool, bool, bool, int, int]:
        """The higher, the better a lead. A hidden frame never has the focus, so visibility stands in for it."""
        return self.may_capture, self.card and not self.slider, self.visible, self.became_visible, self.since


@dataclass(frozen=True, slots=True)
class _Missed:
    """The page that led, or the last one, went away and may be followed by the next of its browser."""

    browser: str
    until: float


class Roster:
    """All tabs, and for each operator with a worker the lead, which is a connected worker.

    The lead follows `Tab.rank` while the operator is idle. While a call rings or talks it moves only when it leaves or
    when the operator takes the call on another page. A lead that leaves then is followed at once by another page of its
    browser; if there is none, other browsers have to wait until the absence is over: a microphone must not open on
    another machine just because a page was reloaded.
    """

    def __init__(self) -> None:
        self._tabs: dict[Operator, dict[TabId, Tab]] = {}
        self._operators: dict[TabId, Operator] = {}
        self._leads: dict[Operator, TabId] = {}
        self._missed: dict[Operator, _Missed] = {}
        self._dozing: dict[Operator, float] = {}
        self._present: frozenset[Operator] | None = frozenset()
        """Operators with a worker; None once that has to be counted anew."""
        self._busy: set[Operator] = set()
        self._tick = 0

    def put(self, tab: Tab) -> None:
        """A tab arrived, came back or changed; `since` and `became_visible` are ignored."""
        self._tick += 1
        known = self.tab(tab.id)
        seen = known.became_visible if known else 0
        if tab.visible and not (known and known.visible):
            seen = self._tick
        self._operators[tab.id] = tab.operator
        if known is None or known.kind is not tab.kind:
            self._present = None
        placed = replace(tab, since=known.since if known else self._tick, became_visible=seen)
        self._tabs.setdefault(tab.operator, {})[tab.id] = placed
        self._settle(tab.operator)

    def remove(self, name: TabId, until: float | None = None) -> None:
        """A tab left. `until` is how long its operator is believed to come back, in Unix seconds; None for not at all."""
        tab = self.tab(name)
        if tab is None:
            return
        operator = tab.operator
        self._present = None
        del self._operators[name], self._tabs[operator][name]
        if not self._tabs[operator]:
            del self._tabs[operator]
        if until is None:
            self._missed.pop(operator, None)
        elif tab.kind is PageKind.WORKER and (self.lead(operator) == name or not self.workers(operator)):
            missed = self._missed.get(operator)
            self._missed[operator] = _Missed(missed.browser if missed else tab.browser, until)
        self._settle(operator)

    def expire(self, now: float) -> list[Operator]:
        """End the absences that have lasted long enough; whose they were."""
        over = [operator for operator, missed in self._missed.items() if missed.until <= now]
        for operator in over:
            del self._missed[operator]
            self._settle(operator)
        return over

    @property
    def deadline(self) -> float | None:
        """When `expire` has something to do, Unix seconds."""
        return min((missed.until for missed in self._missed.values()), default=None)

    def engage(self, operator: Operator, *, busy: bool) -> None:
        """Say whether a call rings or talks at this operator."""
        if not busy:
            self._busy.discard(operator)
        elif operator not in self._busy:
            self._busy.add(operator)
            if operator in self._missed:
                # The call came in the middle of a navigation: it belongs to the page that comes next.
                self._leads.pop(operator, None)
        self._settle(operator)

    def give_lead(self, name: TabId) -> None:
        """The operator took the call on this page: it leads, or for a phone page a worker of its browser."""
        tab = self.tab(name)
        if tab is None:
            return
        beside = [one for one in self.workers(tab.operator) if one.browser == tab.browser]
        worker = max(beside, key=lambda one: (one.id == name, *self._worth(one)), default=None)
        if worker:
            self._missed.pop(tab.operator, None)
            self._leads[tab.operator] = worker.id
            self._settle(tab.operator)

    def tab(self, tab: TabId | None) -> Tab | None:
        operator = self._operators.get(tab) if tab else None
        return self._tabs[operator][tab] if operator and tab else None

    def tabs(self, operator: Operator) -> tuple[Tab, ...]:
        return tuple(self._tabs.get(operator, {}).values())

    def workers(self, operator: Operator) -> list[Tab]:
        return [tab for tab in self._tabs.get(operator, {}).values() if tab.kind is PageKind.WORKER]

    def operators(self) -> Iterable[Operator]:
        return self._tabs.keys()

    def lead(self, operator: Operator) -> TabId | None:
        return self._leads.get(operator)

    def best_worker(self, operator: Operator, browser: str = "") -> TabId | None:
        """The lead if it may be, else the worker with the highest rank; of this browser if one is named."""
        found = [one for one in self.workers(operator) if browser in {"", one.browser}]
        best = max(found, key=self._worth, default=None)
        return best.id if best else None

    def online(self, now: float) -> frozenset[Operator]:
        """Operators who can be rung: those with a worker, those whose next one is believed to be on its way, and sleepers."""
        if self._present is None:  # asked for with every event of every call, and pages come and go rarely
            self._present = frozenset(operator for operator in self._tabs if self.workers(operator))
        if not (self._missed or self._dozing):
            return self._present
        awaited = frozenset(operator for operator, missed in self._missed.items() if missed.until > now)
        asleep = (operator for operator, until in self._dozing.items() if until > now)
        return self._present.union(awaited, asleep)

    def doze(self, operator: Operator, until: float) -> None:
        """A page of the operator is there that has no connection, and can be woken until then."""
        self._dozing[operator] = until

    def is_asleep(self, operator: Operator, now: float) -> bool:
        """Nobody hears it ring there unless a page is woken."""
        return not self.workers(operator) and self._dozing.get(operator, now) > now

    def voice_for(self, clicked: TabId | None) -> TabId | None:
        """The page that shall speak when this one was clicked, None if there is none.

        At the same machine if possible: the clicked worker, another worker, and where none of them may capture, a phone
        page that may. Only then another machine.
        """
        tab = self.tab(clicked)
        if tab is None:
            return None
        phones = [one for one in self.tabs(tab.operator) if one.browser == tab.browser and one.may_capture]
        best = max(
            {one.id: one for one in (*phones, *self.workers(tab.operator))}.values(),
            key=lambda one: (
                one.browser == tab.browser,
                one.may_capture,
                one.kind is PageKind.WORKER,
                one.id == tab.id,
                *self._worth(one),
            ),
            default=None,
        )
        return best.id if best else None

    def volunteer(self, operator: Operator) -> TabId | None:
        """The page that shall speak in place of the lead, where nobody clicked and the lead can't capture itself."""
        lead = self.lead(operator)
        voice = self.tab(self.voice_for(lead))
        return voice.id if voice and voice.id != lead and voice.may_capture else None

    def _worth(self, tab: Tab) -> tuple[object, ...]:
        return (tab.id == self.lead(tab.operator), tab.rank)

    def _settle(self, operator: Operator) -> None:
        workers = self.workers(operator)
        missed = self._missed.get(operator)
        if operator in self._busy:
            if self.tab(self.lead(operator)) in workers:
                return
            if missed:
                workers = [tab for tab in workers if tab.browser == missed.browser]
        if not workers:
            self._leads.pop(operator, None)
            return
        lead = max(workers, key=lambda tab: tab.rank)
        self._leads[operator] = lead.id
        if missed and missed.browser == lead.browser:
            del self._missed[operator]
