"""The process that makes files of tapes: one, at the lowest priority, started when there is work and ended when there is none."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ...errors import OursError

IDLE_SECONDS: Final = 30.0
JOB_SECONDS: Final = 3600.0
LONGEST_LINE: Final = 1 << 20


class FinisherError(OursError):
    """A recording could not be made."""

    def __init__(self, why: str, *, retryable: bool, empty: bool = False) -> None:
        super().__init__(why)
        self.retryable = retryable
        """It may go better later; else it is the tape's fault."""
        self.empty = empty
        """There is nothing on the tapes."""


class Finisher:
    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = list(keys)
        self._process: Process | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def mix(self, tapes: Sequence[Path], to: Path, *, sealing: bool) -> float:
        """Seconds of the recording that was made, or FinisherError."""
        if self._idle is not None:
            self._idle.cancel()
        order = {"tapes": [str(path) for path in tapes], "to": str(to), "sealing": sealing}
        try:
            async with asyncio.timeout(JOB_SECONDS):
                process = self._process or await self._start()
                result = await _ask(process, order)
        except (OSError, TimeoutError, ValueError) as error:
            await self.close()
            raise FinisherError(
                f"the process that makes recordings died of {to.stem}: {error}", retryable=False
            ) from None
        except BaseException:
            await self.close()
            raise
        self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._end)
        if "error" in result:
            raise FinisherError(result["error"], retryable=result["full"], empty=result["empty"])
        return float(result["seconds"])

    async def _start(self) -> Process:
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"{__package__}.mixdown", stdin=PIPE, stdout=PIPE, limit=LONGEST_LINE
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps({"keys": self._keys}).encode() + b"\n")
        return process

    def _end(self) -> None:
        """It has nothing to do: it ends when it reads the end."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()

    async def close(self) -> None:
        """What is under way is given up, and done again by the next bridge."""
        if self._idle is not None:
            self._idle.cancel()
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _ask(process: Process, order: dict[str, Any]) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(order).encode() + b"\n")
    await process.stdin.drain()
    line = await process.stdout.readline()
    if not line:
        raise OSError(f"it ended with {await process.wait()}")
    answer: dict[str, Any] = json.loads(line)
    return answer
