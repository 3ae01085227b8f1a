"""sip.calls_per_s: how many calls a second the bridge takes, without media, before one fails.

A call here is INVITE → 100 → 480 → ACK at an account whose operator has no page open: the shortest whole call, with its
journal, its promise to the portal (register and finish, as a missed call) and both its transactions. A call that is answered
needs a browser leg first: see `call.cpu_ms`. sipp calls at rising rates; the figure is the highest rate that was held, at
which none failed and after which the bridge was idle again within a second: SIP is answered before the store has written, so
a rate that only piles up work does not count. The simulated portal takes two requests a second, the promises wait as they would.
"""

from __future__ import annotations

import asyncio
import csv
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from ..rig.ports import free_port
from .figure import Figure
from .proc import cpu_seconds
from .site import Say, Site, account, site

RATES = (50, 100, 150, 200, 300, 400, 500, 600, 800)
SECONDS = 4
LOOK_SECONDS = 0.25
IDLE_SHARE = 0.2
"""Of a core; keeping promises at the portal's pace takes a little."""
LONGEST_BEHIND = 1.0
HELD = 0.95
"""The share of the wanted rate that must be reached."""
SCENARIO = Path(__file__).with_name("missed_call.xml")


@dataclass(frozen=True, slots=True)
class Run:
    rate: float
    failed: int
    repeated: int
    """Retransmissions: the bridge took longer than half a second."""
    behind: float
    """Seconds of work that were left when the last call was over."""
    cpu_ms: float
    """Of the bridge, per call, work left behind included."""


async def measure(directory: Path, say: Say) -> list[Figure]:
    if shutil.which("sipp") is None:
        say("left out: sipp is not installed (Debian package sip-tester)")
        return []
    best: Run | None = None
    async with site(directory) as stage:
        for rate in RATES:
            run = await _run(stage, rate)
            say(
                f"{rate}/s: {run.rate:.0f}/s reached, {run.failed} failed, {run.repeated} repeated,"
                f" {run.behind:.1f} s behind, {run.cpu_ms:.1f} ms CPU each"
            )
            if run.failed or run.rate < HELD * rate or run.behind > LONGEST_BEHIND:
                break
            best = run
    assert best is not None, f"calls fail at {RATES[0]} a second already"
    note = f"INVITE → 480 → ACK; {best.cpu_ms:.2f} ms CPU each, {best.repeated} repeated messages"
    return [Figure(name="sip.calls_per_s", value=best.rate, unit="calls/s", note=note)]


async def _run(stage: Site, rate: int) -> Run:
    statistics = stage.bridge.directory / f"sipp-{rate}.csv"
    before = cpu_seconds(stage.bridge.pid)
    sipp = await asyncio.create_subprocess_exec(
        "sipp", f"127.0.0.1:{stage.sip_port}", "-sf", str(SCENARIO), "-s", account(1), "-i", "127.0.0.1",
        "-p", str(free_port()), "-r", str(rate), "-m", str(rate * SECONDS), "-l", str(rate * SECONDS), "-nostdin",
        "-trace_stat", "-stf", str(statistics), "-fd", "1", "-timeout", "20", "-timeout_error",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await asyncio.wait_for(sipp.wait(), 30)
    finally:
        if sipp.returncode is None:
            sipp.kill()
    behind = await _settle(stage.bridge.pid)
    last = list(csv.DictReader(statistics.open(), delimiter=";"))[-1]
    done = int(last["SuccessfulCall(C)"])
    return Run(
        rate=float(last["CallRate(C)"]),
        failed=rate * SECONDS - done,
        repeated=int(last["Retransmissions(C)"]),
        behind=behind,
        cpu_ms=(cpu_seconds(stage.bridge.pid) - before) * 1000 / max(1, done),
    )


async def _settle(pid: int) -> float:
    """Seconds until the process is idle."""
    begin = time.monotonic()
    while True:
        before, looked = cpu_seconds(pid), time.monotonic()
        await asyncio.sleep(LOOK_SECONDS)
        if cpu_seconds(pid) - before < IDLE_SHARE * LOOK_SECONDS:
            return looked - begin
