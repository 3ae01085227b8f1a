"""Parts that tests share: a PBX, a browser, a bridge; and what becomes of a test whose parts are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, settings

from bridge.demo.portal import Portal

from .rig.asterisk import Asterisk, is_unpacked
from .rig.chromium import Chromium, find_chromium
from .rig.forge import Forge
from .rig.leaks import leaks
from .rig.postgres import Postgres, find_programs
from .rig.process import BridgeProcess
from .rig.rtpengine import Rtpengine, rtpengine

pytest_plugins = ["tests.interop.recorder"]


def _has_namespaces() -> bool:
    return (
        bool(shutil.which("ip")) and subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode == 0
    )


PARTS: dict[str, tuple[Callable[[], object], str]] = {
    "asterisk": (is_unpacked, "Asterisk is not unpacked: run make asterisk (on a Debian, amd64)"),
    "chromium": (find_chromium, "Chromium is not installed: Debian package chromium"),
    "baresip": (lambda: shutil.which("baresip"), "baresip is not installed: Debian package baresip-core"),
    "rtpengine": (lambda: shutil.which("rtpengine"), "rtpengine is not installed: Debian package rtpengine-daemon"),
    "postgres": (find_programs, "PostgreSQL is not installed: Debian package postgresql"),
    "janus": (lambda: shutil.which("janus"), "Janus is not installed: Debian package janus"),
    "coturn": (lambda: shutil.which("turnserver"), "coturn is not installed: Debian package coturn"),
    "namespace": (_has_namespaces, "Network namespaces want root and the Debian package iproute2"),
    "sipp": (lambda: shutil.which("sipp"), "sipp is not installed: Debian package sip-tester"),
}


# A runner of several processes tells each how wide its terminal is, and rich keeps what it finds when it is imported.
os.environ.pop("COLUMNS", None)


def is_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


if not is_ci():  # there Hypothesis takes a profile of its own, with the same examples every time
    settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("unhurried")


class HasLog(Protocol):
    """Something whose last words help to understand a failure."""

    def log_tail(self) -> str: ...


EVIDENCE: pytest.StashKey[list[HasLog]] = pytest.StashKey()


def needs(*parts: str) -> None:
    """Skips the test, saying what to install, unless all of these parts are on this machine."""
    for part in parts:
        is_there, remedy = PARTS[part]
        if not is_there():
            pytest.skip(remedy)


def _forbid_skipping(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and is_ci() and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.longrepr = f"CI=true forbids to skip: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _forbid_skipping(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under CI=true a skipped test has failed; a failed one shows the last words of the processes it used."""
    report = yield
    _forbid_skipping(report)
    used: list[HasLog] = item.stash.get(EVIDENCE, [])
    if report.failed:
        report.sections += [(f"log of {type(part).__name__}", part.log_tail()) for part in used]
    return report


@pytest.fixture
def evidence(request: pytest.FixtureRequest) -> list[HasLog]:
    """Things whose log a failure of this test should show."""
    node: pytest.Item = request.node
    return node.stash.setdefault(EVIDENCE, [])


@pytest.fixture(scope="session")
def pbx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asterisk]:
    needs("asterisk")
    with Asterisk(tmp_path_factory.mktemp("asterisk")) as asterisk:
        yield asterisk


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The server that all tests share; each makes a database of its own."""
    needs("postgres")
    with Postgres() as server:
        yield server


@pytest.fixture
def asterisk(pbx: Asterisk, evidence: list[HasLog]) -> Asterisk:
    """The PBX that all tests share; each test hangs up what it called."""
    evidence.append(pbx)
    return pbx


@pytest.fixture
async def engine(tmp_path: Path, evidence: list[HasLog]) -> AsyncIterator[Rtpengine]:
    """An rtpengine of the test's own."""
    needs("rtpengine")
    async with rtpengine(tmp_path) as running:
        evidence.append(running)
        yield running


@pytest.fixture
async def browsers() -> AsyncIterator[Callable[..., Any]]:
    """Starts browsers (arguments as of Chromium) that are closed after the test."""
    needs("chromium")
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> Chromium:
            return await stack.enter_async_context(Chromium(**settings))

        yield start


@pytest.fixture
async def chromium(browsers: Callable[..., Any]) -> Chromium:
    browser: Chromium = await browsers()
    return browser


@pytest.fixture(scope="session")
def forge() -> Iterator[Forge]:
    with Forge() as one:
        yield one


@pytest.fixture
async def bridges(tmp_path: Path, evidence: list[HasLog], forge: Forge) -> AsyncIterator[Callable[..., Any]]:
    """Starts bridges (arguments as of BridgeProcess) that are ended after the test."""
    async with AsyncExitStack() as stack:

        async def start(settings: dict[str, Any], secrets: dict[str, str]) -> BridgeProcess:
            directory = tmp_path / f"bridge-{len(evidence)}"
            bridge = BridgeProcess(directory, settings=settings, secrets=secrets, forge=forge)
            evidence.append(bridge)
            return await stack.enter_async_context(bridge)

        yield start


@pytest.fixture(autouse=True)
def no_secret_in_what_a_bridge_writes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Searches logs, journal and store of every bridge of the test for its own secrets and those of every portal."""
    bridges: list[BridgeProcess] = []
    portals: list[Portal] = []
    _keep_those_made(monkeypatch, BridgeProcess, bridges)
    _keep_those_made(monkeypatch, Portal, portals)
    yield
    told = {secret for portal in portals for secret in portal.secrets}
    for bridge in bridges:
        held = {key for secret in bridge.secrets.values() for key in secret.split(",")}
        found = leaks(bridge.directory, told | held)
        assert not found, f"a bridge wrote down secrets: {found}"


def _keep_those_made(monkeypatch: pytest.MonkeyPatch, kind: type[Any], made: list[Any]) -> None:
    begin = kind.__init__

    def noted(self: Any, *arguments: Any, **named: Any) -> None:
        begin(self, *arguments, **named)
        made.append(self)

    monkeypatch.setattr(kind, "__init__", noted)
