"""The recogniser's door: with the token only, in plain sentences, and kept whatever Bitrix24 does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bridge.portal.transcripts import LARGEST_BODY, Transcripts

from .house import House

TOKEN = "a-token-of-the-recogniser"
REPLIES = [
    {"side": "operator", "start": 0, "stop": 0.4, "text": " Good morning "},
    {"side": "client", "start": 1.7, "stop": 4.6, "text": "Hello"},
]
Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client(room: House) -> AsyncIterator[Client]:
    app = web.Application()
    Transcripts(token=TOKEN, attach=room.telephony.perform).attach(app)
    async with TestClient(TestServer(app)) as one:
        yield one


async def _post(client: Client, body: Any, call: str = "c1", token: str = f"Bearer {TOKEN}") -> tuple[int, str]:
    headers = {"Authorization": token} if token else {}
    content = {"data": body} if isinstance(body, bytes) else {"json": body}
    async with client.post(f"/calls/{call}/transcript", headers=headers, **content) as answer:
        return answer.status, (await answer.json()).get("error", "")


async def test_what_was_said_is_written_down_and_attached_to_the_record(room: House, client: Client) -> None:
    await room.telephony.perform(room.register("c1"))
    body = {"replies": REPLIES, "cost": 0.2, "currency": "EUR"}
    assert (await _post(client, body))[0] == 202
    async with room.telephony.running():
        await room.telephony.perform(room.finish("c1"))
        await room.emptied()
        assert (await _post(client, {"replies": REPLIES}, call="externalCall.1"))[0] == 202
        await room.emptied()
    first, second = room.fake.transcripts
    assert first["MESSAGES"] == [
        {"SIDE": "User", "START_TIME": 0, "STOP_TIME": 1, "MESSAGE": "Good morning"},
        {"SIDE": "Client", "START_TIME": 1, "STOP_TIME": 5, "MESSAGE": "Hello"},
    ]
    assert (first["COST"], first["COST_CURRENCY"], "COST" in second) == (0.2, "EUR", False)


@pytest.mark.parametrize("token", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN])
async def test_without_the_token_nothing_is_taken(room: House, client: Client, token: str) -> None:
    await room.telephony.perform(room.register("c1"))
    status, error = await _post(client, {"replies": REPLIES}, token=token)
    assert status == 401
    assert TOKEN not in error
    assert [promise.kind for promise in await room.telephony.promises()] == ["register"]


async def test_a_call_that_nobody_knows_is_not_found(client: Client) -> None:
    assert await _post(client, {"replies": REPLIES}, call="c9") == (
        404,
        "no call c9 is known here; calls are kept for 30 days.",
    )


def _reply(**changes: Any) -> dict[str, Any]:
    return {"replies": [REPLIES[0] | changes]}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b" " * (LARGEST_BODY + 1), "larger than 4 MiB"),
        ([], "at least one reply"),
        ({"replies": []}, "at least one reply"),
        ({"replies": ["hello"]}, "Reply 1: side"),
        (_reply(side="agent"), "Reply 1: side"),
        (_reply(text=" "), "Reply 1: text"),
        (_reply(start=-1), "Reply 1: start"),
        (_reply(start=True), "Reply 1: start"),
        (_reply(stop=1e9), "Reply 1: stop"),
        (_reply(start=5, stop=2), "stop lies before start"),
        (_reply() | {"cost": "much"}, "cost must be a number"),
        (_reply() | {"cost": 1}, "currency"),
        ({"replies": REPLIES * 5_001}, "More than 10000"),
    ],
)
async def test_what_is_wrong_is_said_in_a_sentence(client: Client, body: Any, error: str) -> None:
    status, said = await _post(client, body)
    assert status == 400
    assert error in said
