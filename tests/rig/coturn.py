"""A real coturn for tests: over TCP only, relaying on loopback, with a shared secret for credentials that expire."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from .ports import free_port
from .waiting import wait_for

SECRET = "coturn-shared-secret"
FIRST_PORT, LAST_PORT = 26_000, 26_999


class Coturn:
    def __init__(self, directory: Path) -> None:
        self._directory, self._port = directory, free_port(socket.SOCK_STREAM)

    @property
    def url(self) -> str:
        return f"turn:127.0.0.1:{self._port}?transport=tcp"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        program = shutil.which("turnserver")
        assert program is not None, "ask for it with needs()"
        configuration = self._directory / "turnserver.conf"
        configuration.write_text("\n".join(self._settings()) + "\n")
        with (self._directory / "coturn.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                program, "-c", str(configuration), stdin=-3, stdout=log, stderr=log
            )
        try:
            await wait_for(self._listens, what="coturn to listen")
            yield
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _settings(self) -> list[str]:
        return [
            "listening-ip=127.0.0.1",
            f"listening-port={self._port}",
            "relay-ip=127.0.0.1",
            f"min-port={FIRST_PORT}",
            f"max-port={LAST_PORT}",
            "no-udp",
            "no-tls",
            "no-dtls",
            "no-cli",
            "allow-loopback-peers",
            "use-auth-secret",
            f"static-auth-secret={SECRET}",
            "realm=turn.test",
            f"userdb={self._directory / 'turndb'}",
            f"pidfile={self._directory / 'turnserver.pid'}",
            "log-file=stdout",
            "simple-log",
            "verbose",
        ]

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return False
        writer.close()
        return True

    def users(self) -> set[str]:
        """The names of those to whom it has given a relayed address."""
        return set(re.findall(r"user <([^>]+)>.*ALLOCATE processed, success", self._log()))

    def _log(self) -> str:
        return (self._directory / "coturn.log").read_text(errors="replace")

    def log_tail(self) -> str:
        return "\n".join(self._log().splitlines()[-80:])
