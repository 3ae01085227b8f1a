"""Who is there, which tab leads, which one speaks, and what a call looks like from a page. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..calls.commands import CallView
from ..calls.events import Operator, TabId
from .protocol import Call, CallState, Capture, Ended, PageKind, VoiceFailure


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


class Roster:
    """All tabs. Each operator with at least one worker has exactly one lead, and it is a connected worker.

    The lead follows `Tab.rank` while the operator is idle. While a call rings or talks it moves only when it leaves or
    when the operator answers on another page.
    """

    def __init__(self) -> None:
        self._tabs: dict[Operator, dict[TabId, Tab]] = {}
        self._operators: dict[TabId, Operator] = {}
        self._leads: dict[Operator, TabId] = {}
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
        placed = replace(tab, since=known.since if known else self._tick, became_visible=seen)
        self._tabs.setdefault(tab.operator, {})[tab.id] = placed
        self._settle(tab.operator)

    def remove(self, tab: TabId) -> None:
        operator = self._operators.pop(tab, None)
        if operator is None:
            return
        del self._tabs[operator][tab]
        if not self._tabs[operator]:
            del self._tabs[operator]
        self._settle(operator)

    def engage(self, operator: Operator, *, busy: bool) -> None:
        """Say whether a call rings or talks at this operator."""
        if busy:
            self._busy.add(operator)
        else:
            self._busy.discard(operator)
        self._settle(operator)

    def give_lead(self, tab: TabId) -> None:
        """The operator took the call on this worker."""
        found = self.tab(tab)
        if found and found.kind is PageKind.WORKER:
            self._leads[found.operator] = tab
            self._settle(found.operator)

    def tab(self, tab: TabId) -> Tab | None:
        operator = self._operators.get(tab)
        return self._tabs[operator][tab] if operator else None

    def tabs(self, operator: Operator) -> tuple[Tab, ...]:
        return tuple(self._tabs.get(operator, {}).values())

    def operators(self) -> Iterable[Operator]:
        return self._tabs.keys()

    def lead(self, operator: Operator) -> TabId | None:
        return self._leads.get(operator)

    def online(self) -> frozenset[Operator]:
        """Operators who can be rung: those with a worker."""
        return frozenset(self._leads)

    def voice_for(self, clicked: TabId) -> TabId | None:
        """The worker that shall speak when this page was clicked: at the same machine if there is one, None if there is none."""
        tab = self.tab(clicked)
        if tab is None:
            return None
        if tab.kind is PageKind.WORKER and tab.may_capture:
            return tab.id
        lead = self.lead(tab.operator)
        best = max(
            self._workers(tab.operator),
            key=lambda one: (one.browser == tab.browser, one.may_capture, one.id == lead, one.rank),
            default=None,
        )
        return best.id if best else None

    def _workers(self, operator: Operator) -> list[Tab]:
        return [tab for tab in self._tabs.get(operator, {}).values() if tab.kind is PageKind.WORKER]

    def _settle(self, operator: Operator) -> None:
        workers = self._workers(operator)
        lead = self._leads.get(operator)
        if operator in self._busy and any(tab.id == lead for tab in workers):
            return
        if workers:
            self._leads[operator] = max(workers, key=lambda tab: tab.rank).id
        else:
            self._leads.pop(operator, None)


def picture(view: CallView, tab: Tab, roster: Roster, now: float) -> Call:
    """The call as this page shall show it; `now` in Unix seconds."""
    state, ending = CallState(view.state), Ended(view.ending)
    voice = roster.tab(view.voice) if view.voice else None
    lead = roster.lead(tab.operator) == tab.id
    unanswered = state in {CallState.RINGING, CallState.DIALLING} and view.voice is None
    taken = view.answered_by not in {None, tab.operator}
    return Call(
        id=view.id,
        state=state,
        direction=view.direction.value,
        number=view.number,
        name=view.name,
        line=view.line,
        card=view.card,
        voice=view.voice or "",
        sound=state is not CallState.ENDED and (lead if unanswered else view.voice == tab.id),
        elsewhere=taken or ending is Ended.ANSWERED_ELSEWHERE or bool(voice and voice.browser != tab.browser),
        muted=view.muted,
        pbx_holds=view.pbx_holds,
        talk_seconds=None if view.answered is None else max(0.0, (view.ended or now) - view.answered),
        ended=ending,
        notice=VoiceFailure(view.notice) if view.notice else "",
    )
