from __future__ import annotations

from typing import Any

import pytest

from .conftest import BORIS, Client


def refresh(client: Client, **changes: str) -> dict[str, Any]:
    app = client.portal.world.app
    return {
        "grant_type": "refresh_token",
        "client_id": app.client_id,
        "client_secret": app.client_secret,
        "refresh_token": client.portal.world.issue(BORIS.id).refresh,
        **changes,
    }


async def test_refresh_tokens_rotate(client: Client) -> None:
    fields = refresh(client)
    status, fresh = await client.oauth(**fields)
    assert (status, fresh["member_id"], fresh["user_id"]) == (200, client.portal.member_id, BORIS.id)
    assert fresh["client_endpoint"] == f"{client.portal.url}/rest/"
    assert fresh["server_endpoint"] == f"{client.portal.oauth_url}/rest/"
    assert (await client.rest("profile", token=fresh["access_token"]))[1]["result"]["ID"] == "2"
    assert (await client.oauth(**fields))[1]["error"] == "invalid_grant"
    assert (await client.oauth(**{**fields, "refresh_token": fresh["refresh_token"]}))[0] == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_id": "wrong"}, "invalid_client"),
        ({"refresh_token": "wrong"}, "invalid_grant"),
        ({"grant_type": "password"}, "invalid_request"),
    ],
)
async def test_refresh_is_refused(client: Client, changes: dict[str, str], error: str) -> None:
    assert (await client.oauth(**refresh(client, **changes)))[1]["error"] == error


async def test_the_oauth_host_vouches_for_the_application(client: Client) -> None:
    status, body = await client.oauth("/rest/app.info", auth=client.token())
    assert (status, body["result"]["CODE"], body["result"]["INSTALLED"]) == (200, "local.standin.1", False)
    assert (await client.oauth("/rest/app.info", auth="forged"))[1]["error"] == "NO_AUTH_FOUND"


async def test_the_oauth_host_serves_nothing_of_the_portal(client: Client) -> None:
    headers = {"Host": client.portal.world.oauth_domain}
    for path in ("/", "/rest/profile", "/sim/calls"):
        async with client.http.get(f"{client.base}{path}", headers=headers) as response:
            assert response.status == 404
