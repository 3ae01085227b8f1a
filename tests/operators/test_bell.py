from __future__ import annotations

from bridge.calls.events import TabId
from bridge.operators.bell import SOUND_SECONDS, ring_on
from bridge.operators.presence import Roster
from bridge.operators.protocol import Capture, PageKind

from .test_presence import ANNA, roster, tab


def busy(made: Roster) -> Roster:
    made.engage(ANNA, busy=True)
    return made


def test_one_machine_rings_on_without_end() -> None:
    made = busy(roster(tab("a"), tab("b"), tab("p", kind=PageKind.PHONE, browser="browser-2")))
    bell = None
    for second in range(60):
        bell = ring_on(bell, ANNA, made, float(second))
        assert bell.tab == made.lead(ANNA) == "b"


def test_unanswered_the_sound_goes_from_machine_to_machine_and_round_again() -> None:
    made = busy(
        roster(
            tab("deaf", browser="browser-2", capture=Capture.NO),
            tab("hidden", browser="browser-3"),
            tab("seen", browser="browser-3", visible=True),
            tab("a", visible=True),
        )
    )
    bell = ring_on(None, ANNA, made, 0.0)
    heard = [bell.tab]
    for _ in range(4):
        assert ring_on(bell, ANNA, made, bell.due - 0.1) == bell
        bell = ring_on(bell, ANNA, made, bell.due)
        heard.append(bell.tab)
    assert heard == ["a", "deaf", "seen", "a", "deaf"]
    assert bell.due == 5 * SOUND_SECONDS


def test_the_sound_stays_where_it_went_when_pages_come_and_stays_at_the_machine_when_its_page_goes() -> None:
    made = busy(roster(tab("far", browser="browser-2"), tab("far-2", browser="browser-2"), tab("a")))
    bell = ring_on(ring_on(None, ANNA, made, 0.0), ANNA, made, SOUND_SECONDS)
    assert bell.tab == "far-2"
    made.put(tab("b", visible=True))
    made.put(tab("far-3", browser="browser-2", visible=True))
    assert ring_on(bell, ANNA, made, SOUND_SECONDS + 1).tab == "far-2"
    made.remove(TabId("far-2"))
    bell = ring_on(bell, ANNA, made, SOUND_SECONDS + 2)
    assert (bell.tab, bell.due) == ("far-3", 2 * SOUND_SECONDS)


def test_the_next_page_after_a_navigation_has_the_sound_back() -> None:
    made = busy(roster(tab("far", browser="browser-2"), tab("a")))
    bell = ring_on(None, ANNA, made, 0.0)
    made.remove(TabId("a"), until=6.0)
    bell = ring_on(bell, ANNA, made, 1.0)
    assert bell.tab == "far", "better there than nowhere"
    made.put(tab("next"))
    assert ring_on(bell, ANNA, made, 1.2).tab == "next"


def test_the_sound_follows_the_operator_to_another_machine() -> None:
    made = busy(roster(tab("far", browser="browser-2"), tab("a")))
    bell = ring_on(None, ANNA, made, 0.0)
    made.give_lead(TabId("far"))
    bell = ring_on(bell, ANNA, made, 4.0)
    assert (bell.tab, bell.due) == ("far", 4.0 + SOUND_SECONDS)


def test_without_a_page_nothing_rings_until_one_comes() -> None:
    made = busy(roster())
    bell = ring_on(None, ANNA, made, 0.0)
    bell = ring_on(bell, ANNA, made, bell.due)
    assert bell.tab is None
    made.put(tab("a"))
    assert ring_on(bell, ANNA, made, bell.due - 1).tab == "a"
