"""The page that shows how calls sounded: for administrators, one day and one call of one portal."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any
from xml.etree import ElementTree

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bridge.calls.commands import FinishCall, RecordAnswer
from bridge.calls.events import CallId, Operator, Quality, Trouble, Verdict
from bridge.portal.hearing_door import HearingDoor
from bridge.portal.hearing_page import NOTHING, PATH, TITLE
from bridge.tickets import SettingsTicket

from .house import House
from .test_staff import Office

DAY = "2023-11-14"
BEGIN = 1_700_000_000.0
"""22:13:20 of that day."""


@pytest.fixture
async def client(room: House) -> AsyncIterator[Any]:
    office = Office(room)
    await office.read()
    app = web.Application()
    HearingDoor(seal=room.seal, hearings=room.store.hearings, people=office.people, clock=room.clock).attach(app)
    async with TestClient(TestServer(app)) as found:
        yield found


def ticket(room: House, portal: str = "") -> str:
    return room.seal.seal(SettingsTicket(portal=portal or room.portal, user=1), room.clock.now)


async def page(client: Any, room: House, status: int = 200, **form: str) -> str:
    async with client.post(PATH, data={"ticket": ticket(room), **form}) as response:
        assert response.status == status
        text: str = await response.text()
        return text


def verdict(at: float, heard: float, trouble: Trouble = Trouble.NONE) -> Verdict:
    return Verdict(at=BEGIN + at, quality=Quality(heard=heard, said=4.3, trouble=trouble))


async def a_bad_call(room: House, call: str = "c1", number: str = "+4930<b>1") -> None:
    operator = Operator(room.portal, 7)
    await room.telephony.perform(room.register(call, number=number, started=BEGIN - 5))
    await room.telephony.perform(RecordAnswer(call=CallId(call), operator=operator, answered=BEGIN))
    heard = (verdict(5, 4.4), verdict(20, 2.4, Trouble.OPERATOR_LOSS))
    await room.telephony.perform(
        FinishCall(
            call=CallId(call), operator=operator, status="200", duration=60, reason="", ended=BEGIN + 60, verdicts=heard
        )
    )


def svg_of(text: str) -> ElementTree.Element:
    found = re.search(r"<svg.*</svg>", text, re.DOTALL)
    assert found
    return ElementTree.fromstring(found[0])  # our own


async def test_a_day_shows_each_call_as_a_dot_and_as_a_row(room: House, client: Any) -> None:
    await a_bad_call(room)
    text = await page(client, room, day=DAY)
    assert f"{TITLE}: {DAY}" in text
    (dot,) = svg_of(text).iter("circle")
    assert dot.get("class") == "bad"
    assert "<td>22:13</td>" in text
    assert "<td>the operator&#x27;s network lost parts of the voice</td>" in text
    assert "+4930&lt;b&gt;1" in text
    assert "<b>1" not in text


async def test_a_call_shows_both_directions_over_its_length(room: House, client: Any) -> None:
    await a_bad_call(room)
    text = await page(client, room, day=DAY, call="c1")
    assert [path.get("class") for path in svg_of(text).iter("path")] == ["line0", "line1"]
    assert "<td>0:20</td><td>2.4</td><td>4.3</td>" in text
    assert "The voice was bad for 40 s" in text


async def test_another_day_and_another_portal_show_nothing_of_it(room: House, client: Any) -> None:
    await a_bad_call(room)
    assert NOTHING in await page(client, room, day="2023-11-15")
    assert NOTHING in await page(client, room, day=DAY, ticket=ticket(room, "other.example"))


async def test_today_is_shown_unless_a_day_is_named(room: House, client: Any) -> None:
    assert NOTHING in await page(client, room)


@pytest.mark.parametrize("day", ["yesterday", "0001-01-01", "9999-12-31", "2023-02-30"])
async def test_no_day_is_a_sentence(room: House, client: Any, day: str) -> None:
    assert "day must be a date" in await page(client, room, 400, day=day)


async def test_without_a_ticket_of_an_administrator_nothing_is_shown(room: House, client: Any) -> None:
    assert "missing" in await page(client, room, 400, ticket="")
    assert "too old" in await page(client, room, 403, ticket="forged")
    old = ticket(room)
    room.clock.now += 86_400
    assert "too old" in await page(client, room, 403, ticket=old)
