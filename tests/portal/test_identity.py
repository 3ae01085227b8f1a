"""Who a page belongs to is asked of the enrolled portal, and of nobody else."""

from __future__ import annotations

import pytest

from bridge.errors import NetworkError, RefusedError, TicketError
from bridge.tickets import PageTicket

from .fake import MEMBER, refuse
from .house import House


def _ticket(room: House, auth_id: str = "page", **changes: str) -> PageTicket:
    values = {
        "auth_id": auth_id,
        "member_id": MEMBER,
        "domain": room.portal,
        "app_sid": "s",
        "uri": "/",
        "placement": "PAGE_BACKGROUND_WORKER",
    }
    return PageTicket(**values | changes)


async def test_an_operator_is_recognised_and_asked_for_only_once(room: House) -> None:
    room.fake.users["page"] = ("7", False)
    for _ in range(3):
        session = await room.identity.identify(_ticket(room))
        assert (session.portal, session.member_id, session.user, session.name) == (room.portal, MEMBER, 7, "Anna Berg")
    assert room.fake.methods() == ["profile"]
    room.clock.now += 3601
    await room.identity.identify(_ticket(room))
    assert room.fake.methods() == ["profile", "profile"]


async def test_a_user_who_is_no_operator_is_told_what_to_do(room: House) -> None:
    room.fake.users["page"] = ("8", True)
    with pytest.raises(RefusedError, match="not set up as an operator: ask your administrator to add user 8"):
        await room.identity.identify(_ticket(room))


async def test_an_inactive_user_is_refused(room: House) -> None:
    room.fake.users["page"] = ("", False)
    with pytest.raises(RefusedError, match="active"):
        await room.identity.identify(_ticket(room))


async def test_a_stale_token_is_an_expired_ticket(room: House) -> None:
    room.fake.users["page"] = ("7", False)
    room.fake.expired.add("page")
    with pytest.raises(TicketError) as caught:
        await room.identity.identify(_ticket(room))
    assert caught.value.expired
    assert room.fake.refreshes == [], "a page's token is never refreshed here"


async def test_a_portal_in_trouble_is_worth_another_try(room: House) -> None:
    room.fake.users["page"] = ("7", False)
    room.fake.fail("profile", refuse("INTERNAL_SERVER_ERROR", 500))
    with pytest.raises(NetworkError):
        await room.identity.identify(_ticket(room))
    assert (await room.identity.identify(_ticket(room))).user == 7


@pytest.mark.parametrize("changes", [{"member_id": "f" * 32}, {"domain": "evil.example"}, {"domain": "127.0.0.1:22"}])
async def test_a_foreign_portal_or_domain_is_never_called(room: House, changes: dict[str, str]) -> None:
    with pytest.raises(RefusedError):
        await room.identity.identify(_ticket(room, **changes))
    assert room.fake.asked == []
