"""docs/interop.md says what tests showed, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .features import FEATURES, PEERS, UNTESTED
from .matrix import PAGE, Mark, Result, cells, merged, page, read
from .recorder import interop

HOLD = {"peer": "sipp", "features": ("hold by us",)}


def result(test: str, outcome: str = "passed", day: str = "2026-01-01", **mark: object) -> Result:
    return Result(test=test, outcome=outcome, day=day, version="1", **{**HOLD, **mark})  # type: ignore[arg-type]


def cell(text: str, feature: str, peer: str) -> str:
    row = next(line for line in text.splitlines() if line.startswith(f"| {feature} |"))
    return row.split(" | ")[1 + list(PEERS).index(peer)].strip(" |*")


def test_the_page_says_exactly_what_the_marked_tests_show(tmp_path: Path) -> None:
    """Nothing is run: whoever marks a test runs `make interop`, and whoever takes a mark away too."""
    root = PAGE.parents[1]
    marked = [path for path in sorted((root / "tests").rglob("test_*.py")) if "interop(" in path.read_text()]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--collect-only",
        "-m",
        "interop",
        "-p",
        "no:cacheprovider",
        *map(str, marked),
    ]
    subprocess.run([*command, "--interop-marks", str(tmp_path / "marks")], cwd=root, check=True, capture_output=True)
    marks = [
        Mark(**{**row, "features": tuple(row["features"])}) for row in json.loads((tmp_path / "marks").read_text())
    ]
    results = read()
    assert {(r.test, r.peer, r.features) for r in results} == {(m.test, m.peer, m.features) for m in marks}
    assert cells(results) == cells(marks)
    assert PAGE.read_text() == page(results)


def test_one_failure_among_several_tests_is_a_failure_and_no_test_is_no_verdict() -> None:
    text = page([result("a"), result("b", "failed"), result("c", features=("UDP",))])
    assert cell(text, "hold by us", "sipp") == "failed"
    assert cell(text, "UDP", "sipp") == "passed"
    assert cell(text, "UDP", "baresip") == "–"
    assert "2 passed, 1 failed." in text


def test_every_feature_has_its_row_and_who_was_never_called_is_named() -> None:
    text = page([])
    assert {cell(text, feature, peer) for names in FEATURES.values() for feature in names for peer in PEERS} == {"–"}
    assert all(f"- {peer}" in text for peer in UNTESTED)


def test_a_run_of_some_tests_keeps_what_the_others_showed_and_forgets_what_is_marked_no_more() -> None:
    old = [result("a"), result("b"), result("gone")]
    new = [result("b", "failed", day="2026-01-02")]
    assert merged(old, new, [old[0], old[1]]) == [old[0], new[0]]


def test_a_misspelt_feature_or_peer_is_noticed_when_the_test_is_read() -> None:
    with pytest.raises(ValueError, match="hold by them"):
        interop("sipp", "hold by them")
    with pytest.raises(ValueError, match="nobody"):
        interop("nobody", "hold by us")
