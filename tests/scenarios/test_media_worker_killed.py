"""A media worker is killed, while a call rings and while it is spoken: the call goes on, and the CRM has one record."""

from __future__ import annotations

import os
import signal
from itertools import pairwise
from typing import Any

from bridge.control import ask
from bridge.media.progress import SLACK

from ..rig.waiting import wait_for
from .conftest import Stages
from .stage import ANNA, Stage

TWO = {"workers": 2, "browser_port": 0}


async def workers(stage: Stage) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await ask(stage.state_dir, do="status"))["workers"]
    return rows


async def carrier(stage: Stage) -> int:
    """The pid of the worker that carries the one call."""

    async def carrying() -> list[int]:
        return [row["pid"] for row in await workers(stage) if row["calls"] and row["state"] == "live"]

    (pid,) = await wait_for(carrying, 15, "a worker to have the call")
    return int(pid)


async def kill(stage: Stage) -> None:
    """Another worker has the call afterwards."""
    pid = await carrier(stage)
    os.kill(pid, signal.SIGKILL)

    async def elsewhere() -> bool:
        return pid not in [row["pid"] for row in await workers(stage)] and await carrier(stage) != pid

    await wait_for(elsewhere, 15, "another worker to have the call")


async def test_killed_in_mid_call_the_tone_is_back_both_ways_and_nobody_hangs_up(stages: Stages) -> None:
    stage = await stages(media=TWO, pbx_way=True)
    assert stage.to_pbx is not None
    page = await stage.sign_in(ANNA)
    call = stage.ring()
    await stage.answer(page)
    await stage.talking(page, call)
    await kill(stage)

    async def rejoined() -> bool:
        (live,) = await stage.live()
        return bool(live["state"] == "talking" and live["voice"])

    await wait_for(rejoined, 15, "the call to be joined again")
    await stage.talking(page, call)
    assert call.byes() == (0, 0)
    assert not call.reoffers(), "the PBX has nothing to be told"
    assert_one_stream(stage.to_pbx.heard)
    call.hang_up()
    assert (await stage.record()).status_code == "200"


def assert_one_stream(heard: list[tuple[int, int, int]]) -> None:
    """One SSRC; no number twice, and none left out that the time in between does not account for."""
    assert len({ssrc for _, _, ssrc in heard}) == 1
    assert len({sequence for sequence, _, _ in heard}) == len(heard)
    for (sequence, timestamp, _), (following, later, _) in pairwise(heard):
        frames = (later - timestamp & 0xFFFFFFFF) / 160
        assert 0 < (following - sequence & 0xFFFF) <= frames + 2 * SLACK, (frames, following - sequence)


async def test_killed_before_the_answer_the_operator_hears_the_voice_before_the_call_again(stages: Stages) -> None:
    stage = await stages(media=TWO)
    page = await stage.telephone()
    call = await stage.dial(page, "614")
    await stage.heard(page)
    await kill(stage)
    await stage.heard(page)
    assert not call.final_status()
    assert call.is_up()
    await stage.hang_up(page)


async def test_killed_while_it_rings_the_page_connects_anew_and_answers(stages: Stages) -> None:
    stage = await stages(media=TWO)
    page = await stage.sign_in(ANNA)
    call = stage.ring()
    await page.wait_for("!!document.querySelector('[data-do=answer]')", frame="/b24/app", what="the ring")
    await kill(stage)
    await stage.answer(page)
    await stage.talking(page, call)
    call.hang_up()
    assert (await stage.record()).status_code == "200"
