"""Calls that an operator makes: answered, early media, and every way in which nobody answers."""

from __future__ import annotations

import pytest

from ..interop import ASTERISK, interop
from ..rig.waiting import wait_for
from .stage import ANNA, PHONE, STOP, WORKER, Stage


@interop(ASTERISK, "outgoing call", "two-way tone")
async def test_dialled_answered_talked_hung_up(stage: Stage) -> None:
    page = await stage.telephone()
    call = await stage.dial(page, "609")
    await stage.says(page, "Ringing")
    await stage.heard(page, 425)
    await stage.talking(page, call)
    await page.click(STOP, frame=PHONE)
    await call.is_over()
    record = await stage.record()
    assert (record.direction, record.number, record.user, record.status_code) == ("outgoing", "609", ANNA, "200")
    assert record.duration > 0


@interop(ASTERISK, "early media heard by us")
async def test_early_media_is_heard_before_the_answer(stage: Stage) -> None:
    page = await stage.telephone()
    call = await stage.dial(page, "604")
    await stage.heard(page, 440)
    assert call.final_status() == 0
    assert await call.is_answered() == 200
    await stage.heard(page, 700)  # its echo
    await page.click(STOP, frame=PHONE)
    assert (await stage.record()).status_code == "200"


@pytest.mark.parametrize(
    ("number", "status", "code", "says", "hertz"),
    [
        ("605", 486, "486", "busy", 425),
        ("99999", 404, "404", "number", 1400),
        ("607", 403, "403", "not allow", 425),
        ("608", 503, "503", "", 425),
    ],
)
@interop(ASTERISK, "refusals with their codes")
async def test_a_refusal_has_its_status_a_sentence_and_a_tone(
    stage: Stage, number: str, status: int, code: str, says: str, hertz: int
) -> None:
    page = await stage.telephone()
    await page.evaluate(f"window.tone = __hears({hertz}); 0", frame=WORKER)
    call = await stage.dial(page, number)
    assert await call.is_answered() == status
    assert await page.evaluate("tone", frame=WORKER), "the tone that fits is heard"
    await page.wait_for(
        f"document.body.innerText.toLowerCase().includes('{says}')", frame=PHONE, what="a sentence for the operator"
    )
    record = await stage.record()
    assert (record.status_code, record.duration) == (code, 0)


@interop(ASTERISK, "CANCEL by us")
async def test_cancelled_by_the_operator_while_it_rings(stage: Stage) -> None:
    page = await stage.telephone()
    call = await stage.dial(page, "606")
    await stage.says(page, "Ringing")
    await page.click(STOP, frame=PHONE)
    assert await call.is_answered() == 487
    assert (await stage.record()).status_code == "603-S"


async def test_a_click_on_a_number_calls_it_with_the_portals_own_call_id(stage: Stage) -> None:
    page = await stage.sign_in(ANNA, "/crm/contact/")
    before = stage.asterisk.outbound("1001")
    await page.click("[data-phone]")
    call = await stage.asterisk.dialled("1001", before)
    await stage.talking(page, call)
    call.hang_up()
    record = await stage.record()
    assert (record.direction, record.user, record.status_code) == ("outgoing", ANNA, "200")
    assert record.number == call.number
    registers = [request for request in stage.portal.requests if "register" in request.method.lower()]
    assert registers == [], "the portal had registered the call itself"


async def test_the_page_may_be_left_while_the_far_end_rings(stage: Stage) -> None:
    page = await stage.telephone()
    call = await stage.dial(page, "606")
    await stage.says(page, "Ringing")
    await page.navigate(f"{stage.portal.url}/crm/deal/?user={ANNA}")

    async def back() -> bool:
        (live,) = await stage.live()
        return bool(live["voice"]) and live["state"] == "dialling"

    await wait_for(back, what="the next page to take the voice")
    assert call.final_status() == 0
    await stage.bridge_hangs_up()
    assert await call.is_answered() == 487
