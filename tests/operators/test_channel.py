from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from bridge.calls import events as on
from bridge.calls.commands import AskReoffer, RingOperators, SendMediaAnswer
from bridge.calls.events import CallId, TabId
from bridge.errors import NetworkError, RefusedError, TicketError
from bridge.operators import bell, channel
from bridge.operators.bell import SOUND_SECONDS
from bridge.operators.channel import MAX_EXCESS, MAX_TABS, MESSAGE_BYTES
from bridge.operators.clicks import MAX_CALLS
from bridge.operators.page import Page
from bridge.operators.presence import ABSENCE_SECONDS
from bridge.tickets import SessionTicket

from .rig import ANNA, BORIS, CALL, PATIENCE, RefusedToConnectError, operator, page_ticket, ringing, room, show

FOREIGN = SessionTicket(member_id="m2", portal="other", user=1, name="Anna")


def calls_of(state: dict[str, Any]) -> list[str]:
    return [call["id"] for call in state["calls"]]


# ---- coming in


async def test_a_page_is_welcomed_then_shown_the_state() -> None:
    async with room() as rig:
        page = await rig.page("t1")
        welcome = await page.next("welcome")
        assert (welcome["user"], welcome["name"]) == (1, "Anna")
        assert rig.seal.open(SessionTicket, welcome["session"], rig.now) == ANNA
        assert await page.next("state") == {
            "lead": True,
            "desktop": False,
            "voicemail": 0,
            "iceServers": [],
            "calls": [],
        }
        assert page.order[:3] == ["connect", "welcome", "state"]
        assert rig.channel.online() == {operator(ANNA)}
        assert rig.channel.tabs() == (("1@acme", "t1", "worker", "yes", "visible", "lead"),)


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        (RefusedError("You are not set up."), "not-an-operator"),
        (NetworkError("down"), "portal-unreachable"),
        (TicketError("stale", expired=True), "ticket-expired"),
        (TicketError("foreign domain"), "ticket-invalid"),
    ],
)
async def test_a_page_whose_user_the_portal_does_not_name_is_refused_with_a_sentence(
    answer: Exception, refusal: str
) -> None:
    async with room() as rig:
        rig.users["1"] = answer
        with pytest.raises(RefusedToConnectError) as refused:
            await rig.page("t1")
        (error,) = refused.value.args
        assert error["message"] == refusal
        assert error["data"]["text"].endswith(".")
        assert not rig.channel.online()


async def test_a_forged_ticket_is_refused_without_asking_the_portal() -> None:
    async with room() as rig:
        session = rig.seal.seal(ANNA, rig.now)
        with pytest.raises(RefusedToConnectError, match="ticket-invalid"):
            await rig.page("t1", ticket="gAAAA-forged", session=session)
        with pytest.raises(RefusedToConnectError, match="ticket-invalid"):
            await rig.page("t1", ticket=session)
        assert not rig.asked


async def test_an_expired_page_ticket_is_good_only_together_with_a_session_of_the_same_portal() -> None:
    async with room() as rig:
        old = rig.seal.seal(page_ticket(), rig.now - 3600)
        with pytest.raises(RefusedToConnectError, match="ticket-expired"):
            await rig.page("t1", ticket=old)
        with pytest.raises(RefusedToConnectError, match="ticket-expired"):
            await rig.page("t1", ticket=old, session=rig.seal.seal(FOREIGN, rig.now))
        page = await rig.page("t1", ticket=old, session=rig.seal.seal(ANNA, rig.now))
        await page.next("welcome")
        assert not rig.asked


async def test_a_session_attaches_at_once_while_the_portal_is_down() -> None:
    async with room() as rig:
        rig.users["1"] = NetworkError("down")
        page = await rig.page("t1", session=rig.seal.seal(ANNA, rig.now))
        await page.next("welcome")
        assert (await page.say("renew"))["ok"]
        assert len(rig.asked) == 1


@pytest.mark.parametrize("answer", [BORIS, RefusedError("no such user")])
async def test_a_session_that_the_portal_contradicts_is_disconnected(answer: Any) -> None:
    async with room() as rig:
        rig.users["1"] = answer
        page = await rig.page("t1", session=rig.seal.seal(ANNA, rig.now))
        await asyncio.wait_for(page.gone.wait(), PATIENCE)
        assert not rig.channel.online()


async def test_a_session_of_another_portal_counts_for_nothing() -> None:
    async with room() as rig:
        page = await rig.page("t1", session=rig.seal.seal(FOREIGN, rig.now))
        await page.next("welcome")
        assert rig.channel.online() == {operator(ANNA)}


@pytest.mark.parametrize("hello", [None, "hello", {"ticket": "x"}, {"tab": "no spaces please"}, {"page": "robot"}])
async def test_a_malformed_hello_is_refused_as_a_bad_message(hello: Any) -> None:
    async with room() as rig:
        if isinstance(hello, dict) and "ticket" not in hello:
            hello = rig.hello("t1") | hello
        with pytest.raises(RefusedToConnectError, match="bad-message"):
            await rig.page_with("t1", hello)


NONSENSE = [
    "",
    "2",
    "2[]",
    "2{}",
    "2[{}]",
    "2[[]]",
    "2[1]",
    '2["mute"',
    "9",
    "4",
    '51-["x",{"_placeholder":true,"num":0}]',
    b"2",
]


@pytest.mark.parametrize("words", NONSENSE)
async def test_a_page_that_speaks_nonsense_is_cut_off_without_a_long_story_in_the_log(
    words: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with room() as rig:
        page, other = await rig.page("t1"), await rig.page("t2")
        await page.client.eio.send(words)
        await asyncio.wait_for(page.gone.wait(), PATIENCE)
        assert (await other.say("renew"))["ok"]
        assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("words", NONSENSE)
async def test_a_stranger_who_speaks_nonsense_is_cut_off(words: str | bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with room() as rig, aiohttp.ClientSession() as client:
        stranger = await client.ws_connect(f"{rig.url}socket.io/?EIO=4&transport=websocket")
        await stranger.receive()
        await (stranger.send_bytes(words) if isinstance(words, bytes) else stranger.send_str(f"4{words}"))
        with contextlib.suppress(aiohttp.ClientError):
            await asyncio.wait_for(stranger.receive(), PATIENCE)
        assert stranger.closed
        assert not [record for record in caplog.records if record.exc_info]


async def test_a_tab_of_somebody_else_can_not_be_taken_over() -> None:
    async with room() as rig:
        await rig.page("t1")
        with pytest.raises(RefusedToConnectError, match="bad-message"):
            await rig.page("t1", BORIS)
        assert rig.channel.online() == {operator(ANNA)}


async def test_one_operator_can_not_fill_the_room() -> None:
    async with room() as rig:
        for number in range(MAX_TABS):
            await rig.page(f"t{number}")
        with pytest.raises(RefusedToConnectError, match="busy"):
            await rig.page("one-more")
        await rig.page("t0")  # a reconnect is no new page
        await rig.page("b1", BORIS)


async def test_polling_is_not_spoken_and_deflate_not_negotiated() -> None:
    async with room() as rig, aiohttp.ClientSession() as http:
        async with http.get(f"{rig.url}socket.io/?EIO=4&transport=polling") as answer:
            assert answer.status == 400
        async with http.ws_connect(f"{rig.url}socket.io/?EIO=4&transport=websocket", compress=15) as socket:
            assert socket.compress == 0


async def test_a_connection_that_never_becomes_a_page_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "SWEEP_SECONDS", 0.02)
    async with room() as rig, aiohttp.ClientSession() as http:
        socket = await http.ws_connect(f"{rig.url}socket.io/?EIO=4&transport=websocket")
        async with asyncio.timeout(PATIENCE):
            async for _ in socket:
                pass
        assert socket.closed


async def test_an_oversized_message_costs_the_page_its_connection_only() -> None:
    async with room() as rig:
        page, other = await rig.page("t1"), await rig.page("t2")
        await page.client.emit("offer", {"call": "c", "offer": "o", "sdp": "x" * MESSAGE_BYTES})
        await asyncio.wait_for(page.gone.wait(), PATIENCE)
        assert (await other.say("renew"))["ok"]


async def test_a_page_that_does_not_read_costs_nobody_else_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "MAX_BACKLOG", 0)
    async with room() as rig, aiohttp.ClientSession() as http:
        other = await rig.page("b1", BORIS)
        async with http.ws_connect(f"{rig.url}socket.io/?EIO=4&transport=websocket") as deaf:
            await deaf.send_str(f"40{json.dumps(rig.hello('a1'))}")
            while "state" not in await deaf.receive_str(timeout=PATIENCE):
                pass
            # More than the kernel keeps for somebody who does not listen.
            await rig.channel.perform(show(ringing(name="x" * (1 << 24)), ANNA))
            async with asyncio.timeout(PATIENCE):
                async for _ in deaf:
                    pass
        await rig.channel.perform(show(ringing(), BORIS))
        await other.until(lambda state: bool(state["calls"]))
        assert [row[1] for row in rig.channel.tabs()] == ["b1"]


# ---- a call on the pages


async def test_every_page_shows_the_call_and_only_the_lead_sounds() -> None:
    async with room() as rig:
        first, second = await rig.page("t1"), await rig.page("t2", browser="browser-2")
        phone = await rig.page("p1", page="phone")
        await rig.channel.perform(show(ringing()))
        shown = [await page.until(lambda state: bool(state["calls"])) for page in (first, second, phone)]
        assert [state["lead"] for state in shown] == [False, True, False]
        assert [state["calls"][0]["sound"] for state in shown] == [False, True, False]
        assert shown[0]["calls"][0]["number"] == "+74951234567"


async def test_a_ring_goes_before_all_other_news(monkeypatch: pytest.MonkeyPatch) -> None:
    async with room() as rig:
        pages = [await rig.page("anna"), *[await rig.page(f"boris-{number}", BORIS) for number in range(5)]]
        for page in pages:
            await page.next("state")
        told: list[str] = []
        deliver = rig.channel._deliver

        def watched(page: Page) -> None:
            told.append(page.tab)
            deliver(page)

        monkeypatch.setattr(rig.channel, "_deliver", watched)
        talking = ringing(id=CallId("other"), state="talking", answered_by=operator(BORIS), voice=TabId("boris-0"))
        await rig.channel.perform(show(talking, BORIS))
        await rig.channel.perform(show(ringing(), ANNA))
        for page in pages:
            await page.until(lambda state: bool(state["calls"]))
        assert told[0] == "anna"


async def test_a_page_that_comes_later_or_back_is_right_after_one_state() -> None:
    async with room() as rig:
        page = await rig.page("t1")
        await rig.channel.perform(show(ringing()))
        await page.until(lambda state: bool(state["calls"]))
        await rig.channel.perform(
            show(ringing(state="talking", answered_by=operator(ANNA), voice=TabId("t1"), answered=rig.now - 7))
        )
        back = await rig.page("t1")
        (call,) = (await back.next("state"))["calls"]
        assert (call["state"], call["voice"], call["talkSeconds"], call["sound"]) == ("talking", "t1", 7.0, True)
        late = await rig.page("t2", browser="browser-2")
        (call,) = (await late.next("state"))["calls"]
        assert (call["sound"], call["elsewhere"]) == (False, True)


async def test_an_ended_call_is_shown_once() -> None:
    async with room() as rig:
        page = await rig.page("t1")
        await rig.channel.perform(show(ringing()))
        await rig.channel.perform(show(ringing(state="ended", ending="caller-gave-up")))
        last = await page.until(lambda state: any(call["ended"] for call in state["calls"]))
        assert last["calls"][0]["ended"] == "caller-gave-up"
        await rig.page("t2")
        assert (await page.next("state"))["calls"] == []
        assert (await page.say("answer", {"call": CALL}))["error"] == "This call has already ended."


async def test_a_colleague_who_declines_loses_the_call_and_the_others_keep_it() -> None:
    async with room() as rig:
        anna, boris = await rig.page("a1"), await rig.page("b1", BORIS)
        await rig.channel.perform(show(ringing(), ANNA, BORIS))
        await rig.channel.perform(show(ringing(state="ended", ending="declined"), ANNA))
        await anna.until(lambda state: any(call["ended"] == "declined" for call in state["calls"]))
        assert not (await anna.say("answer", {"call": CALL}))["ok"]
        assert (await boris.say("answer", {"call": CALL}))["ok"]


async def test_the_application_is_opened_once_on_the_lead_whatever_comes_and_goes() -> None:
    async with room() as rig:
        first, second = await rig.page("t1"), await rig.page("t2")
        await rig.channel.perform(RingOperators(call=CALL, operators=(operator(ANNA),)))
        await rig.channel.perform(show(ringing()))
        assert await second.next("open") == {
            "call": CALL, "card": "", "number": "+74951234567", "name": "Vera", "line": "100", "width": 520,
        }  # fmt: skip
        await second.vanish()
        await first.until(lambda state: state["lead"])
        await rig.channel.perform(RingOperators(call=CALL, operators=(operator(ANNA),)))
        back = await rig.page("t2")
        await back.next("state")
        await back.say("renew")
        await first.say("renew")
        assert first.waiting("open") == back.waiting("open") == 0


async def test_the_application_opens_on_a_page_that_comes_while_it_rings() -> None:
    async with room() as rig:
        await rig.channel.perform(RingOperators(call=CALL, operators=(operator(ANNA),)))
        await rig.channel.perform(show(ringing()))
        page = await rig.page("t1")
        assert (await page.next("open"))["call"] == CALL


async def test_a_media_answer_reaches_the_page_that_offered() -> None:
    async with room() as rig:
        page, other = await rig.page("t1"), await rig.page("t2")
        await rig.channel.perform(show(ringing()))
        assert (await page.say("offer", {"call": CALL, "offer": "o1", "sdp": "v=0"}))["ok"]
        assert await rig.event() == on.MediaOffered(
            call=CALL, operator=operator(ANNA), tab=TabId("t1"), offer="o1", sdp="v=0"
        )
        await rig.channel.perform(SendMediaAnswer(call=CALL, tab=TabId("t1"), offer="o1", sdp="v=1"))
        assert await page.next("mediaAnswer") == {"call": CALL, "offer": "o1", "sdp": "v=1"}
        await rig.channel.perform(SendMediaAnswer(call=CallId("gone"), tab=TabId("t2"), offer="o1", sdp="v=1"))
        await other.say("renew")
        assert other.waiting("mediaAnswer") == 0


# ---- what the operator does


async def test_the_page_that_is_clicked_speaks_and_leads() -> None:
    async with room() as rig:
        first, second = await rig.page("t1"), await rig.page("t2", browser="browser-2")
        await rig.channel.perform(show(ringing()))
        await second.until(lambda state: state["lead"] and bool(state["calls"]))
        assert (await first.say("answer", {"call": CALL}))["ok"]
        assert await rig.event() == on.OperatorAnswered(
            call=CALL, operator=operator(ANNA), tab=TabId("t1"), voice=TabId("t1")
        )
        state = await first.until(lambda state: state["lead"] and bool(state["calls"]))
        assert state["calls"][0]["sound"]
        await second.until(lambda state: not state["lead"])


async def test_a_phone_page_lets_the_worker_of_its_own_browser_speak() -> None:
    async with room() as rig:
        await rig.page("t1")
        await rig.page("t2", browser="browser-2")
        phone = await rig.page("p1", page="phone", browser="browser-1")
        await rig.channel.perform(show(ringing()))
        assert (await phone.say("answer", {"call": CALL}))["ok"]
        answered = await rig.event()
        assert isinstance(answered, on.OperatorAnswered)
        assert (answered.tab, answered.voice) == ("p1", "t1")


async def test_a_phone_page_that_can_not_speak_alone_is_told_why_it_can_not_answer() -> None:
    async with room() as rig:
        phone = await rig.page("p1", page="phone", presence={"visible": True, "capture": "no", "card": False})
        await rig.channel.perform(show(ringing()))
        answer = await phone.say("answer", {"call": CALL})
        assert not answer["ok"]
        assert "open one" in answer["error"]
        assert rig.channel.online() == frozenset()


async def test_buttons_become_events() -> None:
    clicks: list[tuple[str, dict[str, Any]]] = [
        ("decline", {}),
        ("hangUp", {}),
        ("mute", {"muted": True}),
        ("voiceFailed", {"why": "denied"}),
    ]
    async with room() as rig:
        page = await rig.page("t1")
        await rig.channel.perform(show(ringing()))
        for event, more in clicks:
            assert (await page.say(event, {"call": CALL, **more}))["ok"]
        anna = operator(ANNA)
        assert [await rig.event() for _ in clicks] == [
            on.OperatorDeclined(call=CALL, operator=anna),
            on.OperatorHungUp(call=CALL, operator=anna),
            on.OperatorMuted(call=CALL, operator=anna, muted=True),
            on.VoiceFailed(call=CALL, operator=anna, tab=TabId("t1"), why="denied"),
        ]


async def test_a_call_that_is_answered_by_a_colleague_can_not_be_answered_again() -> None:
    async with room() as rig:
        page = await rig.page("t1")
        await rig.channel.perform(show(ringing(state="joining", answered_by=operator(BORIS)), ANNA, BORIS))
        assert "Somebody else" in (await page.say("answer", {"call": CALL}))["error"]
        (call,) = (await page.until(lambda state: bool(state["calls"])))["calls"]
        assert call["elsewhere"]
        assert rig.events.empty()


async def test_a_page_acts_only_on_calls_of_its_own_operator() -> None:
    async with room() as rig:
        boris = await rig.page("b1", BORIS)
        await rig.channel.perform(show(ringing()))
        clicks: list[tuple[str, dict[str, str]]] = [
            ("answer", {}),
            ("hangUp", {}),
            ("offer", {"offer": "o", "sdp": "v=0"}),
        ]
        for event, more in clicks:
            assert (await boris.say(event, {"call": CALL, **more}))["error"] == "This call has already ended."
        assert rig.events.empty()


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        ("answer", None),
        ("answer", "call-1"),
        ("answer", {"call": ""}),
        ("mute", {"call": "call-1"}),
        ("offer", {"call": "call-1", "offer": "o", "sdp": "x" * 20_000}),
        ("voiceFailed", {"call": "call-1", "why": "tired"}),
        ("presence", {"visible": True, "capture": "yes", "card": True, "extra": 1}),
        ("dance", {}),
    ],
)
async def test_a_bad_message_is_answered_with_a_sentence(event: str, payload: Any) -> None:
    async with room() as rig:
        page = await rig.page("t1")
        await rig.channel.perform(show(ringing()))
        answer = await page.say(event, payload)
        assert not answer["ok"]
        assert answer["error"].endswith(".")
        assert (await page.say("renew"))["ok"]
        assert rig.events.empty()


async def test_a_flood_is_refused_then_cut_off_and_disturbs_nobody() -> None:
    async with room() as rig:
        page, other = await rig.page("t1"), await rig.page("t2")
        for _ in range(120):
            await page.client.emit("renew")
        assert (await page.say("renew"))["error"] == "Too many messages at once."
        rig.now += 1
        assert (await page.say("renew"))["ok"]
        for _ in range(MAX_EXCESS + 120):
            if page.gone.is_set():
                break
            await page.client.emit("renew")
        await asyncio.wait_for(page.gone.wait(), PATIENCE)
        assert (await other.say("renew"))["ok"]


# ---- several calls, and calls that the operator makes


ANSWERED: dict[str, Any] = {"state": "talking", "answered_by": operator(ANNA), "voice": TabId("t1"), "answered": 1.0}


async def test_dialling_makes_one_call_however_often_it_is_repeated() -> None:
    async with room() as rig:
        page, again = await rig.page("t1"), await rig.page("t2", browser="browser-2")
        wish = {"dial": "wish-1", "number": "+74951234567"}
        for each in (page, page, again):
            assert await each.say("dial", wish) == {"ok": True, "error": ""}
        assert await rig.event() == on.OperatorDialled(
            call=CallId("dialled-1"), operator=operator(ANNA), number="+74951234567", voice=TabId("t1")
        )
        assert rig.events.empty()
        assert (await page.say("dial", {**wish, "dial": "wish-2"}))["ok"]
        assert (await rig.event()).call == "dialled-2"


@pytest.mark.parametrize(("kind", "sentence"), [("worker", "microphone"), ("phone", "open one")])
async def test_who_can_not_speak_is_told_so_instead_of_dialling(kind: str, sentence: str) -> None:
    async with room() as rig:
        page = await rig.page("t1", page=kind, presence={"visible": True, "capture": "no", "card": True})
        answer = await page.say("dial", {"dial": "wish-1", "number": "100"})
        assert not answer["ok"]
        assert sentence in answer["error"]
        assert rig.events.empty()


async def test_the_other_calls_are_held_before_one_is_dialled_answered_or_resumed() -> None:
    async with room() as rig:
        anna, page = operator(ANNA), await rig.page("t1")
        hold = on.OperatorHeld(call=CALL, operator=anna, held=True)
        await rig.channel.perform(show(ringing(**ANSWERED)))
        await page.say("dial", {"dial": "wish-1", "number": "100"})
        assert [await rig.event(), type(await rig.event())] == [hold, on.OperatorDialled]
        await rig.channel.perform(show(ringing(id=CallId("call-2"))))
        await page.say("answer", {"call": "call-2"})
        assert [await rig.event(), type(await rig.event())] == [hold, on.OperatorAnswered]
        await rig.channel.perform(show(ringing(id=CallId("call-2"), **{**ANSWERED, "state": "held", "held": True})))
        await page.say("hold", {"call": "call-2", "held": False})
        resume = on.OperatorHeld(call=CallId("call-2"), operator=anna, held=False)
        assert [await rig.event(), await rig.event()] == [hold, resume]
        assert rig.events.empty()


async def test_a_call_that_the_portal_dials_holds_the_others_too() -> None:
    async with room() as rig:
        await rig.page("t1")
        await rig.channel.perform(show(ringing(**ANSWERED)))
        dialling = ringing(id=CallId("call-2"), state="dialling", answered_by=operator(ANNA))
        await rig.channel.perform(show(dialling))
        assert await rig.event() == on.OperatorHeld(call=CALL, operator=operator(ANNA), held=True)
        await rig.channel.perform(show(replace(dialling, card="card-2")))
        assert rig.events.empty()


@pytest.mark.parametrize("state", ["joining", "dialling"])
async def test_while_one_call_is_being_connected_no_other_is_begun(state: str) -> None:
    async with room() as rig:
        page = await rig.page("t1")
        await rig.channel.perform(show(ringing(**{**ANSWERED, "state": state, "answered": None})))
        await rig.channel.perform(show(ringing(id=CallId("call-2"))))
        await rig.channel.perform(show(ringing(id=CallId("call-3"), **{**ANSWERED, "state": "held", "held": True})))
        wishes: list[tuple[str, dict[str, Any]]] = [
            ("answer", {"call": "call-2"}),
            ("hold", {"call": "call-3", "held": False}),
            ("dial", {"dial": "wish-1", "number": "100"}),
        ]
        for event, payload in wishes:
            assert "still being connected" in (await page.say(event, payload))["error"]
        assert rig.events.empty()


async def test_answering_once_more_does_nothing() -> None:
    async with room() as rig:
        page = await rig.page("t1")
        await rig.channel.perform(show(ringing(**ANSWERED)))
        assert (await page.say("answer", {"call": CALL}))["ok"]
        assert rig.events.empty()


async def test_an_operator_can_not_dial_without_end() -> None:
    async with room() as rig:
        page = await rig.page("t1")
        for number in range(MAX_CALLS):
            held = {**ANSWERED, "state": "held", "held": True}
            await rig.channel.perform(show(ringing(id=CallId(f"call-{number}"), **held)))
        assert "too many" in (await page.say("dial", {"dial": "wish", "number": "100"}))["error"]


async def test_keys_are_pressed_once_however_often_they_are_repeated() -> None:
    async with room() as rig:
        page = await rig.page("t1")
        await rig.channel.perform(show(ringing(**ANSWERED)))
        for press, digits in [("p1", "12#"), ("p1", "12#"), ("p2", "12#")]:
            assert (await page.say("digits", {"call": CALL, "press": press, "digits": digits}))["ok"]
        pressed = on.OperatorPressed(call=CALL, operator=operator(ANNA), digits="12#")
        assert [await rig.event(), await rig.event()] == [pressed, pressed]
        assert rig.events.empty()


async def test_taking_a_call_moves_its_voice_to_the_browser_of_the_click() -> None:
    async with room() as rig:
        first, second = await rig.page("t1"), await rig.page("t2", browser="browser-2")
        phone = await rig.page("p2", page="phone", browser="browser-2")
        await rig.channel.perform(show(ringing(**ANSWERED)))
        await first.until(lambda state: state["lead"] and bool(state["calls"]))
        assert (await phone.say("take", {"call": CALL}))["ok"]
        assert await rig.event() == on.OperatorTook(call=CALL, operator=operator(ANNA), voice=TabId("t2"))
        await rig.channel.perform(show(ringing(**{**ANSWERED, "voice": TabId("t2")})))
        state = await second.until(lambda state: any(call["voice"] == "t2" for call in state["calls"]))
        assert state["lead"]
        state = await first.until(lambda state: any(call["elsewhere"] for call in state["calls"]))
        assert not state["lead"]


async def test_the_buttons_of_a_conversation_need_one() -> None:
    async with room() as rig:
        page, boris = await rig.page("t1"), await rig.page("b1", BORIS)
        await rig.channel.perform(show(ringing(**{**ANSWERED, "state": "joining"}), ANNA, BORIS))
        clicks: list[tuple[str, dict[str, Any]]] = [("take", {}), ("hold", {"held": True})]
        for event, more in clicks:
            assert "not connected yet" in (await page.say(event, {"call": CALL, **more}))["error"]
        for event, more in [*clicks, ("digits", {"press": "p", "digits": "1"})]:
            assert "not on this call" in (await boris.say(event, {"call": CALL, **more}))["error"]
        assert rig.events.empty()


async def test_the_lead_hears_at_once_that_a_call_needs_its_voice() -> None:
    async with room() as rig:
        page = await rig.page("t1")
        await rig.channel.perform(show(ringing(state="dialling", answered_by=operator(ANNA))))
        state = await page.until(lambda state: bool(state["calls"]))
        assert (state["lead"], state["calls"][0]["voice"], state["calls"][0]["sound"]) == (True, "", True)


async def test_another_open_page_is_asked_for_its_voice_when_the_speaking_one_leaves() -> None:
    async with room() as rig:
        other, speaking = await rig.page("t2"), await rig.page("t1")
        await rig.channel.perform(show(ringing(**ANSWERED)))
        await speaking.vanish()
        assert isinstance(await rig.event(), on.TabLeft)
        await rig.channel.perform(show(ringing(**{**ANSWERED, "state": "rejoining", "voice": None})))
        state = await other.until(lambda state: any(call["state"] == "rejoining" for call in state["calls"]))
        assert (state["lead"], state["calls"][0]["voice"]) == (True, "")


async def test_a_change_of_one_call_leaves_the_lead_with_the_other() -> None:
    async with room() as rig:
        first, second = await rig.page("t1"), await rig.page("t2", browser="browser-2")
        held = ringing(**{**ANSWERED, "state": "held", "held": True})
        await rig.channel.perform(show(held))
        await rig.channel.perform(show(ringing(id=CallId("call-2"), **{**ANSWERED, "voice": TabId("t2")})))
        await second.until(lambda state: state["lead"])
        await rig.channel.perform(show(replace(held, card="card-1")))
        await first.until(lambda state: any(call["card"] == "card-1" for call in state["calls"]))
        assert ("1@acme", "t2", "worker", "yes", "visible", "lead") in rig.channel.tabs()


async def test_the_page_is_asked_to_offer_again() -> None:
    async with room() as rig:
        page = await rig.page("t1")
        await rig.channel.perform(AskReoffer(call=CALL, tab=TabId("t1")))
        await rig.channel.perform(show(ringing(**ANSWERED)))
        await rig.channel.perform(AskReoffer(call=CALL, tab=TabId("t1")))
        assert await page.next("reoffer") == {"call": CALL, "anew": False}
        await page.say("renew")
        assert page.waiting("reoffer") == 0


async def test_unanswered_the_sound_moves_to_the_next_machine() -> None:
    async with room() as rig:
        far, near = await rig.page("t1", browser="browser-2"), await rig.page("t2")
        await rig.channel.perform(show(ringing()))
        await near.until(lambda state: bool(state["calls"]) and state["calls"][0]["sound"])
        rig.later(SOUND_SECONDS)
        assert (await far.until(lambda state: bool(state["calls"]) and state["calls"][0]["sound"]))["lead"] is False
        await near.until(lambda state: not state["calls"][0]["sound"])
        rig.later(SOUND_SECONDS)
        await near.until(lambda state: state["calls"][0]["sound"])


async def test_the_room_itself_keeps_the_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bell, "SOUND_SECONDS", 0.05)
    async with room() as rig:
        started, loop = rig.now, asyncio.get_running_loop()
        begin = loop.time()
        monkeypatch.setattr(rig.channel, "_clock", lambda: started + loop.time() - begin)
        far = await rig.page("t1", browser="browser-2")
        await rig.page("t2")
        await rig.channel.perform(show(ringing()))
        await far.until(lambda state: bool(state["calls"]) and state["calls"][0]["sound"])


# ---- going away


async def test_a_page_that_vanishes_or_says_goodbye_leaves_its_calls_at_once_and_its_operator_a_little_later() -> None:
    async with room() as rig:
        first, second = await rig.page("t1"), await rig.page("t2")
        await rig.channel.perform(show(ringing()))
        await first.vanish()
        assert await rig.event() == on.TabLeft(call=CALL, operator=operator(ANNA), tab=TabId("t1"), online=True)
        assert (await second.say("bye"))["ok"]
        assert await rig.event() == on.TabLeft(call=CALL, operator=operator(ANNA), tab=TabId("t2"), online=True)
        assert not (await second.say("answer", {"call": CALL}))["ok"]
        await second.vanish()
        assert rig.events.empty()
        assert rig.channel.online() == {operator(ANNA)}
        rig.later(ABSENCE_SECONDS)
        assert rig.channel.online() == frozenset()


async def test_a_call_that_comes_during_a_navigation_rings_in_the_next_page() -> None:
    async with room() as rig:
        page = await rig.page("t1")
        await page.vanish()
        rig.later(0.3)
        assert operator(ANNA) in rig.channel.online()
        await rig.channel.perform(RingOperators(call=CALL, operators=(operator(ANNA),)))
        await rig.channel.perform(show(ringing()))
        after = await rig.page("t2")
        assert (await after.next("open"))["call"] == CALL
        state = await after.until(lambda state: bool(state["calls"]))
        assert (state["lead"], state["calls"][0]["sound"]) == (True, True)


async def test_a_tab_that_reconnects_never_left() -> None:
    async with room() as rig:
        first = await rig.page("t1")
        await rig.channel.perform(show(ringing()))
        again = await rig.page("t1")
        await asyncio.wait_for(first.gone.wait(), PATIENCE)
        assert (await again.next("state"))["lead"]
        assert (await again.say("hangUp", {"call": CALL}))["ok"]
        assert isinstance(await rig.event(), on.OperatorHungUp)
        assert rig.events.empty()


async def test_the_lead_moves_to_the_next_page_when_it_leaves_during_a_call() -> None:
    async with room() as rig:
        first, second = await rig.page("t1"), await rig.page("t2")
        await rig.channel.perform(show(ringing(state="rejoining", answered_by=operator(ANNA))))
        await second.until(lambda state: state["lead"] and bool(state["calls"]))
        await second.say("bye")
        await first.until(lambda state: state["lead"] and calls_of(state) == [CALL])


async def test_pages_hear_the_last_word_before_the_room_closes_whatever_they_are_just_saying() -> None:
    async with room() as rig:
        page = await rig.page("t1")
        await page.client.emit("renew")
        await rig.channel.perform(show(ringing()))
        await rig.channel.perform(show(ringing(state="ended", ending="bridge-stopped")))
    assert (await page.until(lambda state: bool(state["calls"])))["calls"][0]["ended"] == "bridge-stopped"


TIMING = {"fetchStart": 1, "requestStart": 40, "responseStart": 50.5, "responseEnd": 51, "duration": 80}


async def test_a_worker_tells_how_it_was_loaded_and_the_browsers_other_figures_do_no_harm() -> None:
    async with room() as rig:
        worker, phone = await rig.page("t1"), await rig.page("t2", page="phone")
        assert (await worker.say("loaded", {**TIMING, "name": "https://bridge/", "type": "navigate"}))["ok"]
        assert (await phone.say("loaded", TIMING))["ok"]
        assert rig.loads == [(operator(ANNA), 80.0)], "the portal counts workers only"


@pytest.mark.parametrize("wrong", [{"duration": -1}, {"duration": "long"}, {"duration": 1e300}, {"fetchStart": None}])
async def test_a_load_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    async with room() as rig:
        page = await rig.page("t1")
        assert not (await page.say("loaded", TIMING | wrong))["ok"]
        assert rig.loads == []


async def test_a_portal_that_removed_the_application_has_no_telephone_any_more() -> None:
    async with room() as rig:
        page = await rig.page("t1")
        session = (await page.next("welcome"))["session"]
        rig.closed.add(ANNA.portal)
        rig.channel.dismiss(ANNA.portal)
        await asyncio.wait_for(page.gone.wait(), PATIENCE)
        with pytest.raises(RefusedToConnectError, match="ticket-invalid"):
            await rig.page("t1", session=session)


async def test_whoever_is_no_operator_any_more_is_shown_out_and_told_why() -> None:
    async with room() as rig:
        anna, boris = await rig.page("t1"), await rig.page("t2", BORIS)
        session = (await anna.next("welcome"))["session"]
        rig.removed[ANNA.user] = "You left."
        rig.channel.retire()
        await asyncio.wait_for(anna.gone.wait(), PATIENCE)
        with pytest.raises(RefusedToConnectError, match=r"not-an-operator.*You left"):
            await rig.page("t1", session=session)
        assert (await boris.say("presence", {"visible": True, "capture": "yes", "card": True}))["ok"]


async def test_whoever_talks_is_shown_out_after_the_call() -> None:
    async with room() as rig:
        page = await rig.page("t1")
        await rig.channel.perform(show(ringing(), ANNA))
        await page.until(lambda state: bool(state["calls"]))
        rig.removed[ANNA.user] = "You left."
        rig.channel.retire()
        assert (await page.say("presence", {"visible": True, "capture": "yes", "card": True}))["ok"]
        await rig.channel.perform(show(ringing(state="ended"), ANNA))
        rig.channel.retire()
        await asyncio.wait_for(page.gone.wait(), PATIENCE)
