"""tabs.kb_each, tabs.emit_ms and tabs.cpu_ms: five thousand idle pages, a hundred operators with fifty each.

Memory is what the bridge's resident set grew by, once the last page was in and all was quiet, sockets in the kernel not
counted; the pages' handshakes are as long as Chromium's. `emit_ms` runs from an INVITE that is about to be sent until the last of
the operator's fifty pages has the state that shows the call in its kernel: the whole way through the bridge, not the writing
alone, while six other calls a second begin, are registered with the portal, and end. What this process takes to read five
thousand connections is not in it, what the bridge waits for a core is: that it did wait is said beside the figure. `cpu_ms` has no
goal: it is what such a call costs the bridge from INVITE to CANCEL, records included, and does not change with the neighbours.
"""

from __future__ import annotations

import asyncio
import resource
import time
from functools import partial
from pathlib import Path
from typing import Any

from .figure import Figure, spread
from .pbx import Call
from .proc import Crowd, cpu_seconds, resident_kb
from .site import Say, Site, Tickets, account, several, site
from .tab import Tab

OPERATORS, TABS_EACH = 100, 50
FILES = 3 * OPERATORS * TABS_EACH
QUIET_SECONDS = 5.0
CALLS, PAUSE, RING_SECONDS = 200, 0.15, 4.0


class Watch:
    """Which tabs show which caller, and when the last one did."""

    def __init__(self) -> None:
        self.seen: dict[str, dict[int, float]] = {}

    def listener(self, tab: int) -> Any:
        def listen(event: str, payload: Any, at: float) -> None:
            if event == "state":
                for call in payload["calls"]:
                    if call["state"] == "ringing":
                        self.seen.setdefault(call["number"], {}).setdefault(tab, at)

        return listen


async def measure(directory: Path, say: Say) -> list[Figure]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES // 2:
        say(f"left out: this user may open {hard} files at once, {FILES // 2} are needed (ulimit -Hn)")
        return []
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(FILES, hard)), hard))
    watch = Watch()
    async with site(directory, operators=OPERATORS) as stage:
        tickets = await several([partial(stage.ticket, user) for user in range(1, OPERATORS + 1)])
        # One page first: what is loaded once is no page's own.
        await stage.tab(1, ticket=tickets[0])
        before = resident_kb(stage.bridge.pid)
        begin = time.monotonic()
        tabs = await _join(stage, tickets, watch)
        say(f"{len(tabs)} pages joined in {time.monotonic() - begin:.0f} s")
        await asyncio.sleep(QUIET_SECONDS)
        each = (resident_kb(stage.bridge.pid) - before) / len(tabs)
        idle = await _idle_share(stage.bridge.pid)
        crowd, used, begin = Crowd(stage.bridge.pid), cpu_seconds(stage.bridge.pid), time.monotonic()
        times = await _ring(stage, watch)
        crowded = str(crowd)
        used = cpu_seconds(stage.bridge.pid) - used - idle * (time.monotonic() - begin)
        for tab in tabs:
            tab.close()
    note = f"{len(tabs)} pages, bridge at {idle * 100:.0f} % of a core while idle"
    return [
        Figure(name="tabs.kb_each", value=each, unit="KB", note=note),
        *spread("tabs.emit_ms", times, 50, 99, note=crowded),
        Figure(
            name="tabs.cpu_ms",
            value=used / CALLS * 1000,
            unit="ms",
            note=f"{TABS_EACH} pages hear of each change of the call",
        ),
    ]


async def _join(stage: Site, tickets: list[Tickets], watch: Watch) -> list[Tab]:
    # The first page of operator 1 is there already.
    wanted = [(n % OPERATORS, n) for n in range(1, OPERATORS * TABS_EACH)]
    return await several([partial(stage.tab, who + 1, watch.listener(number), tickets[who]) for who, number in wanted])


async def _idle_share(pid: int) -> float:
    before = cpu_seconds(pid)
    await asyncio.sleep(QUIET_SECONDS)
    return (cpu_seconds(pid) - before) / QUIET_SECONDS


async def _ring(stage: Site, watch: Watch) -> list[float]:
    """Milliseconds until the last page of each call's operator showed it."""
    calls = []
    for number in range(CALLS):
        call = stage.pbx.call(account(2 + number % (OPERATORS - 1)))
        asyncio.get_running_loop().call_later(RING_SECONDS, stage.pbx.cancel, call)
        calls.append(call)
        await asyncio.sleep(PAUSE)
    await asyncio.sleep(RING_SECONDS + 1)
    return [_milliseconds(call, watch.seen.get(call.caller, {})) for call in calls]


def _milliseconds(call: Call, shown: dict[int, float]) -> float:
    """As long as the call rang if a page never showed it: the state it got is the newest, and that was the next one."""
    last = max(shown.values()) - call.sent if len(shown) == TABS_EACH else RING_SECONDS
    return last * 1000
