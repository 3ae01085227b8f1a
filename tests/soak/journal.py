"""Which calls a running bridge's journal knows, read along before the oldest of its files is thrown away."""

from __future__ import annotations

import json
from pathlib import Path

from bridge.journal import rotated


class JournalReader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode = 0
        self._at = 0
        self.callers: list[str] = []
        """The caller's number of every call that the PBX brought."""

    def read(self) -> None:
        """What was written since the last time; no more than one file may have been put aside meanwhile."""
        if not self._path.exists():
            return
        inode = self._path.stat().st_ino
        if self._inode not in (0, inode):
            self._take(rotated(self._path, 1))
            self._at = 0
        self._inode = inode
        self._take(self._path)

    def _take(self, path: Path) -> None:
        with path.open("rb") as file:
            file.seek(self._at)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._at += len(line)
                if b'"PbxInvited"' in line:
                    self.callers.append(json.loads(line)["facts"]["caller"])
