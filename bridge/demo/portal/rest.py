"""The REST door: parameters, authorisation, limits, faults, envelopes and the log."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import structlog
from aiohttp import web

from .bucket import Bucket
from .crm_methods import CRM
from .events import Events
from .faults import RestFault
from .forms import nest
from .methods import METHODS, Caller, RestError, needed_scope, timing
from .operating import Operating
from .pull import PULL
from .recordings import RECORDINGS
from .telephony import TELEPHONY
from .tokens import TokenError
from .world import RestRequest, User, World

log = structlog.get_logger()
_ALL = {**METHODS, **TELEPHONY, **PULL, **RECORDINGS, **CRM}
_OF_APPLICATIONS = ("placement.", "event.", "pull.application.", "telephony.externalline.", "app.")
"""Methods that no incoming webhook may call."""
_BATCH = 50
_NEVER_IN_A_BATCH = {"batch", "placement.bind", "telephony.externalcall.attachrecord"}
_SOURCES = 1_000
_REFERENCE = re.compile(r"\$result((?:\[[^\]]+\])+)")
_AUTH_STATUS = {"expired_token": 401, "NO_AUTH_FOUND": 401}


class Rest:
    """Answers `/rest/<method>`."""

    def __init__(self, world: World, events: Events) -> None:
        self._world = world
        self._events = events
        self._buckets: dict[str, Bucket] = {}
        self._operating = Operating()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"].lower().removesuffix(".json")
        params = await parameters(request)
        fault = self._world.faults.take(method)
        if fault:
            await asyncio.sleep(fault.delay)
            self._operating.spend(method, fault.delay, time.time())
        return self._answer(request, method, params, fault or RestFault())

    def _answer(
        self, request: web.Request, method: str, params: dict[str, Any], fault: RestFault
    ) -> web.StreamResponse:
        start, user, error = time.time(), 0, ""
        status, body = 200, {}
        try:
            if not fault.status and not fault.carry_out:
                raise _Dropped
            self._admit(request.remote or "")
            if fault.status:
                raise RestError(fault.code, "Injected by a test", fault.status, **_until(fault, start))
            caller = self._caller(params, request.match_info, method)
            user = caller.user.id
            body = {"result": self._run(method, caller), "time": self._timing(method, start)}
            error = body["result"]["error"] if isinstance(body["result"], dict) and "error" in body["result"] else ""
            if fault.drop_response:
                raise _Dropped
        except RestError as refused:
            status, error = refused.status, refused.code
            body = {"error": refused.code, "error_description": refused.text, **refused.extra}
        except _Dropped:
            status = 0
        self._note(method, params, user, status, error, start)
        if fault.html and status == fault.status:
            return web.Response(status=status, text="<html><h1>Bad Gateway</h1></html>", content_type="text/html")
        # Pages of applications may call, too.
        headers = {"Access-Control-Allow-Origin": "*"}
        return web.json_response(body, status=status, headers=headers) if status else _hang_up(request)

    def _admit(self, source: str) -> None:
        bucket = self._buckets.setdefault(source, Bucket())
        bucket.leak, bucket.burst = (5, 250) if self._world.faults.enterprise else (2, 50)
        while len(self._buckets) > _SOURCES:
            del self._buckets[next(iter(self._buckets))]
        if not bucket.admits(time.monotonic()) and self._world.faults.rate_limit:
            raise RestError("QUERY_LIMIT_EXCEEDED", "Too many requests", 503)

    def _caller(self, params: Mapping[str, Any], path: Mapping[str, str], method: str) -> Caller:
        """By the application's token, or by the code in the address of an incoming webhook."""
        if "code" in path:
            user = self._world.webhook(path["user"], path["code"])
            if user is None:
                raise RestError("INVALID_CREDENTIALS", "Invalid request credentials", 401)
            if method.startswith(_OF_APPLICATIONS):
                raise RestError("WRONG_AUTH_TYPE", "Current authorization type is denied for this method", 403)
        else:
            user = authorise(self._world, str(params.get("AUTH", "")))
        if self._world.faults.plan_ended:
            raise RestError("ACCESS_DENIED", "REST API is available only on commercial plans", 403)
        return Caller(world=self._world, events=self._events, user=user, params=params)

    def _run(self, method: str, caller: Caller) -> Any:
        if method == "batch":
            return self._batch(caller)
        if method not in _ALL:
            raise RestError("ERROR_METHOD_NOT_FOUND", "Method not found!", 404)
        if needed_scope(method) and needed_scope(method) in self._world.faults.withheld.split(","):
            raise RestError("insufficient_scope", "The request requires higher privileges than provided", 403)
        now = time.time()
        if self._operating.used(method, now) > self._world.faults.operating_limit:
            block = {"operating": self._operating.used(method, now), "operating_reset_at": self._reset(method)}
            text = "Method is blocked due to operation time limit."
            raise RestError("OPERATION_TIME_LIMIT", text, 429, time=block)
        return _ALL[method](caller)

    def _timing(self, method: str, start: float) -> dict[str, Any]:
        now = time.time()
        self._operating.spend(method, now - start, now)
        return timing(start, now, operating=self._operating.used(method, now), reset=self._reset(method))

    def _reset(self, method: str) -> int:
        return self._operating.reset_at(method, time.time())

    def _batch(self, caller: Caller) -> dict[str, Any]:
        given = caller.params.get("CMD", {})
        commands = dict(enumerate(given)) if isinstance(given, list) else given
        if not isinstance(commands, Mapping):
            raise RestError("ERROR_ARGUMENT", "cmd must be an object", argument="cmd")
        done: dict[str, Any] = {}
        failed: dict[str, Any] = {}
        for index, (name, command) in enumerate(commands.items()):
            try:
                done[str(name)] = self._batched(caller, str(command), done, index)
            except RestError as refused:
                failed[str(name)] = {"error": refused.code, "error_description": refused.text}
                if caller.number("HALT"):
                    break
        methods = {str(name): str(command).partition("?")[0].lower() for name, command in commands.items()}
        times = {name: self._timing(methods[name], time.time()) for name in done}
        # PHP writes an empty map as an empty list.
        return {
            "result": done or [],
            "result_error": failed or [],
            "result_total": [],
            "result_next": [],
            "result_time": times or [],
        }

    def _batched(self, caller: Caller, command: str, done: dict[str, Any], index: int) -> Any:
        if index >= _BATCH:
            raise RestError("ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded")
        method, _, query = command.partition("?")
        method = method.lower().removesuffix(".json")
        if method in _NEVER_IN_A_BATCH:
            raise RestError("ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage", 405)
        pairs = [(key, _resolve(value, done)) for key, value in parse_qsl(query, keep_blank_values=True)]
        if (fault := self._world.faults.take_in_batch(method)) is not None:
            raise RestError(fault.code, "Injected by a test", fault.status)
        below = Caller(world=self._world, events=self._events, user=caller.user, params=_upper(nest(pairs)))
        return self._run(method, below)

    def _note(self, method: str, params: dict[str, Any], user: int, status: int, error: str, start: float) -> None:
        public = {name: value for name, value in params.items() if name != "AUTH"}
        if "FILE_CONTENT" in public:
            public["FILE_CONTENT"] = f"{len(public['FILE_CONTENT'])} characters"
        entry = RestRequest(method=method, params=public, user=user, status=status, error=error, time=start)
        self._world.requests.append(entry)
        log.info("rest", method=method, user=user, status=status, error=error)


def _until(fault: RestFault, now: float) -> dict[str, Any]:
    if not fault.reset:
        return {}
    return {"time": {"operating": 481, "operating_reset_at": int(now + fault.reset)}}


class _Dropped(Exception):  # noqa: N818 -- not an error but the absence of an answer
    """The connection is closed without an answer."""


async def parameters(request: web.Request) -> dict[str, Any]:
    """Query and body as one map; top-level names in capitals, for Bitrix24 does not care about their case."""
    values = nest(request.query.items())
    try:
        if request.content_type == "application/json":
            body = json.loads(await request.read() or b"{}")
            values |= body if isinstance(body, dict) else {}
        elif request.method == "POST":
            values |= nest([(key, value) for key, value in (await request.post()).items() if isinstance(value, str)])
    except ValueError:
        raise web.HTTPBadRequest(text='{"error":"INVALID_REQUEST"}', content_type="application/json") from None
    return _upper(values)


def authorise(world: World, token: str) -> User:
    """The user of an access token; RestError 401."""
    try:
        user = world.user(world.tokens.user_of(token, time.time()))
    except TokenError as refused:
        raise RestError(refused.code, str(refused), _AUTH_STATUS[refused.code]) from None
    if user is None:
        raise RestError("user_access_error", "The user does not have access to the application.", 403)
    return user


def _upper(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key.upper(): value for key, value in values.items()}


def _resolve(value: str, done: Mapping[str, Any]) -> str:
    """`$result[first][ID]` of an earlier command."""

    def look_up(match: re.Match[str]) -> str:
        found: Any = done
        for part in re.findall(r"\[([^\]]+)\]", match[1]):
            found = found[int(part)] if isinstance(found, list) else found[part]
        return str(found)

    try:
        return _REFERENCE.sub(look_up, value)
    except (KeyError, IndexError, ValueError, TypeError):
        return ""


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.close()
    return web.Response()
