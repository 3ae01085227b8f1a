"""Several simulated portals in one process: each grants five requests a second (Enterprise), so that several calls a second can be told.

`python -m tests.soak.portals BRIDGE_PORT USERS PORT…` serves them until it is told to stop.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp

from bridge.demo.portal import Portal

from ..bench.portal import make
from ..rig.process import ROOT
from ..rig.waiting import wait_for


def portals(bridge_port: int, users: int, ports: Sequence[int]) -> list[Portal]:
    """Portal n is called portal-n."""
    made = [
        make(port, bridge_port, users, host=f"portal-{number}.localhost") for number, port in enumerate(ports, start=1)
    ]
    for portal in made:
        portal.faults.enterprise = True
    return made


def address(portal: Portal) -> str:
    """Where scripts reach it."""
    return f"http://127.0.0.1:{portal.world.port}"


@asynccontextmanager
async def process(bridge_port: int, users: int, ports: Sequence[int]) -> AsyncIterator[int]:
    """They listen; yields the process's id."""
    command = [sys.executable, "-m", __name__, str(bridge_port), str(users), *map(str, ports)]
    quiet = subprocess.DEVNULL
    running = subprocess.Popen(command, cwd=ROOT, stdin=quiet, stdout=quiet, stderr=quiet)
    try:
        async with aiohttp.ClientSession() as http:
            for port in ports:
                await wait_for(lambda: _is_up(http, port), 20, "the simulated portals")  # noqa: B023 – awaited at once
        yield running.pid
    finally:
        running.terminate()
        running.wait(10)


async def _is_up(http: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with http.get(f"http://127.0.0.1:{port}/sim/status") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def _serve(made: Sequence[Portal]) -> None:
    async with AsyncExitStack() as stack:
        for portal in made:
            await stack.enter_async_context(portal.running())
        await asyncio.Event().wait()


if __name__ == "__main__":
    bridge_port, users, *ports = map(int, sys.argv[1:])
    asyncio.run(_serve(portals(bridge_port, users, ports)))
