"""Bitrix24's own call card: raised beside the ring, obeyed, driven, closed."""

from __future__ import annotations

from .stage import ANNA, Stage


async def test_a_call_answered_and_ended_on_the_card(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    call = stage.ring()
    await page.wait_for("document.querySelector('.call-card')?.dataset.state === 'incoming'")
    await page.click("[data-button=answer]")
    await stage.talking(page, call)
    await page.wait_for("document.querySelector('.call-card')?.dataset.state === 'connected'")
    await page.click("[data-button=hangup]")
    await call.is_over()
    await page.wait_for("!document.querySelector('.call-card')", what="the card to close")
    assert (await stage.record()).status_code == "200"


async def test_a_call_declined_on_the_card(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    call = stage.ring()
    await page.wait_for("document.querySelector('.call-card')?.dataset.state === 'incoming'")
    await page.click("[data-button=skip]")
    assert await call.is_answered() == 486
    assert (await stage.record()).status_code == "603"
    await page.wait_for("!document.querySelector('.call-card')", what="the card to close")


async def test_mute_on_the_card_silences_the_operator_and_shows_on_both(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    call = stage.ring()
    await page.click("[data-button=answer]")
    await stage.talking(page, call)
    await page.click("[data-button=mute]")
    await stage.silent(call)
    await page.wait_for("document.querySelector('[aria-pressed=true]')", frame="/b24/app")
    await page.click("[aria-pressed=true]", frame="/b24/app")
    await stage.talking(page, call)
