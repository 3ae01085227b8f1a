"""A real rtpengine in user space, for tests."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bridge.media.engine.ng import EngineError, EngineSilentError
from bridge.media.engine.ng_client import ng_client

from .asterisk import free_port
from .waiting import wait_for

FIRST_PORT, LAST_PORT = 24_000, 24_999


class Rtpengine:
    """It may be killed and started again at the same address."""

    def __init__(self, directory: Path, host: str = "127.0.0.1") -> None:
        self._directory, self._host, self._port = directory, host, free_port()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> str:
        """Where it is asked."""
        return f"127.0.0.1:{self._port}"

    async def start(self) -> None:
        program = shutil.which("rtpengine")
        assert program is not None, "ask for it with needs()"
        arguments = [
            "--foreground", "--log-stderr", "--log-level=6", "--table=-1", "--config-file=none", "--num-threads=1",
            f"--interface={self._host}", f"--listen-ng={self.address}",
            f"--port-min={FIRST_PORT}", f"--port-max={LAST_PORT}",
        ]  # fmt: skip
        with (self._directory / "rtpengine.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(program, *arguments, stdin=-3, stdout=log, stderr=log)
        await wait_for(self._answers, 10, "rtpengine to answer")

    async def _answers(self) -> bool:
        async with ng_client("127.0.0.1", self._port) as client:
            try:
                return (await client.ask("ping"))["result"] == "pong"
            except (EngineError, EngineSilentError):
                return False

    async def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None

    def log_tail(self) -> str:
        return "\n".join((self._directory / "rtpengine.log").read_text(errors="replace").splitlines()[-80:])


@asynccontextmanager
async def rtpengine(directory: Path, host: str = "127.0.0.1") -> AsyncIterator[Rtpengine]:
    engine = Rtpengine(directory, host)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.kill()
