"""One administrator's tokens die, another one's take their place; what stands against a portal is remembered and told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from bridge.portal import keyring
from bridge.portal.oauth import PortalClosedError
from bridge.portal.trouble import SENTENCES, Trouble, of_rest, sentence

from .fake import refuse
from .house import House, enrolled, spare


def kill(room: House, *users: int) -> None:
    """These administrators are dismissed: their tokens are worth nothing."""
    gone = {str(user) for user in users}
    room.fake.users = {token: who for token, who in room.fake.users.items() if who[0] not in gone}
    room.fake.refresh_tokens = {token: who for token, who in room.fake.refresh_tokens.items() if who not in gone}


async def test_a_second_administrator_stands_in_when_the_firsts_tokens_are_dead(room: House) -> None:
    await room.store.portals.keep_spare(spare(room.fake))
    kill(room, 1)
    answers = await asyncio.gather(*(room.rest.call(room.portal, "profile", {}) for _ in range(5)))
    assert [answer["ID"] for answer in answers] == ["2"] * 5
    stored = room.store.portals.get(room.portal)
    assert stored is not None
    assert (stored.admin_user, stored.needs_login) == (2, False)
    assert [(one.user, one.dead) for one in room.store.portals.spares(room.portal)] == [(1, True)]
    assert room.lost == [(room.portal, 1)]
    assert len(room.fake.refreshes) == 2, "one refresh of each pair for all five who needed it"


async def test_the_stand_ins_new_pair_is_stored_before_it_is_used(room: House) -> None:
    await room.store.portals.keep_spare(spare(room.fake))
    kill(room, 1)
    seen: list[tuple[int, str]] = []

    async def note(do: Any) -> web.Response:
        await room.store.portals.load()
        stored = room.store.portals.get(room.portal)
        assert stored is not None
        seen.append((stored.admin_user, stored.refresh))
        return web.json_response(do())

    room.fake.fail("profile", note)
    await room.rest.call(room.portal, "profile", {})
    assert seen == [(2, "refresh-2")]


async def test_only_when_nobodys_tokens_work_must_somebody_log_in(room: House) -> None:
    for user in (2, 3):
        await room.store.portals.keep_spare(spare(room.fake, user))
    kill(room, 1, 2, 3)
    for _ in range(3):
        with pytest.raises(PortalClosedError, match="An administrator must open the application"):
            await room.rest.call(room.portal, "profile", {})
    assert len(room.fake.refreshes) == 3
    stored = room.store.portals.get(room.portal)
    assert stored is not None
    assert stored.needs_login
    assert all(one.dead for one in room.store.portals.spares(room.portal))


async def test_the_page_of_an_administrator_brings_a_spare_pair_while_the_first_one_works(room: House) -> None:
    second = replace(enrolled(room.fake), admin_user=2, access="a2", refresh="r2", application_token="new")
    assert not await room.keyring.take(second)
    stored = room.store.portals.get(room.portal)
    assert stored is not None
    assert (stored.admin_user, stored.access, stored.application_token) == (1, "access-0", "new")
    assert [(one.user, one.access) for one in room.store.portals.spares(room.portal)] == [(2, "a2")]
    assert await room.keyring.take(replace(second, admin_user=1, access="a1")), "their own new pair replaces the old"
    await room.store.portals.change(room.portal, needs_login=True)
    assert await room.keyring.take(second)
    stored = room.store.portals.get(room.portal)
    assert stored is not None
    assert (stored.admin_user, stored.needs_login) == (2, False)
    assert room.store.portals.spares(room.portal) == ()


async def test_spare_tokens_are_sealed_in_the_store(room: House) -> None:
    await room.store.portals.keep_spare(spare(room.fake))
    text = room.path.read_bytes() + room.path.with_name(room.path.name + "-wal").read_bytes()
    assert b"access-of-2" not in text
    assert b"refresh-of-2" not in text
    await room.store.portals.load()
    assert room.store.portals.spares(room.portal) == (spare(room.fake),)
    assert "access-of-2" not in repr(room.store.portals.spares(room.portal))


@pytest.mark.parametrize("code", ["ACCESS_DENIED", "user_access_error", "INVALID_CREDENTIALS"])
async def test_an_administrator_who_lost_the_right_is_replaced(room: House, code: str) -> None:
    await room.store.portals.keep_spare(spare(room.fake))
    room.fake.users["access-0"] = ("1", False)
    room.fake.fail("placement.get", refuse(code, 403, "Access denied!"))
    assert await room.rest.call(room.portal, "placement.get", {}) == []
    stored = room.store.portals.get(room.portal)
    assert stored is not None
    assert stored.admin_user == 2


async def test_a_refusal_that_is_not_about_the_person_replaces_nobody(room: House) -> None:
    await room.store.portals.keep_spare(spare(room.fake))
    room.fake.fail("placement.get", refuse("ACCESS_DENIED", 403, "Access denied!"))
    with pytest.raises(PortalClosedError, match="ACCESS_DENIED"):
        await room.rest.call(room.portal, "placement.get", {})
    stored = room.store.portals.get(room.portal)
    assert stored is not None
    assert stored.admin_user == 1
    assert room.fake.refreshes == []


async def test_a_plan_without_rest_is_recognised_in_any_language(room: House) -> None:
    """The text is the portal's; but who may not even ask for a profile meets no person's fault."""
    await room.store.portals.keep_spare(spare(room.fake))
    for method in ("placement.get", "profile"):
        room.fake.fail(method, refuse("ACCESS_DENIED", 403, "Nur in kostenpflichtigen Tarifen"))
    with pytest.raises(PortalClosedError, match="free plan"):
        await room.rest.call(room.portal, "placement.get", {})
    stored = room.store.portals.get(room.portal)
    assert stored is not None
    assert (stored.admin_user, stored.trouble) == (1, "plan")


async def test_trouble_is_remembered_and_forgotten_with_the_next_answer(room: House) -> None:
    room.fake.fail("profile", refuse("ACCESS_DENIED", 403, "REST API is available only on commercial plans"))
    with pytest.raises(PortalClosedError, match="commercial plan"):
        await room.rest.call(room.portal, "profile", {})
    await room.store.portals.load()
    stored = room.store.portals.get(room.portal)
    assert stored is not None
    assert stored.trouble == "plan"
    await room.rest.call(room.portal, "profile", {})
    stored = room.store.portals.get(room.portal)
    assert stored is not None
    assert stored.trouble == ""


@pytest.mark.parametrize(
    ("code", "trouble"), [("PAYMENT_REQUIRED", "unpaid"), ("invalid_client", "client"), ("invalid_request", "")]
)
async def test_what_the_oauth_server_refuses_is_told_apart(room: House, code: str, trouble: str) -> None:
    room.fake.expired.add("access-0")
    room.fake.oauth_error = code
    await room.store.portals.keep_spare(spare(room.fake))
    for _ in range(3):
        with pytest.raises(PortalClosedError) as raised:
            await room.rest.call(room.portal, "profile", {})
    assert str(raised.value) == (sentence(trouble) or f"the OAuth server refused: {code}")
    stored = room.store.portals.get(room.portal)
    assert stored is not None
    assert (stored.trouble, stored.needs_login, stored.admin_user) == (trouble, False, 1)
    assert len(room.fake.refreshes) == 1, "an OAuth server that refuses is left in peace for a while"


async def test_an_expired_token_is_refreshed_once_and_the_request_repeated_once(room: House) -> None:
    for _ in range(5):
        room.fake.fail("profile", refuse("expired_token", 401))
    with pytest.raises(PortalClosedError):
        await room.rest.call(room.portal, "profile", {})
    assert (room.fake.methods().count("profile"), len(room.fake.refreshes)) == (2, 1)


async def test_a_portal_that_moved_nowhere_is_in_trouble(room: House) -> None:
    async def redirect(_do: Any) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://evil.example/"})

    room.fake.fail("profile", *[redirect] * 5)
    with pytest.raises(PortalClosedError, match="redirects elsewhere"):
        await room.rest.call(room.portal, "profile", {})
    assert (room.fake.methods(), len(room.fake.refreshes)) == (["profile", "profile"], 1)


async def test_pairs_that_nobody_uses_are_kept_alive(room: House) -> None:
    await room.store.portals.keep_spare(spare(room.fake))
    await room.store.portals.keep_spare(spare(room.fake, 3, dead=True))
    room.clock.now += keyring.IDLE_SECONDS
    await room.keyring.keep_alive()
    assert room.fake.refreshes == []
    room.clock.now += 3601
    await room.keyring.keep_alive()
    assert {query["refresh_token"] for query in room.fake.refreshes} == {"refresh-0", "refresh-of-2"}
    await room.keyring.keep_alive()
    assert len(room.fake.refreshes) == 2


def test_every_trouble_has_a_sentence_that_tells_what_to_do() -> None:
    assert set(SENTENCES) == set(Trouble)
    assert all(text.endswith(".") and ". " in text for text in SENTENCES.values())
    assert sentence("nonsense") == ""
    assert of_rest("ACCESS_DENIED", "Access denied!") is None
