"""An administrator opens the application in the portal and installs it with one click."""

from __future__ import annotations

from .conftest import Stages
from .stage import ANNA, BORIS, PHONE


async def test_the_administrator_installs_with_one_click_and_the_worker_appears(stages: Stages) -> None:
    stage = await stages(installed=False)
    page = await stage.browser.page(f"{stage.portal.url}/marketplace/app/1/?user={ANNA}")
    await page.click("button", frame="/b24/install")
    await page.wait_for(
        "location.search.includes('install_finished')", what="installFinish to reload the page", timeout=20
    )
    assert stage.portal.installed
    await stage.online(ANNA)
    await page.wait_for("document.body.innerText.includes('Ready')", frame=PHONE)


async def test_before_the_installation_nobody_has_a_telephone(stages: Stages) -> None:
    stage = await stages(installed=False)
    await stage.browser.page(f"{stage.portal.url}/?user={BORIS}")
    call = stage.ring(BORIS)
    assert await call.is_answered() == 480
    await stage.portal.auto_install()
    record = await stage.record(timeout=30)
    assert (record.user, record.status_code) == (BORIS, "304"), "the promise waited for the installation"
