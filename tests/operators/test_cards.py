"""Bitrix24's call cards: which pages have drawn them, and what an operator does on them."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.calls import events as on
from bridge.calls.commands import Direction
from bridge.calls.events import CallId, TabId
from bridge.operators.cards import AGAIN_SECONDS, DRAW_SECONDS, STAY_SECONDS, Cards

from .rig import ANNA, BORIS, CALL, Page, Rig, operator, ringing, room, show

CLICK = {"card": "externalCall.1", "outgoing": True, "number": "+49 (30) 123", "line": ""}
MINE: dict[str, Any] = {"state": "talking", "answered_by": operator(ANNA), "voice": TabId("t1"), "answered": 1.0}


def a_click(**changes: Any) -> dict[str, Any]:
    return CLICK | changes


# ---- clicks on numbers


async def test_a_card_of_a_click_is_dialled_once_whichever_pages_draw_it() -> None:
    async with room() as rig:
        pages = [await rig.page(name) for name in ("t1", "t2", "t3")]
        for page in (*pages, pages[0]):
            assert (await page.say("card", CLICK))["ok"]
        assert await rig.event() == on.OperatorDialled(
            call=CallId("dialled-1"),
            operator=operator(ANNA),
            number="+4930123",
            voice=TabId("t1"),
            card="externalCall.1",
        )
        assert rig.events.empty()


async def test_the_portals_event_and_the_card_make_one_call() -> None:
    async with room() as rig:
        page = await rig.page("t1")
        assert rig.desk.claim(operator(ANNA), "externalCall.1", "+4930123")
        assert (await page.say("card", CLICK))["ok"]
        assert rig.events.empty()


@pytest.mark.parametrize("card", [a_click(outgoing=False), a_click(number="unknown"), a_click(line="77")])
async def test_what_is_no_click_of_ours_is_not_dialled(card: dict[str, Any]) -> None:
    async with room() as rig:
        page = await rig.page("t1")
        assert (await page.say("card", card))["ok"]
        assert rig.events.empty()


async def test_the_card_of_a_call_that_the_bridge_has_registered_is_not_dialled_again() -> None:
    async with room() as rig:
        page = await rig.page("t1")
        rig.desk.registered.add("externalCall.1")
        assert (await page.say("card", CLICK))["ok"]
        dialling = ringing(
            state="dialling", direction=Direction.OUTBOUND, answered_by=operator(ANNA), card="externalCall.2"
        )
        await rig.channel.perform(show(dialling))
        assert (await page.say("card", a_click(card="externalCall.2")))["ok"]
        assert rig.events.empty()


async def test_while_a_call_of_the_operators_is_being_registered_its_card_is_not_taken_for_a_click() -> None:
    async with room() as rig:
        page = await rig.page("t1")
        await rig.channel.perform(show(ringing(**MINE | {"direction": Direction.OUTBOUND})))
        assert (await page.say("card", CLICK))["ok"]
        assert rig.events.empty()


async def test_a_page_dials_for_its_own_operator_only_and_no_more_than_by_the_dialpad() -> None:
    async with room() as rig:
        page = await rig.page("t1", BORIS)
        assert (await page.say("card", CLICK))["ok"]
        dialled = await rig.event()
        assert isinstance(dialled, on.OperatorDialled)
        assert dialled.operator == operator(BORIS)
        await rig.channel.perform(show(ringing(state="dialling", answered_by=operator(BORIS), card="c"), BORIS))
        refused = await page.say("card", a_click(card="externalCall.2"))
        assert "still being connected" in refused["error"]
        assert rig.events.empty()


async def test_a_refused_click_may_be_tried_again() -> None:
    async with room() as rig:
        page = await rig.page("t1")
        busy = ringing(state="joining", answered_by=operator(ANNA), card="c")
        await rig.channel.perform(show(busy))
        assert not (await page.say("card", CLICK))["ok"]
        await rig.channel.perform(show(ringing(**MINE, card="c")))
        assert (await page.say("card", CLICK))["ok"]
        assert isinstance(await rig.event(), on.OperatorHeld), "the conversation waits"
        assert isinstance(await rig.event(), on.OperatorDialled)


@pytest.mark.parametrize("card", [a_click(card=""), a_click(card="a b"), a_click(number=7), {"card": "c"}])
async def test_a_malformed_card_is_answered_with_a_sentence(card: dict[str, Any]) -> None:
    async with room() as rig:
        assert (await (await rig.page("t1")).say("card", card))["error"]


# ---- other buttons


async def test_marks_and_comments_become_facts_of_the_operators_own_live_calls() -> None:
    async with room() as rig:
        page, colleague = await rig.page("t1"), await rig.page("t2", BORIS)
        await rig.channel.perform(show(ringing(**MINE), ANNA, BORIS))
        for each in (page, colleague):
            assert (await each.say("rate", {"call": CALL, "mark": 4}))["ok"]
            assert (await each.say("comment", {"call": CALL, "text": "Wants tiles."}))["ok"]
        anna = operator(ANNA)
        assert [await rig.event() for _ in range(2)] == [
            on.OperatorRated(call=CALL, operator=anna, mark=4),
            on.OperatorCommented(call=CALL, operator=anna, comment="Wants tiles."),
        ]
        assert rig.events.empty()
        assert (await page.say("rate", {"call": CALL, "mark": 6}))["error"]
        assert (await page.say("comment", {"call": "over", "text": "late"}))["ok"], "the portal keeps it"


async def test_the_administrators_are_told_once_of_a_call_that_was_not_paid_for() -> None:
    async with room() as rig:
        page, stranger = await rig.page("t1"), await rig.page("t2", BORIS)
        dialling = ringing(state="dialling", direction=Direction.OUTBOUND, answered_by=operator(ANNA))
        await rig.channel.perform(show(dialling))
        wish = {"call": CALL}
        assert not (await page.say("notifyAdmin", wish))["ok"], "it may still succeed"
        over = ringing(
            state="ended", direction=Direction.OUTBOUND, answered_by=operator(ANNA), ending="no-funds", ended=2.0
        )
        await rig.channel.perform(show(over))
        assert not (await stranger.say("notifyAdmin", wish))["ok"]
        for _ in range(2):
            assert (await page.say("notifyAdmin", wish))["ok"]
        assert rig.desk.notified == [(operator(ANNA), over)]


# ---- the desktop application


async def a_registered_call(rig: Rig, page: Page) -> None:
    await rig.channel.perform(show(ringing()))
    await rig.channel.perform(show(ringing(card="card-1")))


async def test_where_no_page_draws_the_card_the_desktop_application_does_and_the_pages_say_so() -> None:
    async with room() as rig:
        page = await rig.page("t1")
        await a_registered_call(rig, page)
        rig.later(AGAIN_SECONDS)
        rig.later(DRAW_SECONDS)
        assert (await page.until(lambda state: state["desktop"]))["calls"]
        assert await rig.event() == on.CardNotDrawn(call=CALL, operator=operator(ANNA)), (
            "before, it is raised once more"
        )
        assert rig.events.empty()
        await page.say("card", a_click(card="card-2", outgoing=False))
        await page.until(lambda state: not state["desktop"])


async def test_a_drawn_card_says_nothing_about_a_desktop_application() -> None:
    async with room() as rig:
        page = await rig.page("t1")
        await page.say("card", a_click(card="card-1", outgoing=False))
        await a_registered_call(rig, page)
        rig.later(AGAIN_SECONDS)
        rig.later(DRAW_SECONDS)
        assert not (await page.until(lambda state: bool(state["calls"])))["desktop"]
        assert rig.events.empty()


async def test_without_a_page_that_could_draw_it_a_missing_card_says_nothing() -> None:
    async with room() as rig:
        page = await rig.page("t1", presence={"visible": True, "capture": "yes", "card": False})
        await a_registered_call(rig, page)
        rig.later(AGAIN_SECONDS)
        rig.later(DRAW_SECONDS)
        rig.later(1)
        assert rig.channel.tick() is None or not (await page.next("state"))["desktop"]


def test_a_page_draws_one_card_so_the_next_call_may_go_without() -> None:
    cards, anna = Cards(), operator(ANNA)
    cards.expect(anna, "one", 0)
    cards.shown(anna, "one")
    cards.over(anna, "one", 100)
    cards.expect(anna, "two", 101)
    assert cards.tick(101 + AGAIN_SECONDS) == []
    assert cards.again() == [(anna, "two")], "the first one may just have gone"
    assert cards.deadline is None, "or still be there: a comment is being written"
    free = 100 + STAY_SECONDS
    cards.expect(anna, "three", free)
    assert cards.tick(free + AGAIN_SECONDS) == []
    assert cards.tick(free + AGAIN_SECONDS + DRAW_SECONDS) == [anna]
    assert cards.again() == [(anna, "three")]
    assert cards.elsewhere(anna)
    assert cards.shown(anna, "four")
    assert not cards.elsewhere(anna)


def test_a_call_that_ends_before_its_card_comes_says_nothing() -> None:
    cards, anna = Cards(), operator(ANNA)
    cards.expect(anna, "one", 0)
    cards.over(anna, "one", 1)
    assert cards.tick(DRAW_SECONDS) == []
