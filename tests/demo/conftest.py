from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bridge.demo.portal import Portal, User
from bridge.demo.portal.forms import flatten

from .standin import StandIn

ANNA = User(id=1, name="Anna Petrova", admin=True, extension="101")
BORIS = User(id=2, name="Boris Lang", extension="102")
REGISTER = "telephony.externalCall.register"
FINISH = "telephony.externalCall.finish"


class Client:
    """Speaks to a portal as the application, a browser or a test in another process would."""

    def __init__(self, portal: Portal, http: aiohttp.ClientSession) -> None:
        self.portal = portal
        self.http = http
        self.base = f"http://127.0.0.1:{portal.world.port}"

    def token(self, user: User = ANNA) -> str:
        return self.portal.world.issue(user.id).access

    async def rest(self, method: str, *, user: User = ANNA, token: str = "", **params: Any) -> tuple[int, Any]:
        """A form post; status and body."""
        fields = flatten({**params, "auth": token or self.token(user)})
        async with self.http.post(f"{self.base}/rest/{method}", data=fields) as response:
            return response.status, await response.json()

    async def result(self, method: str, *, user: User = ANNA, **params: Any) -> Any:
        status, body = await self.rest(method, user=user, **params)
        assert status == 200, body
        return body["result"]

    async def error(self, method: str, *, user: User = ANNA, **params: Any) -> tuple[int, str]:
        status, body = await self.rest(method, user=user, **params)
        return status, body["error"]

    async def oauth(self, path: str = "/oauth/token/", **params: str) -> tuple[int, Any]:
        headers = {"Host": self.portal.world.oauth_domain}
        async with self.http.get(f"{self.base}{path}", params=params, headers=headers) as response:
            return response.status, await response.json()

    async def text(self, path: str, *, user: User | None = ANNA, form: dict[str, str] | None = None) -> str:
        params = {"user": str(user.id)} if user else {}
        verb = "GET" if form is None else "POST"
        async with self.http.request(verb, f"{self.base}{path}", params=params, data=form) as response:
            assert response.status == 200, await response.text()
            return await response.text()

    async def register(self, **params: Any) -> str:
        given = {"USER_ID": 2, "PHONE_NUMBER": "+49 30 5550100", "TYPE": 2, "EXTERNAL_CALL_ID": "call-1", **params}
        call_id: str = (await self.result(REGISTER, **given))["CALL_ID"]
        return call_id


@pytest.fixture
async def standin() -> AsyncIterator[StandIn]:
    app = StandIn()
    async with app.running():
        yield app


@pytest.fixture
async def portal(standin: StandIn) -> AsyncIterator[Portal]:
    """A portal whose application is not installed yet."""
    one = Portal(port=0, app=standin.app, users=[ANNA, BORIS])
    async with one.running():
        yield one


@pytest.fixture
async def client(portal: Portal) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as http:
        yield Client(portal, http)
