"""A call is passed on: at once, after a word with the new party, or not at all."""

from __future__ import annotations

from ..interop import ASTERISK, interop
from ..rig.page import Page
from ..rig.waiting import wait_for
from .stage import ANNA, PHONE, Stage

TRANSFER, NOW, CONSULT = "[data-do=transfer]", "[data-do=transferNow]", "[data-do=consult]"
COMPLETE, BACK = "[data-do=complete]", "[data-do=back]"
FIELD = "form.transfer input"


async def passes_on(page: Page, number: str, how: str) -> None:
    await page.click(TRANSFER, frame=PHONE)
    await page.click(FIELD, frame=PHONE)
    await page.type(number)
    await page.click(how, frame=PHONE)


def persons(stage: Stage) -> int:
    """People behind the PBX who are in a call."""
    return stage.asterisk.cli("core show channels concise").count("!person!talk!")


@interop(ASTERISK, "blind, from us")
async def test_a_blind_transfer_leaves_the_caller_with_the_new_party_and_one_record(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    call = stage.ring(then="bridged")
    await stage.answer(page)
    await stage.talking(page, call)
    await passes_on(page, "620", NOW)
    await stage.says(page, "passed on")
    await stage.ended()
    assert call.received("REFER") == 1
    await wait_for(lambda: "!phones!620!" in stage.asterisk.cli("core show channels concise"), what="the caller at 620")
    record = await stage.record()
    assert (record.user, record.status_code) == (ANNA, "200")
    assert record.duration > 0


@interop(ASTERISK, "blind, fails and returns")
async def test_a_transfer_that_fails_gives_the_call_back_with_a_sentence(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    call = stage.ring(then="bridged")
    await stage.answer(page)
    await stage.talking(page, call)
    await passes_on(page, "99999", NOW)
    await stage.says(page, "was not passed on")
    await stage.talking(page, call)
    assert not call.is_held()
    call.hang_up()
    assert (await stage.record()).status_code == "200"


@interop(ASTERISK, "attended, from us")
async def test_an_attended_transfer_brings_both_together_and_both_talks_have_their_record(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    call = stage.ring(then="bridged")
    await stage.answer(page)
    await stage.talking(page, call)
    before = stage.asterisk.outbound("1001")
    await passes_on(page, "610", CONSULT)
    second = await stage.asterisk.dialled("1001", before)
    await stage.talking(page, second)
    assert call.is_held()
    people = persons(stage)
    await page.click(COMPLETE, frame=PHONE)
    await stage.ended()
    assert "Replaces=" in next(m.header("Refer-To") for m in call.messages() if m.method == "REFER" and m.is_request)
    assert persons(stage) == people, "they talk to each other"
    await wait_for(lambda: all(entry.finished for entry in stage.portal.calls), what="the records")
    assert [(entry.user, entry.status_code) for entry in stage.portal.calls] == [(ANNA, "200")] * 2


async def test_back_from_a_consultation_resumes_the_first_call(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    call = stage.ring(then="bridged")
    await stage.answer(page)
    await stage.talking(page, call)
    before = stage.asterisk.outbound("1001")
    await passes_on(page, "601", CONSULT)
    second = await stage.asterisk.dialled("1001", before)
    await stage.talking(page, second)
    await page.click(BACK, frame=PHONE)
    await second.is_over()
    await wait_for(lambda: not call.is_held(), what="the first call to be resumed")
    await stage.talking(page, call)
