"""What the courier makes of doubt, poison, recordings and transcripts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bridge import sealed
from bridge.calls.commands import AttachRecord, AttachTranscript, RecordAnswer, Utterance
from bridge.calls.events import CallId, CallRegistered, Operator
from bridge.errors import RefusedError
from bridge.portal.deeds import LARGEST_INLINE
from bridge.portal.lane import WIDTH
from bridge.portal.setback import POISON_ATTEMPTS
from bridge.store.promises import Kind, Slot

from .fake import FINISH, REGISTER, hang, lose_answer, refuse
from .house import NOW, House

STATISTICS = "voximplant.statistic.get"
ATTACH = "telephony.externalcall.attachrecord"
TRANSCRIPT = "telephony.call.attachtranscription"
HALF_AN_HOUR = 30 * 60


async def _logged(room: House, call: str = "c1") -> None:
    await room.telephony.perform(room.register(call))
    await room.telephony.perform(room.finish(call))
    await room.emptied()


async def _in_doubt(room: House) -> None:
    """A register whose answer was lost more than half an hour ago."""
    room.fake.fail(REGISTER, lose_answer())
    await room.telephony.perform(room.register("c1"))
    await room.until_postponed()
    room.clock.now += HALF_AN_HOUR


# ---- a register of unknown outcome


async def test_after_half_an_hour_it_is_looked_up_and_set_aside_where_that_tells_nothing(room: House) -> None:
    """Statistics know finished calls only; whether the call is known as unfinished, nobody can ask."""
    async with room.telephony.running():
        await _in_doubt(room)
        await room.until_later(room.is_aside, 0)
        await room.telephony.perform(room.finish("c1"))
    assert room.fake.methods() == [REGISTER, STATISTICS]
    register, finish = await room.store.outbox.aside()
    assert "looked up" in register.last_error
    assert (finish.kind, finish.last_error) == (Kind.FINISH, "its registration was set aside")


async def test_a_record_that_is_found_is_taken_for_the_call(room: House) -> None:
    """The CALL_ID was known once and got lost with the database; the record was written then."""
    async with room.telephony.running():
        await _in_doubt(room)
        card = room.fake.live[0].card
        room.fake.do(FINISH, {"CALL_ID": card, "USER_ID": 7, "STATUS_CODE": "200"}, "")
        room.later(0)
        await room.until(lambda: CallRegistered(call=CallId("c1"), card=card) in room.events)
        await room.telephony.perform(room.finish("c1"))
        await room.emptied()
    assert room.fake.methods() == [REGISTER, STATISTICS, FINISH]
    assert len(room.fake.statistics) == 1
    assert not await room.store.outbox.aside()


async def test_two_records_of_one_call_are_for_a_person(room: House) -> None:
    async with room.telephony.running():
        await _in_doubt(room)
        room.fake.statistics += [{"CALL_ID": card, "EXTERNAL_CALL_ID": "c1"} for card in ("x", "y")]
        await room.until_later(room.is_aside, 0)
    assert "2 records of this call: x, y" in (await room.store.outbox.aside())[0].last_error


async def test_a_look_up_that_is_not_allowed_says_so(room: House) -> None:
    room.fake.fail(STATISTICS, refuse("ACCESS_DENIED", 403, "No right to see statistics"))
    async with room.telephony.running():
        await _in_doubt(room)
        await room.until_later(room.is_aside, 0)
        await _logged(room, "c2")
    assert "ACCESS_DENIED (No right to see statistics)" in (await room.store.outbox.aside())[0].last_error


async def test_a_look_up_without_an_answer_is_repeated(room: House) -> None:
    room.fake.fail(STATISTICS, refuse("INTERNAL_SERVER_ERROR", 500))
    async with room.telephony.running():
        await _in_doubt(room)
        room.later(0)
        await room.until(lambda: STATISTICS in room.fake.methods())
        await room.until_postponed()
        await room.until_later(room.is_aside, 5)
    assert room.fake.methods() == [REGISTER, STATISTICS, STATISTICS]


async def test_who_retries_registers_anew(room: House) -> None:
    async with room.telephony.running():
        await _in_doubt(room)
        await room.telephony.perform(room.finish("c1"))
        room.later(0)
        await room.until_aside(2)
        again = await room.telephony.retry((await room.store.outbox.aside())[1].id)
        assert [promise.kind for promise in again] == [Kind.REGISTER, Kind.FINISH]
        await room.emptied()
    assert [row["EXTERNAL_CALL_ID"] for row in room.fake.statistics] == ["c1"]
    assert not await room.store.outbox.aside()


# ---- batches, on the wire


async def test_what_waited_for_the_installation_goes_in_a_batch(room: House) -> None:
    calls = [f"c{number}" for number in range(12)]
    for call in calls:
        await room.telephony.perform(room.register(call))
        await room.telephony.perform(room.finish(call, reason="Tüt & Tüt = 100 %"))
    async with room.telephony.running():
        await room.emptied()
    assert room.fake.methods().count("batch") >= 2
    assert sorted(row["EXTERNAL_CALL_ID"] for row in room.fake.statistics) == sorted(calls)
    assert {row["FAILED_REASON"] for row in room.fake.statistics} == {"Tüt & Tüt = 100 %"}


async def test_a_reason_that_reads_like_a_reference_is_told_alone_and_as_it_is(room: House) -> None:
    calls = [f"c{number}" for number in range(12)]
    for call in calls:
        await room.telephony.perform(room.register(call))
        await room.telephony.perform(room.finish(call, reason="$result[c0][CALL_ID]" if call == "c3" else ""))
    async with room.telephony.running():
        await room.emptied()
    reasons = {row["EXTERNAL_CALL_ID"]: row["FAILED_REASON"] for row in room.fake.statistics}
    assert reasons == dict.fromkeys(calls, "") | {"c3": "$result[c0][CALL_ID]"}


# ---- poison


async def test_what_always_fails_while_others_succeed_is_set_aside(room: House) -> None:
    bad = [refuse("INTERNAL_SERVER_ERROR", 500)]
    room.fake.fail(FINISH, *bad * (POISON_ATTEMPTS - 1))
    async with room.telephony.running():
        await room.telephony.perform(room.register("bad"))
        await room.telephony.perform(room.finish("bad"))
        await room.until_later(partial(_asked, room, FINISH, POISON_ATTEMPTS - 1))
        room.fake.faults[FINISH].clear()
        await room.telephony.perform(room.register("good"))
        await room.telephony.perform(room.finish("good"))
        await room.logged()
        assert not room.is_aside()
        room.fake.fail(FINISH, *bad * 2)
        await room.until_later(room.is_aside)
    (aside,) = await room.store.outbox.aside()
    assert aside.call == "bad"
    assert f"failed at it {POISON_ATTEMPTS} times" in aside.last_error


def _asked(room: House, method: str, times: int) -> bool:
    return room.fake.methods().count(method) >= times


async def test_a_defect_of_ours_hurts_one_promise_only(room: House, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = room.telephony._courier._deeds.finish

    async def broken(promise: Any) -> None:
        if promise.call == "bad":
            raise ZeroDivisionError
        await keep(promise)

    monkeypatch.setattr(room.telephony._courier._deeds, "finish", broken)
    async with room.telephony.running():
        await room.telephony.perform(room.register("bad"))
        await room.telephony.perform(room.finish("bad"))
        await room.until_postponed()
        await _logged_beside(room)
        await room.until_later(room.is_aside)
        await _logged_beside(room)
    assert "a defect of the bridge: ZeroDivisionError" in (await room.store.outbox.aside())[0].last_error


async def _logged_beside(room: House) -> None:
    """Another call's record goes through meanwhile."""
    before = len(room.fake.statistics)
    await room.telephony.perform(room.register(f"good{before}"))
    await room.telephony.perform(room.finish(f"good{before}"))
    await room.logged(before + 1)


async def test_a_scope_that_is_missing_makes_calls_wait_and_loses_none(room: House) -> None:
    room.fake.fail(REGISTER, refuse("insufficient_scope", 403), refuse("ERROR_METHOD_NOT_FOUND", 404))
    async with room.telephony.running():
        await room.telephony.perform(room.register("c1"))
        await room.until_later(lambda: bool(room.events))
    assert len(room.fake.live) == 1
    assert not await room.store.outbox.aside()


async def test_a_silent_portal_is_asked_something_harmless_before_more_is_risked(room: House) -> None:
    down = [refuse("INTERNAL_SERVER_ERROR", 500)] * 100
    room.fake.fail(REGISTER, *down)
    room.fake.fail("server.time", *down)
    async with room.telephony.running():
        for number in range(8):
            await room.telephony.perform(room.register(f"c{number}"))
        for times in (1, 2, 3):
            await room.until(partial(_asked, room, "server.time", times))
            assert room.fake.methods().count(REGISTER) <= WIDTH[Slot.RING]
            await room.telephony.perform(room.register(f"later{times}"))
            room.clock.now += 10
            room.telephony._courier.wake(room.portal)
        room.fake.faults.clear()

        def all_known() -> bool:
            room.clock.now += 5
            room.telephony._courier.wake(room.portal)
            return len(room.events) == 11

        await room.until(all_known)


# ---- the record's status


async def test_a_later_leg_does_not_overwrite_the_answer(room: House) -> None:
    async with room.telephony.running():
        await room.telephony.perform(room.register("c1"))
        answer = RecordAnswer(call=CallId("c1"), operator=Operator(room.portal, 8), answered=NOW + 2)
        await room.telephony.perform(answer)
        later = room.finish("c1", status="304", duration=0, operator=Operator(room.portal, 8), ended=NOW + 12)
        await room.telephony.perform(later)
        await room.emptied()
    (record,) = room.fake.statistics
    assert (record["STATUS_CODE"], record["DURATION"], record["USER_ID"], record["ADD_TO_CHAT"]) == ("200", 10, 8, 1)


# ---- recordings


def _recording(folder: Path, size: int = 4, call: str = "c1", **changes: Any) -> AttachRecord:
    path = folder / f"{size}.mp3"
    path.write_bytes(b"x" * size)
    return AttachRecord(**{"call": CallId(call), "path": str(path), "name": "call.mp3"} | changes)


@pytest.mark.parametrize("size", [1, LARGEST_INLINE, LARGEST_INLINE + 1, 5 * LARGEST_INLINE])
async def test_a_recording_is_attached_once_the_call_is_finished(room: House, tmp_path: Path, size: int) -> None:
    command = _recording(tmp_path, size)
    async with room.telephony.running():
        await room.telephony.perform(room.register("c1"))
        await room.telephony.perform(command)
        await room.until(lambda: bool(room.events))
        assert ATTACH not in room.fake.methods()
        await room.telephony.perform(room.finish("c1"))
        await room.emptied()
    assert room.fake.records == [("c1", "call.mp3", b"x" * size)]
    assert ("upload" in room.fake.methods()) == (size > LARGEST_INLINE)
    assert Path(command.path).exists()


@pytest.mark.parametrize("size", [5, 3 * LARGEST_INLINE + 7])
async def test_a_sealed_recording_arrives_open_at_the_portal(room: House, tmp_path: Path, size: int) -> None:
    content, path = os.urandom(size), tmp_path / "sealed.mp3"
    with path.open("wb") as file:
        writer = sealed.Writer(file, room.seal)
        for at in range(0, size, sealed.CHUNK):
            writer.append(content[at : at + sealed.CHUNK])
    async with room.telephony.running():
        await _logged(room)
        await room.telephony.perform(AttachRecord(call=CallId("c1"), path=str(path), name="call.mp3"))
        await room.emptied()
    assert room.fake.records == [("c1", "call.mp3", content)]


@pytest.mark.parametrize("size", [4, LARGEST_INLINE + 1])
async def test_the_file_is_deleted_after_success_and_not_before(room: House, tmp_path: Path, size: int) -> None:
    path = Path(_recording(tmp_path, size).path)
    existed: list[bool] = []

    async def fails(do: Callable[[], dict[str, Any]]) -> web.Response:
        existed.append(path.exists())
        return web.json_response({"error": "INTERNAL_SERVER_ERROR"}, status=500)

    room.fake.fail(ATTACH if size < LARGEST_INLINE else "upload", fails)
    async with room.telephony.running():
        await _logged(room)
        await room.telephony.perform(_recording(tmp_path, size, delete=True))
        await room.until(lambda: bool(existed))
        await room.until_postponed()
        assert path.exists()
        await room.until_later(room.is_empty, 5)
        await room.until(lambda: not path.exists())
    assert existed == [True]
    assert [content for _, _, content in room.fake.records] == [b"x" * size]


async def test_a_record_that_statistics_do_not_know_yet_is_tried_again(room: House, tmp_path: Path) -> None:
    room.fake.fail(ATTACH, refuse("ERROR_CORE", text="Call is not found in the statistics"))
    async with room.telephony.running():
        await _logged(room)
        await room.telephony.perform(_recording(tmp_path))
        await room.until_postponed()
        await room.until_later(room.is_empty, 5)
    assert len(room.fake.records) == 1


async def test_a_file_that_is_gone_is_set_aside_with_the_reason(room: House, tmp_path: Path) -> None:
    command = _recording(tmp_path)
    await room.telephony.perform(room.register("c1"))
    await room.telephony.perform(command)
    Path(command.path).unlink()
    async with room.telephony.running():
        await room.telephony.perform(room.finish("c1"))
        await room.until_aside(1)
    (aside,) = await room.store.outbox.aside()
    assert "can't be read: No such file" in aside.last_error
    assert len(room.fake.statistics) == 1


async def test_a_recording_goes_to_the_portal_and_nowhere_else(room: House, tmp_path: Path) -> None:
    room.fake.upload_to = "http://elsewhere.localhost:1"
    async with room.telephony.running():
        await _logged(room)
        await room.telephony.perform(_recording(tmp_path, LARGEST_INLINE + 1))
        await room.until_aside(1)
    assert "another host" in (await room.store.outbox.aside())[0].last_error


async def test_a_method_that_is_not_allowed_stops_no_call(room: House, tmp_path: Path) -> None:
    room.fake.fail(ATTACH, refuse("ACCESS_DENIED", 403))
    async with room.telephony.running():
        await _logged(room)
        await room.telephony.perform(_recording(tmp_path))
        await room.until_aside(1)
        await _logged(room, "c2")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"path": "call.mp3"}, "must be absolute"),
        ({"name": "call.ogg"}, "takes recordings named"),
        ({"path": "/no/such/call.mp3"}, "can't read it: No such file"),
        ({"path": "/etc"}, "can't read it"),
        ({"call": "nobody"}, "no call nobody"),
    ],
)
async def test_a_recording_that_can_not_be_attached_is_refused_at_once(
    room: House, tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(RefusedError, match=why):
        await room.telephony.perform(_recording(tmp_path, **changes))
    with pytest.raises(RefusedError, match="empty"):
        await room.telephony.perform(_recording(tmp_path, 0))


# ---- transcripts

SAID = AttachTranscript(
    call=CallId("c1"),
    utterances=(
        Utterance(by_operator=True, start=0, stop=2, text="Good morning"),
        Utterance(by_operator=False, start=2, stop=5, text="Hello"),
    ),
    cost=0.2,
    currency="EUR",
)


async def test_a_transcript_is_attached_in_bitrix24s_words(room: House) -> None:
    async with room.telephony.running():
        await _logged(room)
        await room.telephony.perform(SAID)
        await room.emptied()
    assert room.fake.transcripts == [
        {
            "CALL_ID": "externalCall.1",
            "MESSAGES": [
                {"SIDE": "User", "START_TIME": 0, "STOP_TIME": 2, "MESSAGE": "Good morning"},
                {"SIDE": "Client", "START_TIME": 2, "STOP_TIME": 5, "MESSAGE": "Hello"},
            ],
            "COST": 0.2,
            "COST_CURRENCY": "EUR",
        }
    ]


async def test_a_transcript_of_unknown_outcome_is_looked_for_before_it_is_sent_again(room: House) -> None:
    room.fake.fail(TRANSCRIPT, lose_answer())
    async with room.telephony.running():
        await _logged(room)
        await room.telephony.perform(SAID)
        await room.until(lambda: TRANSCRIPT in room.fake.methods())
        await room.until_postponed()
        await room.until_later(room.is_empty, 5)
    assert len(room.fake.transcripts) == 1
    assert room.fake.methods()[-2:] == [TRANSCRIPT, STATISTICS]


# ---- order


async def test_a_hanging_recording_stands_before_no_call(room: House, tmp_path: Path) -> None:
    gate = asyncio.Event()
    hanging: Callable[[Callable[[], dict[str, Any]]], Awaitable[web.Response]] = hang(gate)
    room.fake.fail(ATTACH, hanging)
    async with room.telephony.running():
        await _logged(room)
        for _ in range(30):
            await room.telephony.perform(_recording(tmp_path))
        await room.until(lambda: ATTACH in room.fake.methods())
        await _logged_beside(room)
        assert room.fake.methods().count(ATTACH) == 1
        gate.set()
        await room.emptied()
