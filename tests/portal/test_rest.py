"""REST and OAuth on the wire: errors in the body, one refresh for all, no stranger ever sees a secret."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from bridge.portal.bucket import Lane
from bridge.portal.http import Http, UnansweredError, UnreachableError
from bridge.portal.oauth import PortalClosedError, origin_of
from bridge.portal.resolver import LocalhostResolver
from bridge.portal.rest import PortalBusyError, PortalRefusedError, result_of

from .fake import CLIENT_SECRET, hang, refuse
from .house import House, enrolled


async def test_an_expired_token_is_refreshed_once_for_all_who_need_it(room: House) -> None:
    room.fake.expired.add("access-0")
    with capture_logs() as logs:
        answers = await asyncio.gather(*(room.rest.call(room.portal, "profile", {}) for _ in range(5)))
    assert [answer["ID"] for answer in answers] == ["1"] * 5
    assert len(room.fake.refreshes) == 1
    stored = room.store.portals.get(room.portal)
    assert stored is not None
    assert (stored.access, stored.refresh) == ("access-1", "refresh-1")
    assert not _found({"access-0", "access-1", "refresh-0", "refresh-1", CLIENT_SECRET}, logs)


async def test_the_new_refresh_token_is_stored_before_the_new_access_token_is_used(room: House) -> None:
    """Whoever dies between the two must find the new pair: the old one is worthless."""
    room.fake.expired.add("access-0")
    gate = asyncio.Event()
    asked: list[str] = []

    async def note(do: Any) -> web.Response:
        await room.store.portals.load()
        stored = room.store.portals.get(room.portal)
        asked.append(stored.refresh if stored else "")
        gate.set()
        return web.json_response(do())

    room.fake.fail("profile", note)
    await room.rest.call(room.portal, "profile", {})
    assert asked == ["refresh-1"]


async def test_a_dead_refresh_token_closes_the_portal_until_somebody_logs_in(room: House) -> None:
    room.fake.expired.add("access-0")
    room.fake.refresh_tokens.clear()
    for _ in range(2):
        with pytest.raises(PortalClosedError):
            await room.rest.call(room.portal, "profile", {})
    assert len(room.fake.refreshes) == 1
    stored = room.store.portals.get(room.portal)
    assert stored is not None
    assert stored.needs_login


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://oauth.localhost:{port}/rest/",
        "http://oauth.localhost.evil.example/rest/",
        "http://oauth.localhost:1/rest/",
        "http://user@oauth.localhost:{port}/rest/",
        "nonsense",
        "http://oauth.localhost:999999/",
    ],
)
async def test_a_secret_never_goes_to_a_host_outside_the_allow_list(room: House, endpoint: str) -> None:
    port = room.fake.oauth.rpartition(":")[2]
    assert room.oauth.server(endpoint.format(port=port)) is None
    await room.store.portals.save(enrolled(room.fake, server_endpoint=endpoint.format(port=port)))
    room.fake.expired.add("access-0")
    with pytest.raises(PortalClosedError):
        await room.rest.call(room.portal, "profile", {})
    assert room.fake.refreshes == []


async def test_tokens_of_another_portal_are_not_stored(room: House) -> None:
    room.fake.expired.add("access-0")
    room.fake.member = "f" * 32
    with pytest.raises(PortalClosedError):
        await room.rest.call(room.portal, "profile", {})
    stored = room.store.portals.get(room.portal)
    assert stored is not None
    assert stored.refresh == "refresh-0"


async def test_a_renamed_portal_is_found_through_its_oauth_server(room: House) -> None:
    """The old name redirects; following it would turn the POST into a GET and carry the token to wherever it points."""
    old = web.Application()
    seen: list[str] = []

    async def redirect(request: web.Request) -> web.Response:
        seen.append(request.path)
        raise web.HTTPFound(f"{room.fake.url}/rest/profile")

    old.router.add_route("*", "/rest/{method}", redirect)
    async with TestServer(old, skip_url_asserts=True) as server:
        address = f"http://old.localhost:{server.port}/rest/"
        await room.store.portals.save(enrolled(room.fake, client_endpoint=address, domain="old.localhost"))
        assert (await room.rest.call(room.portal, "profile", {}))["ID"] == "1"
    stored = room.store.portals.get(room.portal)
    assert stored is not None
    assert (seen, stored.client_endpoint, stored.domain) == (["/rest/profile"], f"{room.fake.url}/rest/", room.portal)
    assert room.fake.methods() == ["profile"]


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"result": {"error": "EMPTY_ERROR_HANDLER_URL", "error_description": "empty"}}, PortalRefusedError),
        (200, {"error": "ERROR_CORE"}, PortalRefusedError),
        (400, {"error": "ERROR_CORE"}, PortalRefusedError),
        (404, {}, PortalRefusedError),
        (503, {"error": "QUERY_LIMIT_EXCEEDED"}, PortalBusyError),
        (429, {"error": "OPERATION_TIME_LIMIT", "time": {"operating_reset_at": 5}}, PortalBusyError),
        (429, {}, PortalBusyError),
        (500, {"error": "INTERNAL_SERVER_ERROR"}, UnansweredError),
        (502, {}, UnansweredError),
        (200, {}, UnansweredError),
        (200, {"error": {"code": "X"}}, PortalRefusedError),
    ],
)
def test_errors_are_read_from_the_body_whatever_the_status(status: int, body: dict[str, Any], expected: type) -> None:
    with pytest.raises(expected):
        result_of("m", status, body)


@pytest.mark.parametrize("result", [True, [], {}, None, 0, {"errors": 1}])
def test_any_json_may_be_a_result(result: object) -> None:
    assert result_of("m", 200, {"result": result}) == result


async def test_silence_and_absence_are_told_apart(room: House) -> None:
    gate = asyncio.Event()
    room.fake.fail("profile", hang(gate), refuse("X", 500))
    http = Http(seconds=0.1)
    async with http.running():
        with pytest.raises(UnansweredError, match="did not answer"):
            await http.post(f"{room.fake.url}/rest/profile", {"auth": "access-0"})
        gate.set()
        with pytest.raises(UnreachableError):
            await http.post("http://127.0.0.1:1/rest/profile", {"auth": "secret"})
    with pytest.raises(UnreachableError):
        await http.post(room.fake.url, {})


@pytest.mark.parametrize("text", [b"<html>", b"[]", b'{"a":', b"[" * 100_000, b"x" * 3_000_000, b"\xff\xfe"])
async def test_an_answer_that_is_no_json_object_is_no_answer(text: bytes) -> None:
    app = web.Application()

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=text)

    app.router.add_post("/", answer)
    http = Http()
    async with TestServer(app) as server, http.running():
        with pytest.raises(UnansweredError):
            await http.post(f"http://127.0.0.1:{server.port}/", {})


async def test_names_below_localhost_are_this_machine_rfc6761() -> None:
    resolver = LocalhostResolver()
    for name in ("localhost", "portal.localhost", "A.B.LocalHost", "portal.localhost."):
        assert [found["host"] for found in await resolver.resolve(name, 80)] == ["127.0.0.1"]
    assert [found["host"] for found in await resolver.resolve("127.0.0.1", 80)] == ["127.0.0.1"]
    await resolver.close()


def test_an_origin_is_scheme_host_and_port() -> None:
    assert origin_of("https://OAuth.bitrix.info/rest/") == ("https", "oauth.bitrix.info", 443)
    assert origin_of("https://oauth.bitrix.info:443") == origin_of("https://oauth.bitrix.info/x?y")
    assert origin_of("ftp://oauth.bitrix.info") is None


async def test_a_page_asks_with_its_own_token(room: House) -> None:
    room.fake.users["page"] = ("7", False)
    profile = await room.rest.call_as(room.portal, f"{room.fake.url}/rest/", "profile", {}, "page", Lane.PROFILE)
    assert profile["ID"] == "7"


def _found(secrets: set[str], logs: Any) -> set[str]:
    text = repr(logs)
    return {secret for secret in secrets if secret in text}
