"""A call is recorded: the operator left, the caller right, in the portal a moment after the call, whatever dies meanwhile."""

from __future__ import annotations

import io
from typing import Any

import av

from bridge.control import ask
from bridge.demo.portal import Call

from ..media.tones import loudness
from ..rig.asterisk import TONE_HZ
from ..rig.chromium import MICROPHONE_HZ
from ..rig.waiting import wait_for
from .conftest import Stages
from .stage import ANNA, PHONE, Stage
from .test_headless_operator import operator

ROBOT_HZ = 700
WINDOW = 0.1
"""Seconds."""


async def attached(stage: Stage) -> tuple[Call, list[tuple[float, float]], float, float]:
    """The call's record, and of each tenth of a second of what was attached to it: how much is the operator's tone on the left, and
    how much the caller's on the right; of the whole how much stands on the wrong side."""
    record = await stage.record()
    recording = await wait_for(lambda: stage.portal.recording(record), 20, "the recording at the call's record")
    assert recording is not None
    with av.open(io.BytesIO(recording.content), "r") as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="s16p", layout="stereo", rate=stream.rate)
        frames = [out for frame in container.decode(stream) for out in resampler.resample(frame)]
    left, right = (b"".join(bytes(f.planes[side])[: 2 * f.samples] for f in frames) for side in (0, 1))
    operator_hz = ROBOT_HZ if stage.visible is None else MICROPHONE_HZ
    step = 2 * int(WINDOW * stream.rate)
    windows = [
        (
            loudness(left[at : at + step], operator_hz, stream.rate),
            loudness(right[at : at + step], TONE_HZ, stream.rate),
        )
        for at in range(0, len(left) - step, step)
    ]
    return record, windows, loudness(left, TONE_HZ, stream.rate), loudness(right, operator_hz, stream.rate)


def always(**more: Any) -> dict[str, Any]:
    return {"recording": {"calls": "always", **more}}


async def test_the_operator_is_left_and_the_caller_right_in_the_file_at_the_calls_record(stages: Stages) -> None:
    stage = await stages(browser=False, portal=always(announcement="beep"))
    async with operator(stage, "--answer", "0.1", "--audio", "tone"):
        call = stage.ring()
        assert await call.is_answered() == 200
        await wait_for(lambda: call.hears(ROBOT_HZ), 10, "the operator's tone at the PBX")
        assert [row["state"] for row in (await ask(stage.state_dir, do="recordings"))["recordings"]] == ["running"]
        call.hang_up()
        record, windows, *wrong = await attached(stage)
    assert record.status_code == "200"
    assert sum(left > 0.9 for left, _ in windows) >= 3
    assert sum(right > 0.9 for _, right in windows) >= 3
    assert max(wrong) < 0.01

    async def nothing_lies_here() -> bool:
        return not (await ask(stage.state_dir, do="recordings"))["recordings"]

    await wait_for(nothing_lies_here, 10, "the recording to be deleted once the portal has it")


async def test_what_was_recorded_before_the_bridge_was_killed_is_attached_after_its_restart(stages: Stages) -> None:
    stage = await stages(browser=False, portal=always(), recordings={"encrypted": True})
    async with operator(stage, "--answer", "0.1", "--audio", "tone"):
        call = stage.ring()
        assert await call.is_answered() == 200
        tapes = stage.state_dir / "recordings"
        await wait_for(
            lambda: any(path.stat().st_size > 20_000 for path in tapes.glob("*/*.part")), 10, "a second on the disk"
        )
        stage.bridge.kill()
        await stage.bridge.start()
        call.hang_up()
        record, windows, *_ = await attached(stage)
    assert record.status_code == "200"
    assert sum(right > 0.9 for _, right in windows) >= 3


async def test_the_operator_asks_for_it_on_the_phone_page_and_interrupts_it_from_the_keyboard(stages: Stages) -> None:
    stage = await stages(portal={"recording": {"calls": "asked"}})
    page = await stage.sign_in(ANNA)
    call = stage.ring()
    await stage.answer(page)
    await stage.talking(page, call)

    async def more_was_said() -> None:
        """The PBX has heard most of a second more."""
        before = call.heard.stat().st_size
        await wait_for(
            lambda: call.heard.stat().st_size > before + 12_000, 10, "more of the operator's voice at the PBX"
        )

    async def press(does: str, then: str) -> None:
        await page.evaluate(f"document.querySelector('[data-do={does}]').focus()", frame=PHONE)
        await page.key("Enter")
        await stage.says(page, then)

    await stage.says(page, "Not recorded")
    await press("record", "Being recorded")
    await more_was_said()
    await press("pauseRecording", "Recording paused")
    await more_was_said()
    await press("record", "Being recorded")
    await more_was_said()
    await stage.hang_up(page)
    _, windows, *wrong = await attached(stage)
    loud = [index for index, (left, right) in enumerate(windows) if left > 0.5 and right > 0.5]
    silent = [index for index, (left, right) in enumerate(windows) if left == right == 0]
    assert len(loud) >= 3, windows
    assert any(loud[0] < index < loud[-1] for index in silent), "the pause is silent on both sides"
    assert max(wrong) < 0.01
