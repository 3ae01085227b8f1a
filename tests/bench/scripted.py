"""What the relay is measured against, and the relay itself, each in a process of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from ..rig.process import ROOT
from .load import Address


class Scripted:
    """A Python process that takes orders as lines of JSON: our media room, or the naive way with aiortc."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name, self.pid, self._process = name, process.pid, process

    async def call(self, offer: str, pbx: Address) -> tuple[str, Any]:
        answer = await self._order(do="call", offer=offer, pbx=pbx)
        return answer["sdp"], answer["call"]

    async def reached(self, call: Any) -> Address:
        return "127.0.0.1", (await self._order(do="reached", call=call))["port"]

    async def _order(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        line = await asyncio.wait_for(self._process.stdout.readline(), 20)
        answer: dict[str, Any] = json.loads(line)
        return answer


@asynccontextmanager
async def scripted(name: str, module: str, *arguments: str, quiet: bool = False) -> AsyncIterator[Scripted]:
    """`quiet`: its log is not for the table's reader."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL if quiet else None, cwd=ROOT, limit=1 << 20,
    )  # fmt: skip
    try:
        yield Scripted(name, process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()
