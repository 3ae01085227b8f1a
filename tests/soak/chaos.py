"""Chaos: calls without a pause while Bitrix24 fails in every way there is and the bridge is killed again and again.

In the end the ledger of the PBX and that of the portal are compared: nothing lost, nothing there twice, no wrong status.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import aiohttp

from bridge.control import ask
from bridge.demo.portal import InstallError, Portal, RestFault
from bridge.errors import BridgeError

from ..rig.asterisk import PhoneCall
from ..rig.waiting import wait_for
from ..scenarios.stage import AGENTS, ANNA, Stage
from .churn import Report, compare, operators

CLIENT_PATIENCE = 20
"""Seconds after which the bridge gives a request up."""
TROUBLES: dict[str, RestFault] = {
    "hang": RestFault(delay=CLIENT_PATIENCE + 5, count=3),
    "500": RestFault(status=500),
    "502": RestFault(status=502, html=True),
    "503": RestFault(status=503, code="QUERY_LIMIT_EXCEEDED"),
    "429": RestFault(status=429, code="OPERATION_TIME_LIMIT", reset=5),
    "lost answers": RestFault(drop_response=True),
    "lost requests": RestFault(carry_out=False),
}
OTHERS = ("expired token", "logged out", "connection refused")
CALLER_WAITS = (0.05, 0.2, 0.8, 1.2)


@dataclass
class Storm:
    """What was done to the portal."""

    chance: random.Random
    weather: Counter[str] = field(default_factory=Counter)

    async def rage(self, portal: Portal) -> None:
        """Every trouble again and again, in an order of its own, with some calm between; until cancelled."""
        while True:
            names = [*TROUBLES, *OTHERS]
            self.chance.shuffle(names)
            for name in names:
                self.weather[name] += 1
                await self._blow(portal, name, self.chance.uniform(1.5, 4))
                await asyncio.sleep(self.chance.uniform(0.5, 2))

    async def _blow(self, portal: Portal, name: str, seconds: float) -> None:
        if name in TROUBLES:
            portal.faults.rest = [replace(TROUBLES[name])]
            try:
                await asyncio.sleep(seconds)
            finally:
                portal.faults.rest = []
        elif name == "expired token":
            portal.expire_tokens()
        elif name == "connection refused":
            async with portal.unplugged():
                await asyncio.sleep(seconds)
        else:
            portal.log_out()
            await asyncio.sleep(seconds)
            await log_in(portal)


async def log_in(portal: Portal) -> None:
    """An administrator opens the application, as often as it takes."""

    async def opened() -> bool:
        with suppress(InstallError, aiohttp.ClientError, OSError, TimeoutError):
            await portal.auto_install(ANNA)
            return True
        return False

    await wait_for(opened, 60, "the administrator to log in")


async def chaos(stage: Stage, *, calls: int, kills: int, seed: int) -> tuple[Report, Storm]:
    """So many calls to two headless operators, so many kills evenly among them."""
    report, storm = Report(), Storm(random.Random(f"storm-{seed}"))
    made: list[tuple[float, PhoneCall]] = []
    async with operators(stage):
        async with _blowing(storm, stage.portal), asyncio.TaskGroup() as tasks:
            share = calls // len(AGENTS)
            for user in AGENTS:
                tasks.create_task(_callers(stage, user, random.Random(f"{seed}-{user}"), share, made))
            when = [calls * (number + 1) // (kills + 1) for number in range(kills)]
            tasks.create_task(_killer(stage, random.Random(seed), when, lambda: len(made), report))
        await log_in(stage.portal)
        await settled(stage)
    compare(stage, made, report)
    return report, storm


@asynccontextmanager
async def _blowing(storm: Storm, portal: Portal) -> AsyncIterator[None]:
    raging = asyncio.create_task(storm.rage(portal))
    try:
        yield
    finally:
        raging.cancel()
        with suppress(asyncio.CancelledError):
            await raging


async def _callers(
    stage: Stage, user: int, chance: random.Random, count: int, made: list[tuple[float, PhoneCall]]
) -> None:
    loop = asyncio.get_running_loop()
    for number in range(count):
        call = stage.asterisk.call(AGENTS[user], caller=f"+49{user}{number:07d}", timeout=10)
        made.append((loop.time(), call))
        await asyncio.sleep(chance.choice(CALLER_WAITS))
        call.hang_up()
        await wait_for(lambda: not call.is_up(), 30, "the call to end")  # noqa: B023 – awaited before the next turn


async def _killer(
    stage: Stage, chance: random.Random, when: list[int], made: Callable[[], int], report: Report
) -> None:
    loop = asyncio.get_running_loop()
    for count in when:
        await wait_for(lambda: made() >= count, 600, "more calls")  # noqa: B023 – awaited before the next turn
        await asyncio.sleep(chance.uniform(0, 1))
        report.kills.append(loop.time())
        stage.bridge.kill()
        await stage.bridge.start()


async def settled(stage: Stage) -> None:
    """Nothing is promised any more, and nothing was set aside."""
    await stage.ended()

    async def empty() -> bool:
        try:
            return not (await ask(stage.state_dir, do="promises"))["promises"]
        except BridgeError:
            return False

    await wait_for(empty, 120 + len(stage.portal.calls), "every promise to be kept")
