from __future__ import annotations

from bridge.calls.commands import CallView
from bridge.calls.events import TabId
from bridge.operators.picture import angle, picture, voice_of
from bridge.operators.presence import Roster, Tab
from bridge.operators.protocol import Call, Capture, PageKind
from bridge.tones import plan_of

from .rig import ringing
from .test_presence import ANNA, roster, tab


def shown(view: CallView, page: Tab, made: Roster, now: float) -> Call:
    return picture(view, page.operator, angle(view, page, made, None), voice_of(view, page.operator, made), now)


def test_pages_differ_in_sound_and_machine_only() -> None:
    pages = tab("a"), tab("b"), tab("far", browser="browser-2")
    made = roster(*pages)
    talking = ringing(state="talking", answered_by=ANNA, voice=TabId("a"))
    angles = [angle(talking, page, made, None) for page in pages]
    assert [(seen.sound, seen.away) for seen in angles] == [(True, False), (False, False), (False, True)]
    rings = [angle(ringing(), page, made, TabId("b")) for page in pages]
    assert [(seen.sound, seen.away) for seen in rings] == [(False, False), (True, False), (False, False)]


def test_a_lead_that_can_not_capture_has_its_phone_page_offer_the_missing_voice() -> None:
    here, phone = tab("a", capture=Capture.NO), tab("p", kind=PageKind.PHONE)
    made = roster(here, phone)
    for state in ("rejoining", "dialling"):
        call = ringing(state=state, answered_by=ANNA)
        assert [shown(call, one, made, 0.0).voice for one in (here, phone)] == ["p", "p"]
    made.put(tab("a"))
    assert shown(call, here, made, 0.0).voice == ""


def test_a_call_answered_in_another_browser_is_shown_as_elsewhere() -> None:
    here, far = tab("a"), tab("b", browser="browser-2")
    made = roster(here, far)
    talking = ringing(state="talking", answered_by=ANNA, voice=TabId("b"), answered=10.0)
    assert shown(talking, here, made, 15.0).elsewhere
    assert not shown(talking, far, made, 15.0).elsewhere
    assert shown(talking, far, made, 15.0).sound
    assert shown(talking, far, made, 15.0).talk_seconds == 5.0


def test_pages_see_hold_and_progress() -> None:
    page = tab("a")
    made = roster(page)
    held = shown(ringing(state="held", held=True, answered_by=ANNA, voice=TabId("a")), page, made, 0.0)
    assert held.held
    early = ringing(state="dialling", progress="early", answered_by=ANNA, voice=TabId("a"))
    assert shown(early, page, made, 0.0).progress == "early"


def test_a_tone_is_told_to_the_page_that_speaks_alone_and_so_is_that_of_a_call_that_failed() -> None:
    pages = tab("a"), tab("b"), tab("far", browser="browser-2")
    made = roster(*pages)
    busy = plan_of("US").busy.lasting(4)
    for state in ("dialling", "ended"):
        call = ringing(state=state, answered_by=ANNA, voice=TabId("a"), tone=busy)
        told = [shown(call, page, made, 0.0).tone for page in pages]
        assert [tone is not None for tone in told] == [True, False, False]
        assert told[0] is not None
        assert (told[0].times, [(part.hertz, part.seconds) for part in told[0].parts]) == (
            4,
            [([480, 620], 0.5), ([], 0.5)],
        )
    silent = angle(ringing(state="ended", answered_by=ANNA, voice=TabId("a")), pages[0], made, None)
    assert not silent.sound
