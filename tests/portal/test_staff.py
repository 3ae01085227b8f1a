"""Who has which account: file and store, extensions that move, imports that are reported line by line."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.calls.events import Operator
from bridge.portal import staff as staff_module
from bridge.portal.people import People
from bridge.portal.sheet import Entry
from bridge.portal.staff import Change, Staff, Verdict

from .house import House, settings_for


def row(user: int, extension: str = "") -> dict[str, Any]:
    return {"ID": str(user), "NAME": "User", "LAST_NAME": str(user), "UF_PHONE_INNER": extension}


def entry(sip_user: str, extension: str = "", **changes: Any) -> Entry:
    values: dict[str, Any] = {
        "line": 2, "extension": extension or sip_user, "user": None, "sip_user": sip_user, "password": "secret", "trunk": "",
    }  # fmt: skip
    return Entry(**values | changes)


class Office:
    """Anna (7) has account 107 in the file; Boris (8) and Carl (9) have extensions in Bitrix24."""

    def __init__(self, room: House, **settings: Any) -> None:
        self.room = room
        self.changes = 0
        self.people = People(rest=room.rest, portals=[room.portal], changed=self._people_changed)
        self.staff = Staff(
            settings=settings_for(room.fake, **settings),
            accounts=room.store.accounts,
            people=self.people,
            changed=self._changed,
        )
        room.fake.people = [row(7, "107"), row(8, "108"), row(9, "109")]

    async def _people_changed(self, portal: str) -> None:
        await self.staff.settle(portal)

    def _changed(self) -> None:
        self.changes += 1

    async def read(self) -> None:
        await self.people.read(self.room.portal)

    async def take(self, *entries: Entry, dry: bool = False) -> list[Verdict]:
        return await self.staff.take(self.room.portal, entries, dry=dry)

    @property
    def manned(self) -> dict[int, list[str]]:
        return {who.user: [each.sip_user for each in accounts] for who, accounts in self.staff.manned.items()}


@pytest.fixture
async def office(room: House) -> Office:
    built = Office(room)
    await built.read()
    return built


async def test_an_account_belongs_to_whoever_has_its_extension(office: Office) -> None:
    assert office.manned == {7: ["107"]}
    (verdict,) = await office.take(entry("1008", "108"))
    assert verdict == Verdict(2, Change.ADDED, "1008 at pbx: User 8, extension 108.")
    assert office.manned == {7: ["107"], 8: ["1008"]}
    assert office.changes == 1


async def test_an_extension_that_moves_takes_its_account_along(office: Office) -> None:
    await office.take(entry("1008", "108"))
    office.room.fake.people = [row(7, "107"), row(8), row(9, "108")]
    await office.read()
    assert office.manned == {7: ["107"], 9: ["1008"]}
    office.room.fake.people = [row(7, "107")]
    await office.read()
    assert office.manned == {7: ["107"]}
    assert office.changes == 3


async def test_a_user_who_is_named_keeps_the_account_whatever_the_extensions(office: Office) -> None:
    await office.take(entry("1008", "108", user=9))
    await office.read()
    assert office.manned == {7: ["107"], 9: ["1008"]}


async def test_a_restart_knows_who_it_was_before_the_portal_says_anything(office: Office) -> None:
    await office.take(entry("1008", "108"))
    await office.room.store.accounts.load()
    again = Office(office.room)
    assert again.manned == {7: ["107"], 8: ["1008"]}
    await again.take(entry("1008", "108", password="other"))
    assert again.manned == {7: ["107"], 8: ["1008"]}


async def test_a_portal_that_suddenly_names_nobody_takes_no_account_away(office: Office) -> None:
    await office.take(entry("1008", "108"))
    office.room.fake.people = []
    await office.read()
    assert office.manned == {7: ["107"], 8: ["1008"]}


async def test_who_left_is_no_operator_whatever_the_file_says_and_who_returns_is_one_again(office: Office) -> None:
    anna = Operator(office.room.portal, 7)
    assert office.staff.why_not(anna) == ""
    office.room.fake.people = [row(8, "108")]
    await office.read()
    assert "does not list you among its employees any more" in office.staff.why_not(anna)
    office.room.fake.people = []
    await office.read()
    assert office.staff.why_not(Operator(office.room.portal, 8)) != ""
    office.room.fake.people = [row(7, "107"), row(8, "108")]
    await office.read()
    assert office.staff.why_not(anna) == ""


async def test_an_operator_of_the_file_whom_the_portal_never_listed_stays_one(room: House) -> None:
    office = Office(room)
    room.fake.people = [row(8, "108")]
    await office.read()
    assert office.staff.why_not(Operator(room.portal, 7)) == ""


async def test_an_account_waits_for_an_extension_that_nobody_has_yet(office: Office) -> None:
    (verdict,) = await office.take(entry("1010", "110"))
    assert (verdict.change, "nobody in Bitrix24 has extension 110 yet" in verdict.text) == (Change.ADDED, True)
    office.room.fake.people.append(row(10, "110"))
    await office.read()
    assert office.manned == {7: ["107"], 10: ["1010"]}


async def test_importing_again_changes_nothing_and_a_dry_run_never_does(office: Office) -> None:
    entries = [entry("1008", "108"), entry("1009", "109", line=3)]
    assert [each.change for each in await office.take(*entries, dry=True)] == [Change.ADDED] * 2
    assert (office.manned, office.changes) == ({7: ["107"]}, 0)
    await office.take(*entries)
    again = [entry("1008", "108"), entry("1009", "109", line=3, password=""), entry("1008", "109", line=4)]
    verdicts = await office.take(*again)
    assert [each.change for each in verdicts] == [Change.UNCHANGED, Change.UNCHANGED, Change.REFUSED]
    assert "earlier line" in verdicts[2].text
    assert office.changes == 1
    assert [each.change for each in await office.take(entry("1008", "108", password="new"))] == [Change.CHANGED]
    assert office.changes == 2


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (entry("107"), "stands in the configuration file already"),
        (entry("1008", "108", password=""), "no password"),
        (entry("1008", "108", trunk="home"), "There is no PBX “home” for this portal. Known in the column trunk: pbx."),
    ],
)
async def test_what_can_not_be_is_refused_with_the_remedy(office: Office, wrong: Entry, says: str) -> None:
    (verdict,) = await office.take(wrong)
    assert verdict.change is Change.REFUSED
    assert says in verdict.text
    assert office.manned == {7: ["107"]}


async def test_a_portal_touches_only_its_own_pbxs_and_accounts(room: House) -> None:
    other = {
        "url": "https://other.bitrix24.com",
        "client_id": "x",
        "client_secret_env": "X",
        "trunks": ["pbx", "second"],
    }
    first = settings_for(room.fake).portal[0].model_dump()
    trunks = [{"name": "pbx", "server": "127.0.0.1"}, {"name": "second", "server": "127.0.0.1"}]
    office = Office(room, portal=[first, other], trunk=trunks)
    assert office.staff.trunks(room.portal) == ("pbx",)
    assert office.staff.trunks("other.bitrix24.com") == ("pbx", "second")
    assert (await office.take(entry("1", trunk="second")))[0].change is Change.REFUSED
    await office.staff.take("other.bitrix24.com", [entry("1008", "108", trunk="pbx")], dry=False)
    (verdict,) = await office.take(entry("1008", "108"))
    assert "belongs to somebody else" in verdict.text
    assert await office.staff.remove(room.portal, ("pbx", "1008")) == "There is no such account any more."


async def test_accounts_are_removed_but_not_those_of_the_file(office: Office) -> None:
    await office.take(entry("1008", "108"))
    assert await office.staff.remove(office.room.portal, ("pbx", "1008")) == ""
    assert office.manned == {7: ["107"]}
    assert "configuration file" in await office.staff.remove(office.room.portal, ("pbx", "107"))
    assert "no such account" in await office.staff.remove(office.room.portal, ("pbx", "1008"))


async def test_the_number_of_accounts_has_a_bound(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staff_module, "MOST_ACCOUNTS", 1)
    await office.take(entry("1008", "108"))
    (verdict,) = await office.take(entry("1009", "109"))
    assert "1 accounts already" in verdict.text


@pytest.mark.parametrize(
    ("user", "extension", "says"),
    [
        (8, "108", "add the PBX account of your extension 108 in the telephone's settings"),
        (9, "", "give you an inner telephone number in Bitrix24"),
        (99, None, "add user 99 of"),
    ],
)
async def test_whoever_can_not_telephone_is_told_what_is_missing(
    office: Office, user: int, extension: str | None, says: str
) -> None:
    if extension is not None:
        office.room.fake.people = [row(7, "107"), row(user, extension)]
        await office.read()
    assert says in office.staff.why_not(Operator(office.room.portal, user))
    assert office.staff.why_not(Operator(office.room.portal, 7)) == ""


async def test_an_account_behind_a_trunk_of_numbers_needs_no_password(room: House) -> None:
    trunk = {"name": "carrier", "server": "127.0.0.1", "kind": "trunk", "register": False}
    office = Office(room, trunk=[trunk, {"name": "pbx", "server": "127.0.0.1"}], operator=[])
    await office.read()
    first, second = await office.take(
        entry("108", password="", trunk="carrier"), entry("109", password="", trunk="pbx")
    )
    assert (first.change, second.change) == (Change.ADDED, Change.REFUSED)
    assert office.manned == {8: ["108"]}
