"""A call survives whatever happens to the page it is spoken on: 0 BYE, audio back by itself, one record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ..rig.asterisk import PhoneCall
from ..rig.page import Page
from ..rig.waiting import wait_for
from .conftest import MOBILE, Stages
from .stage import ANNA, Stage


async def in_a_call(stage: Stage) -> tuple[Page, PhoneCall]:
    page = await stage.sign_in(ANNA)
    call = stage.ring()
    await stage.answer(page)
    await stage.talking(page, call)
    return page, call


async def rejoined(stage: Stage, page: Page, voice: str) -> None:
    """Another tab than `voice` holds the microphone, and both sides are joined."""

    async def talking() -> bool:
        (live,) = await stage.live()
        return bool(live["state"] == "talking" and live["voice"] != voice)

    await wait_for(talking, what="the call to be joined again")
    await stage.heard(page)


@pytest.mark.parametrize("how", ["link", "reload", "address bar"])
async def test_the_portal_page_is_left_and_the_next_one_has_the_call(stage: Stage, how: str) -> None:
    page, call = await in_a_call(stage)
    voice = await stage.voice()
    if how == "link":
        await page.evaluate(f"location.href = '/crm/deal/?user={ANNA}'", gesture=True)
    elif how == "reload":
        await page.reload()
    else:
        await page.navigate(f"{stage.portal.url}/company/?user={ANNA}")
    await rejoined(stage, page, voice)
    await stage.talking(page, call)
    assert call.byes() == (0, 0)
    call.hang_up()
    record = await stage.record()
    assert record.status_code == "200"


async def test_another_open_tab_takes_over_when_the_speaking_one_closes(stage: Stage) -> None:
    other = await stage.sign_in(ANNA, "/crm/deal/")
    page, call = await in_a_call(stage)
    voice = await stage.voice()
    await page.close()
    await rejoined(stage, other, voice)
    await stage.talking(other, call)
    assert call.byes() == (0, 0)


async def test_the_speaking_page_crashes_and_another_machine_takes_over(
    stage: Stage, browsers: Callable[..., Any]
) -> None:
    other = await stage.sign_in(ANNA, "/crm/deal/", browser=await browsers())
    page, call = await in_a_call(stage)
    voice = await stage.voice()
    await page.crash("/b24/worker")
    await rejoined(stage, other, voice)
    await stage.talking(other, call)
    assert call.byes() == (0, 0)


async def test_twenty_navigations_in_one_call_and_no_bye(stage: Stage) -> None:
    page, call = await in_a_call(stage)
    voice = await stage.voice()
    for number in range(20):
        path = ["/crm/deal/", "/crm/contact/", "/company/", "/"][number % 4]
        await page.evaluate(f"location.href = '{path}?user={ANNA}'", gesture=True)
        await rejoined(stage, page, voice)
        voice = await stage.voice()
    await stage.talking(page, call)
    assert call.byes() == (0, 0)
    assert "beforeunload" in page.dialogs, "the unfolded card asked before leaving, and was told to let go"
    call.hang_up()
    record = await stage.record()
    assert record.status_code == "200"


async def test_the_lid_is_closed_for_twenty_seconds(stage: Stage) -> None:
    page, call = await in_a_call(stage)
    stage.browser.sleep()
    try:

        async def lost() -> bool:
            (live,) = await stage.live()
            return bool(live["state"] == "rejoining")

        await wait_for(lost, what="the bridge to notice the silence")
        await asyncio.sleep(20)  # the time is the story
    finally:
        stage.browser.wake()
    await stage.talking(page, call)
    assert call.byes() == (0, 0)


@pytest.mark.parametrize("silently", [False, True])
async def test_the_operators_machine_changes_its_network_and_address(stages: Stages, *, silently: bool) -> None:
    stage = await stages(router=True)
    router = stage.router
    assert router is not None
    page, call = await in_a_call(stage)
    router.move(MOBILE, silently=silently)
    await wait_for(lambda: min(router.carried) > 100, what="two seconds of voice both ways by the new address")
    await stage.talking(page, call)
    assert call.byes() == (0, 0)
    call.hang_up()
    assert (await stage.record()).status_code == "200"


async def test_nobody_comes_back_is_a_clean_end_with_the_talk_time(stages: Stages) -> None:
    stage = await stages(rejoin_seconds=3)
    page, call = await in_a_call(stage)
    await page.close()
    await call.is_over()
    record = await stage.record()
    assert (record.status_code, call.byes()) == ("200", (0, 1))
    assert record.duration >= 3
