"""Tabs, sliders, two machines: one sound, one microphone, one answer, one record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ..rig.page import LISTENER, Page, PageError
from ..rig.waiting import wait_for
from .stage import ANNA, PHONE, WORKER, Stage

# Taps everything that reaches the loudspeaker but a caller's voice: `__sounds()` is true while something audible plays.
LOUDSPEAKER = """(() => {
  const taps = [];
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (to, ...more) {
    if (to instanceof AudioDestinationNode) {
      const tap = new AnalyserNode(this.context, { fftSize: 32768 });
      connect.call(this, tap);
      taps.push(tap);
    }
    return connect.call(this, to, ...more);
  };
  const elements = new Set();
  const play = HTMLMediaElement.prototype.play;
  HTMLMediaElement.prototype.play = function () {
    if (!this.srcObject) elements.add(this);
    return play.call(this);
  };
  const plays = (element) => !element.paused && !element.muted && element.volume > 0 && element.currentTime > 0;
  window.__sounds = () => [...elements].some(plays) || taps.some((tap) => {
    const samples = new Float32Array(32768);
    tap.getFloatTimeDomainData(samples);
    return tap.context.state === "running" && samples.some((sample) => Math.abs(sample) > 0.02);
  });
})();"""


async def sounding(*pages: Page) -> int:
    """In how many frames of these pages something sounds."""
    count = 0
    for page in pages:
        for frame in [*await page.frames(WORKER), *await page.frames(PHONE)]:
            try:
                count += bool(await page.evaluate("__sounds()", frame=frame))
            except PageError:  # on its way in
                continue
    return count


async def ringing_browser(browsers: Callable[..., Any]) -> Any:
    return await browsers(scripts=(LISTENER, LOUDSPEAKER))


async def test_it_rings_aloud_on_a_clicked_page_and_stops_with_the_answer(
    stage: Stage, browsers: Callable[..., Any]
) -> None:
    page = await stage.sign_in(ANNA, browser=await ringing_browser(browsers))
    call = stage.ring()

    async def loud() -> bool:
        return await sounding(page) == 1

    async def silent() -> bool:
        return await sounding(page) == 0

    await wait_for(loud, what="the ring tone")
    await stage.answer(page)
    await stage.talking(page, call)
    await wait_for(silent, what="the ring tone to stop")


async def test_a_ring_that_was_not_allowed_starts_with_the_first_click(
    stage: Stage, browsers: Callable[..., Any]
) -> None:
    browser = await ringing_browser(browsers)
    page = await browser.page(f"{stage.portal.url}/?user={ANNA}")
    await stage.online(ANNA)
    call = stage.ring()
    await page.wait_for("document.querySelector('[data-do=answer]')", frame=PHONE)
    assert await sounding(page) == 0
    await page.click("h1")

    async def loud() -> bool:
        return await sounding(page) == 1

    await wait_for(loud, what="the ring tone after the click")
    call.hang_up()


async def test_tabs_and_machines_one_sound_one_answer_one_record(stage: Stage, browsers: Callable[..., Any]) -> None:
    here, there = await ringing_browser(browsers), await ringing_browser(browsers)
    pages = [
        await stage.sign_in(ANNA, browser=here),
        await stage.sign_in(ANNA, "/crm/deal/", browser=here),
        await stage.sign_in(ANNA, "/company/", browser=there),
    ]
    call = stage.ring()

    async def one() -> bool:
        return await sounding(*pages) == 1

    await wait_for(one, what="one page to ring")
    card = "document.querySelector('.call-card')?.dataset.state"
    other = pages[0]
    await other.wait_for(f"{card} === 'incoming'")
    for _ in range(10):
        assert await sounding(*pages) <= 1
    assert sum([len(await page.frames(PHONE)) for page in pages]) == 1, "the application opened once"
    await other.click("[data-button=answer]")
    await stage.talking(other, call)
    assert await sounding(*pages) == 0
    live = await stage.live()
    assert len(live) == 1
    call.hang_up()
    record = await stage.record()
    assert (record.status_code, record.user) == ("200", ANNA)


async def test_answered_here_the_other_machine_says_so_and_can_take_it_over(
    stage: Stage, browsers: Callable[..., Any]
) -> None:
    here = await stage.sign_in(ANNA)
    there = await stage.telephone(browser=await browsers())
    call = stage.ring()
    await there.wait_for("!!document.querySelector('[data-do=answer]')", frame=PHONE, what="both machines to show it")
    await here.click("[data-button=answer]")
    await stage.talking(here, call)
    await there.wait_for("!document.querySelector('[data-do=answer]')", frame=PHONE)
    await there.click("[data-do=take]", frame=PHONE)
    await stage.talking(there, call)
    assert await stage.plays_nothing(here)
    assert call.byes() == (0, 0)


async def test_the_sound_moves_on_to_the_next_machine_after_ten_seconds(
    stage: Stage, browsers: Callable[..., Any]
) -> None:
    machines = [await stage.sign_in(ANNA, browser=await ringing_browser(browsers)) for _ in range(2)]
    call = stage.ring()
    await call.rings()
    before = await asyncio.gather(*map(rings, machines))
    assert sorted(before) == [False, True], "one machine rings"
    silent, loud = machines[before.index(False)], machines[before.index(True)]
    await wait_for(lambda: rings(silent), what="the sound to move on")
    assert not await rings(loud)
    call.hang_up()


async def rings(page: Page) -> bool:
    """Whether it sounds within one turn of the cadence, which is silent for two seconds of three."""
    loop = asyncio.get_running_loop()
    end = loop.time() + 3.5
    while loop.time() < end:
        if await sounding(page):
            return True
        await asyncio.sleep(0.1)
    return False
