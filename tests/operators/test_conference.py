"""Conferences: what a page may wish, and what is made of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from bridge.calls import events as on
from bridge.calls.commands import CallView
from bridge.calls.events import CallId, Event

from .rig import ANNA, BORIS, CALL, Page, Rig, operator, ringing, room, show
from .test_transfer import ASKING, CONSULTATION, HELD, TALKING

WHO = operator(ANNA)
FIRST, SECOND = ringing(**HELD, muted=True), CONSULTATION
JOINED = (replace(ringing(**TALKING), conference=ASKING), replace(CONSULTATION, conference=CALL))


@asynccontextmanager
async def desk(*views: CallView) -> AsyncIterator[tuple[Rig, Page]]:
    async with room() as rig:
        page = await rig.page("t1")
        for view in views:
            await rig.channel.perform(show(view))
        yield rig, page


async def wished(rig: Rig, page: Page, event: str, call: CallId, **data: Any) -> list[Event]:
    assert (await page.say(event, {"call": call, **data}))["ok"]
    return [rig.events.get_nowait() for _ in range(rig.events.qsize())]


async def refused(page: Page, event: str, call: CallId) -> str:
    ack = await page.say(event, {"call": call})
    assert not ack["ok"]
    return str(ack["error"])


@pytest.mark.parametrize("clicked", [CALL, ASKING])
@pytest.mark.parametrize("consults", [CALL, None])
async def test_a_held_call_and_the_one_that_is_talked_on_are_joined_and_muted_alike(
    clicked: CallId, consults: CallId | None
) -> None:
    async with desk(FIRST, replace(SECOND, consults=consults)) as (rig, page):
        told = await wished(rig, page, "merge", clicked)
        other = {CALL: ASKING, ASKING: CALL}
        assert [event for event in told if isinstance(event, on.OperatorMerged)] == [
            on.OperatorMerged(call=call, operator=WHO, other=other[call]) for call in (clicked, other[clicked])
        ]
        assert {event.muted for event in told if isinstance(event, on.OperatorMuted)} == {False}


async def test_what_can_not_be_joined_is_a_sentence() -> None:
    third = replace(SECOND, id=CallId("call-3"), consults=None, state="held", held=True)
    async with desk(FIRST) as (_, page):
        assert "a call on hold and one that you are talking on" in await refused(page, "merge", CALL)
    async with desk(FIRST, replace(SECOND, state="dialling", consults=None)) as (_, page):
        assert "a call on hold and one" in await refused(page, "merge", CALL)
        assert "not connected yet" in await refused(page, "merge", ASKING)
    async with desk(FIRST, replace(SECOND, consults=None), third) as (_, page):
        assert "a call on hold and one" in await refused(page, "merge", ASKING), "which of the two?"
    async with desk(*JOINED, third) as (_, page):
        assert "for three" in await refused(page, "merge", third.id)
    async with desk(ringing(**{**HELD, "answered_by": operator(BORIS)})) as (_, page):
        assert "not on this call" in await refused(page, "merge", CALL)
        assert "not on this call" in await refused(page, "split", CALL)


async def test_a_voice_room_that_can_not_mix_is_said_before_anything_changes() -> None:
    async with room(mixes=False) as rig:
        page = await rig.page("t1")
        await rig.channel.perform(show(FIRST))
        await rig.channel.perform(show(SECOND))
        assert "rtpengine" in await refused(page, "merge", CALL)
        assert rig.events.empty()


@pytest.mark.parametrize(
    ("event", "data", "kind"),
    [
        ("hangUp", {}, on.OperatorHungUp),
        ("hold", {"held": True}, on.OperatorHeld),
        ("mute", {"muted": True}, on.OperatorMuted),
    ],
)
async def test_in_a_conference_mute_hold_and_hanging_up_are_for_both(
    event: str, data: dict[str, Any], kind: type[Event]
) -> None:
    async with desk(*JOINED) as (rig, page):
        told = await wished(rig, page, event, CALL, **data)
        assert [(type(each), each.call) for each in told] == [(kind, CALL), (kind, ASKING)]


async def test_a_conference_on_hold_is_resumed_as_a_whole() -> None:
    held = [replace(view, state="held", held=True) for view in JOINED]
    async with desk(*held) as (rig, page):
        told = await wished(rig, page, "hold", ASKING, held=False)
        assert told == [on.OperatorHeld(call=call, operator=WHO, held=False) for call in (ASKING, CALL)]


async def test_the_voice_of_both_goes_to_another_page() -> None:
    async with desk(*JOINED) as (rig, _):
        there = await rig.page("t2")
        told = await wished(rig, there, "take", CALL)
        assert [(type(each), each.call) for each in told] == [(on.OperatorTook, CALL), (on.OperatorTook, ASKING)]


async def test_one_party_is_hung_up_and_keys_are_for_one() -> None:
    async with desk(*JOINED) as (rig, page):
        assert await wished(rig, page, "drop", ASKING) == [on.OperatorHungUp(call=ASKING, operator=WHO)]
        pressed = await wished(rig, page, "digits", CALL, press="p", digits="1")
        assert pressed == [on.OperatorPressed(call=CALL, operator=WHO, digits="1")]


async def test_split_is_told_to_one_call_and_the_other_hears_of_it() -> None:
    async with desk(*JOINED) as (rig, page):
        assert await wished(rig, page, "split", ASKING) == [on.OperatorSplit(call=ASKING, operator=WHO)]
    async with desk(JOINED[0], replace(JOINED[1], state="transferring")) as (_, page):
        assert "try again" in await refused(page, "split", CALL)


@pytest.mark.parametrize("clicked", [CALL, ASKING])
async def test_leaving_the_two_with_one_another_passes_the_first_on_to_the_second(clicked: CallId) -> None:
    async with desk(*JOINED) as (rig, page):
        told = await wished(rig, page, "complete", clicked)
        assert told == [on.OperatorConnected(call=CALL, operator=WHO, other=ASKING, number="1008")]


async def test_the_page_is_shown_who_is_together() -> None:
    async with desk(*JOINED) as (_, page):
        state = await page.until(lambda state: len(state["calls"]) == 2 and bool(state["calls"][1]["conference"]))
        assert [call["conference"] for call in state["calls"]] == [ASKING, CALL]
