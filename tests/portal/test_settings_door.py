"""The settings page's door: administrators only, passwords in and never out, other portals out of reach."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bridge.calls.events import Operator
from bridge.portal import settings_door
from bridge.portal.settings_door import PATH, SettingsDoor
from bridge.tickets import PageTicket, SettingsTicket

from .fake import MEMBER, refuse
from .house import House
from .test_staff import Office


class Visitor:
    def __init__(self, office: Office, client: Any) -> None:
        self.office, self.client = office, client
        self.ticket = ""

    @property
    def room(self) -> House:
        return self.office.room

    async def say(self, do: str, status: int = 200, **message: Any) -> dict[str, Any]:
        async with self.client.post(PATH, json={"ticket": self.ticket, "do": do, **message}) as response:
            answer: dict[str, Any] = await response.json()
            assert response.status == status, answer
            assert response.headers["Cache-Control"] == "no-store"
        self.ticket = answer.get("ticket", self.ticket)
        return answer

    def page_ticket(self, auth_id: str = "page") -> str:
        page = PageTicket(
            auth_id=auth_id, member_id=MEMBER, domain=self.room.portal, app_sid="s", uri="/", placement=""
        )
        return self.room.seal.seal(page, self.room.clock.now)

    async def open(self) -> None:
        self.room.fake.users["page"] = ("1", True)
        self.ticket = self.page_ticket()
        await self.say("open")


@pytest.fixture
async def visitor(room: House) -> AsyncIterator[Visitor]:
    office = Office(room)
    await office.read()
    door = SettingsDoor(
        seal=room.seal,
        administrator=room.identity.administrator,
        staff=office.staff,
        people=office.people,
        registered=lambda: {("pbx", "1008"): ("refused", "403 Forbidden")},
        online=lambda: frozenset({Operator(room.portal, 8)}),
        clock=room.clock,
    )
    app = web.Application(client_max_size=settings_door.LARGEST_BODY)
    door.attach(app)
    async with TestClient(TestServer(app)) as client:
        yield Visitor(office, client)


async def test_an_administrator_sees_who_has_which_account_and_who_has_none(visitor: Visitor) -> None:
    await visitor.open()
    await visitor.say("add", extension="108", sip_user="1008", password="secret-word")
    seen = await visitor.say("list")
    assert seen["accounts"] == [
        {
            "user": 7, "name": "User 7", "extension": "107", "trunk": "pbx", "sipUser": "107", "fixed": True,
            "state": "", "why": "", "online": False,
        },
        {
            "user": 8, "name": "User 8", "extension": "108", "trunk": "pbx", "sipUser": "1008", "fixed": False,
            "state": "refused", "why": "403 Forbidden", "online": True,
        },
    ]  # fmt: skip
    assert seen["without"] == [{"id": 9, "name": "User 9", "extension": "109"}]
    assert (seen["trunks"], seen["peopleKnown"]) == (["pbx"], True)
    assert "secret-word" not in str(seen)


async def test_a_table_is_checked_first_and_then_imported(visitor: Visitor) -> None:
    await visitor.open()
    text = "extension,sip_user,password\n108,1008,x\n,,\n109,10 09,y\n"
    checked = await visitor.say("import", text=text, dry=True)
    assert [(line["line"], line["change"]) for line in checked["lines"]] == [(2, "added"), (4, "refused")]
    assert visitor.office.manned == {7: ["107"]}
    assert (await visitor.say("import", text=text))["lines"] == checked["lines"], "dry unless it is said otherwise"
    await visitor.say("import", text=text, dry=False)
    assert visitor.office.manned == {7: ["107"], 8: ["1008"]}


async def test_an_account_is_removed(visitor: Visitor) -> None:
    await visitor.open()
    await visitor.say("add", extension="108", sip_user="1008", password="x")
    await visitor.say("remove", trunk="pbx", sip_user="1008")
    assert visitor.office.manned == {7: ["107"]}
    refused = await visitor.say("remove", 400, trunk="pbx", sip_user="107")
    assert "configuration file" in refused["error"]


async def test_nobody_but_an_administrator_comes_in(visitor: Visitor) -> None:
    visitor.room.fake.users["page"] = ("7", False)
    visitor.ticket = visitor.page_ticket()
    assert "Only an administrator" in (await visitor.say("open", 403))["error"]
    visitor.ticket = visitor.page_ticket("stranger")
    assert "reload" in (await visitor.say("open", 403))["error"]


async def test_only_a_settings_ticket_opens_the_rest_and_not_for_ever(visitor: Visitor) -> None:
    visitor.ticket = visitor.page_ticket()
    for do in ("list", "add", "import", "remove"):
        assert "reload" in (await visitor.say(do, 403))["error"]
    visitor.ticket = "forged"
    await visitor.say("list", 403)
    await visitor.open()
    visitor.room.clock.now += 3000
    await visitor.say("list")  # renews
    visitor.room.clock.now += 3000
    await visitor.say("list")
    visitor.room.clock.now += 3601
    await visitor.say("list", 403)


async def test_a_portal_that_can_not_be_asked_is_no_administrator_yet(visitor: Visitor) -> None:
    visitor.room.fake.fail("profile", refuse("INTERNAL_SERVER_ERROR", 500))
    visitor.room.fake.users["page"] = ("1", True)
    visitor.ticket = visitor.page_ticket()
    assert "again" in (await visitor.say("open", 503))["error"]


async def test_another_portals_administrator_sees_nothing_of_this_one(visitor: Visitor) -> None:
    visitor.ticket = visitor.room.seal.seal(SettingsTicket("other.example", 1), visitor.room.clock.now)
    assert (await visitor.say("list"))["accounts"] == []
    await visitor.say("remove", 400, trunk="pbx", sip_user="107")
    (line,) = (await visitor.say("add", extension="1", password="x"))["lines"]
    assert line["change"] == "refused"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "must be JSON"),
        (b"[]", "must be JSON"),
        (b"\xff", "must be JSON"),
        (b"[" * 100_000, "must be JSON"),
        (b'{"ticket": 1}', "ticket must be a text"),
    ],
)
async def test_bad_input_gets_a_sentence(visitor: Visitor, body: bytes, says: str) -> None:
    async with visitor.client.post(PATH, data=body, headers={"Content-Type": "application/json"}) as response:
        assert response.status == 400
        assert says in (await response.json())["error"]


async def test_a_wish_that_makes_no_sense_gets_a_sentence(visitor: Visitor) -> None:
    await visitor.open()
    assert "do must be one of" in (await visitor.say("fly", 400))["error"]
    assert "extension must be a text" in (await visitor.say("add", 400, extension=101))["error"]
    assert "larger" in str(await visitor.say("import", 400, text="x" * (settings_door.LARGEST_BODY + 1)))
