"""A bridge in a third of a second: a process that has imported it already forks for each one that a test starts.

To import it costs more than a second of CPU, a third of what a scenario took. The child becomes what `python -m bridge`
would be: its own session, working directory, environment and log, nothing else open, and an ordinary end.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self


class Running(Protocol):
    """What there is to know of a process that was started."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def terminate(self) -> None: ...


class Forged:
    """A forked bridge; its exit status comes through a pipe from the process that waits for it."""

    def __init__(self, pid: int, status: int) -> None:
        self.pid = pid
        self._pipe = status
        self._status: int | None = None

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        """As of subprocess: negative for a signal; TimeoutExpired."""
        if self._status is None:
            if not select.select([self._pipe], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("bridge", timeout or 0)
            self._status = int(os.read(self._pipe, 16) or -signal.SIGKILL)
            os.close(self._pipe)
        return self._status

    def terminate(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)


class Forge:
    """Use it as a context manager."""

    def __enter__(self) -> Self:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", "tests.rig.forge", str(theirs.fileno())]
            root = Path(__file__).resolve().parents[2]
            self._process = subprocess.Popen(command, cwd=root, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._channel.close()
        self._process.wait()

    def start(self, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path) -> Running:
        """`bridge` with these arguments."""
        order = {"arguments": list(arguments), "cwd": str(cwd), "env": dict(env), "log": str(log)}
        status, theirs = os.pipe()
        try:
            socket.send_fds(self._channel, [json.dumps(order).encode()], [theirs])
        finally:
            os.close(theirs)
        return Forged(int(self._channel.recv(16)), status)


def serve(channel: socket.socket) -> dict[str, Any] | None:
    """Forks for each order; returns the order in the child, None at the end of all orders."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait
    while True:
        message, pipes, _, _ = socket.recv_fds(channel, 1 << 16, 1)
        if not message:
            return None
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            if (pid := os.fork()) == 0:
                order: dict[str, Any] = json.loads(message)
                return order
            channel.send(str(pid).encode())
            channel.close()
            _, status = os.waitpid(pid, 0)
            os.write(pipes[0], str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)
        os.close(pipes[0])


def become(order: Mapping[str, Any]) -> None:
    """A process as if it had just been started."""
    os.setsid()
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.closerange(3, 1024)
    sys.argv = ["bridge", *order["arguments"]]


def forge() -> None:
    from bridge.__main__ import main

    order = serve(socket.socket(fileno=int(sys.argv[1])))
    if order is not None:
        become(order)
        main()


if __name__ == "__main__":
    forge()
