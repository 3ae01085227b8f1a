"""An operator at a browser: Chromium with the portal's pages, and the moments at which things happened in them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ..rig.cdp import BrowserError
from ..rig.chromium import Chromium
from ..rig.page import LISTENER, Page
from ..rig.waiting import wait_for
from .pbx import Call
from .phone import TONE_HZ, Phone
from .site import Site, account

WORKER, PHONE, ANSWER = "/b24/worker", "/b24/app", "button.go"
USER = 1
WATCH = Path(__file__).with_name("desk.js").read_text(encoding="utf-8")
PATIENCE = 15


@dataclass(slots=True, kw_only=True)
class Desk:
    """One page of operator 1. Times are Unix seconds."""

    stage: Site
    phone: Phone
    browser: Chromium
    page: Page

    async def ring(self) -> Call:
        """A call that rings, its Answer button on the page."""
        self.phone.heard.clear()
        call = self.stage.pbx.call(account(USER), rtp_port=self.phone.port, answered=self.phone.aim)
        await self.page.wait_for(f"document.querySelector('{ANSWER}')", frame=PHONE, timeout=PATIENCE)
        return call

    async def warm(self) -> None:
        """Returns once the page is connected with the bridge."""
        await self.page.wait_for("__connected()", frame=WORKER, timeout=PATIENCE, what="the warm leg")

    async def hold(self) -> None:
        """The page will offer no voice before the click."""
        for frame in await self.page.frames(WORKER):
            await self.page.evaluate("void __hold()", frame=frame)

    async def answer(self) -> float:
        """A click on Answer; when it was."""
        for frame in await self.page.frames(WORKER):
            await self.page.evaluate(f"void __listen({TONE_HZ})", frame=frame)
        await self.page.click(ANSWER, frame=PHONE)
        return float(await self.page.evaluate("__clicked", frame=PHONE)) / 1000

    async def heard(self) -> float:
        """When the caller was first heard in a worker of this page."""
        frames = await self.page.frames(WORKER)
        asked = [asyncio.ensure_future(self.page.evaluate("__heardAt", frame=frame)) for frame in frames]
        try:
            for first in asyncio.as_completed(asked, timeout=PATIENCE):
                try:
                    return float(await first) / 1000
                except BrowserError:
                    continue  # a frame that went away
        finally:
            for each in asked:
                each.cancel()
        raise AssertionError("the caller was not heard in the page")

    async def gone(self) -> float:
        """When the last page that went away said so."""
        return float(await self.page.evaluate("localStorage.getItem('bench.gone')", frame=WORKER)) / 1000

    async def said(self, since: float) -> float:
        """When the operator was first heard at the PBX after that time."""
        return await self._at_pbx(self.phone.first_loud, since)

    async def said_anew(self, since: float) -> float:
        """As `said`, but by a page that began to speak after that time."""
        return await self._at_pbx(self.phone.first_of_next_talker, since)

    async def _at_pbx(self, moment: Callable[[float], float | None], since: float) -> float:
        await wait_for(lambda: moment(since) is not None, PATIENCE, "the operator at the PBX")
        found = moment(since)
        assert found is not None
        return found

    async def hang_up(self, call: Call) -> None:
        """The caller does; the operator closes the slider."""
        self.stage.pbx.hang_up(call)
        await call.over.wait()
        self.phone.stop()
        await self.stage.calls_over()
        if await self.page.evaluate("document.querySelector('.slider-close') !== null"):
            await self.page.click(".slider-close")

    async def another(self, path: str = "/") -> Desk:
        """One more tab of the same person in the same browser."""
        page = await open_page(self.stage, self.browser, path)
        return Desk(stage=self.stage, phone=self.phone, browser=self.browser, page=page)


async def open_page(stage: Site, browser: Chromium, path: str = "/") -> Page:
    """A page of the portal, clicked once as people do, its worker connected."""
    before = len(await stage.tabs())
    page = await browser.page(f"{stage.portal_url}{path}?user={USER}")
    await page.click("h1")

    async def joined() -> bool:
        return len(await stage.tabs()) > before

    await wait_for(joined, PATIENCE, "the page's worker at the bridge")
    return page


@asynccontextmanager
async def desk(stage: Site) -> AsyncIterator[Desk]:
    # The listener comes first: the watch hooks into what it hooked into.
    async with Phone().running() as phone, Chromium(scripts=(LISTENER, WATCH)) as browser:
        page = await open_page(stage, browser)
        yield Desk(stage=stage, phone=phone, browser=browser, page=page)
