"""Who may import whom: the figure, and nothing beside it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "bridge"

EVERYONE = {"errors", "config", "tickets", "sealed", "tones"}

# Room or module of `bridge` -> what of `bridge` it may import, beside EVERYONE.
FIGURE: dict[str, set[str]] = {
    "errors": set(),
    "tickets": set(),
    "tones": set(),
    "config": set(),
    "sealed": set(),
    "calls": set(),
    "store": {"calls"},
    "sip": {"addresses", "calls"},
    "addresses": set(),
    "logs": set(),
    "media": {"addresses", "calls", "heap", "logs"},
    "operators": {"calls"},
    "portal": {"addresses", "store", "calls"},
    "telling": {"calls"},
    "journal": {"calls", "telling"},
    "switchboard": {"calls", "journal"},
    "control": {"calls", "heap"},
    "numbers": {"calls"},
    "roster": {"portal", "store", "control"},
    "robot": {"operators"},
    "directory": {"calls", "numbers", "sip"},
    "app": {
        "directory",
        "sip",
        "media",
        "operators",
        "portal",
        "store",
        "calls",
        "switchboard",
        "journal",
        "control",
        "numbers",
        "capacity",
        "heap",
        "collector",
        "metrics",
        "roster",
    },
    "capacity": set(),
    "heap": set(),
    "collector": set(),
    "metrics": {"calls", "heap"},
    "demo": {"sip", "app"},
    "__main__": {"logs", "numbers", "roster", "app", "control", "robot", "journal", "demo"},
}

# A library lives in one room. `calls` lives from the standard library alone.
LIBRARIES: dict[str, set[str]] = {
    "aiortc": {"media", "robot"},
    "aioice": {"media"},
    "pylibsrtp": {"media"},
    "av": {"media", "robot"},
    "socketio": {"operators", "robot"},
    "engineio": {"operators"},
    "sqlalchemy": {"store"},
    "alembic": {"store"},
    "dns": {"sip"},
    "typer": {"__main__"},
    "pydantic_settings": {"config"},
    "phonenumbers": {"numbers"},
    "prometheus_client": {"metrics"},
}

# The pure parts decide; they never wait, sleep or open a socket.
PURE = [
    "calls/events.py",
    "calls/commands.py",
    "calls/call.py",
    "calls/change.py",
    "calls/ending.py",
    "calls/callback.py",
    "calls/conference.py",
    "operators/conferences.py",
    "calls/voice.py",
    "calls/talking.py",
    "calls/outbound.py",
    "calls/reoffers.py",
    "calls/inbound.py",
    "calls/step.py",
    "calls/outcome.py",
    "calls/hearing.py",
    "portal/hearing_page.py",
    "portal/plot.py",
    "calls/routing.py",
    "calls/sounds.py",
    "tones.py",
    "telling.py",
    "calls/numbering.py",
    "calls/tolls.py",
    "calls/recording.py",
    "calls/taping.py",
    "calls/extension.py",
    "portal/agenda.py",
    "portal/sheet.py",
    "calls/turns.py",
    "numbers.py",
    "calls/number.py",
    "tickets.py",
    "sip/message.py",
    "sip/address.py",
    "sip/verdict.py",
    "sip/transaction.py",
    "sip/transactions.py",
    "sip/framer.py",
    "sip/limits.py",
    "sip/challenge.py",
    "sip/party.py",
    "sip/locating.py",
    "sip/checkup.py",
    "sip/probe.py",
    "sip/certificate.py",
    "sip/dialog.py",
    "sip/registration.py",
    "sip/digest.py",
    "sip/phrasebook.py",
    "sip/reinvite.py",
    "sip/reason.py",
    "sip/output.py",
    "sip/session.py",
    "sip/usage.py",
    "sip/acceptance.py",
    "sip/errands.py",
    "sip/info.py",
    "sip/leg.py",
    "sip/referral.py",
    "sip/replaces.py",
    "sip/summary.py",
    "sip/binding.py",
    "sip/stun.py",
    "sip/flow_watch.py",
    "sip/dialog_info.py",
    "sip/lamp.py",
    "sip/watch.py",
    "sip/subscription.py",
    "sip/subscriptions.py",
    "sip/owner.py",
    "sip/refusals.py",
    "sip/reliable.py",
    "sip/session_timer.py",
    "sip/refer.py",
    "sip/sundry.py",
    "sip/deadlines.py",
    "sip/matching.py",
    "sip/flow.py",
    "sip/login.py",
    "sip/caller.py",
    "sip/callee.py",
    "sip/agent.py",
    "media/sdp.py",
    "media/objection.py",
    "media/sdes.py",
    "media/peer.py",
    "media/handshake.py",
    "media/terms.py",
    "media/pbx_sdp.py",
    "media/pbx_session.py",
    "media/rtcp.py",
    "media/reception.py",
    "media/reports.py",
    "media/quality.py",
    "media/source.py",
    "media/comfort.py",
    "media/filler.py",
    "media/engine/bencode.py",
    "media/engine/leg.py",
    "media/engine/quality.py",
    "media/engine/sdp.py",
    "media/memory.py",
    "media/progress.py",
    "media/relocation.py",
    "media/engine/ng.py",
    "media/workers/placement.py",
    "media/packet.py",
    "media/stream.py",
    "media/relay.py",
    "media/recording/tape.py",
    "media/recording/pcap.py",
    "media/recording/timeline.py",
    "media/codecs/g711.py",
    "media/codecs/codec.py",
    "media/codecs/conversion.py",
    "media/codecs/decoding.py",
    "media/conference/mixer.py",
    "media/conference/mixing.py",
    "sealed.py",
    "operators/presence.py",
    "operators/picture.py",
    "operators/cards.py",
    "operators/colleagues.py",
    "operators/turn.py",
    "operators/protocol.py",
    "portal/guardian.py",
    "portal/batch.py",
    "portal/licence.py",
    "portal/standing.py",
    "portal/trouble.py",
]
CLOCKS_AND_SOCKETS = {"asyncio", "socket", "time", "random", "threading", "aiohttp"}


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path: Path) -> set[str]:
    """Absolute names of the modules that a file imports; relative imports resolved."""
    package = ["bridge", *path.relative_to(PACKAGE).parts[:-1]]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{module}.{alias.name}" for alias in node.names} if module == "bridge" else {module}
    return found


def _modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_rooms_import_only_along_the_arrows(path: Path) -> None:
    room = _room(path)
    assert room in FIGURE, f"{room} is not in the figure: add it on purpose"
    allowed = FIGURE[room] | EVERYONE | {room}
    for name in _imports(path):
        if name.startswith("bridge."):
            assert name.split(".")[1] in allowed, f"{path.name} must not import {name}"


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_library_lives_in_one_room(path: Path) -> None:
    room = _room(path)
    for name in _imports(path):
        top = name.split(".")[0]
        assert room in LIBRARIES.get(top, {room}), f"{top} does not belong into {room}"
        if room == "calls":
            assert top == "bridge" or top in sys.stdlib_module_names, f"calls must not import {top}"


def test_the_simulated_portal_knows_nothing_of_the_rooms() -> None:
    for path in (PACKAGE / "demo").glob("portal*"):
        for file in [path] if path.is_file() else path.rglob("*.py"):
            if file.suffix == ".py":
                ours = {name for name in _imports(file) if name.startswith("bridge.") and ".demo" not in name}
                assert not ours, f"{file.name} is written against the wire, not against {ours}"


@pytest.mark.parametrize("name", PURE)
def test_pure_parts_have_no_clock_and_no_socket(name: str) -> None:
    path = PACKAGE / name
    assert path.exists(), "renamed? then change the figure"
    touched = {module.split(".")[0] for module in _imports(path)} & CLOCKS_AND_SOCKETS
    assert not touched, f"{name} imports {touched}"
    assert not [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.AsyncFunctionDef)]
