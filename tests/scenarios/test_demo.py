"""`bridge demo`: no Bitrix24, no PBX, one click and it rings."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from socket import SOCK_STREAM
from typing import Any

import aiohttp

from ..rig.chromium import MICROPHONE_HZ
from ..rig.ports import free_port, free_sip_port
from ..rig.process import ROOT
from ..rig.waiting import PATIENCE, wait_for
from .stage import ANSWER, PHONE, STOP, WORKER


@asynccontextmanager
async def demo() -> AsyncIterator[str]:
    ports = [
        f"--http-port={free_port(SOCK_STREAM)}",
        f"--portal-port={free_port(SOCK_STREAM)}",
        f"--sip-port={free_sip_port()}",
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge", "demo", *ports, cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            while not (found := re.search(r"http://\S+", (await process.stdout.readline()).decode())):
                assert process.returncode is None
        yield found[0]
    finally:
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0


async def test_one_click_rings_and_the_caller_plays_and_echoes(browsers: Callable[..., Any]) -> None:
    async with demo() as address:
        browser = await browsers()
        page = await browser.page(f"{address}/?user=1")
        await page.click("h1")
        joined = "Object.values(localStorage).some((value) => value.length > 200)"
        await page.wait_for(joined, frame=WORKER, what="the worker to have its session ticket")
        await page.click("[data-call-me]")
        await page.click(ANSWER, frame=PHONE)

        async def echoed() -> bool:
            return any([await page.heard(MICROPHONE_HZ, frame=frame) > 0.5 for frame in await page.frames(WORKER)])

        await wait_for(echoed, what="the operator's own tone, echoed by the caller")
        await page.click(STOP, frame=PHONE)

        async def record() -> dict[str, Any] | None:
            async with aiohttp.ClientSession() as client:
                port = address.rpartition(":")[2]
                async with client.get(f"http://127.0.0.1:{port}/sim/calls", headers={"Host": address[7:]}) as answer:
                    records: list[dict[str, Any]] = await answer.json()
                    return next((found for found in records if found["status_code"]), None)

        found = await wait_for(record, what="the record in the portal's list")
        assert found["status_code"] == "200"
        assert found["duration"] > 2
