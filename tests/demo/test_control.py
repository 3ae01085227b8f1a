"""What can be ordered of the simulator, by hand on its page and over HTTP."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest

from bridge.demo.portal.faults import Faults

from ..rig.waiting import wait_for
from .conftest import ANNA, Client
from .standin import StandIn

AJAX = "/bitrix/services/main/ajax.php"


@pytest.fixture
async def installed(client: Client, standin: StandIn) -> Client:
    await client.portal.auto_install()
    for event in ("ONEXTERNALCALLSTART", "ONEXTERNALCALLBACKSTART"):
        await client.result("event.bind", event=event, handler=f"{standin.origin}/b24/events")
    return client


async def told(standin: StandIn, count: int) -> list[dict[str, Any]]:
    await wait_for(lambda: len(standin.bodies("/b24/events")) >= count)
    return standin.bodies("/b24/events")


async def test_the_page_lists_every_fault_with_its_meaning_and_every_request(client: Client) -> None:
    page = await client.text("/sim/")
    assert [item.name for item in fields(Faults) if f'data-fault="{item.name}"' not in page] == []
    assert "browser tabs draw no card" in page
    assert "POST /sim/faults" in page
    assert "/sim/" in await client.text("/")


async def test_a_page_of_another_site_orders_nothing(client: Client) -> None:
    url = f"{client.base}/sim/faults"
    for origin, status in (("http://evil.example", 403), (client.base, 200)):
        async with client.http.post(url, json={"push_lost": True}, headers={"Origin": origin}) as response:
            assert response.status == status
    assert client.portal.faults.push_lost


async def test_a_visitor_who_asks_for_a_call_back_is_an_event_without_a_call(
    installed: Client, standin: StandIn
) -> None:
    form = {"action": "callbackForm", "phone": "+49 30 123456", "text": "Tiles, please"}
    assert json.loads(await installed.text(AJAX, form=form)) == {}
    (body,) = await told(standin, 1)
    assert body["event"] == "ONEXTERNALCALLBACKSTART"
    assert (body["data"]["PHONE_NUMBER"], body["data"]["TEXT"]) == ("+4930123456", "Tiles, please")
    assert (body["data"]["CRM_ENTITY_TYPE"], "CALL_ID" in body["data"]) == ("CONTACT", False)
    assert installed.portal.calls == []
    assert "error" in json.loads(await installed.text(AJAX, form={"action": "callbackForm", "phone": "none"}))


async def test_events_come_twice_reversed_forged_or_without_tokens_on_demand(
    installed: Client, standin: StandIn
) -> None:
    faults = installed.portal.faults
    click = {"action": "clickToCall", "phone": "+4930123456"}
    faults.events_twice = True
    await installed.text(AJAX, form=click)
    first, again = await told(standin, 2)
    assert first == again

    faults.events_twice, faults.events_reversed, faults.event_delay = False, True, 0.2
    for _ in range(3):
        await installed.text(AJAX, form=click)
    cards = [body["data"]["CALL_ID"] for body in (await told(standin, 5))[2:]]
    assert cards == [call.id for call in reversed(installed.portal.calls[-3:])]

    faults.clear()
    faults.events_forged = faults.events_without_tokens = True
    await installed.text(AJAX, form=click)
    auth = (await told(standin, 6))[-1]["auth"]
    assert auth["application_token"] != installed.portal.world.application_token
    assert "access_token" not in auth


async def test_a_click_in_a_call_list_says_so_on_the_card_and_in_the_event(installed: Client, standin: StandIn) -> None:
    installed.portal.faults.call_list = True
    await installed.text(AJAX, form={"action": "clickToCall", "phone": "+4930123456"})
    (body,) = await told(standin, 1)
    assert int(body["data"]["CALL_LIST_ID"]) > 0
    assert installed.portal.world.card_of(installed.portal.calls[0])["callList"]
    assert installed.portal.delivered == ["ONEXTERNALCALLSTART"]
    assert body["data"]["USER_ID"] == str(ANNA.id)
