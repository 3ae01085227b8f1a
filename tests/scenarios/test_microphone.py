"""Where the hidden frame may not use the microphone: what the operator is told, and who speaks instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..rig.chromium import MICROPHONE_HZ
from ..rig.waiting import wait_for
from .stage import ANNA, PHONE, Stage


async def test_a_refused_microphone_answers_nothing_and_says_what_to_do(
    stage: Stage, browsers: Callable[..., Any]
) -> None:
    browser = await browsers(consent=False)
    await browser.permit(stage.portal.url, how="denied")
    page = await stage.sign_in(ANNA, browser=browser)
    call = stage.ring()
    await stage.answer(page)
    await page.wait_for("!!document.querySelector('.notice')", frame=PHONE, what="a sentence about the microphone")
    assert call.final_status() == 0, "nobody was connected to silence"
    assert call.is_up()


async def test_where_only_the_hidden_frame_is_barred_the_telephone_itself_speaks_and_says_that_it_must_stay_open(
    stage: Stage,
) -> None:
    stage.portal.faults.hidden_barred = True
    page = await stage.sign_in(ANNA)
    call = stage.ring()
    await stage.answer(page)
    assert await call.is_answered() == 200
    await stage.heard(page, frames=PHONE)
    await wait_for(lambda: call.hears(MICROPHONE_HZ), what="the operator's tone at the PBX")
    await stage.says(page, "this page speaks: keep it open")
    await page.navigate(f"{stage.portal.url}/company/?user={ANNA}")
    await stage.says(page, "this page speaks: keep it open")
    await stage.heard(page, frames=PHONE)
    call.hang_up()
    assert (await stage.record()).status_code == "200"


async def test_a_portal_that_does_not_delegate_the_microphone_leaves_the_voice_to_the_phone_page(stage: Stage) -> None:
    stage.portal.faults.allow = "none"
    page = await stage.sign_in(ANNA)
    call = stage.ring()
    await stage.answer(page)
    await page.wait_for("!!document.querySelector('.notice')", frame=PHONE, what="a sentence about the microphone")
    assert call.is_up()
