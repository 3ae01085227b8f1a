"""A client whom the CRM knows calls: the name is there while it rings, and whoever looks after them is rung first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridge.demo.portal.faults import RestFault

from ..rig.waiting import wait_for
from .conftest import Stages
from .stage import ANNA, BORIS, PHONE, Stage

WEBER = "030 123456"
"""Jonas Weber, contact 12 of the simulated CRM, whom Boris looks after; as a PBX in Germany may show it."""


async def rung(stage: Stage) -> list[str]:
    return [call["operator"].partition("@")[0] for call in await stage.live()]


async def test_the_responsible_rings_first_and_sees_who_it_is(stages: Stages, browsers: Callable[..., Any]) -> None:
    stage = await stages(portal={"prefer_responsible": True}, responsible_seconds=20)
    anna = await stage.sign_in(ANNA)
    boris = await stage.sign_in(BORIS, browser=await browsers())
    call = stage.ring(ANNA, caller=WEBER.replace(" ", ""), name="")
    await stage.says(boris, "Jonas Weber")
    await stage.says(boris, "+4930123456")
    await stage.says(boris, "Your client")
    (row,) = await stage.live()
    assert (row["name"], row["responsible"], row["number"]) == ("Jonas Weber", "Boris Lang", "+4930123456")
    assert not await anna.frames(PHONE), "the account's own operator hears nothing yet"
    await stage.hang_up(boris)
    await stage.says(anna, "Jonas Weber")
    await stage.says(anna, "Looked after by Boris Lang")
    await anna.click("[data-do=openClient]", frame=PHONE)
    await anna.wait_for(
        "document.querySelectorAll('iframe[src*=\"/crm/contact/details/12/\"]').length > 0", what="the client's page"
    )
    await anna.key("Escape")
    call.hang_up()
    record = await stage.record()
    assert (record.number, record.user, record.status_code) == ("+4930123456", ANNA, "304")


async def test_a_responsible_who_has_gone_home_is_left_in_peace(stages: Stages, browsers: Callable[..., Any]) -> None:
    stage = await stages(portal={"prefer_responsible": True})
    stage.portal.world.change(BORIS, workday="CLOSED")
    anna = await stage.sign_in(ANNA)
    boris = await stage.sign_in(BORIS, browser=await browsers())
    call = stage.ring(ANNA, caller="+4930123456", name="")
    await stage.says(anna, "Looked after by Boris Lang")
    assert not await boris.frames(PHONE)
    await stage.answer(anna)
    await stage.talking(anna, call)
    call.hang_up()
    assert (await stage.record()).user == ANNA


async def test_a_crm_that_does_not_answer_keeps_nobody_waiting(stages: Stages) -> None:
    stage = await stages(portal={"prefer_responsible": True}, lookup_seconds=0.5)
    stage.portal.faults.rest.append(RestFault(methods=("telephony.externalcall.searchcrmentities",), delay=60))
    await stage.sign_in(ANNA)
    stage.ring(ANNA, caller="+4930123456")

    async def rings() -> bool:
        return await rung(stage) == [str(ANNA)]

    await wait_for(rings, what="the group to ring without the CRM")
