"""call.cpu_ms: the bridge's CPU for the whole set-up and tear-down of a bridged call, SIP and WebRTC.

A headless operator answers at once (its leg connects while it rings), the voice goes both ways, the caller hangs up right
after the first packet of the operator. What the bridge uses while idle is taken off; relaying stays in, a fraction of a second
of it. Register, finish and the card are in as well, as the portal's limit allows.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from bridge.robot import Orders, Robot

from ..rig.waiting import wait_for
from .figure import Figure
from .phone import Phone
from .proc import cpu_seconds
from .site import Say, Site, account, site

WARM_UP, CALLS = 5, 60
IDLE_SECONDS = 4.0
USER = 1


async def measure(directory: Path, say: Say) -> list[Figure]:
    async with site(directory) as stage, Phone().running() as phone:
        robot = asyncio.create_task(_robot(stage))
        try:
            await wait_for(lambda: _calls(stage, phone, 1, retry=True), 20, "the headless operator to answer")
            await _calls(stage, phone, WARM_UP)
            say(f"{CALLS} calls answered by a headless operator")
            idle = await _idle_share(stage.bridge.pid)
            before, begin = cpu_seconds(stage.bridge.pid), time.monotonic()
            await _calls(stage, phone, CALLS)
            used, passed = cpu_seconds(stage.bridge.pid) - before, time.monotonic() - begin
        finally:
            robot.cancel()
            with suppress(asyncio.CancelledError):
                await robot
    value = (used - idle * passed) * 1000 / CALLS
    note = f"n={CALLS}, {passed / CALLS:.2f} s each; idle {idle * 100:.1f} % taken off"
    return [Figure(name="call.cpu_ms", value=value, unit="ms", note=note)]


async def _robot(stage: Site) -> None:
    ticket = await stage.ticket(USER)
    orders = Orders(answer_after=0, early=True)
    url = f"http://bridge.localhost:{stage.http_port}"
    await Robot(bridge_url=url, ticket=ticket.page, session=ticket.session, orders=orders, say=lambda line: None).run()


async def _calls(stage: Site, phone: Phone, count: int, *, retry: bool = False) -> bool:
    """False if a call was refused and `retry` allows it."""
    for _ in range(count):
        start = time.time()
        call = stage.pbx.call(account(USER), rtp_port=phone.port, answered=phone.aim)
        async with asyncio.timeout(20):
            await call.final.wait()
            if retry and call.status != 200:
                return False
            assert call.status == 200, f"the call got {call.status}"
            await wait_for(partial(phone.first_loud, start), 10, "the operator's voice")
        stage.pbx.hang_up(call)
        await call.over.wait()
        phone.stop()
    return True


async def _idle_share(pid: int) -> float:
    """CPU seconds a second while nothing happens."""
    await asyncio.sleep(1)
    before = cpu_seconds(pid)
    await asyncio.sleep(IDLE_SECONDS)
    return (cpu_seconds(pid) - before) / IDLE_SECONDS
