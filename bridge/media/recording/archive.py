"""The finished recordings: tapes of calls that are over become files, are promised to Bitrix24, kept for a while, and deleted.

The folder is the only border to whoever writes the tapes, so nothing is lost with a process: what lies there after a crash is
finished like everything else.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from ...calls.commands import AttachRecord
from ...calls.events import CallId
from ...errors import RefusedError
from . import spool
from .finisher import JOB_SECONDS, Finisher, FinisherError
from .mixdown import UNFINISHED
from .recorder import DONE, FULL, PART

log = structlog.get_logger()

LOOK_SECONDS: Final = 1.0
PRUNE_SECONDS: Final = 60.0
PART_SECONDS: Final = 5.0
"""A tape that is not whole so long after its call was over was left behind by a crash."""
RETRY_SECONDS: Final = 60.0
"""Until a recording that could not be written is tried again."""
BROKEN: Final = ".broken"
"""A tape that can't be read, or a recording whose call nobody knows; left for a person."""
FINISHED: Final = (".mp3", ".wav")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What becomes of a recording once Bitrix24 has it."""

    kind: str = "mp3"
    sealing: bool = False
    keep_seconds: float = 0.0
    """0: it is deleted as soon as Bitrix24 has it."""
    most_bytes: int = 20 << 30
    """Of all recordings; the oldest that Bitrix24 has go first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One recording, for people."""

    call: str
    portal: str
    state: str
    """`running`, `unfinished`, `promised`, `kept`, `broken`."""
    bytes: int
    at: float
    """Unix seconds of its last change."""


class Archive:
    """`is_live` says whether a call goes on; `promise` gives a file to the CRM's record of its call; `promised` names the
    files that Bitrix24 has not got yet; `alarm(portal, why)` tells the administrators."""

    def __init__(
        self,
        *,
        directory: Path,
        retention: Retention,
        engine_spool: Path | None = None,
        keys: Sequence[str],
        is_live: Callable[[CallId], bool],
        promise: Callable[[AttachRecord], Awaitable[None]],
        promised: Callable[[], Awaitable[Collection[str]]],
        alarm: Callable[[str, str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`engine_spool`: where an rtpengine writes what tapes only name."""
        self._directory, self._spool = directory, engine_spool
        self._retention = retention
        self._finisher = Finisher(keys)
        self._is_live, self._promise, self._promised, self._alarm = is_live, promise, promised, alarm
        self._clock = clock
        self._not_before: dict[tuple[str, str], float] = {}
        """When a recording that failed is tried again."""
        self._over: dict[tuple[str, str], float] = {}
        """When a call with tapes was first seen to be over."""
        self._pruned = 0.0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(self._keep())
            try:
                yield
            finally:
                keeper.cancel()
        await self._finisher.close()

    async def _keep(self) -> None:
        while True:
            try:
                await self.look()
            except Exception:  # a disk that is away comes back
                log.exception("archive_failed")
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Finish what can be finished, delete what may go."""
        found = await asyncio.to_thread(self._tapes)
        self._over = {key: self._over.get(key, self._clock()) for key in found if not self._is_live(CallId(key[1]))}
        for (portal, call), over in list(self._over.items()):
            tapes = found[portal, call]
            left_behind = self._clock() >= over + PART_SECONDS
            whole = left_behind or all(path.suffix == DONE for path in tapes)
            if whole and self._clock() >= self._not_before.get((portal, call), 0.0):
                await self._finish(portal, call, tapes)
        if self._clock() >= self._pruned + PRUNE_SECONDS:
            self._pruned = self._clock()
            await self.prune()

    def _tapes(self) -> dict[tuple[str, str], list[Path]]:
        """Those of each call, by portal's folder and call."""
        found: dict[tuple[str, str], list[Path]] = defaultdict(list)
        for kind in (PART, DONE):
            for path in self._directory.glob(f"*/*{kind}"):
                found[_key(path)].append(path)
        return found

    async def _finish(self, portal: str, call: str, tapes: list[Path]) -> None:
        to = self._directory / portal / f"{call}.{self._retention.kind}"
        try:
            seconds = await self._finisher.mix(tapes, to, sealing=self._retention.sealing)
        except FinisherError as error:
            await self._unfinished(portal, call, tapes, error)
            return
        self._not_before.pop((portal, call), None)
        attach = AttachRecord(
            call=CallId(call), path=str(to.absolute()), name=to.name, delete=not self._retention.keep_seconds
        )
        try:
            await self._promise(attach)
        except RefusedError as error:
            log.error("recording_of_no_call", call=call, portal=portal, why=str(error))  # noqa: TRY400
            await asyncio.to_thread(_set_aside, [to])
        log.info("recording_finished", call=call, portal=portal, seconds=round(seconds, 1))
        await asyncio.to_thread(self._unlink, call, tapes)

    async def _unfinished(self, portal: str, call: str, tapes: list[Path], error: FinisherError) -> None:
        if error.empty:
            log.info("recording_empty", call=call, portal=portal, why=str(error))
            await asyncio.to_thread(self._unlink, call, tapes)
            return
        log.error("recording_unfinished", call=call, portal=portal, why=str(error), again=error.retryable)
        self._alarm(portal, str(error))
        if error.retryable:
            self._not_before[portal, call] = self._clock() + RETRY_SECONDS
        else:
            await asyncio.to_thread(_set_aside, tapes)

    def _unlink(self, call: str, tapes: Sequence[Path]) -> None:
        for path in tapes:
            path.unlink(missing_ok=True)
        if self._spool is not None:
            spool.forget(self._spool, call)

    # ---- retention

    async def prune(self) -> None:
        """Delete what is too old, then the oldest until all fit; never what Bitrix24 has not got."""
        promised = {str(path) for path in await self._promised()}
        await asyncio.to_thread(self._prune, promised)

    def _prune(self, promised: Collection[str]) -> None:
        old = self._clock() - self._retention.keep_seconds
        files = sorted(_files(self._directory), key=lambda file: file[2])
        total = sum(size for _, size, _ in files)
        for path, size, changed in files:
            may_go = path.suffix in FINISHED and str(path.absolute()) not in promised
            left_behind = path.suffix == UNFINISHED and changed < self._clock() - JOB_SECONDS
            if left_behind or (may_go and (changed < old or total > self._retention.most_bytes)):
                path.unlink(missing_ok=True)
                total -= size
                log.info("recording_deleted", call=path.stem, portal=path.parent.name, bytes=size)
        marker = self._directory / FULL
        if total <= self._retention.most_bytes:
            marker.unlink(missing_ok=True)
        elif not marker.exists():
            marker.touch()
            log.error("recordings_full", bytes=total, most=self._retention.most_bytes)

    # ---- for people

    async def listed(self) -> list[Listed]:
        promised = {str(path) for path in await self._promised()}
        return await asyncio.to_thread(self._list, promised)

    async def answer(self, _request: dict[str, Any]) -> dict[str, Any]:
        """For the control socket."""
        fields = Listed.__slots__
        return {"recordings": [{name: getattr(each, name) for name in fields} for each in await self.listed()]}

    def _list(self, promised: Collection[str]) -> list[Listed]:
        found = [
            Listed(
                call=path.name.split(".")[0],
                portal=path.parent.name,
                state=self._state(path, promised),
                bytes=size,
                at=changed,
            )
            for path, size, changed in _files(self._directory)
        ]
        return sorted(found, key=lambda each: each.at)

    def _state(self, path: Path, promised: Collection[str]) -> str:
        if path.suffix == BROKEN:
            return "broken"
        if path.suffix in FINISHED:
            return "promised" if str(path.absolute()) in promised else "kept"
        return "running" if self._is_live(CallId(_key(path)[1])) else "unfinished"


def _key(path: Path) -> tuple[str, str]:
    return path.parent.name, path.name.split(".")[0]


def _files(directory: Path) -> list[tuple[Path, int, float]]:
    """Everything of a recording: path, bytes, last change."""
    found = []
    for path in directory.glob("*/*.*"):
        try:
            about = path.stat()
        except OSError:  # it went away meanwhile
            continue
        found.append((path, about.st_size, about.st_mtime))
    return found


def _set_aside(paths: Sequence[Path]) -> None:
    for path in paths:
        path.rename(path.with_suffix(BROKEN))
