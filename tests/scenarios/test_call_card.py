"""Bitrix24's own call card: raised beside the ring, obeyed, driven, closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from bridge.journal import Entry, read

from ..rig.page import Page
from ..rig.waiting import wait_for
from .stage import ANNA, BORIS, PHONE, Stage


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


async def shows(page: Page, state: str) -> None:
    """The card is in this state of Bitrix24's."""
    await page.wait_for(
        f"document.querySelector('.call-card')?.dataset.state === '{state}'", what=f"the card to be {state}"
    )


def journal(stage: Stage, call: str) -> list[Entry]:
    return [entry for entry in read(stage.state_dir / "journal.jsonl", call) if entry.kind == "event"]


async def choose(page: Page, button: str, choice: str) -> None:
    await page.click(f"[data-button={button}]")
    await page.click(f"[data-choice='{choice}']")


async def transfer(page: Page, number: str) -> None:
    await page.click("[data-button=transfer]")
    await page.click(".card-panel input")
    await page.type(number)
    await page.click(".card-panel.transfer input + .choice")


@pytest.mark.parametrize("by_type", [False, True], ids=["phoneNumber and target", "type and target"])
async def test_every_button_of_the_card_in_one_conversation(stage: Stage, by_type: bool) -> None:
    stage.portal.faults.quality_event = True
    stage.portal.faults.transfer_by_type = by_type
    page = await stage.sign_in(ANNA)
    call = stage.ring(then="bridged")
    await shows(page, "incoming")
    await page.click("[data-button=answer]")
    await shows(page, "connected")
    await stage.talking(page, call)

    await page.click("[data-button=hold]")
    await wait_for(call.is_held, what="the PBX to have accepted the hold")
    await page.wait_for("!!document.querySelector('[data-button=hold].on')", what="the button to show it")
    await page.click("[data-button=hold]")
    await wait_for(lambda: not call.is_held(), what="the PBX to have accepted the resume")
    await stage.talking(page, call)
    await choose(page, "dialpad", "5")
    await choose(page, "quality", "4")
    await page.click("[data-tool=comment]")
    await page.click(".call-card textarea")
    await page.type("Wants tiles.")
    await page.click(".card-panel .choice")

    await transfer(page, "99999")
    await shows(page, "transferFailed")
    await page.click("[data-button=cancel]")
    await shows(page, "connected")
    await stage.talking(page, call)
    await transfer(page, "606")  # rings
    await shows(page, "transferring")
    await page.click("[data-button=cancel]")
    await shows(page, "connected")
    await stage.talking(page, call)
    await page.click("[data-button=hangup]")
    await call.is_over()
    await page.wait_for("!document.querySelector('.call-card')", what="the card to close")

    record = await stage.record_of("incoming")
    assert (record.comment, record.status_code) == ("Wants tiles.", "200")
    said = {entry.name: entry.facts for entry in journal(stage, record.external_id)}
    assert said["OperatorPressed"]["digits"] == "1 keys"
    assert said["OperatorRated"]["mark"] == 4
    assert said["OperatorCommented"]["comment"] == "12 characters"


async def test_tabs_that_draw_the_card_at_once_show_one_call_and_one_answer(stage: Stage) -> None:
    stage.portal.faults.push_delay = 0.3
    pages = [await stage.sign_in(ANNA, path) for path in ("/", "/crm/deal/", "/company/")]
    call = stage.ring()

    async def drawn() -> list[Page]:
        cards = [page for page in pages if await page.evaluate("!!document.querySelector('.call-card')")]
        return cards if len(cards) > 1 else []

    first, second, *_ = await wait_for(drawn, what="more than one tab to draw a card")
    for page in (first, second):
        await shows(page, "incoming")
    answer = "document.querySelector('[data-button=answer]')?.click()"
    await asyncio.gather(*(page.evaluate(answer, gesture=True) for page in (first, second)))
    assert await call.is_answered() == 200
    for page in (first, second):
        await shows(page, "connected")
    assert len(await stage.live()) == 1
    call.hang_up()
    record = await stage.record()
    answers = [entry for entry in journal(stage, record.external_id) if entry.name == "MediaReady"]
    assert (record.status_code, len(answers)) == ("200", 1)
    for page in (first, second):
        await page.wait_for("!document.querySelector('.call-card')", what="the card to close")


async def test_the_desktop_application_has_the_card_the_telephone_says_so_and_works(stage: Stage) -> None:
    stage.portal.faults.desktop_app = True
    page = await stage.sign_in(ANNA)
    call = stage.ring()
    await stage.answer(page)
    await stage.talking(page, call)
    await stage.says(page, "desktop application shows the call card")
    assert not await page.evaluate("!!document.querySelector('.call-card')")
    await stage.hang_up(page)
    await call.is_over()
    stage.portal.faults.desktop_app = False
    other = await stage.sign_in(ANNA, "/crm/deal/")
    stage.ring()
    await shows(other, "incoming")
    await page.wait_for("!document.body.innerText.includes('desktop application')", frame=PHONE)


async def test_a_folded_card_is_brought_back_after_a_reload_and_goes_on_following_the_call(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    call = stage.ring()
    await shows(page, "incoming")
    await page.click("[data-button=answer]")
    await stage.talking(page, call)
    await page.click("[data-tool=fold]")
    voice = await stage.voice()
    await page.reload()
    await page.wait_for("!!document.querySelector('.call-card.folded')", what="the card to be back")

    async def moved() -> bool:
        (live,) = await stage.live()
        return bool(live["state"] == "talking" and live["voice"] not in {"", voice})

    await wait_for(moved, what="the call to go on in the next page")
    await page.click("[data-button=hangup]")
    await call.is_over()
    await page.wait_for("!document.querySelector('.call-card')", what="the card to close")


async def test_a_call_passed_on_by_the_card_is_shown_as_such_on_the_colleagues_card(
    stage: Stage, browsers: Callable[..., Any]
) -> None:
    anna = await stage.sign_in(ANNA)
    boris = await stage.sign_in(BORIS, browser=await browsers())
    call = stage.ring(then="bridged")
    await shows(anna, "incoming")
    await anna.click("[data-button=answer]")
    await stage.talking(anna, call)
    await choose(anna, "transfer", "Boris Lang")
    await shows(anna, "transferring")
    await shows(boris, "incoming")
    await boris.wait_for("!!document.querySelector('[data-do=answer]')", frame=PHONE, what="the telephone to be open")
    await anna.click("[data-button=complete]")
    await shows(boris, "transferIncoming")
    assert "1001" in await boris.evaluate("document.querySelector('.card-status').textContent")
    await boris.click("[data-button=answer]")
    await shows(boris, "connected")
    await stage.heard(boris)
    await anna.wait_for("!document.querySelector('.call-card')", what="the card to close")
    await boris.click("[data-button=hangup]")
    await stage.ended()


async def test_both_are_put_together_when_the_card_completes_after_an_answer(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    call = stage.ring(then="bridged")
    await shows(page, "incoming")
    await page.click("[data-button=answer]")
    await stage.talking(page, call)
    before = stage.asterisk.outbound("1001")
    await transfer(page, "610")
    await stage.talking(page, await stage.asterisk.dialled("1001", before))
    await page.click("[data-button=complete]")
    await stage.ended()
    await page.wait_for("!document.querySelector('.call-card')", what="the card to close")
    assert "Replaces=" in next(m.header("Refer-To") for m in call.messages() if m.method == "REFER" and m.is_request)
