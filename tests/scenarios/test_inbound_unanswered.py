"""A call from outside that nobody takes: what the PBX hears, and what the CRM says."""

from __future__ import annotations

import pytest

from ..interop import ASTERISK, interop
from .conftest import Stages
from .stage import ANNA, ANSWER, PHONE, Stage


@interop(ASTERISK, "CANCEL by the peer")
async def test_caller_gives_up_while_ringing_is_487_and_missed(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    call = stage.ring()
    await call.rings()
    await page.wait_for(f"document.querySelector('{ANSWER}')", frame=PHONE)
    call.hang_up()
    record = await stage.record()
    assert (await call.is_answered(), record.status_code, record.duration) == (487, "304", 0)
    await page.wait_for(f"!document.querySelector('{ANSWER}')", frame=PHONE, what="the page to stop offering the call")


@pytest.mark.parametrize("status", [486, 603])
@interop(ASTERISK, "refusals with their codes")
async def test_operator_declines_is_486_or_603_by_setting_and_declined(stages: Stages, status: int) -> None:
    stage = await stages(trunk={"decline_status": status})
    page = await stage.sign_in(ANNA)
    call = stage.ring()
    await stage.hang_up(page)
    record = await stage.record()
    assert (await call.is_answered(), record.status_code) == (status, "603")


async def test_nobody_online_is_480_at_once_and_missed(stage: Stage) -> None:
    call = stage.ring()
    assert await call.is_answered() == 480
    record = await stage.record()
    assert (record.status_code, record.user) == ("304", ANNA)
    assert 180 not in call.statuses()
    figures = await stage.bridge.metrics()
    assert 'direction="inbound",ending="nobody-online"' in figures
    assert 'bridge_registrations{state="registered",trunk="pbx"} 2.0' in figures


async def test_nobody_answers_in_time_is_480_and_missed(stages: Stages) -> None:
    stage = await stages(ring_seconds=2)
    await stage.sign_in(ANNA)
    call = stage.ring()
    await call.rings()
    assert await call.is_answered() == 480
    assert (await stage.record()).status_code == "304"
