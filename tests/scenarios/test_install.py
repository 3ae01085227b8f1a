"""An administrator opens the application in the portal and installs it with one click."""

from __future__ import annotations

import re

from bridge.demo.portal import RestFault

from .conftest import Stages
from .stage import ANNA, BORIS, PHONE

INSTALL, ADMIN = "/b24/install", "/b24/admin"


async def test_the_administrator_installs_with_one_click_and_the_worker_appears(stages: Stages) -> None:
    stage = await stages(installed=False)
    page = await stage.browser.page(f"{stage.portal.url}/marketplace/app/1/?user={ANNA}")
    await page.wait_for("document.querySelector('input[type=tel]') !== null", frame=INSTALL)
    await page.click("input[type=tel]", frame=INSTALL)
    await page.type("+4930123456")
    await page.click("button", frame=INSTALL)
    await page.wait_for(
        "location.search.includes('install_finished')", what="installFinish to reload the page", timeout=20
    )
    assert stage.portal.installed
    await stage.online(ANNA)
    await page.wait_for("document.body.innerText.includes('Ready')", frame=PHONE)
    assert [line.number for line in stage.portal.world.lines.all] == ["+4930123456"]


async def test_what_stops_the_installation_is_read_out_and_it_can_be_tried_again(stages: Stages) -> None:
    stage = await stages(installed=False)
    stage.portal.faults.rest = [RestFault(methods=("event.get",), status=500, count=1)]
    page = await stage.browser.page(f"{stage.portal.url}/marketplace/app/1/?user={ANNA}")
    await page.click("button", frame=INSTALL)
    await page.wait_for("document.querySelector('.steps .bad') !== null", frame=INSTALL)
    titles = "[...document.querySelectorAll('.steps[aria-live] strong')].map((title) => title.innerText)"
    assert await page.evaluate(titles, frame=INSTALL) == [
        "This Bitrix24: in order", "The application: in order", "You: in order", "Authorisation: in order",
        "The telephone on every page: in order", "Events: needs attention",
    ]  # fmt: skip
    assert await page.evaluate("document.activeElement.innerText", frame=INSTALL) == "Try again"
    assert not stage.portal.installed
    await page.key("Enter")
    await page.wait_for("location.search.includes('install_finished')")
    assert stage.portal.installed


async def test_an_administrator_sees_how_it_stands_and_pages_report_how_long_they_loaded(stages: Stages) -> None:
    stage = await stages(worker={"slow_seconds": 0.001, "slow_loads": 2})
    await stage.sign_in(BORIS)
    page = await stage.browser.page(f"{stage.portal.url}/marketplace/app/1/?user={ANNA}")
    await page.click("[data-do=settings]", frame=PHONE)
    await page.click("form.administration button", frame=PHONE)
    await page.wait_for("document.querySelector('.steps li') !== null", frame=ADMIN)
    text = await page.evaluate("document.body.innerText", frame=ADMIN)
    assert "The telephone on every page: needs attention" in text
    assert re.search(r"[12] of 2 slow loads", text), text
    assert f"user {BORIS}: " in text, "with what took the time"
    assert "Administrators: in order" in text


async def test_before_the_installation_nobody_has_a_telephone(stages: Stages) -> None:
    stage = await stages(installed=False)
    await stage.browser.page(f"{stage.portal.url}/?user={BORIS}")
    call = stage.ring(BORIS)
    assert await call.is_answered() == 480
    await stage.portal.auto_install()
    record = await stage.record(timeout=30)
    assert (record.user, record.status_code) == (BORIS, "304"), "the promise waited for the installation"
