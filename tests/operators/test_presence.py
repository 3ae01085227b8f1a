from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bridge.calls.events import Operator, TabId
from bridge.operators.presence import Roster, Tab, picture
from bridge.operators.protocol import Capture, PageKind

from .rig import ringing

ANNA, BORIS = Operator("acme", 1), Operator("acme", 2)


def tab(name: str, **changes: Any) -> Tab:
    made = Tab(
        id=TabId(name),
        browser="browser-1",
        operator=ANNA,
        kind=PageKind.WORKER,
        visible=False,
        capture=Capture.YES,
        card=True,
        slider=False,
    )
    return replace(made, **changes)


def roster(*tabs: Tab) -> Roster:
    made = Roster()
    for one in tabs:
        made.put(one)
    return made


def test_a_page_that_may_capture_leads_before_one_that_may_not() -> None:
    assert roster(tab("a", capture=Capture.ASK), tab("b", capture=Capture.NO, visible=True)).lead(ANNA) == "a"


def test_a_plain_page_leads_before_a_slider_and_a_page_without_cards() -> None:
    assert roster(tab("a"), tab("b", slider=True, visible=True), tab("c", card=False, visible=True)).lead(ANNA) == "a"


def test_the_page_looked_at_last_leads() -> None:
    made = roster(tab("a", visible=True), tab("b", visible=True))
    assert made.lead(ANNA) == "b"
    made.put(tab("a", visible=False))
    made.put(tab("a", visible=True))
    assert made.lead(ANNA) == "a"
    made.put(tab("a", visible=False))
    made.put(tab("b", visible=False))
    assert made.lead(ANNA) == "a"


def test_among_equals_the_newest_leads_and_a_reconnect_is_not_newer() -> None:
    made = roster(tab("a"), tab("b"))
    made.put(tab("a"))
    assert made.lead(ANNA) == "b"


def test_a_phone_page_never_leads_and_rings_nobody() -> None:
    made = roster(tab("p", kind=PageKind.PHONE, visible=True))
    assert made.lead(ANNA) is None
    assert made.online() == frozenset()


def test_the_lead_stays_during_a_call_and_moves_when_the_operator_answers_elsewhere() -> None:
    made = roster(tab("a", visible=True))
    made.engage(ANNA, busy=True)
    made.put(tab("b", visible=True))
    assert made.lead(ANNA) == "a"
    made.give_lead(TabId("b"))
    assert made.lead(ANNA) == "b"
    made.remove(TabId("b"))
    assert made.lead(ANNA) == "a"


def test_the_voice_stays_at_the_machine_that_was_clicked() -> None:
    made = roster(
        tab("a", capture=Capture.NO),
        tab("b", capture=Capture.ASK),
        tab("p", kind=PageKind.PHONE),
        tab("far", browser="browser-2", visible=True),
        tab("far-phone", browser="browser-3", kind=PageKind.PHONE),
    )
    assert made.lead(ANNA) == "far"
    assert made.voice_for(TabId("far")) == "far"
    assert made.voice_for(TabId("b")) == "b"
    assert made.voice_for(TabId("a")) == "b"
    assert made.voice_for(TabId("p")) == "b"
    assert made.voice_for(TabId("far-phone")) == "far"
    assert made.voice_for(TabId("nobody")) is None


def test_a_call_answered_in_another_browser_is_shown_as_elsewhere() -> None:
    here, far = tab("a"), tab("b", browser="browser-2")
    made = roster(here, far)
    talking = ringing(state="talking", answered_by=ANNA, voice=TabId("b"), answered=10.0)
    assert picture(talking, here, made, 15.0).elsewhere
    assert not picture(talking, far, made, 15.0).elsewhere
    assert picture(talking, far, made, 15.0).sound
    assert picture(talking, far, made, 15.0).talk_seconds == 5.0


class Coming(RuleBasedStateMachine):
    """Tabs open, change, close and answer in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.roster = Roster()
        self.tabs: dict[TabId, Tab] = {}
        self.busy: set[Operator] = set()
        self.expected: dict[Operator, TabId | None] = {}
        """The lead that a call holds on to."""

    def _moved(self) -> None:
        for operator in (ANNA, BORIS):
            held = self.expected.get(operator)
            if operator not in self.busy or held not in self.tabs:
                self.expected[operator] = self.roster.lead(operator)

    @rule(
        number=st.integers(0, 7),
        kind=st.sampled_from(PageKind),
        capture=st.sampled_from(Capture),
        flags=st.tuples(*[st.booleans()] * 3),
    )
    def open_or_change(self, number: int, kind: PageKind, capture: Capture, flags: tuple[bool, bool, bool]) -> None:
        name = TabId(f"t{number}")
        visible, card, slider = flags
        kind = self.tabs[name].kind if name in self.tabs else kind
        changed = tab(
            name,
            operator=(ANNA, BORIS)[number % 2],
            browser=f"browser-{number // 4}",
            kind=kind,
            visible=visible,
            capture=capture,
            card=card,
            slider=slider,
        )
        self.tabs[name] = changed
        self.roster.put(changed)
        self._moved()

    @precondition(lambda self: self.tabs)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.tabs)))
        del self.tabs[name]
        self.roster.remove(name)
        self._moved()

    @precondition(lambda self: self.tabs)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        clicked = self.tabs[data.draw(st.sampled_from(sorted(self.tabs)))]
        voice = self.roster.voice_for(clicked.id)
        workers = [
            one for one in self.tabs.values() if one.operator == clicked.operator and one.kind is PageKind.WORKER
        ]
        assert (voice is None) == (not workers)
        if voice is None:
            return
        assert self.tabs[voice] in workers
        assert self.tabs[voice].browser == clicked.browser or clicked.browser not in {one.browser for one in workers}
        self.busy.add(clicked.operator)
        self.roster.engage(clicked.operator, busy=True)
        self.roster.give_lead(voice)
        self.expected[clicked.operator] = voice
        assert self.roster.lead(clicked.operator) == voice

    @rule(operator=st.sampled_from([ANNA, BORIS]), busy=st.booleans())
    def ring_or_end(self, operator: Operator, busy: bool) -> None:
        self.roster.engage(operator, busy=busy)
        (self.busy.add if busy else self.busy.discard)(operator)
        self._moved()

    @invariant()
    def the_lead_is_a_connected_worker_and_there_is_one_whenever_there_can_be(self) -> None:
        for operator in (ANNA, BORIS):
            workers = {one.id for one in self.tabs.values() if one.operator == operator and one.kind is PageKind.WORKER}
            lead = self.roster.lead(operator)
            assert (lead in workers) if workers else (lead is None)
            assert (operator in self.roster.online()) == bool(workers)

    @invariant()
    def a_call_keeps_its_lead(self) -> None:
        for operator in self.busy:
            if self.expected.get(operator) in self.tabs:
                assert self.roster.lead(operator) == self.expected[operator]


TestComing = Coming.TestCase
TestComing.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
