"""The mark for tests that show what works with a peer, and the plugin that writes down what became of them."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path

import pytest

from . import matrix
from .features import PEERS


def interop(peer: str, *features: str) -> pytest.MarkDecorator:
    """The test shows these features with that real peer; names stand in features.py."""
    unknown = [name for name in features if name not in matrix.ORDER] + [peer] * (peer not in PEERS)
    if unknown or not features:
        raise ValueError(f"tests/interop/features.py does not know {unknown}")
    return pytest.mark.interop(peer=peer, features=features)


def marks_of(item: pytest.Item) -> Iterator[matrix.Mark]:
    """One for each peer, however many decorators name it."""
    shown: dict[str, list[str]] = {}
    for mark in item.iter_markers("interop"):
        shown.setdefault(mark.kwargs["peer"], []).extend(mark.kwargs["features"])
    for peer, features in shown.items():
        yield matrix.Mark(test=item.nodeid, peer=peer, features=matrix.in_order(features))


class Recorder:
    """Watches the run of marked tests."""

    def __init__(self) -> None:
        self._marks: list[matrix.Mark] = []
        self._outcomes: dict[str, str] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self._marks = [mark for item in items for mark in marks_of(item)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test passed if its call did and nothing around it failed; a skipped one says nothing."""
        if report.failed:
            self._outcomes[report.nodeid] = "failed"
        elif report.passed and report.when == "call":
            self._outcomes.setdefault(report.nodeid, "passed")

    def results(self) -> list[matrix.Result]:
        version = cache(lambda peer: PEERS[peer]())
        today = datetime.date.today().isoformat()
        return [
            matrix.Result(**asdict(mark), outcome=outcome, version=version(mark.peer), day=today)  # type: ignore[arg-type]
            for mark in self._marks
            if (outcome := self._outcomes.get(mark.test))
        ]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        matrix.write(matrix.merged(matrix.read(), self.results(), self._marks))


class Lister:
    """Writes the marks of everything that was collected, and runs nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._path.write_text(json.dumps([asdict(mark) for item in session.items for mark in marks_of(item)]))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--interop", action="store_true", help="write docs/interop.md from what the marked tests show")
    parser.addoption("--interop-marks", metavar="FILE", help="write which test shows what at which peer")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--interop"):
        config.pluginmanager.register(Recorder())
    if path := config.getoption("--interop-marks"):
        config.pluginmanager.register(Lister(Path(path)))
