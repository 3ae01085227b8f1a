"""What a person at the control socket sees and does: reasons, another try, a recording by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.errors import RefusedError
from bridge.portal.clerk import Clerk

from .fake import REGISTER, refuse
from .house import House


async def _ask(room: House, what: str, **request: Any) -> dict[str, Any]:
    return await Clerk(room.telephony).answers[what](request)


async def test_what_was_set_aside_is_listed_first_with_its_reason_and_tried_again(room: House) -> None:
    room.fake.fail(REGISTER, refuse("ERROR_CORE", text="User is not found or is not active"))
    async with room.telephony.running():
        await room.telephony.perform(room.register("bad"))
        await room.until(room.is_aside)
        await room.telephony.perform(room.finish("bad"))
        room.fake.fail(REGISTER, refuse("INTERNAL_SERVER_ERROR", 500))
        await room.telephony.perform(room.register("waits"))
        await room.until_postponed()
        rows = (await _ask(room, "promises"))["promises"]
        assert [(row["call"], row["what"], row["aside"]) for row in rows] == [
            ("bad", "register", True),
            ("bad", "finish", True),
            ("waits", "register", False),
        ]
        assert "User is not found" in rows[0]["why"]
        assert rows[0]["number"] == "+74951234567"
        assert (await _ask(room, "retry", promise=str(rows[1]["id"])))["retried"] == [rows[0]["id"], rows[1]["id"]]
        await room.until_later(room.is_empty, 5)
        assert (await _ask(room, "promises"))["promises"] == []
    assert [row["EXTERNAL_CALL_ID"] for row in room.fake.statistics] == ["bad"]


async def test_nothing_to_try_again_is_said_so(room: House) -> None:
    assert (await _ask(room, "retry", promise="all"))["retried"] == []
    with pytest.raises(RefusedError, match="promise 5 was not set aside"):
        await _ask(room, "retry", promise="5")


async def test_a_recording_by_hand_goes_to_the_call_of_either_name(room: House, tmp_path: Path) -> None:
    path = tmp_path / "meeting.wav"
    path.write_bytes(b"RIFF")
    async with room.telephony.running():
        await room.telephony.perform(room.register("c1"))
        await room.telephony.perform(room.finish("c1"))
        await room.logged()
        for call in ("c1", "externalCall.1"):
            await _ask(room, "attach", call=call, path=str(path), name="meeting.wav")
        await room.emptied()
    assert room.fake.records == [("c1", "meeting.wav", b"RIFF")] * 2
    with pytest.raises(RefusedError, match="no call c9"):
        await _ask(room, "attach", call="c9", path=str(path), name="meeting.wav")
