"""relay.calls_per_core and relay.added_ms: what carrying the voice costs, beside what else could carry it.

Every call is a browser leg (ICE, DTLS, SRTP) and a PBX leg (plain RTP), PCMU, 50 packets a second each way, with RTCP on both; the
load counts at its own receivers. Ours is the whole voice room in a process of its own, with statistics, quality and watching.
CPU is that of the process, the kernel's share included; latency is from socket to socket, with the load's own share. Peers run
at a load that they bear, in turn with ours: naive aiortc (decoding and encoding), Janus' SIP plugin, rtpengine in user space
with one thread.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

from bridge.media.poller import BUSY, CROWDED, LONG_TICK, TICK

from ..rig.janus import own_address
from ..rig.process import ROOT
from .figure import Figure, percentile
from .janus import janus
from .load import Outcome, Peer, pages_at, run
from .rtpengine import rtpengine
from .scripted import scripted
from .site import Say

LONG_SECONDS = float(os.environ.get("RELAY_SECONDS", "60"))
SHORT_SECONDS = min(15.0, LONG_SECONDS)
OURS = (10, 100, 200, 400)
SHARED = 200
"""Calls that are carried by one process, and again by two workers."""
RECORDED = "recorded"
LOADS = {"naive": (5, 10, 15), "janus": (10, 50, 100), "rtpengine": (10, 100, 300)}
RESULTS = ROOT / "build" / "relay.json"

PACKETS = 100
"""A second and call, both ways together."""
TICKS = (
    f"read at once up to {BUSY / PACKETS:.0f} calls, then every {TICK * 1000:.0f} ms, "
    f"from {CROWDED / PACKETS:.0f} calls on every {LONG_TICK * 1000:.0f} ms"
)


async def measure(directory: Path, say: Say) -> list[Figure]:
    if shutil.which(os.environ.get("CC", "cc")) is None:
        say("left out: no C compiler for the load (Debian package gcc)")
        return []
    host = own_address()
    found: dict[str, list[Outcome]] = {"ours": []}
    with pages_at(host):
        for calls in OURS[:-1]:
            found["ours"].append(await _one(directory, host, "ours", calls, SHORT_SECONDS, say))
        recorded = await _one(directory, host, RECORDED, SHARED, SHORT_SECONDS, say)
        two = await _one(directory, host, "two workers", SHARED, SHORT_SECONDS, say)
        for name in _installed(host, say):
            loads = LOADS[name]
            found[name] = [await _one(directory, host, name, calls, SHORT_SECONDS, say) for calls in loads]
        found["ours"].append(await _one(directory, host, "ours", OURS[-1], LONG_SECONDS, say))
    _keep(found)
    one = next(outcome for outcome in found["ours"] if outcome.calls == SHARED)
    return [*_figures(found), *_compared(one, recorded), *_shared(one, two)]


def _compared(one: Outcome, recorded: Outcome) -> list[Figure]:
    """What recording every call costs while they go on."""
    name, note = (
        "relay.recorded.calls_per_core",
        f"{recorded.calls} calls for {recorded.seconds:.0f} s, all recorded, {recorded.lost} lost",
    )
    ratio = round(recorded.calls_per_core / one.calls_per_core, 2)
    alone = f"the same without, {one.lost} lost"
    return [
        _figure(name, recorded.calls_per_core, "calls", note),
        Figure(name=name, value=one.calls_per_core, unit="calls", against="not recorded", ratio=ratio, note=alone),
    ]


def _shared(one: Outcome, two: Outcome) -> list[Figure]:
    """What a call costs in workers, the signalling process included: on two cores the load has only what they leave."""
    name, note = (
        "relay.workers.calls_per_core",
        f"2 workers, {two.calls} calls for {two.seconds:.0f} s, {two.lost} lost",
    )
    alone = f"one process, {one.calls} calls for {one.seconds:.0f} s, {one.lost} lost"
    ratio = round(two.calls_per_core / one.calls_per_core, 2)
    return [
        _figure(name, two.calls_per_core, "calls", note),
        Figure(name=name, value=one.calls_per_core, unit="calls", against="one process", ratio=ratio, note=alone),
    ]


def _installed(host: str, say: Say) -> list[str]:
    names = ["naive"]
    for name in ("janus", "rtpengine"):
        if shutil.which(name) is None:
            say(f"{name} is left out: it is not installed")
        elif name == "janus" and host.startswith("127."):
            say("janus is left out: it takes no loopback address, and this machine has no other")
        else:
            names.append(name)
    return names


async def _one(directory: Path, host: str, name: str, calls: int, seconds: float, say: Say) -> Outcome:
    async with _peer(directory / f"{name}-{calls}", host, name) as peer:
        outcome = await run(peer, calls, seconds, say)
    await asyncio.sleep(0.5)
    return outcome


@asynccontextmanager
async def _peer(directory: Path, host: str, name: str) -> AsyncIterator[Peer]:
    if name == "rtpengine":
        async with rtpengine(directory, host) as engine:
            yield engine
    elif name == "janus":
        async with janus(directory, host) as gateway:
            yield gateway
    else:
        module = "tests.bench.naive" if name == "naive" else "tests.bench.room"
        workers = "2" if name == "two workers" else "1"
        more = [str(directory)] if name == RECORDED else []
        async with scripted(name, module, host, workers, *more, quiet=workers != "1") as process:
            yield process


def _figures(found: dict[str, list[Outcome]]) -> list[Figure]:
    ours, figures = found["ours"], list[Figure]()
    full = ours[-1]
    note = f"{full.calls} calls for {full.seconds:.0f} s, {full.lost} of {full.sent} packets lost; {TICKS}"
    figures.append(_figure("relay.calls_per_core", full.calls_per_core, "calls", note))
    figures.append(_figure("relay.lost", full.lost, "packets", f"of {full.sent}, counted at the receivers"))
    for name, outcomes in found.items():
        if name == "ours":
            continue
        best = max(outcomes, key=lambda outcome: outcome.calls_per_core if _is_fine(outcome) else 0)
        figures.append(
            Figure(
                name="relay.calls_per_core",
                value=best.calls_per_core,
                unit="calls",
                against=name,
                ratio=round(full.calls_per_core / best.calls_per_core, 2),
                note=f"{best.calls} calls for {best.seconds:.0f} s, {best.lost} of {best.sent} lost",
            )
        )
    for calls, label in ((100, "relay.added_ms"), (10, "relay.added_ms_at_10")):
        outcome = next(outcome for outcome in ours if outcome.calls == calls)
        for share in (50, 99):
            name = f"{label}.p{share}"
            figures.append(
                _figure(name, percentile(outcome.lateness, share), "ms", f"{calls} calls, {outcome.lost} lost")
            )
    return figures


def _figure(name: str, value: float, unit: str, note: str) -> Figure:
    return Figure(name=name, value=value, unit=unit, note=note)


def _is_fine(outcome: Outcome) -> bool:
    """Less than one packet in a hundred lost: the peer bears the load."""
    return outcome.lost * 100 <= outcome.sent


def _keep(found: dict[str, list[Outcome]]) -> None:
    """For the plot."""
    rows = [
        {
            **{key: value for key, value in asdict(outcome).items() if key != "lateness"},
            "peer": name,
            "p50": percentile(outcome.lateness, 50),
            "p99": percentile(outcome.lateness, 99),
        }
        for name, outcomes in found.items()
        for outcome in outcomes
        if outcome.lateness
    ]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"ticks": TICKS, "rows": rows}, indent=1) + "\n", encoding="utf-8")
