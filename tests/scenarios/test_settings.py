"""An administrator gives a colleague an account: a table is pasted, and the colleague can be called."""

from __future__ import annotations

import json
from typing import Any

from bridge.control import ask

from ..rig.page import Page
from ..rig.waiting import wait_for
from .conftest import Stages
from .stage import AGENTS, ANNA, BORIS, PHONE, Stage


async def open_settings(stage: Stage) -> Page:
    page = await stage.sign_in(ANNA, "/marketplace/app/1/")
    await page.click("[data-do=settings]", frame=PHONE)
    await page.wait_for("!!document.querySelector('textarea')", frame=PHONE, what="the settings")
    return page


async def paste(page: Page, text: str) -> None:
    set_value = f"""(() => {{
      const field = document.querySelector("textarea");
      field.value = {json.dumps(text)};
      field.dispatchEvent(new Event("input", {{ bubbles: true }}));
    }})()"""
    await page.evaluate(set_value, frame=PHONE)


async def registered(stage: Stage) -> set[str]:
    rows: list[dict[str, Any]] = (await ask(stage.state_dir, do="status"))["registrations"]
    return {row["account"] for row in rows if row["state"] == "registered"}


async def test_a_pasted_table_makes_an_operator_who_can_be_called_at_once(stages: Stages, browsers: Any) -> None:
    stage = await stages(operators=(ANNA,))
    stage.portal.world.change(BORIS, extension="202")
    boris = await (await browsers()).page(f"{stage.portal.url}/marketplace/app/1/?user={BORIS}")
    await stage.says(boris, "You are not set up as an operator")
    page = await open_settings(stage)
    await stage.says(page, "Boris Lang")
    agent = AGENTS[BORIS]
    table = f"extension;sip_user;password\n202;{agent};{stage.asterisk.passwords[agent]}\n;;oops\n"
    await paste(page, table)
    await page.click("[data-do=check]", frame=PHONE)
    await stage.says(page, "1 added, 1 refused")
    assert await registered(stage) == {AGENTS[ANNA]}, "looked at, not done"
    await page.click("[data-do=import]", frame=PHONE)
    await page.wait_for(
        f"document.querySelector('[data-account=\"{agent}\"]')?.innerText.includes('Registered')",
        frame=PHONE,
        what="the account to be registered",
    )
    await stage.asterisk.wait_registered(agent)
    await boris.reload()
    await stage.online(BORIS)
    await boris.click("h1")
    call = stage.ring(BORIS)
    await stage.answer(boris)
    await stage.talking(boris, call)
    await page.click(f'[data-account="{agent}"] [data-do=remove]', frame=PHONE)
    await page.click("[data-do=reallyRemove]", frame=PHONE)

    async def gone() -> bool:
        return await registered(stage) == {AGENTS[ANNA]}

    await wait_for(gone, what="the account to be un-registered")
    await stage.heard(boris)
    call.hang_up()
    assert (await stage.record()).user == BORIS, "a call outlives its account"


async def test_a_call_comes_before_the_settings(stages: Stages) -> None:
    stage = await stages()
    page = await open_settings(stage)
    call = stage.ring(ANNA)
    await stage.answer(page)
    await stage.talking(page, call)
