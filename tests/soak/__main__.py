"""`make soak`: churn for as long as you like (`--minutes 60`), then the ledgers of PBX and portal compared."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from socket import SOCK_STREAM
from tempfile import TemporaryDirectory

import structlog

from ..rig import contract
from ..rig.asterisk import Asterisk, free_port
from ..rig.process import BridgeProcess
from ..scenarios.stage import AGENTS, Stage, portal_for, secrets_for, settings_for
from .churn import churn


async def soak(minutes: float, kill_every: float, seed: int) -> int:
    with TemporaryDirectory(prefix="bridge-soak-") as folder:
        async with AsyncExitStack() as stack:
            asterisk = stack.enter_context(Asterisk(Path(folder) / "asterisk"))
            port = free_port(SOCK_STREAM)
            portal = portal_for(port)
            await stack.enter_async_context(portal.running())
            stack.callback(lambda: contract.check(portal.requests))
            portal.faults.rate_limit = False
            bridge = BridgeProcess(
                Path(folder) / "bridge", settings=settings_for(port, portal, asterisk), secrets=secrets_for(asterisk)
            )
            await stack.enter_async_context(bridge)
            await portal.auto_install()
            for agent in AGENTS.values():
                await asterisk.wait_registered(agent)
            stage = Stage(asterisk=asterisk, portal=portal, bridge=bridge)
            report = await churn(stage, seconds=minutes * 60, kill_every=kill_every, seed=seed)
    print(report)
    for what in (*report.lost, *report.doubled, *report.wrong):
        print(f"  {what}")
    return 0 if report.is_clean else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--kill-every", type=float, default=60, help="seconds, on average")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    sys.exit(asyncio.run(soak(given.minutes, given.kill_every, given.seed)))
