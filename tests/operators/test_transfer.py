"""Passing calls on: what a page may wish, and what is made of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bridge.calls import events as on
from bridge.calls.events import CallId, Operator, TabId
from bridge.calls.extension import ExtensionState

from .rig import ANNA, BORIS, CALL, operator, ringing, room, show

TALKING: dict[str, Any] = {"state": "talking", "answered_by": operator(ANNA), "voice": TabId("t1"), "answered": 1.0}
HELD = {**TALKING, "state": "held", "held": True}
ASKING = CallId("call-2")
CONSULTATION = replace(ringing(**TALKING), id=ASKING, number="1008", consults=CALL)


async def test_a_call_is_passed_on_to_a_number_or_to_a_colleague() -> None:
    async with room() as rig:
        page, anna = await rig.page("t1"), operator(ANNA)
        await rig.channel.perform(show(ringing(**TALKING)))
        assert (await page.say("transfer", {"call": CALL, "number": "300"}))["ok"]
        assert await rig.event() == on.OperatorTransferred(call=CALL, operator=anna, number="300")
        assert (await page.say("transfer", {"call": CALL, "user": 8}))["ok"]
        colleague = Operator(anna.portal, 8)
        assert await rig.event() == on.OperatorTransferred(call=CALL, operator=anna, number="", to=colleague)


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        ({"user": 99}, "This colleague has no telephone at your telephone system."),
        ({}, "Say to whom: a number, or a colleague."),
        ({"number": "300@evil"}, "number"),
    ],
)
@pytest.mark.parametrize("event", ["transfer", "consult"])
async def test_a_wish_that_can_not_be_met_is_a_sentence(event: str, payload: dict[str, Any], sentence: str) -> None:
    async with room() as rig:
        page = await rig.page("t1")
        await rig.channel.perform(show(ringing(**TALKING)))
        ack = await page.say(event, {"call": CALL, **payload, **({"dial": "d"} if event == "consult" else {})})
        assert not ack["ok"]
        assert sentence in ack["error"]
        assert rig.events.empty()


@pytest.mark.parametrize("state", ["ringing", "joining", "rejoining", "transferring"])
async def test_only_a_call_that_stands_is_passed_on(state: str) -> None:
    async with room() as rig:
        page = await rig.page("t1")
        await rig.channel.perform(show(ringing(**{**TALKING, "state": state})))
        assert (await page.say("transfer", {"call": CALL, "number": "300"}))[
            "error"
        ] == "This call is not connected yet."
        assert rig.events.empty()


async def test_the_call_of_a_colleague_is_not_passed_on() -> None:
    async with room() as rig:
        page = await rig.page("t1")
        await rig.channel.perform(show(ringing(**{**TALKING, "answered_by": operator(BORIS)})))
        assert (await page.say("transfer", {"call": CALL, "number": "300"}))["error"] == "You are not on this call."


async def test_a_consultation_holds_the_call_and_dials_a_second_one_once() -> None:
    async with room() as rig:
        page, anna = await rig.page("t1"), operator(ANNA)
        await rig.channel.perform(show(ringing(**TALKING)))
        for _ in range(2):
            assert (await page.say("consult", {"call": CALL, "dial": "wish", "user": 8}))["ok"]
        assert [await rig.event(), await rig.event()] == [
            on.OperatorHeld(call=CALL, operator=anna, held=True),
            on.OperatorDialled(
                call=CallId("dialled-1"), operator=anna, number="1008", voice=TabId("t1"), consults=CALL
            ),
        ]
        assert rig.events.empty()


async def test_complete_brings_the_consulted_party_and_the_held_one_together() -> None:
    async with room() as rig:
        page = await rig.page("t1")
        await rig.channel.perform(show(ringing(**HELD)))
        await rig.channel.perform(show(CONSULTATION))
        assert (await page.say("complete", {"call": ASKING}))["ok"]
        connected = on.OperatorConnected(call=CALL, operator=operator(ANNA), other=ASKING, number="1008")
        assert await rig.event() == connected


async def test_complete_waits_for_the_answer_and_for_a_call_to_connect_with() -> None:
    async with room() as rig:
        page = await rig.page("t1")
        await rig.channel.perform(show(CONSULTATION))
        assert "has ended" in (await page.say("complete", {"call": ASKING}))["error"]
        await rig.channel.perform(show(ringing(**HELD)))
        await rig.channel.perform(show(replace(CONSULTATION, state="dialling")))
        assert (await page.say("complete", {"call": ASKING}))["error"] == "This call is not connected yet."
        assert rig.events.empty()


@pytest.mark.parametrize("state", ["dialling", "talking"])
async def test_back_hangs_up_the_consultation_and_resumes_the_held_call(state: str) -> None:
    async with room() as rig:
        page, anna = await rig.page("t1"), operator(ANNA)
        await rig.channel.perform(show(ringing(**HELD)))
        await rig.channel.perform(show(replace(CONSULTATION, state=state)))
        assert (await page.say("back", {"call": ASKING}))["ok"]
        assert [await rig.event(), await rig.event()] == [
            on.OperatorHungUp(call=ASKING, operator=anna),
            on.OperatorHeld(call=CALL, operator=anna, held=False),
        ]


async def test_the_page_is_shown_how_a_transfer_goes_on_and_why_it_failed() -> None:
    async with room() as rig:
        page = await rig.page("t1")
        await page.next("state")
        view = ringing(**{**HELD, "state": "transferring"}, transfer_to="300", transfer_rings=True)
        await rig.channel.perform(show(view))
        (call,) = (await page.next("state"))["calls"]
        assert (call["state"], call["transferTo"], call["transferRings"]) == ("transferring", "300", True)
        await rig.channel.perform(show(ringing(**HELD, transfer_failed="busy")))
        (call,) = (await page.next("state"))["calls"]
        assert (call["transferFailed"], call["transferTo"]) == ("busy", "")


async def test_voice_messages_that_wait_are_shown_to_their_operator_alone() -> None:
    async with room() as rig:
        anna, boris = await rig.page("t1"), await rig.page("t2", BORIS)
        assert (await anna.next("state"))["voicemail"] == 0
        assert (await boris.next("state"))["voicemail"] == 0
        rig.channel.voicemail(operator(ANNA), 2)
        rig.channel.voicemail(operator(ANNA), 2)
        assert (await anna.next("state"))["voicemail"] == 2
        rig.channel.voicemail(operator(BORIS), 1)
        assert (await boris.next("state"))["voicemail"] == 1


async def test_colleagues_are_listed_by_name_with_what_to_dial_and_whether_they_are_free() -> None:
    async with room() as rig:
        page = await rig.page("t1")

        async def asked() -> list[tuple[str, str, str]]:
            assert (await page.say("colleagues"))["ok"]
            told = await page.next("colleagues")
            return [(one["name"], one["number"], one["state"]) for one in told["colleagues"]]

        unseen = ("", "1008", "away")
        assert await asked() == [("", "1002", "away"), unseen]
        await rig.page("t2", BORIS)
        assert await asked() == [unseen, ("Boris", "1002", "free")]
        boris = operator(BORIS)
        await rig.channel.perform(show(ringing(), BORIS))
        assert (await asked())[-1] == ("Boris", "1002", "ringing")
        await rig.channel.perform(show(ringing(**{**TALKING, "answered_by": boris}), BORIS))
        assert (await asked())[-1] == ("Boris", "1002", "busy")


async def test_what_the_pbx_says_about_a_colleagues_telephone_counts_as_much_as_what_the_bridge_knows() -> None:
    async with room() as rig:
        page = await rig.page("t1")
        await rig.page("t2", BORIS)

        async def said(lamp: ExtensionState) -> str:
            rig.lamps = {2: lamp}
            assert (await page.say("colleagues"))["ok"]
            states = {one["user"]: one["state"] for one in (await page.next("colleagues"))["colleagues"]}
            assert states[8] == "away", "nobody asked the PBX about that one"
            return str(states[2])

        assert [await said(lamp) for lamp in ExtensionState] == ["free", "ringing", "busy", "free"]
        await rig.channel.perform(show(ringing(), BORIS))
        assert [await said(lamp) for lamp in ExtensionState] == ["ringing", "ringing", "busy", "ringing"]
