"""A real PostgreSQL for tests: one throw-away cluster on loopback for a session, a database of its own for each test.

It runs as an unprivileged user where the tests run as root, which PostgreSQL refuses to do. Nothing is flushed to the disk.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path
from socket import SOCK_STREAM
from typing import Any

from .ports import free_port

USER = "bridge"
START_SECONDS = 60.0
ATTEMPTS = 3
"""Somebody else may take the free port before the server does."""
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "autovacuum": "off",
}


def find_programs() -> Path | None:
    """The directory of `initdb` and `postgres`, of the newest version there is; Debian keeps it out of PATH."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return versions[-1].parent if versions else None


class Postgres:
    """Use as a context manager."""

    def __init__(self) -> None:
        programs = find_programs()
        assert programs is not None, "call needs('postgres') first"
        self._programs = programs
        self._directory = Path()
        self._names = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> Postgres:
        # Root's own TMPDIR may be closed to whom the server runs as.
        place = "/tmp" if os.geteuid() == 0 else None
        self._directory = Path(tempfile.mkdtemp(prefix="bridge-postgres-", dir=place))
        identity = _unprivileged(self._directory)
        data = self._directory / "data"
        command = [self._program("initdb"), "-D", str(data), "-U", USER, "-A", "trust", "--no-sync", "-E", "UTF8"]
        made = subprocess.run([*command, "--no-locale"], capture_output=True, text=True, cwd="/", **identity)
        assert made.returncode == 0, f"initdb failed:\n{made.stdout}{made.stderr}"
        for attempt in range(ATTEMPTS):
            if self._start(data, identity):
                return self
            assert attempt < ATTEMPTS - 1, f"PostgreSQL does not start:\n{self.log_tail()}"
        raise AssertionError

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # it disconnects whoever is still there
            self._process.wait(30)
        shutil.rmtree(self._directory, ignore_errors=True)

    async def database(self) -> str:
        """A fresh, empty database: its SQLAlchemy url."""
        name = f"test_{next(self._names)}"
        await self.run("/postgres", f"CREATE DATABASE {name} TEMPLATE template0")
        return f"postgresql+asyncpg://{USER}@127.0.0.1:{self.port}/{name}"

    async def run(self, url: str, statement: str) -> list[Any]:
        """What a person would type into psql."""
        import asyncpg  # only who uses the server needs it

        connection = await asyncpg.connect(self._dsn(url.rpartition("/")[2]))
        try:
            return list(await connection.fetch(statement))
        finally:
            await connection.close()

    def log_tail(self) -> str:
        with contextlib.suppress(OSError):
            return (self._directory / "log").read_text(errors="replace")[-4000:]
        return ""

    def _dsn(self, database: str) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def _program(self, name: str) -> str:
        return str(self._programs / name)

    def _start(self, data: Path, identity: dict[str, Any]) -> bool:
        self.port = free_port(SOCK_STREAM)
        options = [f"--{name}={value}" for name, value in {**SETTINGS, "port": str(self.port)}.items()]
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program("postgres"), "-D", str(data), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                **identity,
            )
        deadline = time.monotonic() + START_SECONDS
        probe = [self._program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while self._process.poll() is None and time.monotonic() < deadline:
            if subprocess.run(probe, cwd="/", check=False).returncode == 0:
                return True
            time.sleep(0.05)
        return False


def _unprivileged(directory: Path) -> dict[str, Any]:
    """Arguments of subprocess that give a process to whom the directory then belongs; none where we are not root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            person = pwd.getpwnam(name)
            os.chown(directory, person.pw_uid, person.pw_gid)
            return {"user": person.pw_uid, "group": person.pw_gid, "extra_groups": []}
    raise AssertionError("there is neither a user postgres nor a user nobody to run PostgreSQL as")
