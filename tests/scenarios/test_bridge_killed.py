"""kill -9 at the worst moments: after the restart there is exactly one right record each."""

from __future__ import annotations

from .stage import ANNA, ANSWER, PHONE, Stage


async def test_killed_while_ringing_is_a_missed_call(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    call = stage.ring()
    await page.wait_for(f"document.querySelector('{ANSWER}')", frame=PHONE)
    stage.bridge.kill()
    call.hang_up()
    await stage.bridge.start()
    record = await stage.record()
    assert (record.status_code, record.duration, record.user) == ("304", 0, ANNA)


async def test_killed_while_talking_is_an_answered_call(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    call = stage.ring()
    await stage.answer(page)
    await stage.talking(page, call)
    stage.bridge.kill()
    await stage.bridge.start()
    record = await stage.record()
    assert (record.status_code, record.user) == ("200", ANNA)
    assert record.failed_reason


async def test_killed_right_after_the_hang_up_keeps_the_record(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    call = stage.ring()
    await stage.answer(page)
    await stage.talking(page, call)
    await stage.hang_up(page)
    await call.is_over()
    stage.bridge.kill()
    await stage.bridge.start()
    record = await stage.record()
    assert record.status_code == "200"
    assert not stage.portal.faults.rest
