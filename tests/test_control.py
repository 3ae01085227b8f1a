from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bridge.calls.call import Call, State
from bridge.calls.events import CallId, Event, Operator, OperatorHungUp
from bridge.control import Control, ask, socket_path
from bridge.errors import BridgeError, ConfigError, NetworkError, RefusedError

ANNA = Operator("portal", 1)
TALKING = Call(id=CallId("c1"), state=State.TALKING, operators=(ANNA,), answered_by=ANNA, number="+49")


def control(tmp_path: Path, posted: list[Event]) -> Control:
    def ticket(portal: str, user: int) -> dict[str, str]:
        if user != 1:
            raise RefusedError("user 2 is no operator here")
        return {"ticket": f"{portal}-{user}"}

    async def operators(request: Mapping[str, Any]) -> dict[str, Any]:
        return {"heard": len(request["text"])}

    return Control(
        path=socket_path(tmp_path),
        calls=lambda: [TALKING],
        post=posted.append,
        ticket=ticket,
        status=lambda: {"tabs": []},
        more={"wait": _wait, "operators": operators},
    )


async def _wait(request: dict[str, Any]) -> dict[str, Any]:
    await asyncio.sleep(0)
    if "for" not in request:
        raise RefusedError("wait for what?")
    return {"long": "x" * int(request["for"])}


async def test_calls_are_listed_and_hung_up_by_their_operator(tmp_path: Path) -> None:
    posted: list[Event] = []
    async with control(tmp_path, posted).running():
        assert (await ask(tmp_path, do="calls"))["calls"][0]["number"] == "+49"
        assert (await ask(tmp_path, do="hang-up", call="nobody"))["hung_up"] == []
        assert (await ask(tmp_path, do="hang-up", call="all"))["hung_up"] == ["c1"]
    assert posted == [OperatorHungUp(call=CallId("c1"), operator=ANNA)]


async def test_what_must_come_back_to_where_it_was_can_be_asked_for(tmp_path: Path) -> None:
    async with control(tmp_path, []).running():
        vitals = await ask(tmp_path, do="vitals")
        assert vitals["calls"] == 1
        assert vitals["tasks"] == len(asyncio.all_tasks())
        assert vitals["heap"]["blocks"] > 0


async def test_only_the_owner_may_open_the_socket(tmp_path: Path) -> None:
    async with control(tmp_path, []).running():
        assert socket_path(tmp_path).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("line", [b"garbage\n", b"[]\n", b'{"do": "dance"}\n', b'{"do": "hang-up"}\n', b"\xff\n"])
async def test_a_bad_request_gets_a_sentence_and_the_socket_goes_on(tmp_path: Path, line: bytes) -> None:
    async with control(tmp_path, []).running():
        reader, writer = await asyncio.open_unix_connection(socket_path(tmp_path))
        writer.write(line)
        assert b'"ok": false' in await reader.readline()
        writer.write(b'{"do": "calls"}\n')
        assert b'"ok": true' in await reader.readline()
        writer.close()


async def test_a_refusal_reaches_the_person_as_a_sentence(tmp_path: Path) -> None:
    async with control(tmp_path, []).running():
        with pytest.raises(BridgeError, match="user 2 is no operator"):
            await ask(tmp_path, do="ticket", portal="p", user=2)


async def test_answers_may_take_their_time_and_be_long(tmp_path: Path) -> None:
    async with control(tmp_path, []).running():
        assert len((await ask(tmp_path, do="wait", **{"for": 300_000}))["long"]) == 300_000
        with pytest.raises(BridgeError, match="wait for what"):
            await ask(tmp_path, do="wait")


async def test_a_whole_table_of_operators_fits_into_a_request(tmp_path: Path) -> None:
    async with control(tmp_path, []).running():
        assert (await ask(tmp_path, do="operators", text="x" * 500_000))["heard"] == 500_000


async def test_no_bridge_running_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="no bridge is running"):
        await ask(tmp_path, do="calls")


async def test_a_socket_left_by_a_killed_bridge_is_replaced(tmp_path: Path) -> None:
    socket_path(tmp_path).write_text("stale")
    async with control(tmp_path, []).running():
        answer: dict[str, Any] = await ask(tmp_path, do="status")
        assert answer["tabs"] == []


def test_a_path_too_long_for_a_socket_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="shorter"):
        control(tmp_path / ("x" * 120), [])
