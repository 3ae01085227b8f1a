"""answer.ms and answer_cold.ms: from the click on Answer to the voice both ways, in Chromium.

The later of two moments counts: the caller's tone is heard in the page, and the operator's first packet with voice in it has
reached the PBX. The PBX speaks from the moment it has the bridge's 200. The click is the time of the browser's own
event. Warm: the page connected with the bridge while it rang. Cold: the page is kept from offering before the click, so
offer, ICE, DTLS and microphone all come after it. The microphone is a file, the network is loopback: real ones add theirs.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from ..rig.chromium import find_chromium
from .desk import Desk, desk
from .figure import Figure, spread
from .site import Say, site

WARM, COLD = 20, 20
SETTLE_SECONDS = 0.4
"""Between the button's appearance and the click: nobody is faster, and the slider stands still."""
PAUSE_SECONDS = 0.4


async def measure(directory: Path, say: Say) -> list[Figure]:
    if find_chromium() is None:
        say("left out: Chromium is not installed (Debian package chromium)")
        return []
    async with site(directory) as stage, desk(stage) as operator:
        await _answer(operator, cold=False)
        say(f"{WARM} calls answered warm")
        warm = [await _answer(operator, cold=False) for _ in range(WARM)]
        say(f"{COLD} calls answered cold")
        cold = [await _answer(operator, cold=True) for _ in range(COLD)]
    return [
        *spread("answer.ms", [max(pair) for pair in warm], 50, 95, note=_parts(warm)),
        *spread("answer_cold.ms", [max(pair) for pair in cold], 50, 95, note=_parts(cold)),
    ]


async def _answer(operator: Desk, *, cold: bool) -> tuple[float, float]:
    """Milliseconds from the click: caller heard in the page, operator at the PBX."""
    if cold:
        await operator.hold()
    call = await operator.ring()
    if not cold:
        await operator.warm()
    await asyncio.sleep(SETTLE_SECONDS)
    clicked = await operator.answer()
    heard, said = await operator.heard(), await operator.said(clicked)
    await operator.hang_up(call)
    await asyncio.sleep(PAUSE_SECONDS)
    return (heard - clicked) * 1000, (said - clicked) * 1000


def _parts(pairs: list[tuple[float, float]]) -> str:
    heard, said = (sorted(part)[len(part) // 2] for part in zip(*pairs, strict=True))
    return f"p50 heard {heard:.0f}, at the PBX {said:.0f}"
