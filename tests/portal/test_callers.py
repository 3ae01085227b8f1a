"""Who is calling: one look-up per number and a while, the least important request of all, and never waited for long."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bridge.calls.commands import LookUpCaller, ShowCard
from bridge.calls.events import CallerFound, CallId, Client, ClientKind, Event, Operator
from bridge.portal import callers
from bridge.portal.callers import Callers, client_of
from bridge.portal.cards import Cards
from bridge.portal.rest import PortalRefusedError

from .fake import hang, refuse
from .house import House

METHOD = "telephony.externalcall.searchcrmentities"
NUMBER = "+4930123456"
WEBER = {
    "CRM_ENTITY_TYPE": "CONTACT",
    "CRM_ENTITY_ID": 12,
    "ASSIGNED_BY_ID": 7,
    "NAME": "Jonas Weber",
    "ASSIGNED_BY": {"ID": "7", "TIMEMAN_STATUS": "OPENED", "USER_PHONE_INNER": "107"},
}


class Desk:
    def __init__(self, room: House) -> None:
        self.room = room
        self.said: list[Event] = []
        self.callers = Callers(
            rest=room.rest, name=lambda portal, user: f"User {user}", post=self.said.append, clock=room.clock
        )

    async def ask(self, number: str = NUMBER) -> Client | None:
        await self.callers.perform(LookUpCaller(call=CallId("c"), portal=self.room.portal, number=number))
        event = self.said.pop()
        assert isinstance(event, CallerFound)
        return event.client


@pytest.fixture
def desk(room: House) -> Desk:
    return Desk(room)


def client(portal: str = "p", **changes: Any) -> Client | None:
    return client_of(portal, [WEBER | changes], lambda portal, user: f"User {user}")


async def test_a_client_is_found_with_the_one_who_looks_after_them(desk: Desk) -> None:
    desk.room.fake.clients[NUMBER] = [WEBER]
    assert await desk.ask() == Client(
        kind=ClientKind.CONTACT,
        id=12,
        name="Jonas Weber",
        responsible=Operator(desk.room.portal, 7),
        responsible_name="User 7",
        at_work=True,
    )
    assert desk.room.fake.asked == [(METHOD, {"PHONE_NUMBER": NUMBER})]


async def test_answers_that_are_too_old_are_not_kept(desk: Desk) -> None:
    for number in range(5):
        await desk.ask(f"+493090{number}")
    desk.room.clock.now += callers.UNKNOWN_SECONDS
    await desk.ask()
    (known,) = desk.callers._known.values()
    assert list(known) == [NUMBER]


async def test_the_same_number_is_asked_for_once_in_a_while(desk: Desk) -> None:
    desk.room.fake.clients[NUMBER] = [WEBER]
    for number in (NUMBER, NUMBER, "+4930999", "+4930999"):
        await desk.ask(number)
    assert len(desk.room.fake.asked) == 2
    desk.room.clock.now += callers.UNKNOWN_SECONDS
    await desk.ask("+4930999")
    await desk.ask()
    assert len(desk.room.fake.asked) == 3, "a stranger is asked for again sooner: people enter them after a call"
    desk.room.clock.now += callers.KNOWN_SECONDS
    await desk.ask()
    assert len(desk.room.fake.asked) == 4


async def test_the_memory_has_a_bound(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers, "MOST_KNOWN", 2)
    for number in ("+4930001", "+4930002", "+4930003", "+4930003", "+4930001"):
        await desk.ask(number)
    assert [params["PHONE_NUMBER"] for _, params in desk.room.fake.asked] == [
        "+4930001",
        "+4930002",
        "+4930003",
        "+4930001",
    ]


@pytest.mark.parametrize(
    "fault", [refuse("INTERNAL_SERVER_ERROR", 500), refuse("ERROR_CORE", 400), refuse("QUERY_LIMIT_EXCEEDED", 503)]
)
async def test_a_portal_in_trouble_is_nobody_found_and_not_remembered(desk: Desk, fault: Any) -> None:
    desk.room.fake.clients[NUMBER] = [WEBER]
    desk.room.fake.fail(METHOD, fault)
    assert await desk.ask() is None
    found = await desk.ask()
    assert found is not None


async def test_a_portal_that_is_not_installed_is_nobody_at_once(desk: Desk) -> None:
    await desk.callers.perform(LookUpCaller(call=CallId("c"), portal="elsewhere", number=NUMBER))
    assert desk.said == [CallerFound(call=CallId("c"), client=None)]


async def test_a_portal_that_hangs_is_given_up_and_does_not_collect_look_ups(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(callers, "PATIENCE", 0.05)
    monkeypatch.setattr(callers, "MOST_ASKING", 2)
    never = asyncio.Event()
    desk.room.fake.fail(METHOD, hang(never), hang(never))
    asked = [
        desk.callers.perform(LookUpCaller(call=CallId(f"{n}"), portal=desk.room.portal, number=f"+493{n}"))
        for n in range(5)
    ]
    await asyncio.gather(*asked)
    assert [event.client for event in desk.said if isinstance(event, CallerFound)] == [None] * 5
    assert len(desk.room.fake.asked) == 2
    assert capsys.readouterr().out.count("too many look-ups wait") == 1  # not once for each call
    never.set()


@pytest.mark.parametrize(
    ("status", "at_work"),
    [
        ("OPENED", True),
        ("NOT_INSTALLED", True),
        ("", True),
        (None, True),
        ("SOMETHING_NEW", True),
        ("CLOSED", False),
        ("PAUSED", False),
        ("EXPIRED", False),
        ("closed", False),
    ],
)
def test_only_a_working_day_that_is_known_not_to_run_keeps_calls_away(status: str | None, at_work: bool) -> None:
    found = client(ASSIGNED_BY={"ID": 7, "TIMEMAN_STATUS": status})
    assert found is not None
    assert found.at_work is at_work


@pytest.mark.parametrize(
    "rows",
    [
        None,
        {},
        "x",
        [],
        [None],
        [{"CRM_ENTITY_TYPE": "CONTACT"}],
        [{"CRM_ENTITY_TYPE": "DEAL", "CRM_ENTITY_ID": 1}],
        [{"CRM_ENTITY_TYPE": [], "CRM_ENTITY_ID": 1}],
    ],
)
def test_an_answer_that_names_nobody_is_nobody(rows: Any) -> None:
    assert client_of("p", rows, lambda portal, user: "") is None


def test_an_older_portal_tells_neither_name_nor_more_than_an_id() -> None:
    found = client(NAME=None, ASSIGNED_BY=None)
    assert found is not None
    assert (found.name, found.responsible, found.at_work) == ("", Operator("p", 7), True)
    orphan = client(ASSIGNED_BY_ID=0, ASSIGNED_BY=[])
    assert orphan is not None
    assert (orphan.responsible, orphan.responsible_name) == (None, "")


async def test_a_card_is_raised_for_the_operators_named(room: House) -> None:
    show = ShowCard(
        call=CallId("c"), card="externalCall.1", operators=(Operator(room.portal, 7), Operator(room.portal, 8))
    )
    await Cards(room.rest).perform(show)
    assert room.fake.asked == [("telephony.externalcall.show", {"CALL_ID": "externalCall.1", "USER_ID": [7, 8]})]
    room.fake.fail("telephony.externalcall.show", refuse("ERROR_CORE"))
    with pytest.raises(PortalRefusedError):
        await Cards(room.rest).perform(show)
