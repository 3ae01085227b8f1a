"""The portal's scripts in a real browser: frame protocol, call card, sliders, slow-load hook."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.rig.chromium import Chromium, find_chromium
from tests.rig.page import Page
from tests.rig.waiting import wait_for

from .conftest import BORIS, FINISH, Client
from .standin import StandIn

pytestmark = [pytest.mark.scenario, pytest.mark.skipif(find_chromium() is None, reason="Chromium is not installed")]
WORKER = "PAGE_BACKGROUND_WORKER"
HIDDEN = "/b24/worker"


@pytest.fixture
async def browser() -> AsyncIterator[Chromium]:
    async with Chromium(scripts=()) as one:
        yield one


@pytest.fixture
async def client(client: Client, standin: StandIn) -> Client:
    """The application is installed and its worker bound."""
    await client.portal.auto_install()
    options = {"errorHandlerUrl": f"{standin.origin}/b24/worker-error"}
    await client.result("placement.bind", PLACEMENT=WORKER, HANDLER=f"{standin.origin}/b24/worker", OPTIONS=options)
    return client


async def tab(browser: Chromium, client: Client, path: str = "/", query: str = "") -> Page:
    """A tab of Boris that hears pushes and whose worker has subscribed to everything."""
    open_tabs = client.portal.world.push.tabs(BORIS.id)
    page = await browser.page(f"{client.portal.url}{path}?user=2{query}")
    await wait_for(lambda: client.portal.world.push.tabs(BORIS.id) > open_tabs)
    await page.wait_for("window.ready", frame=HIDDEN)
    return page


async def events(page: Page) -> list[Any]:
    return list(await page.evaluate("heard.splice(0)", frame=HIDDEN))


async def command(page: Page, name: str, params: str = "{}") -> Any:
    return await page.evaluate(f"classic('{name}', {params})", frame=HIDDEN)


async def buttons(page: Page) -> list[str]:
    script = "[...document.querySelectorAll('.call-card [data-button]')].map(one => one.dataset.button)"
    return list(await page.evaluate(script))


async def test_the_frame_protocol_understands_every_grammar(browser: Chromium, client: Client) -> None:
    page = await tab(browser, client, "/crm/deal/")
    for grammar in ("classic('getInitData')", "sdk('getInitData')", "object('getInitData', {})"):
        init = await page.evaluate(grammar, frame=HIDDEN)
        assert init["PLACEMENT_OPTIONS"] == {"ID": WORKER, "URI": "/crm/deal/?user=2"}
        assert (init["PLACEMENT"], init["MEMBER_ID"]) == (WORKER, client.portal.member_id)
    interface = await command(page, "getInterface")
    assert (len(interface["command"]), len(interface["event"])) == (9, 16)
    fresh = await command(page, "refreshAuth")
    assert (await client.rest("profile", token=fresh["AUTH_ID"]))[1]["result"]["ID"] == "2"
    assert await command(page, "openPath", '{path: "/etc/passwd"}') == {
        "result": "error",
        "errorCode": "PATH_NOT_AVAILABLE",
    }
    await page.evaluate("forge('getInitData'); classic('noSuchCommand', {a: 'b:c'}); true", frame=HIDDEN)
    await command(page, "getInitData")  # answered after the two above would have been
    assert await events(page) == []
    assert not page.exceptions


async def test_the_card_obeys_and_its_buttons_only_tell(browser: Chromium, client: Client) -> None:
    page = await tab(browser, client)
    undefined = [{"result": "error", "errorCode": "Call card is undefined"}]
    assert await command(page, "CallCardSetUiState", '{uiState: "incoming"}') == undefined
    call_id = await client.register(PHONE_NUMBER="+442079460101")
    await page.wait_for("heard.length === 2", frame=HIDDEN)
    (_, entity), (name, card) = await events(page)
    assert entity == {"PHONE_NUMBER": "+442079460101", "CRM_ENTITY_TYPE": "CONTACT", "CRM_ENTITY_ID": 11}
    assert (name, card["CALL_ID"], card["CALL_DIRECTION"], card["CALL_STATE"]) == (
        "initialized",
        call_id,
        "incoming",
        "idle",
    )
    assert await buttons(page) == ["close"]

    assert await command(page, "CallCardSetUiState", '{uiState: "ringing"}') == [
        {"result": "error", "errorCode": "Invalid ui state"}
    ]
    assert await command(page, "CallCardSetUiState", '{uiState: "incoming"}') == []
    assert await buttons(page) == ["answer", "skip"]
    await page.click("[data-button=answer]")
    assert await buttons(page) == ["answer", "skip"]
    await command(page, "CallCardSetUiState", '{uiState: "connected"}')
    await page.click("[data-button=mute]")
    await command(page, "CallCardSetMute", "{muted: false}")
    await command(page, "CallCardSetMute", "{muted: true}")
    await page.click("[data-button=mute]")
    await page.click("[data-button=hold]")
    await page.click("[data-button=dialpad]")
    await page.click("[data-choice='7']")
    await page.wait_for("heard.length === 5", frame=HIDDEN)
    clicks = [["muteButtonClick", True], ["muteButtonClick", False], ["holdButtonClick", True]]
    assert await events(page) == [["answerButtonClick", None], *clicks, ["dialpadButtonClick", "7"]]
    assert await page.evaluate("document.querySelector('.card-timer').textContent") != ""

    silent = "Promise.race([classic('CallCardStartTimer', {}), classic('getInitData').then(() => 'silence')])"
    assert await page.evaluate(silent, frame=HIDDEN) == "silence"
    await client.result(FINISH, CALL_ID=call_id, USER_ID=BORIS.id, DURATION=3)
    await page.wait_for("!document.querySelector('.call-card')")
    assert await command(page, "CallCardClose") == undefined


async def test_every_state_shows_its_buttons(browser: Chromium, client: Client) -> None:
    page = await tab(browser, client, query="&prompt=0")
    await client.register()
    await page.wait_for("Boolean(document.querySelector('.call-card'))")
    states = await command(page, "CallCardGetListUiStates")
    shown = {}
    for state in states:
        assert await command(page, "CallCardSetUiState", f'{{uiState: "{state}"}}') == []
        shown[state] = await buttons(page)
    assert shown == {
        "incoming": ["answer", "skip"],
        "transferIncoming": ["answer", "skip"],
        "outgoing": ["call"],
        "connectingIncoming": ["hangup"],
        "connectingOutgoing": ["hangup"],
        "connected": ["hold", "mute", "quality", "transfer", "dialpad", "hangup"],
        "transferring": ["complete", "cancel"],
        "transferFailed": ["cancel"],
        "transferConnected": ["hangup"],
        "error": ["close"],
        "moneyError": ["notifyAdmin", "close"],
        "redial": ["redial"],
    }


async def test_a_tab_opened_later_draws_no_second_card(browser: Chromium, client: Client) -> None:
    first = await tab(browser, client)
    call_id = await client.register()
    await first.wait_for("localStorage.getItem('viExternalCard')")
    second = await tab(browser, client, "/crm/contact/")
    await client.result("telephony.externalCall.show", CALL_ID=call_id)
    await client.result("im.notify", USER_ID=BORIS.id, MESSAGE="the push before this one was received")
    await second.wait_for("Boolean(document.querySelector('.toast'))")
    assert not await second.evaluate("Boolean(document.querySelector('.call-card'))")


async def test_leaving_with_an_unfolded_card_asks_and_a_folded_one_comes_along(
    browser: Chromium, client: Client
) -> None:
    page = await tab(browser, client)
    await client.register()
    await page.wait_for("Boolean(document.querySelector('.call-card'))")
    await page.click("h1")
    await page.navigate(f"{client.portal.url}/crm/deal/?user=2")
    assert len(page.dialogs) == 1
    await page.evaluate("localStorage.clear()")
    client.portal.faults.rate_limit = False
    await wait_for(lambda: _shown_again(client, page))
    await page.click("[data-tool=fold]")
    await page.navigate(f"{client.portal.url}/company/?user=2")
    await page.wait_for("Boolean(document.querySelector('.call-card.folded'))")
    assert len(page.dialogs) == 1


async def _shown_again(client: Client, page: Page) -> bool:
    """The new document may not listen to pushes yet: the card is asked for until it is there."""
    await client.result("telephony.externalCall.show", CALL_ID=client.portal.calls[0].id)
    return bool(await page.evaluate("Boolean(document.querySelector('.call-card'))"))


async def test_a_click_on_a_number_raises_an_outgoing_card_and_tells_the_application(
    browser: Chromium, client: Client, standin: StandIn
) -> None:
    page = await tab(browser, client, "/crm/deal/", "&prompt=0")
    await page.click(".deal a[data-phone='+4930123456']")
    await page.wait_for("document.querySelector('.toast')?.textContent.includes('No application')")
    assert client.portal.calls == []

    await client.result("event.bind", event="ONEXTERNALCALLSTART", handler=f"{standin.origin}/b24/events")
    await page.click(".deal a[data-phone='+4930123456']")
    await page.wait_for("heard.length === 2", frame=HIDDEN)
    card = (await events(page))[1][1]
    assert (card["CALL_DIRECTION"], card["PHONE_NUMBER"]) == ("outgoing", "+4930123456")
    (told,) = await wait_for(lambda: standin.bodies("/b24/events"))
    assert (told["event"], told["data"]["CALL_ID"]) == ("ONEXTERNALCALLSTART", card["CALL_ID"])
    assert (told["data"]["USER_ID"], told["auth"]["member_id"]) == (str(BORIS.id), client.portal.member_id)

    await command(page, "CallCardClose")
    await page.evaluate("classic('imPhoneTo', {phone: '+442079460101'}); true", frame=HIDDEN)
    await page.wait_for("heard.length === 2", frame=HIDDEN)
    await wait_for(lambda: len(standin.bodies("/b24/events")) == 2)
    assert standin.bodies("/b24/events")[1]["data"]["PHONE_NUMBER"] == "+442079460101"


async def test_sliders_stack_and_carry_an_application_and_a_worker_without_a_card(
    browser: Chromium, client: Client, standin: StandIn
) -> None:
    page = await tab(browser, client)
    script = "window.ended = 0; classic('openApplication', {call: 7, bx24_width: 500}).then(() => ended++); true"
    await page.evaluate(script, frame=HIDDEN)
    await page.wait_for("window.ready", frame="/b24/app")
    posted = standin.bodies("/b24/app")[-1]
    assert posted["PLACEMENT"] == "DEFAULT"
    assert '"call": "7"' in posted["PLACEMENT_OPTIONS"]
    await wait_for(lambda: any("IFRAME=Y" in body["PLACEMENT_OPTIONS"] for body in standin.bodies("/b24/worker")))
    copies = await wait_for(lambda: _two_workers(page))
    for copy in copies:
        await page.wait_for("window.ready", frame=copy)
    counted = [len((await page.evaluate("classic('getInterface')", frame=copy))["event"]) for copy in copies]
    assert sorted(counted) == [0, 16]

    await page.evaluate("classic('openPath', {path: '/crm/deal/details/301/'}); true", frame="/b24/app")
    await page.wait_for("document.querySelectorAll('.slider').length === 2")
    await page.key("Escape")
    await page.wait_for("document.querySelectorAll('.slider').length === 1")
    await page.evaluate("classic('closeApplication'); true", frame="/b24/app")
    await page.wait_for("document.querySelectorAll('.slider').length === 0")
    await page.wait_for("ended === 1", frame=HIDDEN)


async def _two_workers(page: Page) -> list[Any]:
    found = await page.frames(HIDDEN)
    return found if len(found) == 2 else []


async def test_a_page_with_the_classic_library_works_offline(browser: Chromium, client: Client) -> None:
    page = await tab(browser, client)
    script = """new Promise((done) => {
        const library = document.createElement("script");
        library.src = `${portal}/api/v1/`;
        library.onload = () => BX24.init(() => done(true));
        document.head.append(library);
    })"""
    assert await page.evaluate(script, frame=HIDDEN)
    info = await page.evaluate("BX24.placement.info()", frame=HIDDEN)
    assert (info["placement"], info["options"]["ID"]) == (WORKER, WORKER)
    called = "new Promise((done) => BX24.callMethod('profile', {}, (result) => done(result.data())))"
    assert (await page.evaluate(called, frame=HIDDEN))["ID"] == str(BORIS.id)
    option = "new Promise((done) => BX24.userOption.set('tone', 'bell', () => done(BX24.userOption.get('tone'))))"
    assert await page.evaluate(option, frame=HIDDEN) == "bell"
    await page.evaluate(
        "window.drawn = []; BX24.placement.bindEvent('BackgroundCallCard::initialized', (card) => drawn.push(card)); true",
        frame=HIDDEN,
    )
    # A subscription is not answered. The portal's page, a process of its own, has it once it answers what came after.
    await page.evaluate("new Promise((done) => BX24.placement.getInterface(done))", frame=HIDDEN)
    call_id = await client.register()
    assert (await page.wait_for("drawn[0]", frame=HIDDEN))["CALL_ID"] == call_id
    states = "new Promise((done) => BX24.placement.call('CallCardGetListUiStates', {}, done))"
    assert len(await page.evaluate(states, frame=HIDDEN)) == 12


async def test_slow_loads_are_reported_and_a_reloading_worker_counts_again(browser: Chromium, client: Client) -> None:
    client.portal.faults.slow_load_ms = 0
    page = await tab(browser, client)

    def slow() -> int:
        return client.portal.world.placements.all[0].slow

    await wait_for(lambda: slow() >= 1)
    before = slow()
    await page.evaluate("location.href = location.href + '#again'; location.reload(); true", frame=HIDDEN)
    await wait_for(lambda: slow() > before)


async def test_late_registration_keeps_the_card_from_the_worker(browser: Chromium, client: Client) -> None:
    client.portal.faults.card_registers_late = 3600
    page = await tab(browser, client)
    assert await command(page, "getInterface") == {"command": [], "event": []}
    await client.register()
    await page.wait_for("Boolean(document.querySelector('.call-card'))")
    await command(page, "getInitData")
    assert await events(page) == []


async def test_the_install_page_finishes_the_installation(browser: Chromium, client: Client) -> None:
    client.portal.uninstall()
    page = await browser.page(f"{client.portal.url}/marketplace/app/1/?user=1")
    await page.wait_for("window.ready", frame="/b24/app")
    assert (await page.evaluate("classic('getInitData')", frame="/b24/app"))["INSTALL"] is True
    await page.evaluate("classic('setInstallFinish', {}); true", frame="/b24/app")
    await page.wait_for("location.search.includes('install_finished=Y')")
    assert client.portal.installed


async def test_the_list_of_calls_updates_itself(browser: Chromium, client: Client) -> None:
    page = await tab(browser, client, "/crm/calls/")
    call_id = await client.register(PHONE_NUMBER="+442079460101")
    await page.wait_for("document.querySelector('tbody tr')?.textContent.includes('in progress')")
    await client.result(FINISH, CALL_ID=call_id, USER_ID=BORIS.id, STATUS_CODE="603")
    await page.wait_for("document.querySelector('tbody tr')?.textContent.includes('603 declined')")
    row = await page.evaluate("document.querySelector('tbody tr').innerText")
    assert all(text in row for text in ("incoming", "Alice Marlow", "+442079460101", "Boris Lang", "00:00"))
