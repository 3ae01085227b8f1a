"""`bridge operator` answers a real PBX's call; `bridge calls` sees it and ends it."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bridge.control import ask
from bridge.errors import BridgeError
from bridge.robot import Orders, Robot

from ..rig.process import ROOT
from ..rig.waiting import PATIENCE, wait_for
from .stage import ANNA, Stage


@asynccontextmanager
async def operator(stage: Stage, *options: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bridge",
        "operator",
        "--portal",
        stage.portal.url,
        "--user",
        str(ANNA),
        *options,
        cwd=ROOT,
    )
    try:
        await stage.online(ANNA)
        yield
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0


async def bridge(stage: Stage, *words: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge", *words, "--config", str(stage.bridge.config),
        cwd=stage.bridge.directory, stdout=PIPE, env={"PYTHONPATH": str(ROOT), "COLUMNS": "200", **stage.bridge.secrets},
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


async def test_a_headless_operator_answers_and_is_heard(stage: Stage) -> None:
    async with operator(stage, "--answer", "0.2", "--audio", "tone"):
        call = stage.ring()
        assert await call.is_answered() == 200
        await wait_for(lambda: call.hears(700), what="the operator's tone at the PBX")
        (live,) = json.loads(await bridge(stage, "calls", "--json"))
        assert (live["state"], live["number"]) == ("talking", call.caller)
        await bridge(stage, "calls", "--hang-up", "all")
        await call.is_over()
        record = await stage.record()
        assert record.status_code == "200"
        ladder = await bridge(stage, "trace", live["call"])
        assert "PbxInvited" in ladder
        assert "FinishCall" in ladder
        assert "│ installed │" in await bridge(stage, "portals")
        assert "registered" in await bridge(stage, "status")
        assert "2 registered" in await bridge(stage, "trunks")


async def test_a_headless_operator_of_a_real_portal_comes_in_by_the_control_socket(stage: Stage) -> None:
    given = await ask(stage.state_dir, do="ticket", portal=stage.portal.url, user=ANNA)
    told: list[str] = []
    orders = Orders(answer_after=0.1, dial="600")
    robot = Robot(
        bridge_url=given["url"], ticket=given["ticket"], session=given["session"], orders=orders, say=told.append
    )
    before = stage.asterisk.outbound("1001")
    running = asyncio.ensure_future(robot.run())
    call = await stage.asterisk.dialled("1001", before)
    assert await call.is_answered() == 200
    await wait_for(lambda: call.hears(700), what="the robot's tone at the PBX")
    call.hang_up()
    record = await stage.record()
    assert (record.direction, record.status_code) == ("outgoing", "200")
    running.cancel()
    with pytest.raises(BridgeError, match="is no operator"):
        await ask(stage.state_dir, do="ticket", portal=stage.portal.url, user=99)


async def test_a_headless_operator_that_never_answers_lets_it_ring(stage: Stage) -> None:
    async with operator(stage, "--answer", "never"):
        call = stage.ring()
        await call.rings()
        call.hang_up()
        assert (await stage.record()).status_code == "304"
