"""The HTTP client towards portals and OAuth servers: JSON in, JSON out, no redirects, every failure with a meaning.

The texts of its errors name hosts and methods only: the library's own texts may carry a url, and urls may carry secrets.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import aiohttp
from aiohttp.payload import IOBasePayload

from ..errors import NetworkError
from .connections import Connections
from .resolver import LocalhostResolver

REQUEST_SECONDS = 20.0
CONNECT_SECONDS = 10.0
UPLOAD_SECONDS = 300.0
LARGEST_ANSWER = 2 * 1024 * 1024
CONNECTIONS_PER_HOST = 16
_KINDS = {".mp3": "audio/mpeg", ".wav": "audio/wav"}


class UnreachableError(NetworkError):
    """No connection: the request certainly was not carried out."""


class UnansweredError(NetworkError):
    """The request went out and no usable answer came back: it may have been carried out."""


class CutOffError(UnansweredError):
    """The same, because this machine has another address now: the next request goes out from there."""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: dict[str, Any]
    """{} for a redirect."""

    @property
    def moved(self) -> bool:
        return 300 <= self.status < 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What is to be uploaded."""

    name: str
    bytes: int
    open: Callable[[], BinaryIO]
    """Raises OSError."""


class Http:
    """Use inside `running()`. `seconds` limits one request, connecting included."""

    def __init__(self, *, seconds: float = REQUEST_SECONDS) -> None:
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None
        self._connections: Connections | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        timeout = aiohttp.ClientTimeout(total=self._seconds, sock_connect=min(CONNECT_SECONDS, self._seconds))
        connections = Connections(limit=0, limit_per_host=CONNECTIONS_PER_HOST, resolver=LocalhostResolver())
        async with aiohttp.ClientSession(
            connector=connections, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
        ) as session:
            self._session, self._connections = session, connections
            try:
                yield
            finally:
                self._session = None

    async def post(self, url: str, body: Mapping[str, Any], *, seconds: float | None = None) -> Reply:
        """`seconds` is the patience with this request, if it is to be more than usual."""
        patience = max(seconds or 0.0, self._seconds)
        timeout = aiohttp.ClientTimeout(total=patience, sock_connect=min(CONNECT_SECONDS, patience))
        return await self._ask("POST", url, json=body, timeout=timeout)

    async def upload(self, url: str, field: str, content: Content) -> Reply:
        """A file as multipart/form-data; UnansweredError when it can't be read."""
        with _opened(content) as file:
            form = aiohttp.FormData()
            kind = _KINDS.get(Path(content.name).suffix.lower(), "application/octet-stream")
            form.add_field(field, _Sized(file, content.bytes, kind), filename=content.name)
            return await self._ask("POST", url, data=form, timeout=aiohttp.ClientTimeout(total=UPLOAD_SECONDS))

    async def get(self, url: str, query: Mapping[str, str]) -> Reply:
        """For the OAuth server, which takes secrets in the query."""
        return await self._ask("GET", url, params=query)

    async def _ask(self, verb: str, url: str, **content: Any) -> Reply:
        where, session, connections = urlsplit(url).netloc, self._session, self._connections
        if session is None or connections is None:
            raise UnreachableError("the bridge is stopping")
        before = connections.cut_off
        try:
            async with session.request(verb, url, allow_redirects=False, **content) as response:
                if 300 <= response.status < 400:
                    return Reply(response.status, {})
                return Reply(response.status, _object(await _read(response), response.status, where))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            raise UnreachableError(f"{where} can't be reached ({type(error).__name__})") from None
        except TimeoutError:
            raise UnansweredError(f"{where} did not answer in time") from None
        except aiohttp.ClientError as error:
            if connections.cut_off != before:
                raise CutOffError(f"{where} was asked from an address that this machine has no more") from None
            raise UnansweredError(f"{where} broke off ({type(error).__name__})") from None


class _Sized(IOBasePayload):
    """A file whose length is known beforehand, whatever it lies in."""

    def __init__(self, file: BinaryIO, size: int, kind: str) -> None:
        super().__init__(file, content_type=kind)
        self._bytes = size

    @property
    def size(self) -> int:
        return self._bytes


def _opened(content: Content) -> BinaryIO:
    try:
        return content.open()
    except OSError as error:
        raise UnansweredError(f"{content.name} can't be read: {error.strerror}") from None


async def _read(response: aiohttp.ClientResponse) -> bytes:
    text = bytearray()
    async for chunk in response.content.iter_any():
        text += chunk
        if len(text) > LARGEST_ANSWER:
            raise UnansweredError("the answer is larger than anything Bitrix24 sends")
    return bytes(text)


def _object(text: bytes, status: int, where: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        if status == 429:
            return {}  # a limit, whoever says so
        raise UnansweredError(f"{where} answered {status} without JSON") from None
    if not isinstance(body, dict):
        raise UnansweredError(f"{where} answered {status} without a JSON object")
    return body
