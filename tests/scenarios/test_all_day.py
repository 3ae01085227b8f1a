"""What happens in the course of a day: restarts, sleeping tabs, pages left in the back/forward cache."""

from __future__ import annotations

from ..rig.page import Page
from ..rig.waiting import wait_for
from .conftest import Stages
from .stage import AGENTS, ANNA, BORIS, Stage


async def call_goes_through(stage: Stage, page: Page) -> None:
    call = stage.ring()
    await stage.answer(page)
    await stage.talking(page, call)
    call.hang_up()
    await call.is_over()
    await stage.ended()


async def test_the_bridge_restarts_and_open_pages_ring_again(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    await stage.bridge.stop()
    await stage.bridge.start()
    await stage.asterisk.wait_registered(AGENTS[ANNA])
    await stage.online(ANNA)
    await call_goes_through(stage, page)


async def test_the_bridge_is_killed_and_open_pages_ring_again(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    stage.bridge.kill()
    await stage.bridge.start()
    await stage.online(ANNA)
    await call_goes_through(stage, page)


async def test_the_pbx_restarts_and_the_accounts_come_back(stages: Stages) -> None:
    stage = await stages(trunk={"expires": 10})
    page = await stage.sign_in(ANNA)
    stage.asterisk.restart()
    await stage.asterisk.wait_registered(AGENTS[ANNA], timeout=30)
    await call_goes_through(stage, page)


async def test_tokens_expire_and_calls_are_logged_all_the_same(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    stage.portal.expire_tokens()
    await call_goes_through(stage, page)
    assert (await stage.record()).status_code == "200"
    await page.reload()  # with a fresh token of the portal, while the bridge's own was renewed
    await stage.online(ANNA)


async def test_the_next_person_at_the_same_browser_is_not_taken_for_the_last(stage: Stage) -> None:
    anna = await stage.sign_in(ANNA)
    await anna.close()
    await stage.sign_in(BORIS)


async def test_a_hidden_tab_still_rings_and_can_be_answered(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    front = await stage.browser.page("about:blank")
    await front.activate()
    call = stage.ring()
    await call.rings()
    await page.activate()
    await stage.answer(page)
    await stage.talking(page, call)


async def test_a_page_in_the_back_forward_cache_is_no_operator_and_comes_back_as_one(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    await page.navigate("about:blank")

    async def gone() -> bool:
        return not await stage.workers(ANNA)

    await wait_for(gone, what="the left page to say goodbye")
    await page.evaluate("history.back()")
    await stage.online(ANNA)
    await page.click("h1")
    await call_goes_through(stage, page)


async def test_a_call_in_the_moment_of_a_navigation_rings_on_the_next_page(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    await page.navigate("about:blank")
    call = stage.ring()
    await call.rings()
    await page.navigate(f"{stage.portal.url}/?user={ANNA}")
    await stage.answer(page)
    await stage.talking(page, call)
