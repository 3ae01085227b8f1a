from __future__ import annotations

import html
import json
import re
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from bridge.demo.portal import InstallError, Portal
from tests.rig.waiting import wait_for

from .conftest import ANNA, BORIS, Client
from .standin import StandIn

LAZYLOAD = "/bitrix/components/bitrix/app.layout/lazyload.ajax.php"
WORKER = "PAGE_BACKGROUND_WORKER"


@pytest.fixture
async def installed(client: Client, standin: StandIn) -> Client:
    await client.portal.auto_install()
    options = {"errorHandlerUrl": f"{standin.origin}/b24/worker-error?t=1"}
    await client.result("placement.bind", PLACEMENT=WORKER, HANDLER=f"{standin.origin}/b24/worker?x=1", OPTIONS=options)
    return client


def fields_of(text: str) -> dict[str, str]:
    return {key: html.unescape(value) for key, value in re.findall(r'name="([^"]+)" value="([^"]*)"', text)}


async def worker(client: Client) -> str:
    return await client.text(LAZYLOAD, user=BORIS, form={"PLACEMENT": WORKER, "URI": "/crm/deal/?a=1"})


async def test_query_and_body_are_split_as_bitrix24_does(installed: Client) -> None:
    text = await worker(installed)
    action = html.unescape(re.findall(r'action="([^"]+)"', text)[0])
    query = parse_qs(urlsplit(action).query)
    sid = query["APP_SID"][0]
    domain = installed.portal.world.domain
    assert {key: value[0] for key, value in query.items()} == {
        "x": "1", "DOMAIN": domain, "PROTOCOL": "0", "LANG": "en", "APP_SID": sid,
    }  # fmt: skip
    assert re.fullmatch("[0-9a-f]{32}", sid)
    assert f'id="appframe_{sid}" name="{domain}|0|{sid}"' in text
    assert 'allow="geolocation *; microphone *; camera *; autoplay *;"' in text
    assert "sandbox" not in text
    fields = fields_of(text)
    assert json.loads(fields.pop("PLACEMENT_OPTIONS")) == {"ID": WORKER, "URI": "/crm/deal/?a=1"}
    assert fields.keys() == {
        "AUTH_ID", "AUTH_EXPIRES", "REFRESH_ID", "SERVER_ENDPOINT", "APPLICATION_TOKEN", "APPLICATION_SCOPE",
        "member_id", "status", "PLACEMENT",
    }  # fmt: skip
    assert (await installed.rest("profile", token=fields["AUTH_ID"]))[1]["result"]["ID"] == str(BORIS.id)


async def test_every_rendering_has_its_own_sid_and_tokens(installed: Client) -> None:
    first, second = await worker(installed), await worker(installed)
    assert fields_of(first)["AUTH_ID"] != fields_of(second)["AUTH_ID"]
    assert re.findall("appframe_[0-9a-f]+", first) != re.findall("appframe_[0-9a-f]+", second)


async def test_an_old_portal_omits_fields_and_delegation(installed: Client) -> None:
    installed.portal.faults.old_portal = True
    installed.portal.faults.allow = "none"
    text = await worker(installed)
    assert "SERVER_ENDPOINT" not in text
    assert "allow=" not in text


async def test_options_of_the_application_arrive_as_strings(installed: Client) -> None:
    form = {"PLACEMENT": "DEFAULT", "PLACEMENT_OPTIONS": '{"call": 7, "on": true, "deep": {"n": 1.5}}'}
    fields = fields_of(await installed.text(LAZYLOAD, form=form))
    assert json.loads(fields["PLACEMENT_OPTIONS"]) == {"call": "7", "on": "true", "deep": {"n": "1.5"}}


async def test_no_worker_before_installation_and_only_an_administrator_sees_the_installer(client: Client) -> None:
    assert await worker(client) == ""
    assert "not fully installed" in await client.text(LAZYLOAD, user=BORIS, form={"PLACEMENT": "DEFAULT"})
    assert "<iframe" in await client.text(LAZYLOAD, user=ANNA, form={"PLACEMENT": "DEFAULT"})


async def test_a_stranger_gets_no_tokens(client: Client) -> None:
    for path in (LAZYLOAD, "/bitrix/services/main/ajax.php"):
        async with client.http.post(f"{client.base}{path}", data={"action": "refreshAuth"}) as response:
            assert response.status == 403


async def test_every_page_embeds_the_hidden_container(installed: Client) -> None:
    pages = ["/", "/crm/deal/", "/crm/contact/", "/crm/calls/", "/company/", "/marketplace/app/1/"]
    details = ["/crm/deal/details/301/", "/crm/contact/details/11/", "/crm/company/details/21/"]
    for path in [*pages, *details, "/slider/app/1/"]:
        assert f'<div id="intranet-placement-{WORKER}" style="display:none">' in await installed.text(path)


async def test_texts_in_pages_are_escaped(installed: Client) -> None:
    async with installed.http.get(
        f"{installed.base}/slider/app/1/", params={"user": "1", "params": '"><script>x</script>', "IFRAME": "Y"}
    ) as response:
        assert "<script>x" not in await response.text()


async def test_pages_lead_to_the_front_page_until_somebody_signs_in(client: Client) -> None:
    async with client.http.get(f"{client.base}/crm/deal/", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (302, "/")
    assert "Who are you?" in await client.text("/", user=None)
    async with client.http.get(f"{client.base}/sign-in?user=2", allow_redirects=False) as response:
        assert "portal_user=2" in response.headers["Set-Cookie"]


async def test_the_installation_follows_the_administrators_steps(client: Client, standin: StandIn) -> None:
    await client.portal.auto_install()
    (frame,) = standin.bodies("/b24/app")
    assert frame["PLACEMENT"] == "DEFAULT"
    assert standin.bodies("/b24/install") == [{"ticket": "a&b"}]
    assert client.portal.installed
    assert await client.portal.auto_install() == ["already installed"]


async def test_a_failed_installer_leaves_the_application_uninstalled(client: Client, standin: StandIn) -> None:
    standin.answer_install = 502
    with pytest.raises(InstallError, match="502"):
        await client.portal.auto_install()
    assert not client.portal.installed


async def test_events_reach_handlers_only_once_installed(client: Client, standin: StandIn) -> None:
    for event in ("ONAPPINSTALL", "ONAPPUNINSTALL", "ONVOXIMPLANTCALLINIT"):
        await client.result("event.bind", event=event, handler=f"{standin.origin}/b24/events")
    await client.register()  # nobody is told
    await client.portal.auto_install()
    await wait_for(lambda: standin.bodies("/b24/events"))
    (told,) = standin.bodies("/b24/events")
    assert (told["event"], told["data"]["INSTALLED"]) == ("ONAPPINSTALL", "Y")
    assert told["auth"]["member_id"] == client.portal.member_id
    assert {"access_token", "refresh_token", "application_token"} <= told["auth"].keys()


async def test_the_uninstall_event_carries_no_tokens(installed: Client, standin: StandIn) -> None:
    await installed.result("event.bind", event="ONAPPUNINSTALL", handler=f"{standin.origin}/b24/events")
    token = installed.token()
    installed.portal.uninstall()
    await wait_for(lambda: standin.bodies("/b24/events"))
    (told,) = standin.bodies("/b24/events")
    assert told["data"] == {"LANGUAGE_ID": "en", "CLEAN": "1"}
    assert told["auth"].keys() == {"domain", "member_id", "application_token"}
    assert await installed.error("profile", token=token) == (401, "NO_AUTH_FOUND")


async def test_a_worker_that_is_too_slow_is_removed_and_its_owner_told(installed: Client, standin: StandIn) -> None:
    installed.portal.faults.slow_load_limit = 2
    binding = installed.portal.world.placements.all[0].id
    for _ in range(3):
        form = {"action": "setLongLoad", "id": str(binding), "ms": "5100"}
        await installed.text("/bitrix/services/main/ajax.php", form=form)
    await wait_for(lambda: standin.bodies("/b24/worker-error"))
    (told,) = standin.bodies("/b24/worker-error")
    assert told["error"] == "ERROR_PLACEMENT_LOADING_OVERTIME"
    assert await installed.result("placement.get") == []


async def test_click_to_call_registers_and_tells_the_application(installed: Client, standin: StandIn) -> None:
    url = "/bitrix/services/main/ajax.php"
    refused = json.loads(await installed.text(url, form={"action": "clickToCall", "phone": "+4930123456"}))
    assert "error" in refused
    await installed.result("event.bind", event="ONEXTERNALCALLSTART", handler=f"{standin.origin}/b24/events")
    answer = json.loads(await installed.text(url, form={"action": "clickToCall", "phone": "+4930123456"}))
    await wait_for(lambda: standin.bodies("/b24/events"))
    data = standin.bodies("/b24/events")[0]["data"]
    assert (data["CALL_ID"], data["USER_ID"]) == (answer["callId"], str(ANNA.id))
    assert data["PHONE_NUMBER_INTERNATIONAL"] == "+4930123456"
    assert installed.portal.calls[0].direction == "outgoing"


async def test_a_click_on_a_strangers_number_makes_a_lead(installed: Client, standin: StandIn) -> None:
    await installed.result("event.bind", event="ONEXTERNALCALLSTART", handler=f"{standin.origin}/b24/events")
    form = {"action": "clickToCall", "phone": "+33 1 5555 0199"}
    await installed.text("/bitrix/services/main/ajax.php", form=form)
    (call,) = installed.portal.calls
    assert (call.number, call.entity_kind, call.finished) == ("+33155550199", "LEAD", None)


async def test_a_click_whose_event_is_lost_leaves_the_call_open(installed: Client, standin: StandIn) -> None:
    await installed.result("event.bind", event="ONEXTERNALCALLSTART", handler=f"{standin.origin}/b24/events")
    installed.portal.faults.events_lost = True
    url, form = "/bitrix/services/main/ajax.php", {"action": "clickToCall", "phone": "+4930123456"}
    await installed.text(url, form=form)
    installed.portal.faults.events_lost = False
    second = json.loads(await installed.text(url, form=form))["callId"]
    await wait_for(lambda: standin.bodies("/b24/events"))
    assert [body["data"]["CALL_ID"] for body in standin.bodies("/b24/events")] == [second]
    assert [call.finished for call in installed.portal.calls] == [None, None]


async def test_call_me_rings_the_signed_in_user_and_reports_trouble(standin: StandIn) -> None:
    rung: list[int] = []

    async def call_me(user: int) -> None:
        if rung:
            raise OSError("the PBX is off")
        rung.append(user)

    portal = Portal(port=0, app=standin.app, users=[ANNA, BORIS], call_me=call_me)
    async with portal.running(), aiohttp.ClientSession() as http:
        client = Client(portal, http)
        await client.text("/sim/call-me", user=BORIS, form={})
        assert rung == [BORIS.id]
        async with http.post(f"{client.base}/sim/call-me?user=2") as response:
            assert (response.status, "the PBX is off" in await response.text()) == (502, True)


# ---- the life of an application


async def test_a_renamed_portal_redirects_under_its_old_name_and_stays_itself(installed: Client) -> None:
    portal, old = installed.portal, installed.portal.world.domain
    member = portal.member_id
    async with installed.http.post(f"{installed.base}/sim/rename?host=renamed.localhost") as response:
        assert response.status == 200
    url = f"{installed.base}/rest/server.time"
    async with installed.http.post(url, headers={"Host": old}, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (302, f"{portal.url}/rest/server.time")
    assert (portal.member_id, portal.url.split(":")[1]) == (member, "//renamed.localhost")
    grant = portal.world.issue(ANNA.id)
    query = {"grant_type": "refresh_token", "refresh_token": grant.refresh}
    app = portal.world.app
    _, body = await installed.oauth(**query, client_id=app.client_id, client_secret=app.client_secret)
    assert (body["member_id"], body["client_endpoint"]) == (member, f"{portal.url}/rest/")


async def test_an_update_changes_the_token_and_takes_the_handlers(installed: Client, standin: StandIn) -> None:
    await installed.result("event.bind", event="ONAPPUPDATE", handler=f"{standin.origin}/b24/events")
    before = installed.portal.world.application_token
    await installed.text("/sim/update", form={})
    await wait_for(lambda: standin.bodies("/b24/events"))
    told = standin.bodies("/b24/events")[0]
    assert (told["data"]["VERSION"], told["data"]["PREVIOUS_VERSION"]) == ("2", "1")
    assert told["auth"]["application_token"] != before
    assert told["auth"]["refresh_token"]
    assert await installed.result("event.get") == []


async def test_who_was_dismissed_has_no_tokens_any_more(installed: Client) -> None:
    grant = installed.portal.world.issue(BORIS.id)
    await installed.text("/sim/dismiss?user=2", form={})
    assert (await installed.rest("profile", token=grant.access))[1]["error"] == "NO_AUTH_FOUND"
    app = installed.portal.world.app
    query = {"grant_type": "refresh_token", "refresh_token": grant.refresh, "client_id": app.client_id}
    assert (await installed.oauth(**query, client_secret=app.client_secret))[1]["error"] == "invalid_grant"


async def test_what_is_not_paid_for_is_refused(installed: Client) -> None:
    grant, app, faults = installed.portal.world.issue(ANNA.id), installed.portal.world.app, installed.portal.faults
    faults.unpaid = True
    query = {"grant_type": "refresh_token", "refresh_token": grant.refresh, "client_id": app.client_id}
    assert (await installed.oauth(**query, client_secret=app.client_secret))[1]["error"] == "PAYMENT_REQUIRED"
    assert (await installed.result("app.info"))["PAYMENT_EXPIRED"] == "Y"
    faults.plan_ended = True
    assert await installed.error("profile") == (403, "ACCESS_DENIED")


@pytest.mark.parametrize("path", ["/sim/rename?host=evil.example", "/sim/dismiss?user=x", "/sim/slow-load?times=-1"])
async def test_an_order_that_makes_no_sense_gets_a_sentence(installed: Client, path: str) -> None:
    async with installed.http.post(f"{installed.base}{path}") as response:
        assert response.status == 400


async def test_every_secret_that_was_given_away_is_known(installed: Client) -> None:
    grant = installed.portal.world.issue(ANNA.id)
    held = installed.portal.secrets
    assert {grant.access, grant.refresh, installed.portal.world.application_token} <= held
    assert installed.portal.world.app.client_secret in held
