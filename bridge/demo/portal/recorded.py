"""Recordings at the records of calls, and the address to upload one to."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from aiohttp import web

_KEPT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """A recording at a call's record."""

    id: int
    name: str
    content: bytes = field(repr=False)


class Recordings:
    """The newest ones by the CALL_ID of their call; a later one replaces the one before."""

    def __init__(self) -> None:
        self._attached: dict[str, Attached] = {}
        self._awaited: dict[str, tuple[str, str]] = {}
        """Secret of an address -> CALL_ID and name."""
        self._made = 0

    def of(self, call_id: str) -> Attached | None:
        return self._attached.get(call_id)

    def keep(self, call_id: str, name: str, content: bytes) -> Attached:
        self._made += 1
        self._attached.pop(call_id, None)
        self._attached[call_id] = Attached(id=self._made, name=name, content=content)
        if len(self._attached) > _KEPT:
            del self._attached[next(iter(self._attached))]
        return self._attached[call_id]

    def expect(self, call_id: str, name: str) -> str:
        secret = secrets.token_hex(16)
        self._awaited[secret] = call_id, name
        if len(self._awaited) > _KEPT:
            del self._awaited[next(iter(self._awaited))]
        return secret

    async def upload(self, request: web.Request) -> web.Response:
        awaited = self._awaited.pop(request.query.get("token", ""), None)
        form = await request.post()
        file = form.get("file")
        if awaited is None or not isinstance(file, web.FileField):
            return web.json_response({"error": "ERROR_CORE", "error_description": "No file"}, status=400)
        kept = self.keep(*awaited, file.file.read())
        return web.json_response({"result": {"FILE_ID": kept.id}})
