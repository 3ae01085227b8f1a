"""A client fills in a callback form: it rings, Anna takes it, and only then the client's telephone rings."""

from __future__ import annotations

from .stage import ANNA, Stage


async def test_whoever_takes_a_callback_talks_with_the_client(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    before = stage.asterisk.outbound("1001")
    stage.portal.ask_for_a_callback("609", text="Please call about the offer")
    await stage.says(page, "Please call about the offer")
    assert stage.asterisk.outbound("1001") == before, "nobody is called before somebody is there to talk"
    await stage.answer(page)
    call = await stage.asterisk.dialled("1001", before)
    await stage.talking(page, call)
    await stage.hang_up(page)
    record = await stage.record()
    assert (record.direction, record.status_code, record.user) == ("callback", "200", ANNA)
    assert record.number == "609"


async def test_a_callback_that_nobody_can_take_is_in_the_crm(stage: Stage) -> None:
    stage.portal.ask_for_a_callback("609")
    record = await stage.record()
    assert (record.direction, record.status_code, record.user) == ("callback", "304", ANNA)
