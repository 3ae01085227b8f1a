"""The bridge as a process of its own, as an administrator runs it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from .forge import Forge, Running
from .waiting import PATIENCE, wait_for

ROOT = Path(__file__).resolve().parents[2]
Values = Mapping[str, Any]


class BridgeProcess:
    """`bridge run` with a configuration and secrets, and nothing else of this test's environment.

    `settings` are those of bridge/config; `http.port` must be given, a relative path is taken from `directory`.
    With a `forge` it starts quicker.
    """

    def __init__(
        self, directory: Path, *, settings: Values, secrets: Mapping[str, str], forge: Forge | None = None
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.settings = settings
        self.config = directory / "bridge.toml"
        self.config.write_text(render_toml(settings), encoding="utf-8")
        self.log = directory / "bridge.log"
        self.secrets = dict(secrets)
        self._forge = forge
        self._process: Running | None = None

    @property
    def url(self) -> str:
        """Its HTTP side, by address."""
        return f"http://{self.settings['http'].get('host', '127.0.0.1')}:{self.settings['http']['port']}"

    @property
    def pid(self) -> int:
        """0 while it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    async def start(self, timeout: float = PATIENCE) -> None:
        """Returns once it answers `/healthz` with 200."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        environment = {**kept, "PYTHONPATH": str(ROOT), **self.secrets}
        arguments = ["run", "--config", str(self.config)]
        if self._forge is not None:
            self._process = self._forge.start(arguments, cwd=self.directory, env=environment, log=self.log)
        else:
            self._process = self._run(arguments, environment)
        async with aiohttp.ClientSession() as client:
            await wait_for(lambda: self._is_ready(client), timeout, "the bridge to be ready")

    def _run(self, arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "bridge", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env=environment,
                start_new_session=True,
            )

    async def _is_ready(self, client: aiohttp.ClientSession) -> bool:
        if not self.pid:
            raise AssertionError(f"the bridge ended while starting:\n{self.log_tail()}")
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with client.get(f"{self.url}/healthz", timeout=aiohttp.ClientTimeout(total=2)) as answer:
                return answer.status == 200
        return False

    async def metrics(self) -> str:
        """What Prometheus would read; `metrics.port` must be given."""
        url = f"http://127.0.0.1:{self.settings['metrics']['port']}/metrics"
        async with aiohttp.ClientSession() as client, client.get(url) as answer:
            return await answer.text()

    def kill(self) -> None:
        """SIGKILL to it and everything it started: no goodbye to anyone."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    async def stop(self, timeout: float = PATIENCE) -> int:
        """SIGTERM; the exit status, or AssertionError if it does not end in time. Harmless when it does not run."""
        if self._process is None:
            return 0
        process = self._process
        process.terminate()
        try:
            status = await asyncio.to_thread(process.wait, timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the bridge did not stop within {timeout:g} s:\n{self.log_tail()}") from None
        finally:
            self.kill()
        return status

    async def restart(self) -> None:
        """Starts it again with the same configuration, after it was killed or stopped."""
        await self.stop()
        await self.start()

    def log_tail(self, lines: int = 80) -> str:
        """The last lines of its log, for the report of a failed test."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self.kill()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.stop()


def render_toml(values: Values) -> str:
    """A TOML document of plain values, tables of them, and lists of such tables."""
    plain = [f"{key} = {_value(value)}" for key, value in values.items() if not _is_table(value)]
    tables = [(f"[{key}]", value) for key, value in values.items() if isinstance(value, Mapping)]
    lists = [
        (f"[[{key}]]", row)
        for key, value in values.items()
        if _is_table(value) and not isinstance(value, Mapping)
        for row in value
    ]
    blocks = [
        "\n".join([head, *(f"{key} = {_value(value)}" for key, value in row.items())]) for head, row in tables + lists
    ]
    return "\n\n".join(["\n".join(plain), *blocks]) + "\n"


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list | tuple) and bool(value) and all(isinstance(row, Mapping) for row in value)
    )


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key} = {_value(item)}' for key, item in value.items())}}}"
    if isinstance(value, Path):
        return json.dumps(str(value))
    if isinstance(value, str | bool | int | float):
        return json.dumps(value, ensure_ascii=False)
    raise TypeError(f"no TOML for {value!r}")
