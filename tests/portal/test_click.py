"""A click on a number, heard of twice: by the portal's event and by the page that draws its card."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from bridge.calls.events import Operator
from bridge.portal import click
from bridge.portal.click import Click, Clicks
from bridge.store.writer import StoreDownError

from .fake import FakePortal
from .house import settings_for

CARD = "externalCall.1"


class Desk:
    """Clicks with a store that knows some calls."""

    def __init__(self, fake: FakePortal, **more: Any) -> None:
        settings = settings_for(fake, **more)
        self.dialled: list[tuple[Operator, str, str]] = []
        self.ours: set[str] = set()
        self.down = False
        self.clicks = Clicks(
            settings=settings,
            dialled=lambda *said: self.dialled.append(said[:3]),
            known=self._known,
            why_not=lambda operator: "" if operator.user == 7 else "no operator",
        )
        self.portal = settings.portal[0].id
        self.seven = Operator(self.portal, 7)

    async def _known(self, portal: str, user: int, card: str) -> bool:
        if self.down:
            raise StoreDownError("disk full")
        return card in self.ours

    def event(self, card: str = CARD, number: str = "123") -> None:
        self.clicks.happened(self.portal, Click(user=7, number=number, card=card))

    async def may_dial(self, card: str = CARD, line: str = "") -> bool:
        return await self.clicks.is_click(self.seven, card, line)


@pytest.fixture
def desk(fake: FakePortal) -> Desk:
    line = {"number": "+4930555", "portal": fake.url, "operators": [7]}
    return Desk(fake, line=[line])


async def test_whichever_comes_first_makes_the_call(desk: Desk) -> None:
    desk.event()
    assert not await desk.may_dial()
    assert not desk.clicks.claim(desk.seven, CARD, "123")
    assert await desk.may_dial("externalCall.2")
    assert desk.clicks.claim(desk.seven, "externalCall.2", "123")
    desk.event("externalCall.2")
    assert [card for _, _, card in desk.dialled] == [CARD]


async def test_a_card_claimed_by_one_operator_does_not_take_the_click_of_another(desk: Desk) -> None:
    assert desk.clicks.claim(Operator(desk.portal, 8), CARD, "0900")
    desk.event()
    assert desk.dialled == [(desk.seven, "123", CARD)]


async def test_a_page_that_named_another_number_than_the_portal_is_logged(desk: Desk) -> None:
    assert desk.clicks.claim(desk.seven, CARD, "0900")
    with capture_logs() as logs:
        desk.event()
    assert [line["event"] for line in logs] == ["click_numbers_differ"]


async def test_a_call_that_the_bridge_may_have_registered_itself_is_no_click(desk: Desk) -> None:
    desk.ours.add(CARD)
    assert not await desk.may_dial()


async def test_while_the_store_can_not_tell_the_portals_event_decides(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.down = True
    assert not await desk.may_dial()
    desk.event()
    assert desk.dialled


@pytest.mark.parametrize(("line", "ours"), [("", True), ("+4930555", True), ("+4930666", False)])
async def test_a_card_of_another_applications_line_is_no_click_of_ours(desk: Desk, line: str, ours: bool) -> None:
    assert await desk.may_dial(line=line) is ours


async def test_a_portal_may_be_set_to_wait_for_the_event(fake: FakePortal) -> None:
    portal = {"url": fake.url, "client_id": "local.1", "client_secret_env": "S", "dial_from_card": False}
    desk = Desk(fake, portal=[portal])
    assert not await desk.may_dial()


async def test_claims_that_are_remembered_are_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click, "MOST_REMEMBERED", 2)
    assert [desk.clicks.claim(desk.seven, card, "1") for card in "abab"] == [True, True, False, False]
    assert [desk.clicks.claim(desk.seven, card, "1") for card in "cab"] == [True, True, True]
