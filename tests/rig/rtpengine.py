"""A real rtpengine in user space, for tests."""

from __future__ import annotations

import asyncio
import fcntl
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir

from bridge.media.engine.ng import EngineError, EngineSilentError
from bridge.media.engine.ng_client import ng_client

from .ports import free_port
from .waiting import wait_for

FIRST_PORT, PORTS, RANGES = 27_000, 200, 15
"""Of each engine on the machine: two in the same range would take each other's packets, for it shares its ports with whoever
wants them."""


@contextmanager
def own_ports() -> Iterator[tuple[int, int]]:
    """First and last of a range that no other test on this machine has."""
    with ExitStack() as stack:
        for number in range(RANGES):
            lock = stack.enter_context((Path(gettempdir()) / f"rtpengine-{number}.lock").open("w"))
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                first = FIRST_PORT + PORTS * number
                yield first, first + PORTS - 1
                return
        raise AssertionError(f"{RANGES} rtpengines run on this machine")


class Rtpengine:
    """It may be killed and started again at the same address."""

    def __init__(self, directory: Path, host: str, ports: tuple[int, int]) -> None:
        self._directory, self._host, self._port, self._ports = directory, host, free_port(), ports
        self.spool = directory / "spool"
        """Where it records calls."""
        self._process: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> str:
        """Where it is asked."""
        return f"127.0.0.1:{self._port}"

    async def start(self) -> None:
        self.spool.mkdir(exist_ok=True)
        program = shutil.which("rtpengine")
        assert program is not None, "ask for it with needs()"
        arguments = [
            "--foreground", "--log-stderr", "--log-level=6", "--table=-1", "--config-file=none", "--num-threads=1",
            f"--interface={self._host}", f"--listen-ng={self.address}",
            f"--port-min={self._ports[0]}", f"--port-max={self._ports[1]}", f"--recording-dir={self.spool}",
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

    def pause(self) -> None:
        """Silent until `go_on`, and nothing of it lost."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def log_tail(self) -> str:
        return "\n".join((self._directory / "rtpengine.log").read_text(errors="replace").splitlines()[-80:])


@asynccontextmanager
async def rtpengine(directory: Path, host: str = "127.0.0.1") -> AsyncIterator[Rtpengine]:
    with own_ports() as ports:
        engine = Rtpengine(directory, host, ports)
        await engine.start()
        try:
            yield engine
        finally:
            await engine.kill()
