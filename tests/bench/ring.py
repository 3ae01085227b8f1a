"""ring.ms: from the INVITE on the wire to the message in the page that says it rings.

Fifty operators with one page each, fifty calls a second for ten seconds; every call rings one operator for a second and is
given up. The clock starts before the datagram is sent and stops when the page's bytes arrive, in one process.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

from .figure import Figure, spread
from .pbx import Call
from .proc import Crowd
from .site import Say, account, several, site

OPERATORS, RATE, SECONDS, RING_SECONDS = 50, 50, 10, 1.0
WARM_UP = 1.0
"""Seconds at the start that are not counted."""


async def measure(directory: Path, say: Say) -> list[Figure]:
    seen: dict[str, float] = {}

    def listen(event: str, payload: Any, at: float) -> None:
        if event == "state":
            for call in payload["calls"]:
                if call["state"] == "ringing":
                    seen.setdefault(call["number"], at)

    async with site(directory, operators=OPERATORS) as stage:
        await several([partial(stage.tab, user, listen) for user in range(1, OPERATORS + 1)])
        say(f"{OPERATORS} pages are there; {RATE} calls a second for {SECONDS} s")
        crowd = Crowd(stage.bridge.pid)
        calls = await _ring(stage.pbx.call, stage.pbx.cancel)
        note = str(crowd)
        await asyncio.sleep(RING_SECONDS + 1)
    counted = calls[int(RATE * WARM_UP) :]
    lost = [call for call in counted if call.caller not in seen]
    assert not lost, f"{len(lost)} of {len(counted)} calls never rang"
    return spread("ring.ms", [(seen[call.caller] - call.sent) * 1000 for call in counted], 50, 99, note=note)


async def _ring(start: Any, give_up: Any) -> list[Call]:
    loop = asyncio.get_running_loop()
    begin, calls = loop.time(), []
    for number in range(RATE * SECONDS):
        await asyncio.sleep(max(0.0, begin + number / RATE - loop.time()))
        call = start(account(number % OPERATORS + 1))
        loop.call_later(RING_SECONDS, give_up, call)
        calls.append(call)
    return calls
