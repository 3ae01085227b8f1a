"""Runs the benches one after the other, prints their figures beside the goals and writes `build/bench.json`."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ..rig.process import ROOT
from .figure import Figure

BENCHES = (
    "ring",
    "answer",
    "rejoin",
    "worker",
    "tabs",
    "sip",
    "codec",
    "hostile",
    "cpu",
    "record",
    "transcode",
    "relay",
)
console = Console(highlight=False)


def main() -> int:
    words = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    words.add_argument("names", nargs="*", metavar="NAME", help=f"which benches: {', '.join(BENCHES)}; all by default")
    words.add_argument("--strict", action="store_true", help="a missed goal is a failure")
    words.add_argument("--keep", type=Path, metavar="DIRECTORY", help="where to leave logs and journals of the bridges")
    chosen = words.parse_args()
    if unknown := set(chosen.names) - set(BENCHES):
        words.error(f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        figures, broken = _run(chosen.names or BENCHES, chosen.keep or Path(temporary))
    console.print(_table(figures))
    _write(ROOT / "build" / "bench.json", figures)
    missed = [figure for figure in figures if figure.goal and not figure.goal.is_met(figure.value)]
    return 1 if broken or (chosen.strict and missed) else 0


def _run(names: Any, directory: Path) -> tuple[list[Figure], list[str]]:
    figures: list[Figure] = []
    broken: list[str] = []
    for name in names:
        console.print(f"[bold]{name}[/bold]")
        bench = importlib.import_module(f".{name}", __package__)
        start = time.monotonic()
        shutil.rmtree(directory / name, ignore_errors=True)
        try:
            figures += asyncio.run(bench.measure(directory / name, _say))
        except Exception:  # noqa: BLE001 - one broken bench must not cost the others' figures
            broken.append(name)
            traceback.print_exc()
        _say(f"{time.monotonic() - start:.0f} s; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return figures, broken


def _say(line: str) -> None:
    console.print(f"  {line}", style="dim")


def _table(figures: list[Figure]) -> Table:
    table = Table("figure", "value", "unit", "goal", "", "how")
    table.columns[1].justify = "right"
    for figure in figures:
        goal = figure.goal
        verdict = "" if goal is None else "[green]met" if goal.is_met(figure.value) else "[red]missed"
        name = f"  {figure.against}" if figure.against else figure.name
        table.add_row(name, f"{figure.value:,.4g}", figure.unit, str(goal or ""), verdict, figure.note)
    return table


def _write(path: Path, figures: list[Figure]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([figure.row() for figure in figures], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
