"""Bitrix24's REST hangs for 15 s: the call does not notice, the record arrives afterwards."""

from __future__ import annotations

from bridge.demo.portal import RestFault

from .stage import ANNA, Stage


async def test_a_hanging_portal_delays_neither_ringing_nor_answering(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    stage.portal.faults.rest = [RestFault(methods=("telephony.externalcall.register",), delay=15, count=1)]
    call = stage.ring()
    await stage.answer(page)
    await stage.talking(page, call)
    assert stage.portal.calls == [], "not registered yet, and nobody waited for it"
    call.hang_up()
    record = await stage.record(timeout=60)
    assert record.status_code == "200"
