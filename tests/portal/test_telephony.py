"""The room from command to ledger: exactly one record per call, in order, whatever fails in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web

from bridge.calls.commands import Direction, RecordAnswer
from bridge.calls.events import CallId, CallRegistered, Operator
from bridge.portal.words import WITHHELD, phone_number
from bridge.store.promises import Kind
from bridge.store.sqlite_desk import SqliteDesk

from .fake import FINISH, REGISTER, FakePortal, hang, lose_answer, refuse
from .house import NOW, Clock, House, enrolled, house, leave_as_killed


async def test_a_call_is_registered_and_finished_once(room: House) -> None:
    async with room.telephony.running():
        await room.telephony.perform(room.register("c1"))
        await room.until(lambda: bool(room.events))
        await room.telephony.perform(room.finish("c1"))
        await room.emptied()
    assert room.events == [CallRegistered(call=CallId("c1"), card="externalCall.1")]
    assert [row["EXTERNAL_CALL_ID"] for row in room.fake.statistics] == ["c1"]
    method, params = room.fake.asked[0]
    assert method == REGISTER
    assert params == {
        "USER_ID": 7,
        "PHONE_NUMBER": "+74951234567",
        "TYPE": 2,
        "CALL_START_DATE": "2027-01-15T08:00:00+00:00",
        "CRM_CREATE": 0,
        "SHOW": 1,
        "ADD_TO_CHAT": 1,
        "EXTERNAL_CALL_ID": "c1",
    }
    assert room.fake.asked[1][1] == {
        "CALL_ID": "externalCall.1",
        "USER_ID": 7,
        "DURATION": 12,
        "STATUS_CODE": "200",
        "FAILED_REASON": "",
        "ADD_TO_CHAT": 1,
    }


async def test_a_finish_waits_for_its_register(room: House) -> None:
    gate = asyncio.Event()
    room.fake.fail(REGISTER, hang(gate))
    async with room.telephony.running():
        await room.telephony.perform(room.register("c1"))
        await room.telephony.perform(room.finish("c1"))
        await room.until(lambda: REGISTER in room.fake.methods())
        await room.telephony.perform(room.register("c2"))
        await room.until(lambda: bool(room.events))
        assert FINISH not in room.fake.methods()
        gate.set()
        await room.logged()
        await room.emptied()
    assert [event.call for event in room.events] == ["c2"], "the first call was over when its card came"


async def test_a_hanging_request_delays_no_other_call(room: House) -> None:
    gate = asyncio.Event()
    room.fake.fail(REGISTER, hang(gate), hang(gate))
    async with room.telephony.running():
        for call in ("h1", "h2"):
            await room.telephony.perform(room.register(call))
        await room.until(lambda: len(room.fake.asked) == 2)
        await room.telephony.perform(room.register("c3"))
        await room.until(lambda: len(room.events) == 1)
        gate.set()
        await room.until(lambda: len(room.events) == 3)
    assert room.events[0].call == "c3"


async def test_a_portal_without_an_answer_delays_no_other_portal(room: House, tmp_path: Path) -> None:
    """Five calls of a portal hang, more than its lane is wide; another portal's call goes through."""
    gate = asyncio.Event()
    room.fake.fail(REGISTER, *[hang(gate)] * 4)
    async with FakePortal(clock=room.clock).running() as second, room.telephony.running():
        other = enrolled(second, id="second", member_id="f" * 32)
        await room.store.portals.save(other)
        for number in range(5):
            await room.telephony.perform(room.register(f"h{number}"))
        await room.until(lambda: len(room.fake.asked) == 4)
        await room.telephony.perform(room.register("c", operator=Operator("second", 7)))
        await room.until(lambda: len(second.live) == 1)
        assert len(room.fake.asked) == 4
        gate.set()
        await room.until(lambda: len(room.fake.live) == 5)


async def test_a_lost_answer_leads_to_the_same_registration(room: House) -> None:
    room.fake.fail(REGISTER, lose_answer())
    room.fake.fail(FINISH, lose_answer())
    async with room.telephony.running():
        await room.telephony.perform(room.register("c1"))
        await room.until(lambda: len(room.fake.live) == 1)
        await room.until_postponed()
        await room.until_later(lambda: bool(room.events), 2)
        await room.telephony.perform(room.finish("c1"))
        await room.until_later(room.is_empty, 2)
    assert room.fake.methods() == [REGISTER, REGISTER, FINISH, FINISH]
    assert len(room.fake.statistics) == 1
    assert not await room.store.outbox.aside()


@pytest.mark.parametrize(
    ("code", "status", "seconds"),
    [
        ("QUERY_LIMIT_EXCEEDED", 503, 1),
        ("OPERATION_TIME_LIMIT", 429, 60),
        ("INTERNAL_SERVER_ERROR", 500, 1),
        ("OVERLOAD_LIMIT", 503, 1),
    ],
)
async def test_a_busy_portal_is_asked_again_later(room: House, code: str, status: int, seconds: float) -> None:
    room.fake.fail(REGISTER, refuse(code, status))
    async with room.telephony.running():
        await room.telephony.perform(room.register("c1"))
        await room.until_postponed()
        assert room.fake.methods() == [REGISTER]
        await room.until_later(lambda: bool(room.events), seconds)


async def test_what_bitrix24_refuses_for_good_is_set_aside_with_its_finish(room: House) -> None:
    room.fake.fail(REGISTER, refuse("ERROR_CORE", text="User is not found or is not active"))
    async with room.telephony.running():
        await room.telephony.perform(room.register("bad"))
        await room.until_aside(1)
        await room.telephony.perform(room.finish("bad"))
        await room.telephony.perform(room.register("good"))
        await room.telephony.perform(room.finish("good"))
        await room.logged()
        await room.emptied()
    aside = await room.store.outbox.aside()
    assert [(promise.call, promise.kind) for promise in aside] == [("bad", Kind.REGISTER), ("bad", Kind.FINISH)]
    assert "User is not found" in aside[0].last_error
    assert [row["EXTERNAL_CALL_ID"] for row in room.fake.statistics] == ["good"]


async def test_a_register_that_was_certainly_refused_may_wait_for_hours(room: House) -> None:
    room.fake.fail(REGISTER, refuse("QUERY_LIMIT_EXCEEDED", 503))
    async with room.telephony.running():
        await room.telephony.perform(room.register("c1"))
        await room.until_postponed()
        await room.until_later(lambda: bool(room.events), 3 * 3600)


async def test_a_card_is_not_raised_for_a_call_that_is_over(room: House) -> None:
    await room.telephony.perform(room.register("c1"))
    await room.telephony.perform(room.finish("c1"))
    async with room.telephony.running():
        await room.logged()
        await room.emptied()
    assert room.fake.asked[0][1]["SHOW"] == 0
    assert room.events == []


async def test_the_end_of_a_call_that_reached_nobody_is_told_when_the_card_was_read(room: House) -> None:
    async with room.telephony.running():
        await room.telephony.perform(room.register("c1", direction=Direction.OUTBOUND))
        await room.telephony.perform(room.finish("c1", status="486", card_stays=8.0))
        await room.telephony.perform(room.register("c2"))
        await room.telephony.perform(room.finish("c2"))
        await room.logged()
        assert [row["EXTERNAL_CALL_ID"] for row in room.fake.statistics] == ["c2"]
        room.later(8)
        await room.logged(2)


async def test_promises_wait_for_the_installation(room: House) -> None:
    await room.store.portals.change(room.portal, needs_login=True)
    async with room.telephony.running():
        await room.telephony.perform(room.register("c1"))
        await room.until_postponed()
        assert room.fake.asked == []
        await room.store.portals.change(room.portal, needs_login=False)
        room.telephony.reopen(room.portal)
        await room.until(lambda: bool(room.events))


async def test_commands_for_unknown_or_ended_calls_do_nothing(room: House) -> None:
    async with room.telephony.running():
        await room.telephony.perform(room.finish("never seen"))
        await room.telephony.perform(
            RecordAnswer(call=CallId("never seen"), operator=Operator(room.portal, 7), answered=NOW)
        )
        await room.telephony.perform(room.register("c1"))
        await room.telephony.perform(room.register("c1"))
        await room.telephony.perform(room.finish("c1"))
        await room.telephony.perform(room.finish("c1", status="304", duration=0))
        await room.logged()
        await room.emptied()
    assert room.fake.methods() == [REGISTER, FINISH]
    assert room.fake.statistics[0]["STATUS_CODE"] == "200", "the first end is the end"


@pytest.mark.parametrize(
    ("answered", "status", "duration"),
    [(None, "304", 0), (NOW + 3, "200", 7), (NOW + 99, "200", 0)],
    ids=["never answered", "talked 7 s", "died right after the answer"],
)
async def test_a_killed_bridge_closes_its_calls_with_what_was_known_last(
    fake: FakePortal, tmp_path: Path, clock: Clock, answered: float | None, status: str, duration: int
) -> None:
    path = tmp_path / "bridge.db"
    async with house(fake, path, clock=clock) as first:
        await first.store.portals.save(enrolled(fake))
        await first.telephony.perform(first.register("c1"))
        if answered is not None:
            answer = RecordAnswer(call=CallId("c1"), operator=Operator(first.portal, 8), answered=answered)
            await first.telephony.perform(answer)
        if answered is None or answered < NOW + 10:
            await first.store.outbox.touch(NOW + 10)
    clock.now += 60
    async with house(fake, path, clock=clock) as second, second.telephony.running():
        await second.logged()
        await second.emptied()
    (record,) = fake.statistics
    assert (record["STATUS_CODE"], record["DURATION"]) == (status, duration)
    assert record["USER_ID"] == (7 if answered is None else 8)
    assert record["FAILED_REASON"] == "bridge restarted"
    assert second.events == []


@pytest.mark.parametrize("lost", [REGISTER, FINISH])
async def test_killed_between_the_effect_and_its_note_there_is_still_one_record(
    fake: FakePortal, tmp_path: Path, clock: Clock, lost: str
) -> None:
    """The request is carried out, the bridge dies before the answer: the next life repeats it without a second effect."""
    killed = asyncio.Event()

    async def carried_out_then_killed(do: Callable[[], dict[str, Any]]) -> web.Response:
        answer = do()
        leave_as_killed(tmp_path / "first.db", tmp_path / "second.db")
        killed.set()
        return web.json_response(answer)

    fake.fail(lost, carried_out_then_killed)
    async with house(fake, tmp_path / "first.db", clock=clock) as first:
        await first.store.portals.save(enrolled(fake))
        async with first.telephony.running():
            await first.telephony.perform(first.register("c1"))
            await first.telephony.perform(first.finish("c1"))
            await killed.wait()
    asked = len(fake.asked)
    async with house(fake, tmp_path / "second.db", clock=clock) as second, second.telephony.running():
        await second.until_later(second.is_empty, 5)
        assert lost in fake.methods()[asked:], "the second life did not know better than to ask again"
        assert not await second.store.outbox.aside()
    assert [row["EXTERNAL_CALL_ID"] for row in fake.statistics] == ["c1"]
    assert fake.live == []


@pytest.mark.parametrize(
    ("number", "sent"),
    [
        ("+7 (495) 123-45-67", "+7 (495) 123-45-67"),
        ("", WITHHELD),
        ("anonymous", WITHHELD),
        ("sip42", WITHHELD),
        ("+", WITHHELD),
        ("*21#", "*21#"),
    ],
)
def test_a_number_that_bitrix24_would_refuse_is_replaced(number: str, sent: str) -> None:
    assert phone_number(number) == sent


async def test_a_finish_waits_where_an_earlier_register_may_still_be_on_its_way(room: House) -> None:
    """It would find no unfinished call and make a second one: a request runs a minute at most."""
    room.fake.fail(REGISTER, lose_answer())
    async with room.telephony.running():
        await room.telephony.perform(room.register("c1"))
        await room.until(lambda: len(room.fake.live) == 1)
        await room.until_later(lambda: bool(room.events), 2)
        known = room.clock.now
        await room.telephony.perform(room.finish("c1"))
        await room.telephony.perform(room.register("c2"))
        await room.telephony.perform(room.finish("c2"))
        await room.logged()
        (other,) = room.fake.statistics
        assert other["EXTERNAL_CALL_ID"] == "c2"
        await room.until_later(room.is_empty, 5)
        assert room.clock.now - known >= 59
    assert len(room.fake.statistics) == 2


async def test_a_callback_and_a_call_list_are_named_to_bitrix24(room: House) -> None:
    async with room.telephony.running():
        await room.telephony.perform(room.register("c1", callback=True, call_list=5))
        await room.until(lambda: bool(room.events))
    params = room.fake.asked[0][1]
    assert (params["TYPE"], params["CALL_LIST_ID"]) == (4, 5)


async def test_an_outbound_call_and_a_withheld_number(room: House) -> None:
    async with room.telephony.running():
        await room.telephony.perform(room.register("c1", direction=Direction.OUTBOUND, number="anonymous", show=False))
        await room.until(lambda: bool(room.events))
    params = room.fake.asked[0][1]
    assert (params["TYPE"], params["PHONE_NUMBER"], params["SHOW"]) == (1, WITHHELD, 0)


@pytest.mark.parametrize("answered", [False, True])
async def test_a_call_that_the_portal_registered_is_only_finished(room: House, answered: bool) -> None:
    card = room.fake.clicked("+74951234567")
    async with room.telephony.running():
        await room.telephony.perform(room.register("c1", direction=Direction.OUTBOUND, card=card))
        if answered:
            answer = RecordAnswer(call=CallId("c1"), operator=Operator(room.portal, 7), answered=NOW + 3)
            await room.telephony.perform(answer)
        await room.telephony.perform(room.finish("c1", status="200" if answered else "486"))
        await room.emptied()
    assert room.events == [], "its CALL_ID is known already"
    assert room.fake.methods() == [FINISH]
    assert room.fake.live == []
    assert room.fake.asked[0][1]["CALL_ID"] == card


async def test_a_call_id_belongs_to_one_call(room: House) -> None:
    card = room.fake.clicked("+74951234567")
    async with room.telephony.running():
        for call in ("c1", "c2"):
            await room.telephony.perform(room.register(call, direction=Direction.OUTBOUND, card=card))
        await room.telephony.perform(room.finish("c1", status="200"))
        await room.telephony.perform(room.finish("c2", status="503", duration=0))
        await room.emptied()
    assert [row["STATUS_CODE"] for row in room.fake.statistics] == ["200"]
    assert room.fake.methods() == [FINISH]


@pytest.mark.parametrize(("answered", "status", "duration"), [(None, "503", 0), (NOW + 3, "200", 7)])
async def test_a_click_to_call_is_finished_after_a_kill(
    fake: FakePortal, tmp_path: Path, clock: Clock, answered: float | None, status: str, duration: int
) -> None:
    card, path = fake.clicked("+74951234567"), tmp_path / "bridge.db"
    async with house(fake, path, clock=clock) as first:
        await first.store.portals.save(enrolled(fake))
        await first.telephony.perform(first.register("c1", direction=Direction.OUTBOUND, card=card))
        if answered is not None:
            answer = RecordAnswer(call=CallId("c1"), operator=Operator(first.portal, 7), answered=answered)
            await first.telephony.perform(answer)
        await first.store.outbox.touch(NOW + 10)
    clock.now += 60
    async with house(fake, path, clock=clock) as second, second.telephony.running():
        await second.emptied()
    (record,) = fake.statistics
    assert (record["CALL_ID"], record["STATUS_CODE"], record["DURATION"]) == (card, status, duration)
    assert fake.methods() == [FINISH]


async def test_what_is_under_way_when_the_bridge_stops_stays_promised(
    room: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.portal.lane.GRACE_SECONDS", 0.02)
    gate = asyncio.Event()
    room.fake.fail(REGISTER, hang(gate))
    async with room.telephony.running():
        await room.telephony.perform(room.register("c1"))
        await room.until(lambda: REGISTER in room.fake.methods())
    gate.set()
    assert await room.store.outbox.waiting_portals() == [room.portal]
    await room.telephony.perform(room.finish("c1"))
    async with room.telephony.running():
        await room.until_later(room.is_empty, 5)
    assert [row["EXTERNAL_CALL_ID"] for row in room.fake.statistics] == ["c1"]


async def test_a_full_disk_delays_promises_and_loses_none(room: House, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def limit(pages: int) -> None:
        connection = cast(SqliteDesk, room.store._desk)._connection
        assert connection is not None
        await connection.carry_out_whole(lambda plain: plain.execute(f"PRAGMA max_page_count={pages}"))

    async def room_is_made(seconds: float) -> None:
        waited.append(seconds)
        await limit(1_000_000)

    monkeypatch.setattr(room.telephony, "_sleep", room_is_made)
    async with room.telephony.running():
        await limit(1)
        made = 0
        while not waited and made < 40:
            await room.telephony.perform(room.register(f"c{made}", line="x" * 3000))
            made += 1
        assert waited, "the disk was full"
        await room.until(lambda: len(room.fake.asked) == made)
    assert {params["EXTERNAL_CALL_ID"] for _, params in room.fake.asked} == {f"c{number}" for number in range(made)}
