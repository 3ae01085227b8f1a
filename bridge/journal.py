"""A line per event and command: the log of every call, and the ladder that `bridge trace CALL` draws from it.

The journal is JSON lines in `journal.jsonl`, rotated so that it never outgrows its bound. Session descriptions stand in it by
their size only: they hold addresses and ICE passwords, and no part of a ladder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from json.encoder import encode_basestring as quoted
from pathlib import Path
from typing import Any

import structlog

from .calls import commands
from .calls.call import Call, State
from .calls.commands import Command
from .calls.events import Event
from .telling import facts

log = structlog.get_logger()

MAX_BYTES = 32 << 20
FILES = 5
_ROOMS = {
    commands.PbxCommand: "pbx",
    commands.MediaCommand: "media",
    commands.OperatorsCommand: "browser",
    commands.PortalCommand: "bitrix24",
    commands.CallerCommand: "bitrix24",
    commands.CardCommand: "bitrix24",
    commands.NoticeCommand: "bitrix24",
}
_SOURCES = {
    "pbx": {
        "PbxInvited",
        "PbxCancelled",
        "PbxConfirmed",
        "PbxReoffered",
        "PbxHungUp",
        "PbxRang",
        "PbxProgressed",
        "PbxAnswered",
        "PbxRefused",
        "PbxReanswered",
        "PbxRefusedReoffer",
        "PbxPartyChanged",
        "PbxPressed",
        "PbxReferred",
        "PbxTransferProgressed",
        "PbxTransferred",
        "PbxTransferFailed",
    },
    "media": {
        "BrowserAnswered",
        "MediaReady",
        "EarlyMediaReady",
        "MediaReanswered",
        "MediaReoffered",
        "MediaHeld",
        "CodecChanged",
        "MediaOfferMade",
        "PbxLegMoved",
        "DigitsUnsent",
        "BrowserLost",
        "PbxFellSilent",
        "QualityChanged",
        "RecordingFailed",
    },
    "browser": {
        "MediaOffered",
        "OperatorAnswered",
        "OperatorDeclined",
        "OperatorHungUp",
        "OperatorMuted",
        "OperatorDialled",
        "OperatorHeld",
        "OperatorPressed",
        "OperatorTook",
        "OperatorTransferred",
        "OperatorConnected",
        "OperatorMerged",
        "OperatorSplit",
        "OperatorRecorded",
        "VoiceStarted",
        "OperatorRated",
        "OperatorCommented",
        "CardNotDrawn",
        "VoiceFailed",
        "TabLeft",
    },
    "bitrix24": {"CallRegistered", "CallerFound", "CallbackAsked"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the journal."""

    at: float
    call: str
    kind: str
    """`event` or `command`."""
    name: str
    room: str
    """The neighbour: pbx, media, browser, bitrix24, or bridge for the call's own deadlines."""
    state: str
    """The call's state after it."""
    facts: dict[str, Any]


class Journal:
    """Writes the journal; a full disk costs lines, never a call. What is told goes out with the next `flush`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _RotatedFile(path)
        self._told: list[str] = []

    def event(self, event: Event, call: Call, now: float) -> None:
        self._tell("event", event, call, now)

    def command(self, command: Command, call: Call, now: float) -> None:
        self._tell("command", command, call, now)

    def flush(self) -> None:
        if self._told:
            lines, self._told = self._told, []
            self._file.write("".join(lines).encode(errors="replace"))

    def close(self) -> None:
        self.flush()
        self._file.close()

    def _tell(self, kind: str, fact: Event | Command, call: Call, now: float) -> None:
        fact_type: Any = type(fact)
        self._told.append(
            f'{{"at": {round(now, 4)}, "call": {quoted(call.id)}, "kind": "{kind}", {_place(fact_type)}, '
            f'"state": {_state(call.state)}, "facts": {facts(fact)}}}\n'
        )


@cache
def _place(kind: type) -> str:
    """What it is called, and with which neighbour it stands, as they are written in a line."""
    if issubclass(kind, Command):
        room = next(room for base, room in _ROOMS.items() if issubclass(kind, base))
    else:
        room = next((room for room, names in _SOURCES.items() if kind.__name__ in names), "bridge")
    return f'"name": "{kind.__name__}", "room": "{room}"'


@cache
def _state(state: State) -> str:
    return quoted(state.value)


class _RotatedFile:
    """Whole lines in a file that is put aside when it is full, under `.1` and so on; trouble is reported once, not per line.

    One write for lines that come together and no other call of the system: the standard library's rotation makes five.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failed = False
        self._open()

    def write(self, lines: bytes) -> None:
        try:
            if self._file.closed:
                self._open()
            if self._size and self._size + len(lines) > MAX_BYTES:
                self._rotate()
            self._file.write(lines)
            self._size += len(lines)
        except OSError as error:
            if not self._failed:
                self._failed = True
                log.warning("journal_not_written", path=str(self._path), why=str(error))

    def close(self) -> None:
        self._file.close()

    def _open(self) -> None:
        self._file = self._path.open("ab", buffering=0)
        self._size = self._file.tell()

    def _rotate(self) -> None:
        self._file.close()
        for number in range(FILES - 1, -1, -1):
            older = rotated(self._path, number)
            if older.exists():
                older.replace(rotated(self._path, number + 1))
        self._open()


def rotated(path: Path, number: int) -> Path:
    """The file that is so many rotations old."""
    return path.with_name(f"{path.name}.{number}") if number else path


def read(path: Path, call: str) -> Iterator[Entry]:
    """The entries of one call, oldest first, through all rotated files. A torn last line is passed over."""
    for number in range(FILES, -1, -1):
        file = rotated(path, number)
        if not file.exists():
            continue
        with file.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if call not in line:
                    continue
                try:
                    entry = Entry(**json.loads(line))
                except (ValueError, TypeError):
                    continue
                if entry.call == call:
                    yield entry


COLUMNS = ("pbx", "bridge", "media", "browser", "bitrix24")


def ladder(entries: list[Entry]) -> list[str]:
    """The call as a ladder: one row per event (towards the bridge) or command (away from it), seconds since the first."""
    if not entries:
        return []
    width = 15
    stops = {name: index * width + width // 2 for index, name in enumerate(COLUMNS)}
    rows = [f"{'':9}" + "".join(f"{name.upper():^{width}}" for name in COLUMNS)]
    home, state = stops["bridge"], ""
    for entry in entries:
        there = stops[entry.room]
        left, right = min(home, there), max(home, there)
        lane = [" "] * (width * len(COLUMNS))
        for stop in stops.values():
            lane[stop] = "│"
        lane[left : right + 1] = ["─"] * (right - left + 1)
        toward = home if entry.kind == "event" else there
        lane[toward] = "●" if left == right else ("◄" if toward == left else "►")
        text = entry.name + "".join(f" {key}={value}" for key, value in entry.facts.items() if value not in ("", None))
        note = f"  [{entry.state}]" if entry.state != state else ""
        state = entry.state
        rows.append(f"{entry.at - entries[0].at:8.3f} {''.join(lane)} {text[:110]}{note}")
    return rows
