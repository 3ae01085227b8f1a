"""`python -m tests.soak.plot` draws `docs/soak.svg` from what the endurance run left in `build/soak.json` (or a file that is named)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

from ..rig.process import ROOT
from .endurance import RESULTS

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "soak"  # the same figures make the same file

from matplotlib import pyplot  # noqa: E402

TARGET = ROOT / "docs" / "soak.svg"


def main() -> None:
    results: dict[str, Any] = json.loads(
        Path(sys.argv[1] if len(sys.argv) > 1 else RESULTS).read_text(encoding="utf-8")
    )
    samples = results["samples"]
    minutes = [each["at"] / 60 for each in samples]
    figure, (calls, cpu, memory) = pyplot.subplots(3, 1, figsize=(10, 7), layout="constrained", sharex=True)
    calls.plot(minutes, [each["live"] for each in samples], label="live")
    calls.plot(minutes, [each["made"] / 100 for each in samples], label="made, hundreds", linestyle=":")
    calls.set(ylabel="calls", ylim=(0, None))
    cpu.plot(minutes, [each["cpu"] * 100 for each in samples], label="bridge")
    cpu.plot(minutes, [each["machine_cpu"] * 100 for each in samples], label="whole machine, two cores", linestyle=":")
    cpu.set(ylabel="CPU, % of a core", ylim=(0, 210))
    for name in ("rss", "uss"):
        memory.plot(minutes, [each["bridge"][name] for each in samples], label=name.upper())
    memory.set(xlabel="minutes", ylabel="bridge's memory, MB", ylim=(0, None))
    for axes in (calls, cpu, memory):
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right")
    figure.suptitle(_title(results), fontsize=10)
    figure.savefig(TARGET, metadata={"Date": None})


def _title(results: dict[str, Any]) -> str:
    sent = sum(each["sent"] for each in results["samples"])
    books = results["books"]
    wrong = len(books["lost"]) + len(books["doubled"]) + len(books["wrong"])
    return (
        f"{books['calls']} calls: {wrong} lost, doubled or wrong, {len(books['turned_away'])} turned away; {sent / 1e6:.1f} million packets counted, "
        f"{results['deeds']['lost']} lost; memory {results['memory']['rss']['growth'] * 100:+.1f} % after the warm-up"
    )


if __name__ == "__main__":
    main()
