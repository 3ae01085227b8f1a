"""The page `docs/interop.md`, and the results it is made of, kept beside it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from .features import FEATURES, PEERS, UNTESTED

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, RESULTS = DOCS / "interop.md", DOCS / "interop.jsonl"

ORDER = [feature for features in FEATURES.values() for feature in features]

HEAD = """\
# SIP: what works with whom

Written by `make interop`, which runs the tests that are marked for it with real peers on one machine; nobody edits it. A
cell is *passed* if every test that shows the feature at that peer passed, *failed* if one did not, and *–* if no test shows
it: not tested. The tests stand below, with the day on which they ran.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """That a test shows features at a peer."""

    test: str
    peer: str
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result(Mark):
    """What became of it."""

    outcome: Literal["passed", "failed"]
    version: str
    """Of the peer."""
    day: str


def in_order(features: Iterable[str]) -> tuple[str, ...]:
    """Each once, as on the page."""
    return tuple(sorted(set(features), key=ORDER.index))


def cells(marks: Iterable[Mark]) -> set[tuple[str, str]]:
    """Feature and peer, for each that a test shows."""
    return {(feature, mark.peer) for mark in marks for feature in mark.features}


def read() -> list[Result]:
    """One a line: git merges what two branches showed (.gitattributes), and the later line of two for a test counts."""
    rows = map(json.loads, RESULTS.read_text().splitlines()) if RESULTS.exists() else ()
    return [Result(**{**row, "features": in_order(row["features"])}) for row in rows]


def merged(before: Iterable[Result], after: Iterable[Result], marks: Iterable[Mark]) -> list[Result]:
    """What is known now: the new results, and the old ones of tests that did not run and are still marked so."""
    known = {_key(result): result for result in [*before, *after]}
    return [known[key] for key in sorted(map(_key, marks)) if key in known]


def write(results: list[Result]) -> None:
    RESULTS.write_text("".join(f"{json.dumps(asdict(result), ensure_ascii=False)}\n" for result in results))
    PAGE.write_text(page(results))


def page(results: Iterable[Result]) -> str:
    """In Markdown."""
    results = list(results)
    return "\n".join([HEAD, *_peers(results), *_matrix(results), *_untested(), *_tests(results)]) + "\n"


def _key(mark: Mark) -> tuple[str, str, tuple[str, ...]]:
    return mark.test, mark.peer, mark.features


def _peers(results: list[Result]) -> Iterator[str]:
    yield from ("| Peer | Version | Tests |", "| --- | --- | --- |")
    for peer in PEERS:
        mine = [result for result in results if result.peer == peer]
        versions = " · ".join(sorted({result.version for result in mine})) or "–"
        yield f"| {peer} | {versions} | {len(mine)} |"
    yield ""


def _matrix(results: list[Result]) -> Iterator[str]:
    outcomes = {
        cell: {result.outcome for result in results if cell[0] in result.features and cell[1] == result.peer}
        for cell in cells(results)
    }
    for group, features in FEATURES.items():
        yield f"| {group} | {' | '.join(PEERS)} |"
        yield "| --- |" + " --- |" * len(PEERS)
        for feature in features:
            row = [outcomes.get((feature, peer), set()) for peer in PEERS]
            words = ["–" if not seen else "**failed**" if "failed" in seen else "passed" for seen in row]
            yield f"| {feature} | {' | '.join(words)} |"
        yield ""


def _untested() -> Iterator[str]:
    yield from ("## Not tested at all", "")
    yield from (f"- {peer}" for peer in UNTESTED)
    yield ""


def _tests(results: list[Result]) -> Iterator[str]:
    yield from ("## The tests", "", "| Test | Peer | Shows | Outcome | Day |", "| --- | --- | --- | --- | --- |")
    for result in results:
        shown = "; ".join(result.features)
        test = result.test.removeprefix("tests/").replace("|", "\\|")
        yield f"| `{test}` | {result.peer} | {shown} | {result.outcome} | {result.day} |"
    counted = Counter(result.outcome for result in results)
    yield from ("", f"{counted['passed']} passed, {counted['failed']} failed.")
