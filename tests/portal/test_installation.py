"""Installing: every step of the happy path, and everything that must stop it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from bridge.portal.installation import Choice
from bridge.portal.standing import Check
from bridge.tickets import InstallTicket

from .fake import APPLICATION_TOKEN, CLIENT_SECRET, MEMBER, FakePortal, refuse
from .house import NOW, Clock, House, enrolled, house

STEPS = ["portal", "token", "administrator", "tokens", "worker", "events", "line"]


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
        "ONAPPINSTALL", "ONAPPUPDATE", "ONAPPUNINSTALL", "ONAPPPAYMENT", "ONEXTERNALCALLSTART",
        "ONEXTERNALCALLBACKSTART", "ONUSERADD",
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


async def test_a_second_administrator_installs_too_and_stands_in_reserve(fresh: House) -> None:
    assert (await fresh.installation.run(_ticket(fresh))).done
    fresh.fake.users["second-access"] = ("2", True)
    fresh.fake.refresh_tokens["second-refresh"] = "2"
    report = await fresh.installation.run(_ticket(fresh, auth_id="second-access", refresh_id="second-refresh"))
    assert report.done
    assert "in reserve" in next(step.text for step in report.steps if step.name == "tokens")
    assert [spare.user for spare in fresh.store.portals.spares(fresh.portal)] == [2]
    assert fresh.fake.methods().count("placement.bind") == 1


async def test_the_line_is_added_once_renamed_and_remembered(fresh: House) -> None:
    first = Choice(line="+49301", line_name="Front desk", region="DE")
    for _ in range(2):
        assert (await fresh.installation.run(_ticket(fresh), first)).done
    assert fresh.fake.lines == {"+49301": "Front desk"}
    assert fresh.fake.methods().count("telephony.externalline.add") == 1
    assert (await fresh.installation.run(_ticket(fresh), replace(first, line_name="Sales"))).done
    assert fresh.fake.lines == {"+49301": "Sales"}
    stored = fresh.store.portals.get(fresh.portal)
    assert stored is not None
    assert (stored.line, stored.region, stored.lines) == ("+49301", "DE", ("+49301",))
    assert (await fresh.installation.run(_ticket(fresh))).done, "without a choice the last one holds"
    assert fresh.fake.lines == {"+49301": "Sales"}
    await fresh.store.portals.load()
    assert fresh.store.portals.get(fresh.portal) == stored


async def test_a_line_that_somebody_added_meanwhile_is_no_error(fresh: House) -> None:
    fresh.fake.fail("telephony.externalline.get", _no_lines)
    fresh.fake.lines["+49301"] = "Front desk"
    assert (await fresh.installation.run(_ticket(fresh), Choice(line="+49301", line_name="Front desk"))).done


async def test_a_line_of_another_application_stops_the_installation_with_its_reason(fresh: House) -> None:
    fresh.fake.fail("telephony.externalline.add", refuse("ERROR_CORE", 400, "Line already exists"))
    report = await fresh.installation.run(_ticket(fresh), Choice(line="+49301"))
    assert (report.steps[-1].name, report.steps[-1].ok) == ("line", False)
    assert "Line already exists" in report.steps[-1].text
    stored = fresh.store.portals.get(fresh.portal)
    assert stored is not None
    assert not stored.installed


async def _no_lines(_do: Any) -> web.Response:
    return web.json_response({"result": []})


@pytest.mark.parametrize(
    ("method", "code", "text", "words"),
    [
        ("profile", "ACCESS_DENIED", "REST API is available only on commercial plans", "Choose a commercial plan"),
        ("placement.bind", "PAYMENT_REQUIRED", "", "Renew it"),
        ("placement.bind", "ERROR_WRONG_HANDLER_URL", "Wrong handler URL", "Wrong handler URL"),
    ],
)
async def test_what_stops_an_installation_is_said_in_words(
    fresh: House, method: str, code: str, text: str, words: str
) -> None:
    fresh.fake.fail(method, refuse(code, 403, text))
    report = await fresh.installation.run(_ticket(fresh))
    assert not report.done
    assert words in report.steps[-1].text


async def test_an_unpaid_application_is_not_taken_for_an_unknown_one(fresh: House) -> None:
    fresh.fake.oauth_error = "PAYMENT_REQUIRED"
    report = await fresh.installation.run(_ticket(fresh))
    assert "Renew it" in report.steps[-1].text


async def test_each_step_is_told_when_it_is_done(fresh: House) -> None:
    told: list[Check] = []

    async def tell(step: Check) -> None:
        told.append(step)
        assert (len(fresh.fake.placements) == 1) == (len(told) >= STEPS.index("worker") + 1)

    report = await fresh.installation.run(_ticket(fresh), tell=tell)
    assert tuple(told) == report.steps


@pytest.mark.parametrize(
    ("lines", "dialled", "line"),
    [((), "100", None), (("+49301",), "100", "+49301"), (("+49301", "100"), "100", "100"), (("100",), "7", None)],
    ids=["no line", "the portal's own", "the dialled one", "neither"],
)
async def test_calls_are_registered_on_a_line_that_the_portal_has(
    room: House, lines: tuple[str, ...], dialled: str, line: str | None
) -> None:
    await room.store.portals.change(room.portal, line="+49301", lines=lines)
    async with room.telephony.running():
        await room.telephony.perform(room.register("c1", line=dialled))
        await room.until(lambda: len(room.fake.live) == 1)
    assert room.fake.live[0].params.get("LINE_NUMBER") == line


async def test_a_line_that_was_deleted_in_the_portal_costs_no_call(room: House) -> None:
    await room.store.portals.change(room.portal, line="+49301", lines=("+49301",))
    room.fake.fail(
        "telephony.externalcall.register", refuse("ERROR_CORE", 400, "Could not find line with number +49301")
    )
    async with room.telephony.running():
        await room.telephony.perform(room.register("c1"))
        await room.until(lambda: len(room.fake.live) == 1)
    assert "LINE_NUMBER" not in room.fake.live[0].params
