"""A number is clicked in the portal: the card is there at once, the portal's event comes late, twice or never; one call."""

from __future__ import annotations

import pytest

from ..rig.waiting import wait_for
from .stage import AGENTS, ANNA, Stage

NUMBER = "+49301234567"


@pytest.mark.parametrize("lost", [False, True], ids=["event comes late", "event is lost"])
async def test_the_call_is_made_when_the_card_is_drawn_and_only_once(stage: Stage, lost: bool) -> None:
    stage.portal.faults.event_delay = 3
    stage.portal.faults.events_lost = lost
    page = await stage.sign_in(ANNA, "/crm/contact/")
    before = stage.asterisk.outbound(AGENTS[ANNA])
    await page.evaluate(f"document.querySelector('[data-phone]').dataset.phone = '{NUMBER}'")
    await page.click("[data-phone]")
    call = await stage.asterisk.dialled(AGENTS[ANNA], before)
    assert await call.is_answered() == 200
    await stage.talking(page, call)
    await page.wait_for("document.querySelector('.call-card')?.dataset.state === 'connected'")
    if not lost:
        await wait_for(lambda: "ONEXTERNALCALLSTART" in stage.portal.delivered, what="the portal's event")
    assert len(await stage.live()) == 1
    await page.click("[data-button=hangup]")
    await call.is_over()
    record = await stage.record()
    assert (record.direction, record.number, record.status_code) == ("outgoing", NUMBER, "200")
    assert len(stage.asterisk.outbound(AGENTS[ANNA])) == len(before) + 1


async def test_a_busy_number_is_dialled_again_on_the_card(stage: Stage) -> None:
    page = await stage.sign_in(ANNA, "/crm/contact/")
    before = stage.asterisk.outbound(AGENTS[ANNA])
    await page.evaluate("document.querySelector('[data-phone]').dataset.phone = '605'")
    await page.click("[data-phone]")
    await page.wait_for("document.querySelector('.call-card')?.dataset.state === 'redial'")
    assert "busy" in await page.evaluate("document.querySelector('.card-status').textContent")
    await page.click("[data-button=redial]")

    async def twice() -> bool:
        return len(stage.asterisk.outbound(AGENTS[ANNA])) == len(before) + 2

    await wait_for(twice, what="a second call to the number")

    def recorded() -> bool:
        return [entry.status_code for entry in stage.portal.calls] == ["486", "486"]

    await wait_for(recorded, what="both records")
