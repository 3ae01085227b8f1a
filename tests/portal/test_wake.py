"""Pages without a socket are woken through the portal's push server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bridge.calls.events import Operator
from bridge.portal.wake import DOZE_SECONDS, REFUSED_SECONDS, Wake, socket_of
from bridge.tickets import SessionTicket

from .fake import refuse
from .house import House

CONFIG, ADD = "pull.application.config.get", "pull.application.event.add"


class Guest:
    def __init__(self, house: House, wake: Wake, client: TestClient[Any, Any], dozing: dict[Operator, float]) -> None:
        self.house, self.wake, self.client, self.dozing = house, wake, client, dozing
        self.seven = Operator(house.portal, 7)

    def session(self, **changes: Any) -> str:
        values: dict[str, Any] = {"member_id": "m", "portal": self.house.portal, "user": 7, "name": "Anna"}
        return self.house.seal.seal(SessionTicket(**values | changes), self.house.clock.now)

    async def ask(self, session: str) -> tuple[int, dict[str, Any]]:
        async with self.client.post("/b24/wake", data=session) as response:
            return response.status, await response.json()


@pytest.fixture
async def guest(room: House) -> AsyncIterator[Guest]:
    dozing: dict[Operator, float] = {}
    wake = Wake(seal=room.seal, rest=room.rest, dozes=dozing.__setitem__, clock=room.clock)
    app = web.Application()
    wake.attach(app)
    async with wake.running(), TestClient(TestServer(app)) as client:
        yield Guest(room, wake, client, dozing)


async def test_a_page_with_a_session_is_told_where_to_listen_and_its_operator_dozes(guest: Guest) -> None:
    for _ in range(2):
        status, said = await guest.ask(guest.session())
    assert (status, said["user"], said["command"]) == (200, 7, "bridge.wake")
    assert said["socket"] == "wss://push.example/sub/?CHANNEL_ID=shared-channel&format=json&clientId=c1"
    assert guest.dozing == {guest.seven: guest.house.clock.now + DOZE_SECONDS}
    assert guest.house.fake.methods() == [CONFIG], "the portal is asked once for all pages"
    assert guest.house.fake.wrong == []


@pytest.mark.parametrize("session", ["", "guessed", "x" * 20_000])
async def test_nobody_else_is_told_anything(guest: Guest, session: str) -> None:
    async with guest.client.post("/b24/wake", data=session) as response:
        assert response.status in {403, 413}
    assert guest.dozing == {}
    assert guest.house.fake.asked == []


async def test_a_portal_that_does_not_allow_it_is_not_asked_for_a_while(guest: Guest) -> None:
    guest.house.fake.fail(CONFIG, refuse("insufficient_scope", 403))
    for _ in range(3):
        assert (await guest.ask(guest.session()))[0] == 404
    assert (guest.house.fake.methods(), guest.dozing) == ([CONFIG], {})
    guest.house.clock.now += REFUSED_SECONDS
    assert (await guest.ask(guest.session()))[0] == 200


async def test_who_sleeps_is_roused_by_an_event_on_the_shared_channel(guest: Guest) -> None:
    guest.house.fake.fail(ADD, refuse("PARAMS_ERROR"))
    for user in (6, 7):
        guest.wake.rouse(Operator(guest.house.portal, user))
    await guest.house.until(lambda: bool(guest.house.fake.pulled))
    assert guest.house.fake.pulled == [{"COMMAND": "bridge.wake", "MODULE_ID": "application", "PARAMS": {"user": 7}}], (
        "one that fails does not stop the next"
    )
    assert guest.house.fake.wrong == []


@pytest.mark.parametrize(
    "config",
    [
        [],
        {},
        {"server": {"websocket_enabled": False, "websocket": "ws://p/"}, "channels": {"shared": {"id": "s"}}},
        {"server": {"websocket_enabled": True, "websocket": "http://p/"}, "channels": {"shared": {"id": "s"}}},
        {"server": {"websocket_enabled": True, "websocket": "ws://p/"}, "channels": {"shared": {}}},
        {"server": {"websocket_enabled": True, "websocket": "ws://p/"}, "channels": []},
    ],
)
def test_a_configuration_without_a_socket_is_none(config: Any) -> None:
    assert socket_of(config) == ""
