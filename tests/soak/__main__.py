"""`make soak`: hostile bytes for ten minutes, chaos, then churn for as long as you like (`--minutes 60`); each time the ledgers of PBX and portal are compared."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from socket import SOCK_STREAM
from tempfile import TemporaryDirectory

import structlog

from ..rig import contract
from ..rig.asterisk import Asterisk
from ..rig.leaks import leaks
from ..rig.ports import free_port
from ..rig.process import BridgeProcess
from ..scenarios.stage import AGENTS, Stage, portal_for, secrets_for, settings_for
from .chaos import chaos
from .churn import Report, churn
from .fuzz import fuzz


@asynccontextmanager
async def _stage() -> AsyncIterator[Stage]:
    with TemporaryDirectory(prefix="bridge-soak-") as folder:
        async with AsyncExitStack() as stack:
            asterisk = stack.enter_context(Asterisk(Path(folder) / "asterisk"))
            port = free_port(SOCK_STREAM)
            portal = portal_for(port)
            await stack.enter_async_context(portal.running())
            stack.callback(lambda: contract.check(portal.requests))
            portal.faults.rate_limit = False
            settings = settings_for(port, portal, asterisk.address)
            settings["portal"][0]["plan"] = "enterprise"
            bridge = BridgeProcess(Path(folder) / "bridge", settings=settings, secrets=secrets_for(asterisk.passwords))
            await stack.enter_async_context(bridge)
            await portal.auto_install()
            for agent in AGENTS.values():
                await asterisk.wait_registered(agent)
            yield Stage(asterisk=asterisk, portal=portal, bridge=bridge)
            written = leaks(bridge.directory, portal.secrets | set(bridge.secrets.values()))
            assert not written, f"the bridge wrote down secrets: {written}"


async def soak(minutes: float, kill_every: float, calls: int, kills: int, seed: int) -> int:
    clean = True
    if calls:
        async with _stage() as stage:
            begun = time.monotonic()
            report, storm = await chaos(stage, calls=calls, kills=kills, seed=seed)
            print(f"chaos, {time.monotonic() - begun:.0f} s: troubles {dict(storm.weather)}")
            clean = _told(report)
    if minutes:
        async with _stage() as stage:
            clean = _told(await churn(stage, seconds=minutes * 60, kill_every=kill_every, seed=seed)) and clean
    return 0 if clean else 1


def _told(report: Report) -> bool:
    print(report)
    for name, calls in (("lost", report.lost), ("doubled", report.doubled), ("wrong", report.wrong)):
        for call in calls:
            print(f"  {name}: {call}")
    return report.is_clean


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="of churn, 0 for none")
    parser.add_argument("--kill-every", type=float, default=60, help="seconds, on average")
    parser.add_argument("--calls", type=int, default=500, help="of the chaos, 0 for none")
    parser.add_argument("--kills", type=int, default=20, help="of the chaos")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fuzz-minutes", type=float, default=10, help="before all that, 0 for none")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    sound = fuzz(given.fuzz_minutes)
    failed = asyncio.run(soak(given.minutes, given.kill_every, given.calls, given.kills, given.seed))
    sys.exit(failed or not sound)
