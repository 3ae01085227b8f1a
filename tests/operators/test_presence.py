from __future__ import annotations

from dataclasses import replace
from typing import Any

from bridge.calls.events import Operator, TabId
from bridge.operators.presence import Roster, Tab
from bridge.operators.protocol import Capture, PageKind

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
    assert made.online(0.0) == frozenset()


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
        tab("far-phone", browser="browser-3", kind=PageKind.PHONE, capture=Capture.NO),
    )
    assert made.lead(ANNA) == "far"
    assert made.voice_for(TabId("far")) == "far"
    assert made.voice_for(TabId("b")) == "b"
    assert made.voice_for(TabId("a")) == "b"
    assert made.voice_for(TabId("p")) == "b"
    assert made.voice_for(TabId("far-phone")) == "far"
    assert made.voice_for(TabId("nobody")) is None


def test_a_phone_page_speaks_where_no_worker_of_its_browser_may() -> None:
    made = roster(
        tab("a", capture=Capture.NO),
        tab("p", kind=PageKind.PHONE, capture=Capture.ASK),
        tab("far", browser="browser-2", capture=Capture.NO, visible=True),
        tab("far-phone", browser="browser-2", kind=PageKind.PHONE, capture=Capture.NO),
    )
    assert made.voice_for(TabId("a")) == "p"
    assert made.voice_for(TabId("p")) == "p"
    assert made.voice_for(TabId("far-phone")) == "far"
    made.put(tab("b", capture=Capture.YES))
    assert made.voice_for(TabId("p")) == "b"
    assert made.lead(ANNA) == "b"


def test_a_phone_page_that_takes_the_call_brings_the_lead_to_its_machine_and_never_has_it_itself() -> None:
    made = roster(tab("a", capture=Capture.NO), tab("p", kind=PageKind.PHONE), tab("far", browser="browser-2"))
    made.engage(ANNA, busy=True)
    assert made.lead(ANNA) == "far"
    made.give_lead(TabId("p"))
    assert made.lead(ANNA) == "a"


def test_a_page_of_the_same_browser_leads_at_once_when_the_speaking_one_leaves_visible_first() -> None:
    made = roster(tab("a", visible=True), tab("b"), tab("far", browser="browser-2", visible=True), tab("c"))
    made.put(tab("b", visible=True))
    made.engage(ANNA, busy=True)
    made.give_lead(TabId("a"))
    made.remove(TabId("a"), until=5.0)
    assert made.lead(ANNA) == "b"


def test_another_machine_leads_only_when_the_browser_of_the_call_has_not_come_back_in_time() -> None:
    for returns in (True, False):
        made = roster(tab("a"), tab("far", browser="browser-2"))
        made.engage(ANNA, busy=True)
        made.give_lead(TabId("a"))
        made.remove(TabId("a"), until=5.0)
        assert made.lead(ANNA) is None
        assert made.deadline == 5.0
        if returns:
            made.put(tab("next"))
            assert made.lead(ANNA) == "next"
            assert made.deadline is None
        else:
            assert made.expire(4.9) == []
            assert made.expire(5.0) == [ANNA]
            assert made.lead(ANNA) == "far"


def test_a_call_that_comes_in_the_middle_of_a_navigation_is_for_the_page_that_comes_next() -> None:
    made = roster(tab("far", browser="browser-2"), tab("a", visible=True))
    made.remove(TabId("a"), until=5.0)
    assert made.lead(ANNA) == "far"
    made.engage(ANNA, busy=True)
    assert made.lead(ANNA) is None
    made.put(tab("next"))
    assert made.lead(ANNA) == "next"


def test_an_operator_is_online_a_little_longer_than_the_last_worker_page() -> None:
    made = roster(tab("a"), tab("p", kind=PageKind.PHONE))
    made.remove(TabId("a"), until=5.0)
    assert made.online(4.9) == {ANNA}
    assert made.online(5.0) == frozenset()
    made.remove(TabId("p"), until=9.0)
    assert made.online(5.0) == frozenset()
    made.put(tab("a"))
    made.remove(TabId("a"))
    assert made.online(0.0) == frozenset()
