"""A small Bitrix24 of the tests' own: REST, an OAuth server, a ledger of calls, and faults by script.

It does what the documents say about the few methods that the room uses; the big simulated portal serves the scenarios.
"""

from __future__ import annotations

import asyncio
import base64
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.demo.portal.forms import nest

from ..rig.contract import violations

CLIENT_ID = "local.fake.1"
CLIENT_SECRET = "a-client-secret"
MEMBER = "0123456789abcdef0123456789abcdef"
APPLICATION_TOKEN = "an-application-token"
REGISTER = "telephony.externalcall.register"
FINISH = "telephony.externalcall.finish"

Fault = Callable[[Callable[[], dict[str, Any]]], Awaitable[web.Response]]


class Error(Exception):
    def __init__(self, code: str, text: str = "", status: int = 400) -> None:
        super().__init__(code)
        self.code, self.text, self.status = code, text, status


def refuse(code: str, status: int = 400, text: str = "") -> Fault:
    """Answers with an error, does nothing."""

    async def fault(_do: Callable[[], dict[str, Any]]) -> web.Response:
        return web.json_response({"error": code, "error_description": text}, status=status)

    return fault


def lose_answer() -> Fault:
    """Does it, then breaks the connection."""

    async def fault(do: Callable[[], dict[str, Any]]) -> web.Response:
        do()
        raise ConnectionResetError

    return fault


def hang(until: asyncio.Event) -> Fault:
    async def fault(do: Callable[[], dict[str, Any]]) -> web.Response:
        await until.wait()
        return web.json_response(do())

    return fault


@dataclass
class Registered:
    card: str
    params: dict[str, Any]
    at: float


@dataclass
class FakePortal:
    """`clock` decides about the 30 minutes in which a repeated register is recognised."""

    clock: Callable[[], float] = lambda: 0.0
    member: str = MEMBER
    client_id: str = CLIENT_ID
    users: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """Access token to user id and whether an administrator."""
    expired: set[str] = field(default_factory=set)
    refresh_tokens: dict[str, str] = field(default_factory=dict)
    member_in_info: bool = False
    live: list[Registered] = field(default_factory=list)
    statistics: list[dict[str, Any]] = field(default_factory=list)
    placements: list[dict[str, Any]] = field(default_factory=list)
    counts_apart: bool = False
    """The documents' variant: general and personal workers are counted separately. The portal's code counts both."""
    lines: dict[str, str] = field(default_factory=dict)
    handlers: list[dict[str, Any]] = field(default_factory=list)
    clients: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Number to the rows of searchCrmEntities."""
    application: dict[str, Any] = field(
        default_factory=lambda: {
            "STATUS": "L",
            "VERSION": 3,
            "DAYS": None,
            "PAYMENT_EXPIRED": "N",
            "LICENSE_FAMILY": "basic",
        }
    )
    """What app.info says."""
    scopes: list[str] = field(
        default_factory=lambda: ["placement", "telephony", "user_brief", "crm", "im", "pull", "timeman"]
    )
    people: list[dict[str, Any]] = field(default_factory=list)
    """Rows of user.get."""
    notices: list[dict[str, Any]] = field(default_factory=list)
    pulled: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    records: list[tuple[str, str, bytes]] = field(default_factory=list)
    """Recordings: our id of the call, file name, content."""
    transcripts: list[dict[str, Any]] = field(default_factory=list)
    upload_to: str = ""
    """Where recordings are to be uploaded, if not here."""
    wrong: list[str] = field(default_factory=list)
    """What the contract finds wrong with the requests."""
    refreshes: list[dict[str, str]] = field(default_factory=list)
    oauth_error: str = ""
    """What the OAuth server answers a refresh."""
    faults: dict[str, deque[Fault]] = field(default_factory=dict)
    batch_faults: dict[str, deque[Error]] = field(default_factory=dict)
    """What the next commands of a method in a batch are refused with."""
    dismissed: set[int] = field(default_factory=set)
    """Users for whom no call can be registered any more."""
    unknown: set[str] = field(default_factory=set)
    """Methods that this portal does not have."""
    batch_ends_after: int | None = None
    """Commands of a batch that are carried out; the answer says nothing of the others."""
    batch_time: Callable[[], dict[str, Any]] = dict
    """The `time` block of a command in a batch."""
    url: str = ""
    oauth: str = ""

    def fail(self, method: str, *faults: Fault) -> None:
        self.faults.setdefault(method.lower(), deque()).extend(faults)

    def clicked(self, number: str, *, user: int = 7, name: str = "") -> str:
        """Somebody clicked on a number: the portal registers the call itself; its CALL_ID. `name` marks it for the test."""
        params = {"USER_ID": user, "PHONE_NUMBER": number, "TYPE": 1, "EXTERNAL_CALL_ID": name}
        card: str = self._register(params)["CALL_ID"]
        return card

    def methods(self) -> list[str]:
        return [method for method, _ in self.asked]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FakePortal]:
        portal, oauth = web.Application(client_max_size=2**26), web.Application()
        portal.router.add_post("/rest/{method}", self._rest)
        portal.router.add_post("/upload", self._upload)
        oauth.router.add_get("/oauth/token/", self._token)
        oauth.router.add_get("/rest/app.info", self._info)
        async with TestServer(portal, skip_url_asserts=True) as one, TestServer(oauth, skip_url_asserts=True) as two:
            self.url, self.oauth = f"http://portal.localhost:{one.port}", f"http://oauth.localhost:{two.port}"
            yield self
            assert not self.wrong, "\n".join(self.wrong)

    # ---- the OAuth server

    async def _token(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        self.refreshes.append(query)
        if (query.get("client_id"), query.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return web.json_response({"error": "invalid_client"}, status=400)
        if self.oauth_error:
            return web.json_response({"error": self.oauth_error}, status=400)
        user = self.refresh_tokens.pop(query.get("refresh_token", ""), None)
        if user is None:
            return web.json_response({"error": "invalid_grant"}, status=400)
        number = len(self.refreshes)
        access, refresh = f"access-{number}", f"refresh-{number}"
        self.users[access] = (user, True)
        self.refresh_tokens[refresh] = user
        return web.json_response(
            {
                "access_token": access,
                "refresh_token": refresh,
                "expires_in": 3600,
                "member_id": self.member,
                "client_endpoint": f"{self.url}/rest/",
                "domain": "oauth.localhost",
            }
        )

    async def _info(self, request: web.Request) -> web.Response:
        if request.query.get("auth") not in self.users:
            return web.json_response({"error": "NO_AUTH_FOUND"}, status=401)
        named = {"member_id": self.member} if self.member_in_info else {}
        return web.json_response({"result": {"CODE": self.client_id, "STATUS": "L", **named}})

    # ---- REST

    async def _rest(self, request: web.Request) -> web.Response:
        params = await request.json()
        method = request.match_info["method"].lower()
        token = params.pop("auth")
        self.note(method, params)
        if token in self.expired:
            return web.json_response({"error": "expired_token"}, status=401)
        if token not in self.users:
            return web.json_response({"error": "NO_AUTH_FOUND"}, status=401)

        def do() -> dict[str, Any]:
            return {"result": self.do(method, params, token), "time": {}}

        try:
            if queue := self.faults.get(method):
                return await queue.popleft()(do)
            return web.json_response(do())
        except Error as error:
            body = {"error": error.code, "error_description": error.text}
            return web.json_response(body, status=error.status)

    def note(self, method: str, params: dict[str, Any]) -> None:
        self.asked.append((method, params))
        self.wrong += violations(method, params)

    def do(self, method: str, params: dict[str, Any], token: str) -> Any:
        match method:
            case _ if method in self.unknown:
                raise Error("ERROR_METHOD_NOT_FOUND", "Method not found!", 404)
            case "telephony.externalcall.register":
                return self._register(params)
            case "telephony.externalcall.finish":
                return self._finish(params)
            case "batch":
                return self._batch(params["cmd"], token)
            case "pull.application.config.get":
                server = {"websocket_enabled": True, "websocket_secure": "wss://push.example/sub/"}
                return {"server": server, "channels": {"shared": {"id": "shared-channel"}}, "clientId": "c1"}
            case "pull.application.event.add":
                self.pulled.append(params)
                return True
            case "im.notify.system.add":
                self.notices.append(params)
                return len(self.notices)
            case "server.time":
                return "2027-01-15T08:00:00+00:00"
            case "voximplant.statistic.get":
                return self._statistic(params["FILTER"])
            case "telephony.externalcall.attachrecord":
                return self._attach_record(params)
            case "telephony.call.attachtranscription":
                self._finished(params["CALL_ID"])["TRANSCRIPT_ID"] = str(len(self.transcripts) + 1)
                self.transcripts.append(params)
                return {"TRANSCRIPT_ID": len(self.transcripts)}
            case "profile":
                user, admin = self.users[token]
                return {"ID": user, "ADMIN": admin, "NAME": "Anna", "LAST_NAME": "Berg"} if user else []
            case "telephony.externalcall.searchcrmentities":
                return self.clients.get(params["PHONE_NUMBER"], [])
            case "telephony.externalcall.show":
                return any(known.card == params["CALL_ID"] for known in self.live)
            case "user.get":
                return self.people[params["start"] : params["start"] + 50]
            case "placement.get":
                return self.placements
            case "placement.bind":
                return self._bind(params)
            case "placement.unbind":
                whose = params.get("USER_ID")
                self.placements = [row for row in self.placements if whose not in {None, row["userId"]}]
                return {"count": 2}
            case "telephony.externalline.get":
                return [{"NUMBER": number, "NAME": name, "CRM_AUTO_CREATE": "Y"} for number, name in self.lines.items()]
            case "telephony.externalline.add":
                if params["NUMBER"] in self.lines:
                    raise Error("ERROR_CORE", "Line already exists")
                self.lines[params["NUMBER"]] = params["NAME"]
                return {"ID": len(self.lines)}
            case "telephony.externalline.update":
                self.lines[params["NUMBER"]] = params["NAME"]
                return {"ID": "1"}
            case "app.info":
                return self.application
            case "scope":
                return self.scopes
            case "server.time":
                return "2026-08-01T12:00:00+00:00"
            case "event.get":
                return self.handlers
            case "event.bind":
                self.handlers.append({"event": params["event"], "handler": params["handler"]})
                return True
        raise Error("ERROR_METHOD_NOT_FOUND", status=404)

    def _batch(self, commands: dict[str, str], token: str) -> dict[str, Any]:
        """One after the other; empty maps are lists, as PHP writes them."""
        done: dict[str, Any] = {}
        failed: dict[str, Any] = {}
        for name, command in list(commands.items())[: self.batch_ends_after]:
            method, _, query = command.partition("?")
            try:
                if queue := self.batch_faults.get(method.lower()):
                    raise queue.popleft()
                done[name] = self.do(method.lower(), nest(parse_qsl(query, keep_blank_values=True)), token)
            except Error as error:
                failed[name] = {"error": error.code, "error_description": error.text}
        times = {name: self.batch_time() for name in done}
        return {"result": done or [], "result_error": failed or [], "result_time": times or []}

    def _register(self, params: dict[str, Any]) -> dict[str, Any]:
        if not any(sign.isdigit() for sign in params["PHONE_NUMBER"]):
            raise Error("ERROR_CORE", "Unsupported phone number format")
        if int(params["USER_ID"]) in self.dismissed:
            raise Error("ERROR_CORE", "User is not found or is not active")
        key = ("USER_ID", "PHONE_NUMBER", "TYPE", "EXTERNAL_CALL_ID")
        for known in self.live:
            if self.clock() - known.at <= 1800 and all(str(known.params[k]) == str(params[k]) for k in key):
                return {"CALL_ID": known.card}
        card = f"externalCall.{len(self.live) + len(self.statistics) + 1}"
        self.live.append(Registered(card, params, self.clock()))
        return {"CALL_ID": card}

    def _finish(self, params: dict[str, Any]) -> dict[str, Any]:
        for known in self.live:
            if known.card == params["CALL_ID"]:
                self.live.remove(known)
                row = {**params, "DURATION": int(params.get("DURATION", 0)), "USER_ID": int(params["USER_ID"])}
                self.statistics.append(row | {"EXTERNAL_CALL_ID": known.params["EXTERNAL_CALL_ID"]})
                return {"CALL_ID": known.card}
        raise Error("ERROR_CORE", "Call is not found (CALL_ID: …)")

    def _statistic(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        """Finished calls only."""
        return [row for row in self.statistics if all(row.get(key) == value for key, value in wanted.items())]

    def _finished(self, card: str) -> dict[str, Any]:
        for row in self.statistics:
            if row["CALL_ID"] == card:
                return row
        raise Error("ERROR_CORE", "Call is not found in the statistics")

    def _attach_record(self, params: dict[str, Any]) -> dict[str, Any]:
        row = self._finished(params["CALL_ID"])
        if "FILE_CONTENT" not in params:
            return {
                "uploadUrl": f"{self.upload_to or self.url}/upload?call={params['CALL_ID']}&auth=up",
                "fieldName": "file",
            }
        self._keep(row, params["FILENAME"], base64.b64decode(params["FILE_CONTENT"], validate=True))
        return {"FILE_ID": len(self.records)}

    def _keep(self, row: dict[str, Any], name: str, content: bytes) -> None:
        row["RECORD_FILE_ID"] = len(self.records) + 1
        self.records.append((row["EXTERNAL_CALL_ID"], name, content))

    async def _upload(self, request: web.Request) -> web.Response:
        self.asked.append(("upload", {}))
        if queue := self.faults.get("upload"):
            return await queue.popleft()(dict)
        form = await request.post()
        file = form["file"]
        assert isinstance(file, web.FileField)
        self._keep(self._finished(request.query["call"]), file.filename, file.file.read())
        return web.json_response({"result": {"FILE_ID": len(self.records)}})

    def _bind(self, params: dict[str, Any]) -> bool:
        user = params.get("USER_ID", 0)
        counted = {user} if self.counts_apart else {0, user}
        if any(row["userId"] in counted for row in self.placements):
            raise Error("ERROR_PLACEMENT_MAX_COUNT", "Placement max count: 1")
        options = {**params["OPTIONS"], "maxTimeCount": 3}
        row = {"placement": params["PLACEMENT"], "userId": user, "handler": params["HANDLER"], "options": options}
        self.placements.append(row)
        return True
