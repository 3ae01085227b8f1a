"""`python -m tests.bench.plot` draws `docs/relay.svg` from what the relay bench left in `build/relay.json`."""

from __future__ import annotations

import json
from typing import Any

import matplotlib as mpl

from ..rig.process import ROOT
from .relay import RESULTS

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "relay"  # the same figures make the same file

from matplotlib import pyplot  # noqa: E402

TARGET = ROOT / "docs" / "relay.svg"
NAMES = {
    "ours": "bridge",
    "rtpengine": "rtpengine, user space",
    "janus": "Janus, SIP plugin",
    "naive": "aiortc, decoding",
}


def main() -> None:
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    figure, (cpu, latency) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for peer, name in NAMES.items():
        rows = sorted((row for row in results["rows"] if row["peer"] == peer), key=lambda row: row["calls"])
        if not rows:
            continue
        calls = [row["calls"] for row in rows]
        cpu.plot(calls, [row["cpu"] * 100 for row in rows], marker="o", label=name)
        (line,) = latency.plot(calls, [row["p50"] for row in rows], marker="o", label=name)
        latency.plot(calls, [row["p99"] for row in rows], marker=".", linestyle=":", color=line.get_color())
    cpu.set(xlabel="calls at once", ylabel="CPU, % of a core", title="What it costs", ylim=(0, 100))
    latency.set(xlabel="calls at once", ylabel="ms, socket to socket", title="What it adds (dotted: p99)", yscale="log")
    for axes in (cpu, latency):
        axes.grid(alpha=0.3)
    cpu.legend()
    figure.supxlabel(f"PCMU, 50 packets a second each way; bridge: {results['ticks']}", fontsize=8)
    figure.savefig(TARGET, metadata={"Date": None})


if __name__ == "__main__":
    main()
