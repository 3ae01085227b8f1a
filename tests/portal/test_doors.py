"""The doors on the wire: what Bitrix24 posts, what strangers post, and what is answered."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bridge.calls.events import Operator
from bridge.errors import ConfigError, TheirsError
from bridge.portal import click
from bridge.portal.callback import Callbacks
from bridge.portal.callers import Callers
from bridge.portal.click import Clicks, dialled_number
from bridge.portal.doors import Doors
from bridge.portal.errands import Errands
from bridge.portal.form import nested, parse, placement_uri
from bridge.portal.pages import Pages
from bridge.portal.reports import Reports
from bridge.tickets import InstallTicket, PageTicket

from .fake import APPLICATION_TOKEN, MEMBER
from .house import NOW, House, enrolled, spare

FORM = {
    "AUTH_ID": "page-access",
    "AUTH_EXPIRES": "3600",
    "REFRESH_ID": "page-refresh",
    "member_id": MEMBER,
    "status": "L",
    "PLACEMENT": "PAGE_BACKGROUND_WORKER",
    "PLACEMENT_OPTIONS": '{"ID":"PAGE_BACKGROUND_WORKER","URI":"/crm/deal/?IFRAME=Y"}',
    "APPLICATION_TOKEN": APPLICATION_TOKEN,
}
# As a portal posts it; what is of no interest here is in it as well.
CLICK = {
    "event_handler_id": "185",
    "data[PHONE_NUMBER]": "030 / 123 456",
    "data[PHONE_NUMBER_INTERNATIONAL]": "+4930123456",
    "data[EXTENSION]": "",
    "data[USER_ID]": "7",
    "data[CALL_LIST_ID]": "0",
    "data[LINE_NUMBER]": "",
    "data[IS_MOBILE]": "0",
    "data[CALL_ID]": "externalCall.9",
    "data[CRM_ENTITY_TYPE]": "CONTACT",
    "data[CRM_ENTITY_ID]": "12",
    "ts": "1766047124",
    "auth[user_id]": "7",
}


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    directory = tmp_path / "dist"
    directory.mkdir()
    for name in ("worker", "phone", "install"):
        more = ' data-administration="{{administration}}"' if name == "phone" else ""
        (directory / f"{name}.html").write_text(f'<title>{name}</title><body data-ticket="{{{{ticket}}}}"{more}>')
    (directory / "worker-0123.js").write_text("let x = 1;" * 100)
    return directory


class Visitor:
    """A client of the doors that speaks as Bitrix24 does."""

    def __init__(
        self,
        house: House,
        errands: Errands,
        client: TestClient[Any, Any],
        dialled: list[tuple[Operator, str, str]],
        asked: list[tuple[Any, ...]],
        hired: list[str],
    ) -> None:
        self.house, self.errands, self.client, self.dialled, self.asked = house, errands, client, dialled, asked
        self.hired = hired
        """Portals that told of a new colleague."""

    async def post(self, path: str, form: dict[str, str], *, domain: str | None = None) -> ClientResponse:
        query = urlencode(
            {"DOMAIN": self.house.portal if domain is None else domain, "PROTOCOL": "0", "APP_SID": "sid"}
        )
        return await self.client.post(f"{path}?{query}", data=form)

    async def event(self, event: str, *, token: str = APPLICATION_TOKEN, **more: str) -> ClientResponse:
        fields = {"event": event, "auth[member_id]": MEMBER, "auth[application_token]": token}
        response = await self.client.post("/b24/events", data=fields | more)
        await self.errands.settled()
        return response


@asynccontextmanager
async def _visitor(house: House, pages: Path) -> AsyncIterator[Visitor]:
    dialled: list[tuple[Operator, str, str]] = []
    asked: list[tuple[Any, ...]] = []
    hired: list[str] = []
    errands = Errands()
    doors = Doors(
        settings=house.settings,
        seal=house.seal,
        pages=pages,
        portals=house.store.portals,
        installation=house.installation,
        caretaker=house.caretaker,
        errands=errands,
        clock=house.clock,
    )
    reports = Reports(
        portals=house.store.portals,
        installation=house.installation,
        clicks=Clicks(
            settings=house.settings,
            dialled=lambda operator, number, card, _: dialled.append((operator, number, card)),
            known=house.store.outbox.may_have_registered,
            why_not=lambda operator: "" if operator.user == 7 else "not an operator",
        ),
        caretaker=house.caretaker,
        callbacks=Callbacks(
            operators=lambda portal: [Operator(portal, 7)],
            settings=house.settings,
            responsible=Callers(rest=house.rest, name=lambda *_: "", post=lambda _: None).responsible,
            asked=lambda *said: asked.append(said),
        ),
        colleague_came=hired.append,
        errands=errands,
    )
    app = web.Application()
    doors.attach(app)
    reports.attach(app)
    async with errands.running(), TestClient(TestServer(app)) as client:
        yield Visitor(house, errands, client, dialled, asked, hired)


@pytest.fixture
async def visitor(room: House, pages: Path) -> AsyncIterator[Visitor]:
    async with _visitor(room, pages) as made:
        yield made


def _ticket(text: str) -> str:
    found = re.search(r'data-ticket="([^"]+)"', text)
    assert found
    return found[1]


async def test_the_worker_page_carries_what_was_posted_sealed(visitor: Visitor) -> None:
    response = await visitor.post("/b24/worker", FORM)
    text = await response.text()
    assert response.status == 200
    assert response.headers["Content-Security-Policy"] == f"frame-ancestors {visitor.house.fake.url}"
    assert response.headers["Cache-Control"] == "no-store"
    assert "X-Frame-Options" not in response.headers
    assert "page-access" not in text
    assert visitor.house.seal.open(PageTicket, _ticket(text), NOW) == PageTicket(
        auth_id="page-access",
        member_id=MEMBER,
        domain=visitor.house.portal,
        app_sid="sid",
        uri="/crm/deal/?IFRAME=Y",
        placement="PAGE_BACKGROUND_WORKER",
    )
    assert visitor.house.fake.asked == [], "the page waits for nobody"


@pytest.mark.parametrize(
    ("domain", "member"),
    [("stranger.example", "f" * 32), ("stranger.example", MEMBER), (None, "f" * 32), ("", MEMBER)],
    ids=["stranger", "known member, strange domain", "strange member, known domain", "no domain"],
)
@pytest.mark.parametrize("path", ["/b24/worker", "/b24/app", "/b24/install"])
async def test_strangers_get_no_page(visitor: Visitor, path: str, domain: str | None, member: str) -> None:
    response = await visitor.post(path, FORM | {"member_id": member}, domain=domain)
    assert response.status == (400 if domain == "" else 403)
    assert "data-ticket" not in await response.text()


@pytest.mark.parametrize("path", ["/b24/worker", "/b24/app"])
@pytest.mark.parametrize("missing", ["AUTH_ID", "member_id"])
async def test_a_missing_field_is_named(visitor: Visitor, path: str, missing: str) -> None:
    response = await visitor.post(path, {key: value for key, value in FORM.items() if key != missing})
    assert (response.status, await response.text()) == (400, f"The field {missing} is missing.")


@pytest.mark.parametrize("path", ["/b24/worker", "/b24/app", "/b24/install", "/b24/events"])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"AUTH_ID=%ff%fe", "UTF-8"),
        (b"\xff\xfe", "UTF-8"),
        (b"a=" + b"x" * 70_000, "64 KiB"),
        (b"a&" * 500, "200 fields"),
        (b"", "missing"),
        (b"AUTH_ID=" + b"x" * 600 + b"&member_id=" + MEMBER.encode(), "512"),
    ],
)
async def test_a_broken_form_gets_a_sentence(visitor: Visitor, path: str, body: bytes, words: str) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    url = f"{path}?DOMAIN={visitor.house.portal}"
    response = await visitor.client.post(url, data=body, headers=headers)
    if not (path == "/b24/events" and words == "512"):
        assert (response.status, words in await response.text()) == (400, True)


async def test_a_body_without_a_length_is_limited_too(visitor: Visitor) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 4096

    response = await visitor.client.post("/b24/worker", data=endless())
    assert response.status == 400


async def test_the_application_shows_the_phone_once_it_is_installed(visitor: Visitor) -> None:
    text = await (await visitor.post("/b24/app", FORM | {"PLACEMENT": "DEFAULT"})).text()
    assert "<title>phone</title>" in text
    assert visitor.house.seal.open(PageTicket, _ticket(text), NOW).placement == "DEFAULT"


async def test_the_install_page_installs(visitor: Visitor) -> None:
    house = visitor.house
    house.fake.users["page-access"] = ("1", True)
    house.fake.refresh_tokens["page-refresh"] = "1"
    await house.store.portals.change(house.portal, installed=False)
    text = await (await visitor.post("/b24/app", FORM)).text()
    assert "<title>install</title>" in text
    assert not [secret for secret in ("page-access", "page-refresh", APPLICATION_TOKEN) if secret in text]
    ticket = house.seal.open(InstallTicket, _ticket(text), NOW)
    assert (ticket.refresh_id, ticket.expires, ticket.application_token) == (
        "page-refresh",
        NOW + 3600,
        APPLICATION_TOKEN,
    )
    response = await visitor.client.post("/b24/install", json={"ticket": _ticket(text)})
    *steps, report = [json.loads(line) for line in (await response.text()).splitlines()]
    assert report["done"], report
    assert [step["step"] for step in steps] == report["steps"], "told one by one, then all together"
    assert [(step["name"], step["ok"]) for step in report["steps"]][-1] == ("line", True)
    text = await (await visitor.post("/b24/app", FORM)).text()
    assert "<title>phone</title>" in text


async def test_the_initial_installation_path_always_shows_the_install_page(visitor: Visitor) -> None:
    assert "<title>install</title>" in await (await visitor.post("/b24/install", FORM)).text()


@pytest.mark.parametrize(
    ("body", "status"),
    [("{", 400), ("[]", 400), ("{}", 400), ('"x"', 400), ('{"ticket": 5}', 403), ('{"ticket": "forged"}', 403)],
)
async def test_an_installation_needs_a_ticket_of_ours(visitor: Visitor, body: str, status: int) -> None:
    headers = {"Content-Type": "application/json"}
    response = await visitor.client.post("/b24/install", data=body, headers=headers)
    assert response.status == status
    assert (await response.json())["error"]


async def test_a_page_ticket_is_no_install_ticket(visitor: Visitor) -> None:
    text = await (await visitor.post("/b24/worker", FORM)).text()
    response = await visitor.client.post("/b24/install", json={"ticket": _ticket(text)})
    assert response.status == 403


@pytest.mark.parametrize("path", ["/b24/worker", "/b24/app", "/b24/install"])
async def test_a_person_who_opens_a_door_is_told_where_it_belongs(visitor: Visitor, path: str) -> None:
    response = await visitor.client.get(path)
    assert response.status == 200
    assert "inside Bitrix24" in await response.text()


@pytest.mark.parametrize(("clean", "line"), [("0", "+49301"), ("1", "")])
async def test_an_uninstalled_portal_is_closed_and_forgotten_if_it_wishes(
    visitor: Visitor, clean: str, line: str
) -> None:
    house = visitor.house
    await house.store.portals.change(house.portal, line="+49301")
    await house.store.portals.keep_spare(spare(house.fake))
    response = await visitor.event("ONAPPUNINSTALL", **{"data[CLEAN]": clean})
    assert response.status == 200
    stored = house.store.portals.get(house.portal)
    assert stored is not None
    assert (stored.installed, stored.usable, stored.access, stored.refresh) == (False, False, "", "")
    assert (stored.line, stored.trouble) == (line, "removed")
    assert house.store.portals.spares(house.portal) == ()


@pytest.mark.parametrize("known", [True, False], ids=["token stored", "no token stored"])
@pytest.mark.parametrize("token", ["wrong", "", "п" * 20])
async def test_an_event_with_a_wrong_token_changes_nothing(visitor: Visitor, token: str, known: bool) -> None:
    house = visitor.house
    before = await house.store.portals.change(house.portal, application_token=APPLICATION_TOKEN if known else "")
    response = await visitor.event("ONAPPUNINSTALL", token=token)
    assert response.status == (403 if token else 400)
    assert house.store.portals.get(house.portal) == before


async def test_an_event_of_an_unknown_portal_is_refused(visitor: Visitor) -> None:
    response = await visitor.event("ONAPPUNINSTALL", **{"auth[member_id]": "f" * 32})
    assert response.status == 403


async def test_an_update_brings_the_handlers_back_and_its_token_is_proved(visitor: Visitor) -> None:
    response = await visitor.event("ONAPPUPDATE", token="new", **{"auth[access_token]": "forged"})
    assert response.status == 200
    assert visitor.house.fake.placements == []
    await visitor.event("ONAPPUPDATE", token="new", **{"auth[access_token]": "access-0"})
    assert len(visitor.house.fake.placements) == 1
    assert (await visitor.event("ONAPPUNINSTALL")).status == 403, "the old token is worth nothing now"
    assert (await visitor.event("ONAPPUNINSTALL", token="new")).status == 200


async def test_a_new_colleague_is_looked_for_at_once(visitor: Visitor) -> None:
    await visitor.house.store.portals.save(enrolled(visitor.house.fake))
    told = {"data[ID]": "12", "data[NAME]": "Dora"}
    assert (await visitor.event("ONUSERADD", **told)).status == 200
    assert (await visitor.event("OnUserAdd", token="wrong", **told)).status == 403
    assert visitor.hired == [visitor.house.portal]


async def test_a_click_on_a_number_is_dialled_once_however_often_the_portal_says_so(visitor: Visitor) -> None:
    for _ in range(3):
        assert (await visitor.event("onExternalCallStart", **CLICK)).status == 200
    seven = Operator(visitor.house.portal, 7)
    assert visitor.dialled == [(seven, "+4930123456", "externalCall.9")]
    await visitor.event("ONEXTERNALCALLSTART", **CLICK | {"data[CALL_ID]": "externalCall.10"})
    assert visitor.dialled[1:] == [(seven, "+4930123456", "externalCall.10")], "a second click is a second call"
    assert visitor.house.fake.asked == [], "the answer waits for nobody"


async def test_the_clicks_that_are_remembered_are_bounded(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click, "MOST_REMEMBERED", 2)
    for number in (1, 2, 3, 3, 2, 1):
        await visitor.event("ONEXTERNALCALLSTART", **CLICK | {"data[CALL_ID]": f"externalCall.{number}"})
    assert [card[-1] for _, _, card in visitor.dialled] == ["1", "2", "3", "1"]


async def test_a_click_needs_the_portals_token(visitor: Visitor) -> None:
    assert (await visitor.event("ONEXTERNALCALLSTART", token="guessed", **CLICK)).status == 403
    assert visitor.dialled == []


@pytest.mark.parametrize("wrong", [{"data[CALL_ID]": ""}, {"data[USER_ID]": ""}, {"data[USER_ID]": "٣"}])
async def test_a_click_of_nobody_or_for_no_call_is_refused(visitor: Visitor, wrong: dict[str, str]) -> None:
    assert (await visitor.event("ONEXTERNALCALLSTART", **CLICK | wrong)).status == 400
    assert visitor.dialled == []


async def test_a_number_of_a_call_list_without_a_call_is_dialled_once(visitor: Visitor) -> None:
    listed = CLICK | {"data[CALL_ID]": "", "data[CALL_LIST_ID]": "5"}
    for when in ("1", "1", "2"):
        assert (await visitor.event("ONEXTERNALCALLSTART", **listed | {"ts": when})).status == 200
    assert visitor.dialled == [(Operator(visitor.house.portal, 7), "+4930123456", "")] * 2


CALLBACK = {"data[PHONE_NUMBER]": "+49 30 123456", "data[TEXT]": "Call me\n back", "data[LINE_NUMBER]": "", "ts": "1"}


async def test_a_callback_form_is_reported_once_to_the_operators_of_the_portal(visitor: Visitor) -> None:
    for _ in range(3):
        assert (await visitor.event("ONEXTERNALCALLBACKSTART", **CALLBACK)).status == 200
    seven = Operator(visitor.house.portal, 7)
    assert visitor.asked == [([seven], "+4930123456", "", "Call me back")]
    await visitor.event("ONEXTERNALCALLBACKSTART", **CALLBACK | {"ts": "2"})
    assert len(visitor.asked) == 2, "a second wish is a second call"


async def test_a_callback_needs_the_portals_token_and_a_number(visitor: Visitor) -> None:
    assert (await visitor.event("ONEXTERNALCALLBACKSTART", token="guessed", **CALLBACK)).status == 403
    assert (await visitor.event("ONEXTERNALCALLBACKSTART", **CALLBACK | {"data[PHONE_NUMBER]": "x"})).status == 200
    assert visitor.asked == []


async def test_a_click_without_a_number_is_logged_and_let_be(visitor: Visitor) -> None:
    with capture_logs() as logs:
        empty = {"data[PHONE_NUMBER]": "unknown", "data[PHONE_NUMBER_INTERNATIONAL]": ""}
        assert (await visitor.event("ONEXTERNALCALLSTART", **CLICK | empty)).status == 200
    assert visitor.dialled == []
    assert [line["event"] for line in logs] == ["click_without_number"]


async def test_a_click_of_a_user_without_a_telephone_is_passed_on_to_be_ended(visitor: Visitor) -> None:
    with capture_logs() as logs:
        await visitor.event("ONEXTERNALCALLSTART", **CLICK | {"data[USER_ID]": "8"})
    assert visitor.dialled == [(Operator(visitor.house.portal, 8), "+4930123456", "externalCall.9")]
    assert logs[0]["why"] == "not an operator"


@pytest.mark.parametrize(
    ("clicked", "international", "number"),
    [
        ("030 123", "+49 (30) 123-456", "+4930123456"),
        ("*21#", "", "*21#"),
        ("101", "unknown", "101"),
        ("tel:+49 30+5", "", "+49305"),
        ("+", "", ""),
        ("9" * 33, "", ""),
        ("", "", ""),
    ],
)
def test_what_is_dialled_after_a_click(clicked: str, international: str, number: str) -> None:
    assert dialled_number({"PHONE_NUMBER": clicked, "PHONE_NUMBER_INTERNATIONAL": international}) == number


async def test_a_thrown_out_worker_is_reported_by_its_own_address_only(visitor: Visitor) -> None:
    house = visitor.house
    await house.placement.bind_worker(house.portal)
    address = house.fake.placements[0]["options"]["errorHandlerUrl"]
    assert "/b24/worker-error?" in address
    house.fake.placements.clear()
    form = {"error": "ERROR_PLACEMENT_LOADING_OVERTIME", "error_description": "langsam"}
    path = address.removeprefix("http://bridge.localhost:8090")
    assert (await visitor.client.post(path[:-1], data=form)).status == 403
    assert (await visitor.client.post("/b24/worker-error", data=form)).status == 403
    assert house.fake.methods().count("placement.bind") == 1, "nobody believed them"
    assert (await visitor.client.post(path, data=form)).status == 200
    await house.caretaker.tend()
    assert len(house.fake.placements) == 1


async def test_nothing_that_pages_post_reaches_the_log(visitor: Visitor) -> None:
    with capture_logs() as logs:
        await visitor.post("/b24/worker", FORM, domain="stranger.example")
        await visitor.post("/b24/worker", FORM)
        await visitor.event("ONAPPUNINSTALL", token="guessed-token")
    assert logs
    assert not [s for s in ("page-access", "page-refresh", "guessed-token", APPLICATION_TOKEN) if s in repr(logs)]


async def test_a_page_under_a_new_address_is_only_a_hint_to_ask_the_old_one(visitor: Visitor) -> None:
    house = visitor.house
    for _ in range(3):
        assert (await visitor.post("/b24/worker", FORM, domain="new.localhost")).status == 403
        await visitor.errands.settled()
    assert house.fake.methods() == ["server.time"], "asked once, however many pages come"
    assert house.fake.refreshes == [], "the old address still answers: nothing has changed"


async def test_the_administrators_page_needs_a_ticket_of_ours(visitor: Visitor) -> None:
    phone = await (await visitor.post("/b24/app", FORM | {"PLACEMENT": "DEFAULT"})).text()
    found = re.search(r'data-administration="([^"]+)"', phone)
    assert found
    page = await visitor.client.post("/b24/admin", data={"ticket": found[1]})
    assert page.headers["Content-Security-Policy"] == f"frame-ancestors {visitor.house.fake.url}"
    assert "<title>install</title>" in await page.text()
    assert _ticket(await page.text()) == found[1]
    for wrong in ("forged", _ticket(phone)):
        refused = await visitor.client.post("/b24/admin", data={"ticket": wrong})
        assert (refused.status, "too old" in await refused.text()) == (403, True)


async def test_an_administrator_sees_how_things_stand_and_others_do_not(visitor: Visitor) -> None:
    house = visitor.house
    house.fake.users |= {"page-access": ("1", True), "plain": ("7", False)}
    page = await (await visitor.post("/b24/install", FORM)).text()
    response = await visitor.client.post("/b24/install", json={"ticket": _ticket(page), "do": "look"})
    view = await response.json()
    assert {check["name"]: check["ok"] for check in view["state"]} == {
        "application": True, "administrators": True, "Bitrix24": True, "address": True, "worker": True, "line": True,
        "licence": True, "rights": True,
    }  # fmt: skip
    assert (view["installed"], view["choice"]) == (True, {"line": "", "line_name": "Telephone", "region": "RU"})
    page = await (await visitor.post("/b24/install", FORM | {"AUTH_ID": "plain"})).text()
    response = await visitor.client.post("/b24/install", json={"ticket": _ticket(page), "do": "look"})
    assert (response.status, "administrator" in (await response.json())["error"]) == (403, True)
    assert house.fake.refreshes == [], "a look uses nothing up"


async def test_the_administrator_sees_how_the_application_is_licensed_and_what_it_was_not_granted(
    visitor: Visitor,
) -> None:
    house = visitor.house
    house.fake.users |= {"page-access": ("1", True)}
    house.fake.application |= {"STATUS": "T", "DAYS": 3}
    house.fake.scopes = ["placement", "telephony"]
    house.fake.unknown = set()
    page = await (await visitor.post("/b24/install", FORM)).text()
    look = {"ticket": _ticket(page), "do": "look"}
    view = await (await visitor.client.post("/b24/install", json=look)).json()
    said = {check["name"]: (check["ok"], check["text"]) for check in view["state"]}
    assert said["licence"][0] is said["rights"][0] is False
    assert "3 days are left" in said["licence"][1]
    assert "im (administrators can't be told" in said["rights"][1]
    house.fake.unknown = {"app.info"}
    view = await (await visitor.client.post("/b24/install", json=look)).json()
    assert "try again later" in next(check["text"] for check in view["state"] if check["name"] == "licence")


@pytest.mark.parametrize(
    "choice", ["x", {"line": "abc"}, {"line": "+" + "1" * 40}, {"region": "DEU"}, {"line_name": "x" * 200}]
)
async def test_a_choice_that_makes_no_sense_gets_a_sentence(visitor: Visitor, choice: Any) -> None:
    page = await (await visitor.post("/b24/install", FORM)).text()
    response = await visitor.client.post("/b24/install", json={"ticket": _ticket(page), "choice": choice})
    if choice == "x":
        assert response.status == 200, "as if nothing had been chosen"
    else:
        assert (response.status, (await response.json())["error"][-1]) == (400, ".")


async def test_built_files_are_immutable_and_compressed(visitor: Visitor) -> None:
    response = await visitor.client.get("/static/worker-0123.js", headers={"Accept-Encoding": "gzip"})
    assert response.status == 200
    assert response.headers["Content-Encoding"] == "gzip"
    assert "immutable" in response.headers["Cache-Control"]
    assert await response.text() == "let x = 1;" * 100
    for path in ("/static/worker.html", "/static/../house.py", "/static/%2e%2e/bridge.db", "/static/nothing.js"):
        assert (await visitor.client.get(path)).status == 404


async def test_a_renamed_portal_may_frame_its_pages(visitor: Visitor) -> None:
    house = visitor.house
    await house.store.portals.save(enrolled(house.fake, domain="new.localhost"))
    response = await visitor.post("/b24/worker", FORM, domain="NEW.localhost:80")
    assert response.headers["Content-Security-Policy"] == "frame-ancestors http://new.localhost"


def test_pages_that_are_not_built_are_a_fault_of_the_setup(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not built"):
        Pages(tmp_path)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_form_or_a_clear_refusal(body: bytes) -> None:
    try:
        form = parse(body)
    except TheirsError:
        return
    assert all(isinstance(value, str) for value in nested(form, "auth").values())


@given(st.text(max_size=200))
def test_any_placement_options_have_a_uri_or_none(options: str) -> None:
    assert isinstance(placement_uri(options), str)


def test_php_keys_are_read_one_level_deep() -> None:
    form = parse(b"event=ONX&data[FIELDS][ID]=7&auth[member_id]=m&auth%5Bdomain%5D=d&ts=1")
    assert nested(form, "auth") == {"member_id": "m", "domain": "d"}
    assert nested(form, "data") == {}
