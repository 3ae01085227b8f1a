"""The simulated portal as a process of its own, so that what it does is not counted as somebody else's."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from bridge.demo.portal import App, Portal, User

from ..rig.process import ROOT
from ..rig.waiting import wait_for

CLIENT_ID, CLIENT_SECRET = "local.bench", "bench-client-secret"


def make(port: int, bridge_port: int, users: int, host: str = "portal.localhost") -> Portal:
    """User 1 is an administrator."""
    bridge = f"http://bridge.localhost:{bridge_port}"
    app = App(
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        app_url=f"{bridge}/b24/app",
        install_url=f"{bridge}/b24/install",
    )
    people = tuple(User(id=number, name=f"User {number}", admin=number == 1) for number in range(1, users + 1))
    return Portal(host=host, port=port, app=app, users=people)


@asynccontextmanager
async def process(port: int, bridge_port: int, users: int) -> AsyncIterator[str]:
    """The portal, listening; yields where scripts reach it."""
    command = [sys.executable, "-m", __name__, str(port), str(bridge_port), str(users)]
    quiet = subprocess.DEVNULL
    portal = subprocess.Popen(command, cwd=ROOT, stdin=quiet, stdout=quiet, stderr=quiet)
    url = f"http://127.0.0.1:{port}"
    try:
        async with aiohttp.ClientSession() as http:
            await wait_for(lambda: _is_up(http, url), 20, "the simulated portal")
        yield url
    finally:
        portal.terminate()
        portal.wait(10)


async def _is_up(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(f"{url}/sim/status") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def _serve(portal: Portal) -> None:
    async with portal.running():
        await asyncio.Event().wait()


if __name__ == "__main__":
    port, bridge_port, users = map(int, sys.argv[1:])
    asyncio.run(_serve(make(port, bridge_port, users)))
