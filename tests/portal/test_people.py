"""The employees of a portal: names and extensions, read in pages, again and again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bridge.portal import people
from bridge.portal.people import People, Person

from ..rig.waiting import PATIENCE
from .fake import refuse
from .house import House


def row(user: int, extension: str = "") -> dict[str, Any]:
    return {"ID": str(user), "ACTIVE": True, "NAME": "User", "LAST_NAME": str(user), "UF_PHONE_INNER": extension}


class Office:
    def __init__(self, room: House) -> None:
        self.changes: list[str] = []
        self.heard = asyncio.Event()
        self.people = People(rest=room.rest, portals=[room.portal], changed=self._changed)

    async def _changed(self, portal: str) -> None:
        self.changes.append(portal)
        self.heard.set()

    async def news(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.heard.wait()
        self.heard.clear()


async def test_every_page_is_read_and_only_a_change_is_told(room: House) -> None:
    room.fake.people = [row(number, str(100 + number)) for number in range(1, 121)]
    office = Office(room)
    await office.people.read(room.portal)
    assert len(office.people.of(room.portal)) == 120
    assert office.people.of(room.portal)[7] == Person(id=7, name="User 7", extension="107")
    assert (office.people.name(room.portal, 7), office.people.name(room.portal, 999)) == ("User 7", "")
    assert [params["start"] for _, params in room.fake.asked] == [0, 50, 100]
    await office.people.read(room.portal)
    room.fake.people[3]["UF_PHONE_INNER"] = "555"
    await office.people.read(room.portal)
    assert office.changes == [room.portal] * 2


async def test_they_are_read_at_the_start_and_whenever_somebody_says_so(room: House) -> None:
    room.fake.people = [row(7, "107")]
    office = Office(room)
    async with office.people.running():
        await office.news()
        room.fake.people.append(row(8, "108"))
        office.people.look_again(room.portal)
        await office.news()
        assert set(office.people.of(room.portal)) == {7, 8}


async def test_a_portal_in_trouble_keeps_the_people_it_had_and_is_asked_again(
    room: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "RETRY_SECONDS", 0.01)
    room.fake.people = [row(7, "107")]
    office = Office(room)
    room.fake.fail("user.get", refuse("INTERNAL_SERVER_ERROR", 500), refuse("BAD_GATEWAY", 502))
    async with office.people.running():
        await office.news()
    assert set(office.people.of(room.portal)) == {7}


async def test_rows_that_make_no_sense_are_passed_over(room: House) -> None:
    room.fake.people = [{"ID": "x"}, {}, row(7), {"ID": "8"}]
    office = Office(room)
    await office.people.read(room.portal)
    assert office.people.of(room.portal) == {
        7: Person(id=7, name="User 7", extension=""),
        8: Person(id=8, name="User 8", extension=""),
    }
