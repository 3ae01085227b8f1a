"""rejoin.ms and takeover.ms: the page that speaks goes away, until the voice goes both ways again.

Rejoin: the portal page is left by `location.href`, as a link does; the clock starts at `pagehide` of the old worker. Takeover:
the speaking tab is closed, another open tab of the same person takes over; the clock starts when closing is commanded, or at
`pagehide` if the tab had the time to say it. It stops at the later of two moments: the caller is heard in the new page, and the
first packet of the new page with voice in it has reached the PBX (the bridge marks the beginning of a talker).
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from ..rig.chromium import find_chromium
from .desk import PATIENCE, Desk, desk
from .figure import Figure, spread
from .site import Say, site

REJOINS, TAKEOVERS = 12, 12
TALK_SECONDS = 1.0
PATHS = ("/crm/deal/", "/crm/contact/")


async def measure(directory: Path, say: Say) -> list[Figure]:
    if find_chromium() is None:
        say("left out: Chromium is not installed (Debian package chromium)")
        return []
    async with site(directory) as stage, desk(stage) as operator:
        call = await operator.ring()
        clicked = await operator.answer()
        await operator.heard()
        await operator.said(clicked)
        say(f"{REJOINS} navigations within one call")
        rejoins = [await _rejoin(operator, PATHS[n % 2]) for n in range(REJOINS)]
        say(f"{TAKEOVERS} tabs closed, each with another one open")
        takeovers = []
        for _ in range(TAKEOVERS):
            operator, milliseconds = await _take_over(operator)
            takeovers.append(milliseconds)
        await operator.hang_up(call)
    return [*spread("rejoin.ms", rejoins, 50, 95), *spread("takeover.ms", takeovers, 50, 95)]


async def _rejoin(operator: Desk, path: str) -> float:
    await asyncio.sleep(TALK_SECONDS)
    begin = time.time()
    address = f"{operator.stage.portal_url}{path}?user=1"
    await operator.page.evaluate(f"void (location.href = '{address}')", gesture=True)
    await operator.page.wait_for(f"location.pathname === '{path}'", timeout=PATIENCE)
    said = await operator.said_anew(begin)
    heard, gone = await operator.heard(), await operator.gone()
    assert gone > begin, "the old page did not say when it went"
    return (max(said, heard) - gone) * 1000


async def _take_over(operator: Desk) -> tuple[Desk, float]:
    """The tab that took over, and the milliseconds it took."""
    other = await operator.another()
    await asyncio.sleep(TALK_SECONDS)
    begin = time.time()
    await operator.page.close()
    said = await other.said_anew(begin)
    heard, gone = await other.heard(), await other.gone()
    return other, (max(said, heard) - max(begin, gone)) * 1000
