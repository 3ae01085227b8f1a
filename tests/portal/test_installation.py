"""Installing: every step of the happy path, and everything that must stop it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bridge.tickets import InstallTicket

from .fake import APPLICATION_TOKEN, CLIENT_SECRET, MEMBER, FakePortal, refuse
from .house import NOW, Clock, House, enrolled, house

STEPS = ["portal", "token", "administrator", "tokens", "worker", "events"]


@pytest.fixture
async def fresh(fake: FakePortal, clock: Clock, tmp_path: Path) -> AsyncIterator[House]:
    """Nothing is installed yet; an administrator's page holds a token pair."""
    fake.users["page-access"] = ("1", True)
    fake.refresh_tokens["page-refresh"] = "1"
    async with house(fake, tmp_path / "bridge.db", clock=clock) as built:
        yield built


def _ticket(built: House, **changes: Any) -> InstallTicket:
    values: dict[str, Any] = {
        "auth_id": "page-access",
        "refresh_id": "page-refresh",
        "expires": NOW + 3600,
        "member_id": MEMBER,
        "domain": built.portal,
        "server_endpoint": f"{built.fake.oauth}/rest/",
        "application_token": APPLICATION_TOKEN,
    }
    return InstallTicket(**values | changes)


@pytest.mark.parametrize("named", [False, True], ids=["member proved by refresh", "member named by app.info"])
async def test_an_administrator_installs_the_application(fresh: House, named: bool) -> None:
    fresh.fake.member_in_info = named
    with capture_logs() as logs:
        report = await fresh.installation.run(_ticket(fresh))
    assert report.done, report
    assert [step.name for step in report.steps] == STEPS
    stored = fresh.store.portals.get(fresh.portal)
    assert stored is not None
    assert stored.installed
    assert stored.application_token == APPLICATION_TOKEN
    assert stored.admin_user == 1
    assert (stored.access, stored.refresh) == (("page-access", "page-refresh") if named else ("access-1", "refresh-1"))
    (worker,) = fresh.fake.placements
    assert worker["handler"] == "http://bridge.localhost:8090/b24/worker"
    assert fresh.fake.asked[2][1] == {
        "PLACEMENT": "PAGE_BACKGROUND_WORKER",
        "HANDLER": worker["handler"],
        "OPTIONS": {"errorHandlerUrl": worker["options"]["errorHandlerUrl"]},
    }
    assert {row["event"] for row in fresh.fake.handlers} == {
        "ONAPPINSTALL", "ONAPPUPDATE", "ONAPPUNINSTALL", "ONEXTERNALCALLSTART",
    }  # fmt: skip
    text = repr(logs) + repr(report)
    assert not [s for s in ("page-access", "page-refresh", "access-1", CLIENT_SECRET, APPLICATION_TOKEN) if s in text]


async def test_installing_again_changes_nothing(fresh: House) -> None:
    assert (await fresh.installation.run(_ticket(fresh))).done
    placements, handlers = list(fresh.fake.placements), list(fresh.fake.handlers)
    assert (await fresh.installation.run(_ticket(fresh))).done, "the same page, its refresh token already used"
    assert (fresh.fake.placements, fresh.fake.handlers) == (placements, handlers)
    assert fresh.fake.methods().count("placement.bind") == 1


async def test_an_installation_that_broke_off_goes_on(fresh: House) -> None:
    fresh.fake.fail("placement.bind", refuse("INTERNAL_SERVER_ERROR", 500))
    report = await fresh.installation.run(_ticket(fresh))
    assert not report.done
    assert (report.steps[-1].name, report.steps[-1].ok) == ("worker", False)
    stored = fresh.store.portals.get(fresh.portal)
    assert stored is not None
    assert not stored.installed
    assert (await fresh.installation.run(_ticket(fresh))).done


async def test_an_old_worker_is_replaced(fresh: House) -> None:
    old = {"placement": "PAGE_BACKGROUND_WORKER", "userId": 0, "handler": "https://old.example/w", "options": []}
    fresh.fake.placements.append(old)
    assert (await fresh.installation.run(_ticket(fresh))).done
    assert [row["handler"] for row in fresh.fake.placements] == ["http://bridge.localhost:8090/b24/worker"]


async def test_somebody_elses_bind_in_between_is_looked_at_again(fresh: House) -> None:
    fresh.fake.fail("placement.bind", refuse("ERROR_PLACEMENT_MAX_COUNT"))
    assert (await fresh.installation.run(_ticket(fresh))).done


@pytest.mark.parametrize("old_portal", [False, True])
async def test_an_old_portal_does_not_name_its_oauth_server(fresh: House, old_portal: bool) -> None:
    server = "" if old_portal else f"{fresh.fake.oauth}/rest/"
    assert (await fresh.installation.run(_ticket(fresh, server_endpoint=server))).done


@pytest.mark.parametrize(
    ("changes", "step", "words"),
    [
        ({"domain": "stranger.example"}, "portal", "no .*portal"),
        ({"auth_id": "forged"}, "token", "No OAuth server knows"),
        ({"server_endpoint": "https://evil.example/rest/"}, "token", "oauth_hosts"),
        ({"member_id": "f" * 32}, "tokens", "another portal"),
        ({"refresh_id": "forged"}, "tokens", "invalid_grant"),
    ],
)
async def test_a_forged_post_is_refused(fresh: House, changes: dict[str, str], step: str, words: str) -> None:
    report = await fresh.installation.run(_ticket(fresh, **changes))
    assert not report.done
    last = report.steps[-1]
    assert (last.name, last.ok) == (step, False)
    assert re.search(words, last.text), last.text
    assert fresh.store.portals.get(fresh.portal) is None
    assert not fresh.fake.placements


async def test_a_token_of_another_application_is_refused(fresh: House) -> None:
    fresh.fake.client_id = "local.other"
    report = await fresh.installation.run(_ticket(fresh))
    assert "another application" in report.steps[-1].text
    assert fresh.fake.asked == []


async def test_a_plain_user_can_not_install(fresh: House) -> None:
    fresh.fake.users["page-access"] = ("7", False)
    report = await fresh.installation.run(_ticket(fresh))
    assert "Only an administrator" in report.steps[-1].text
    assert fresh.store.portals.get(fresh.portal) is None


async def test_a_worker_that_was_thrown_out_again_is_bound_again_later(room: House) -> None:
    for _ in range(2):
        await room.installation.worker_lost(room.portal)
    assert room.fake.methods().count("placement.bind") == 1
    room.fake.placements.clear()
    await room.installation.worker_lost(room.portal)
    await room.installation.overdue()
    assert room.fake.placements == [], "at once only the first time"
    room.clock.now += 61
    await room.installation.overdue()
    assert len(room.fake.placements) == 1
    await room.installation.overdue()
    assert room.fake.methods().count("placement.bind") == 2


async def test_a_worker_that_is_still_there_is_left_alone(room: House) -> None:
    await room.placement.bind_worker(room.portal)
    await room.installation.worker_lost(room.portal)
    assert room.fake.methods().count("placement.bind") == 1


async def test_a_new_application_token_needs_an_administrators_access_token(room: House) -> None:
    room.fake.users["plain"] = ("7", False)
    assert not await room.installation.adopt(room.portal, "new", "")
    with pytest.raises(Exception, match="administrator"):
        await room.installation.adopt(room.portal, "new", "plain")
    with pytest.raises(Exception, match="refused"):
        await room.installation.adopt(room.portal, "new", "forged")
    assert room.store.portals.get(room.portal) == enrolled(room.fake)
    assert await room.installation.adopt(room.portal, "new", "access-0")
    stored = room.store.portals.get(room.portal)
    assert stored is not None
    assert stored.application_token == "new"
