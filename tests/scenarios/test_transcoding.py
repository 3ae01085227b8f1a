"""Operators speak opus, the PBX G.711: both hear each other, and the recording has both."""

from __future__ import annotations

from ..rig.asterisk import TONE_HZ
from ..rig.waiting import wait_for
from .conftest import Stages
from .test_headless_operator import operator
from .test_recording import always, attached


async def test_an_operator_who_speaks_opus_and_a_pbx_that_does_not_hear_each_other(stages: Stages) -> None:
    trunk = {"codecs": ["PCMA"], "transcode": "opus-to-browser"}
    stage = await stages(browser=False, trunk=trunk, portal=always())
    async with operator(stage, "--answer", "0.1", "--audio", "echo"):
        call = stage.ring()
        assert await call.is_answered() == 200
        await wait_for(lambda: call.hears(TONE_HZ), 10, "the caller's own tone, back from the operator")
        await wait_for(lambda: any(stage.state_dir.glob("recordings/*/*.part")), 10, "the tape")
        call.hang_up()
        _, windows, *_ = await attached(stage)
    assert sum(right > 0.9 for _, right in windows) >= 3
    (line,) = [line for line in stage.asterisk.log().splitlines() if "m=audio" in line and " 8 " in line][-1:]
    assert " 107" not in line
