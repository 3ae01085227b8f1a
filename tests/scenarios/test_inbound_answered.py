"""A call from outside is answered and talked through."""

from __future__ import annotations

from ..interop import ASTERISK, interop
from .stage import ANNA, PHONE, Stage


@interop(ASTERISK, "incoming call", "two-way tone", "PCMU")
async def test_inbound_answered_caller_hangs_up(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    call = stage.ring(caller="+4930123456", name="Erika Mustermann")
    await page.wait_for("document.body.innerText.includes('+4930123456')", frame=PHONE)
    await stage.answer(page)
    await stage.talking(page, call)
    call.hang_up()
    record = await stage.record()
    assert (record.direction, record.number, record.user, record.status_code) == (
        "incoming",
        "+4930123456",
        ANNA,
        "200",
    )
    assert call.final_status() == 200
    assert call.byes() == (1, 0)
    assert 0 < record.duration < 30


async def test_inbound_answered_operator_hangs_up(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    call = stage.ring()
    await stage.answer(page)
    await stage.talking(page, call)
    await stage.hang_up(page)
    await call.is_over()
    record = await stage.record()
    assert (record.status_code, call.byes()) == ("200", (0, 1))
