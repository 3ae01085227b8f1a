"""Push & Pull for applications: where a page listens, who may send what, who hears it."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from .conftest import ANNA, BORIS, Client

ADD, CONFIG = "pull.application.event.add", "pull.application.config.get"


async def listen(client: Client, channel: str) -> aiohttp.ClientWebSocketResponse:
    return await client.http.ws_connect(f"{client.base}/sub/?CHANNEL_ID={channel}")


async def test_an_event_reaches_the_pages_of_the_users_it_is_for(client: Client) -> None:
    config = await client.result(CONFIG, user=BORIS)
    assert config["server"]["websocket"].endswith("/sub/")
    channels = config["channels"]
    async with await listen(client, f"{channels['private']['id']}/{channels['shared']['id']}") as boris:
        assert await client.result(ADD, COMMAND="wake", USER_ID=[ANNA.id])
        assert await client.result(ADD, COMMAND="wake", PARAMS={"call": 7}, USER_ID=BORIS.id)
        assert await client.result(ADD, COMMAND="all", MODULE_ID="my.app")
        texts = [(await boris.receive_json())["text"] for _ in range(2)]
    assert texts == [
        {"module_id": "application", "command": "wake", "params": {"call": "7"}},
        {"module_id": "my.app", "command": "all", "params": {}},
    ]


async def test_a_channel_is_the_users_own_until_it_expires_or_is_renewed(client: Client) -> None:
    first = (await client.result(CONFIG, user=BORIS))["channels"]["private"]
    assert (await client.result(CONFIG, user=BORIS))["channels"]["private"] == first
    renewed = (await client.result(CONFIG, user=BORIS, REOPEN="Y"))["channels"]["private"]
    assert renewed["id"] != first["id"]
    for name in (first["id"], "guessed"):
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await listen(client, name)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"COMMAND": "a b"}, "COMMAND_ERROR"),
        ({"COMMAND": "a", "MODULE_ID": "A B"}, "MODULE_ID_ERROR"),
        ({"COMMAND": "a", "PARAMS": "text"}, "PARAMS_ERROR"),
    ],
)
async def test_malformed_events_are_refused(client: Client, params: dict[str, Any], code: str) -> None:
    assert await client.error(ADD, **params) == (400, code)


async def test_who_is_no_administrator_sends_to_nobody_else(client: Client) -> None:
    assert await client.error(ADD, user=BORIS, COMMAND="a", USER_ID=ANNA.id) == (400, "USER_ID_ACCESS_ERROR")
    assert await client.result(ADD, user=BORIS, COMMAND="a", USER_ID=BORIS.id)
