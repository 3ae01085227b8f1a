"""The local control socket of a running bridge: what `bridge calls` and `bridge operator` talk to.

A unix socket in the state directory, readable by its owner only. One JSON object a line in, one out: `{"do": "calls"}` is
answered with `{"ok": true, …}` or `{"ok": false, "error": "a sentence"}`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from .calls.call import Call
from .calls.events import Client, Event, OperatorHungUp
from .errors import BridgeError, ConfigError, NetworkError
from .heap import heap

log = structlog.get_logger()

PATH_LIMIT = 107
"""Bytes in the name of a unix socket (Linux)."""
IDLE_SECONDS = 60.0
LONGEST_LINE = 16 * 1024 * 1024
"""Bytes of a request or an answer."""


def socket_path(state_dir: Path) -> Path:
    return state_dir / "control.sock"


class Control:
    """Answers on the control socket."""

    def __init__(
        self,
        *,
        path: Path,
        calls: Callable[[], Sequence[Call]],
        post: Callable[[Event], None],
        ticket: Callable[[str, int], dict[str, str]],
        status: Callable[[], dict[str, Any]],
        more: Mapping[str, Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]] | None = None,
    ) -> None:
        """`more` are answers of rooms that take their time."""
        if len(str(path).encode()) > PATH_LIMIT:
            raise ConfigError(f"state_dir: {path} is too long for a unix socket; choose a shorter folder")
        self._path = path
        self._calls = calls
        self._post = post
        self._ticket = ticket
        self._status = status
        self._answers: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "calls": self._list,
            "hang-up": self._hang_up,
            "ticket": self._give_ticket,
            "status": lambda request: self._status(),
            "vitals": self._vitals,
        }
        self._more = more or {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listens until the end. A socket left behind by a bridge that was killed is replaced."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._serve, self._path, limit=LONGEST_LINE)
        self._path.chmod(0o600)
        try:
            yield
        finally:
            server.close()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                while line := await reader.readline():
                    writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                    await writer.drain()
        except (TimeoutError, ConnectionError, ValueError):
            log.info("control_client_left")
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            name = request["do"]
            slow, quick = self._more.get(name), self._answers.get(name)
        except (ValueError, KeyError, TypeError):
            slow = quick = None
        try:
            if slow is not None:
                return {"ok": True, **await slow(request)}
            if quick is not None:
                return {"ok": True, **quick(request)}
            return {"ok": False, "error": f'say {{"do": …}} with one of: {", ".join([*self._answers, *self._more])}'}
        except BridgeError as error:
            return {"ok": False, "error": str(error)}
        except (KeyError, TypeError, ValueError) as error:
            return {"ok": False, "error": f"{request['do']}: missing or wrong {error}"}

    def _list(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"calls": [_row(call) for call in self._calls()]}

    def _hang_up(self, request: dict[str, Any]) -> dict[str, Any]:
        wanted = request["call"]
        found = [call for call in self._calls() if wanted in ("all", call.id)]
        for call in found:
            self._post(OperatorHungUp(call=call.id, operator=call.owner))
        return {"hung_up": [call.id for call in found]}

    def _vitals(self, request: dict[str, Any]) -> dict[str, Any]:
        """What must be back where it was when every call is over."""
        return {"calls": len(self._calls()), "tasks": len(asyncio.all_tasks()), "heap": asdict(heap())}

    def _give_ticket(self, request: dict[str, Any]) -> dict[str, Any]:
        return dict(self._ticket(str(request["portal"]), int(request["user"])))


def _row(call: Call) -> dict[str, Any]:
    return {
        "call": call.id,
        "state": call.state.value,
        "direction": call.direction.value,
        "number": call.number,
        "name": call.view.name,
        "responsible": _responsible(call.client),
        "line": call.line,
        "operator": str(call.owner),
        "started": call.started,
        "answered": call.answered,
        "card": call.card,
        "voice": call.voice or "",
    }


def _responsible(client: Client | None) -> str:
    if client is None or client.responsible is None:
        return ""
    return client.responsible_name or str(client.responsible)


async def ask(state_dir: Path, **request: Any) -> dict[str, Any]:
    """One question to the running bridge; NetworkError when none runs, BridgeError with its sentence when it refuses."""
    path = socket_path(state_dir)
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=LONGEST_LINE)
    except OSError:
        raise NetworkError(f"no bridge is running here (nothing listens at {path})") from None
    try:
        writer.write(json.dumps(request).encode() + b"\n")
        line = await reader.readline()
    finally:
        writer.close()
    answer: dict[str, Any] = json.loads(line) if line else {"ok": False, "error": "the bridge closed the connection"}
    if not answer.get("ok"):
        raise BridgeError(answer.get("error", "refused"))
    return answer
