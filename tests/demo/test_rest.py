from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.demo.portal import Portal, RestFault

from .conftest import ANNA, BORIS, FINISH, REGISTER, Client
from .standin import StandIn

WORKER = "PAGE_BACKGROUND_WORKER"


async def bind(client: Client, **changes: Any) -> tuple[int, dict[str, Any]]:
    origin = client.portal.world.app.origin
    options = {"errorHandlerUrl": f"{origin}/b24/worker-error"}
    given = {"PLACEMENT": WORKER, "HANDLER": f"{origin}/b24/worker", "OPTIONS": options, **changes}
    return await client.rest("placement.bind", **given)


# ---- authorisation and envelope


async def test_a_success_carries_the_time_block(client: Client) -> None:
    status, body = await client.rest("profile.json")
    assert (status, body["result"]["ID"], body["result"]["ADMIN"]) == (200, "1", True)
    assert {"start", "finish", "duration", "operating"} <= body["time"].keys()


async def test_json_bodies_and_get_queries_are_understood(client: Client) -> None:
    body = {"auth": client.token(), "FILTER": {"UF_PHONE_INNER": "102"}}
    async with client.http.post(f"{client.base}/rest/user.get", json=body) as response:
        assert [user["ID"] for user in (await response.json())["result"]] == ["2"]
    async with client.http.get(f"{client.base}/rest/profile", params={"auth": client.token(BORIS)}) as response:
        assert (await response.json())["result"]["ADMIN"] is False


async def test_garbage_is_no_auth_found(client: Client) -> None:
    assert await client.error("profile", token="garbage") == (401, "NO_AUTH_FOUND")


async def test_an_expired_token_is_told_apart_from_garbage(client: Client) -> None:
    token = client.token()
    client.portal.expire_tokens()
    assert await client.error("profile", token=token) == (401, "expired_token")


async def test_an_unknown_method_is_not_found(client: Client) -> None:
    assert await client.error("no.such.method") == (404, "ERROR_METHOD_NOT_FOUND")


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"x"'])
async def test_bodies_that_are_no_objects_do_no_harm(client: Client, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    async with client.http.post(f"{client.base}/rest/profile", data=body, headers=headers) as response:
        assert response.status in {400, 401}


async def test_the_fifty_first_request_of_a_burst_exceeds_the_limit(client: Client) -> None:
    token = client.token()
    for _ in range(50):
        await client.rest("server.time", token=token)
    refused = [await client.rest("server.time", token=token) for _ in range(10)]
    assert (503, "QUERY_LIMIT_EXCEEDED") in [(status, body.get("error")) for status, body in refused]
    client.portal.faults.rate_limit = False
    assert (await client.rest("server.time", token=token))[0] == 200


async def test_the_log_names_method_parameters_and_error_but_no_token(client: Client) -> None:
    await client.rest(FINISH, CALL_ID="unknown", USER_ID=1)
    entry = client.portal.requests[-1]
    assert (entry.method, entry.error, entry.status) == (FINISH.lower(), "ERROR_CORE", 400)
    assert entry.params == {"CALL_ID": "unknown", "USER_ID": "1"}


# ---- placements


async def test_an_administrator_binds_gets_and_unbinds_the_worker(client: Client) -> None:
    status, body = await bind(client)
    assert (status, body["result"]) == (200, True)
    (row,) = await client.result("placement.get")
    assert row["placement"] == WORKER
    assert row["options"]["errorHandlerUrl"].endswith("/b24/worker-error")
    assert await client.result("placement.unbind", PLACEMENT=WORKER) == {"count": 2}
    assert await client.result("placement.get") == []


async def test_only_an_administrator_binds(client: Client) -> None:
    for method in ("placement.bind", "placement.get", "placement.unbind"):
        assert await client.error(method, user=BORIS) == (403, "ACCESS_DENIED")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"HANDLER": ""}, "ERROR_ARGUMENT"),
        ({"PLACEMENT": "DEFAULT"}, "ERROR_PLACEMENT_NOT_FOUND"),
        ({"HANDLER": "http://localhost/x"}, "ERROR_WRONG_HANDLER_URL"),
        ({"HANDLER": "ftp://a.b/x"}, "ERROR_UNSUPPORTED_PROTOCOL"),
        ({"PLACEMENT": "LEFT_MENU", "USER_ID": 2}, "ERROR_PLACEMENT_USER_MODE"),
    ],
)
async def test_bind_errors(client: Client, changes: dict[str, Any], error: str) -> None:
    status, body = await bind(client, **changes)
    assert (status, body["error"]) == (400, error)
    client.portal.faults.bind_error_status = 200
    assert (await bind(client, **changes))[0] == 200


async def test_a_missing_error_url_is_an_error_inside_the_result(client: Client) -> None:
    status, body = await bind(client, OPTIONS={"other": "x"})
    assert status == 200
    assert isinstance(body["result"], dict)
    assert body["result"]["error"] == "EMPTY_ERROR_HANDLER_URL"


async def test_a_second_worker_is_too_many(client: Client) -> None:
    await bind(client)
    assert (await bind(client))[1]["error"] == "ERROR_PLACEMENT_MAX_COUNT"


async def test_the_same_event_handler_is_bound_once(client: Client) -> None:
    url = f"{client.portal.world.app.origin}/b24/events"
    assert await client.result("event.bind", event="onAppUninstall", handler=url) is True
    assert await client.error("event.bind", event="onAppUninstall", handler=url) == (400, "ERROR_CORE")
    assert [row["event"] for row in await client.result("event.get")] == ["ONAPPUNINSTALL"]
    assert await client.result("event.unbind", event="ONAPPUNINSTALL", handler=url) == {"count": 1}


# ---- telephony


async def test_a_repeated_register_gives_the_same_call(client: Client) -> None:
    first = await client.register()
    assert await client.register() == first
    assert await client.register(EXTERNAL_CALL_ID="call-2") != first
    assert len(client.portal.calls) == 2


async def test_the_second_finish_fails(client: Client) -> None:
    call_id = await client.register()
    record = await client.result(FINISH, CALL_ID=call_id, USER_ID=2, DURATION=61)
    assert (record["CALL_FAILED_CODE"], record["CALL_DURATION"], record["CALL_START_DATE"]) == ("200", 61, {})
    assert await client.error(FINISH, CALL_ID=call_id, USER_ID=2) == (400, "ERROR_CORE")
    (call,) = client.portal.calls
    assert (call.status, call.duration, call.user, call.direction) == ("success", 61, 2, "incoming")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"USER_ID": ""}, "USER_ID or USER_PHONE_INNER should be set"),
        ({"USER_ID": 99}, "User is not found or is not active"),
        ({"USER_ID": "", "USER_PHONE_INNER": "999"}, "User is not found or is not active"),
        ({"PHONE_NUMBER": "nobody"}, "Unsupported phone number format"),
        ({"TYPE": 9}, "Unknown TYPE"),
        ({"CALL_START_DATE": "yesterday"}, "CALL_START_DATE should be in the ISO-8601 format"),
        ({"LINE_NUMBER": "300"}, "Could not find line with number 300"),
    ],
)
async def test_register_says_what_is_wrong(client: Client, changes: dict[str, Any], text: str) -> None:
    given = {"USER_ID": 2, "PHONE_NUMBER": "+49305550100", "TYPE": 2, **changes}
    status, body = await client.rest(REGISTER, **given)
    assert (status, body["error"], body["error_description"]) == (400, "ERROR_CORE", text)
    assert client.portal.calls == []


async def test_a_user_is_found_by_extension(client: Client) -> None:
    await client.register(USER_ID="", USER_PHONE_INNER="102")
    assert client.portal.calls[0].user == BORIS.id


async def test_lines_are_added_once_and_then_known(client: Client) -> None:
    assert await client.result("telephony.externalLine.add", NUMBER="300", NAME="Sales") == {"ID": 1}
    assert await client.error("telephony.externalLine.add", NUMBER="300") == (400, "ERROR_CORE")
    assert await client.result("telephony.externalLine.update", NUMBER="300", NAME="Shop") == {"ID": "1"}
    (line,) = await client.result("telephony.externalLine.get")
    assert line == {"NUMBER": "300", "NAME": "Shop", "CRM_AUTO_CREATE": "Y"}
    await client.register(LINE_NUMBER="300")
    assert await client.result("telephony.externalLine.delete", NUMBER="300") == []
    assert await client.error("telephony.externalLine.delete", NUMBER="300") == (400, "ERROR_CORE")


async def test_a_known_number_is_matched_and_a_stranger_becomes_a_lead(client: Client) -> None:
    (found,) = await client.result("telephony.externalCall.searchCrmEntities", PHONE_NUMBER="+44 20 7946 0101")
    assert (found["CRM_ENTITY_TYPE"], found["NAME"]) == ("CONTACT", "Alice Marlow")
    known = await client.result(REGISTER, USER_ID=2, PHONE_NUMBER="+442079460101", TYPE=2, CRM_CREATE=1)
    assert (known["CRM_ENTITY_TYPE"], known["CRM_CREATED_ENTITIES"]) == ("CONTACT", [])
    stranger = await client.result(REGISTER, USER_ID=2, PHONE_NUMBER="+4940999", TYPE=2, CRM_CREATE=1)
    assert stranger["CRM_CREATED_ENTITIES"][0]["ENTITY_TYPE"] == "LEAD"


async def test_a_call_between_employees_is_no_business_of_the_crm(client: Client) -> None:
    answer = await client.result(REGISTER, USER_ID=2, PHONE_NUMBER="101", TYPE=2, CRM_CREATE=1)
    assert answer["CRM_ENTITY_TYPE"] is None


async def test_show_and_hide_know_live_calls_only(client: Client) -> None:
    call_id = await client.register()
    assert await client.result("telephony.externalCall.show", CALL_ID=call_id) is True
    assert await client.result("telephony.externalCall.hide", CALL_ID="no") is False
    await client.result(FINISH, CALL_ID=call_id, USER_ID=2)
    assert await client.result("telephony.externalCall.show", CALL_ID=call_id) is False


# ---- limits and scopes


async def test_what_a_method_ran_is_told_and_too_much_of_it_closes_that_method_alone(client: Client) -> None:
    client.portal.faults.rest = [RestFault(methods=("profile",), delay=0.03, count=2)]
    client.portal.faults.operating_limit = 0.05
    _, first = await client.rest("profile")
    assert first["time"]["operating"] >= 0.03
    await client.rest("profile")
    status, body = await client.rest("profile")
    assert (status, body["error"]) == (429, "OPERATION_TIME_LIMIT")
    assert body["time"]["operating_reset_at"] > body["time"]["operating"]
    assert (await client.rest("server.time"))[0] == 200
    answer = await client.result("batch", cmd={"a": "profile", "b": "server.time"})
    assert answer["result_error"]["a"]["error"] == "OPERATION_TIME_LIMIT"
    assert list(answer["result_time"]) == ["b"]


async def test_an_enterprise_portal_takes_five_times_as_many_at_once(client: Client) -> None:
    client.portal.faults.enterprise = True
    statuses = [(await client.rest("server.time"))[0] for _ in range(60)]
    assert statuses == [200] * 60


async def test_a_scope_that_was_not_ticked_is_missing(client: Client) -> None:
    client.portal.faults.withheld = "im,crm"
    assert await client.error("im.notify.system.add", USER_ID=1, MESSAGE="x") == (403, "insufficient_scope")
    assert "im" not in await client.result("scope")
    assert (await client.rest("profile"))[0] == 200


async def test_a_webhook_calls_methods_of_people_and_none_of_applications(client: Client) -> None:
    code = client.portal.world.webhook_code(ANNA.id)

    async def ask(method: str, code: str = code) -> tuple[int, Any]:
        async with client.http.post(f"{client.base}/rest/{ANNA.id}/{code}/{method}") as response:
            return response.status, await response.json()

    assert (await ask("profile"))[1]["result"]["ID"] == "1"
    for method in ("placement.bind", "event.bind", "telephony.externalLine.get"):
        status, body = await ask(method)
        assert (status, body["error"]) == (403, "WRONG_AUTH_TYPE")
    assert (await ask("profile", "0" * 16))[0] == 401


async def test_customers_are_found_in_every_way_that_the_documents_name(client: Client) -> None:
    found = await client.result("crm.duplicate.findbycomm", type="PHONE", values=["+44 20 7946 0101", "+441134960020"])
    assert found == {"CONTACT": [11], "COMPANY": [21]}
    assert await client.result("crm.duplicate.findbycomm", type="PHONE", values=["+1"]) == []
    (contact,) = await client.result("crm.contact.list", filter={"PHONE": "+4930123456"}, select=["NAME", "PHONE"])
    assert (contact["ID"], contact["PHONE"][0]["VALUE"]) == ("12", "+4930123456")
    companies = (await client.result("crm.item.list", entityTypeId=4))["items"]
    assert [company["title"] for company in companies] == ["Northern Paper Ltd"]


# ---- batch


async def test_batch_runs_all_and_resolves_references(client: Client) -> None:
    answer = await client.result(
        "batch", halt=0, cmd={"me": "profile", "again": "user.get?FILTER[ID]=$result[me][ID]", "bad": "no.such"}
    )
    assert answer["result"]["again"][0]["NAME"] == "Anna"
    assert answer["result_error"]["bad"]["error"] == "ERROR_METHOD_NOT_FOUND"
    assert answer["result_total"] == []


async def test_batch_halts_at_the_first_error_and_refuses_itself(client: Client) -> None:
    answer = await client.result("batch", halt=1, cmd={"bad": "batch", "me": "profile"})
    assert answer["result"] == []
    assert answer["result_error"]["bad"]["error"] == "ERROR_BATCH_METHOD_NOT_ALLOWED"


async def test_batch_counts_once_and_a_fault_of_one_command_is_its_own(client: Client) -> None:
    client.portal.faults.rest = [RestFault(methods=("profile",), status=429, code="OPERATION_TIME_LIMIT", count=1)]
    answer = await client.result("batch", halt=0, cmd={"a": "profile", "b": "profile"})
    assert answer["result_error"]["a"]["error"] == "OPERATION_TIME_LIMIT"
    assert answer["result"]["b"]["NAME"] == "Anna"
    assert answer["result_time"]["b"]["operating_reset_at"]
    asked = [request.method for request in client.portal.requests]
    assert asked.count("batch") == 1
    assert "profile" not in asked


async def test_no_file_is_attached_in_a_batch(client: Client) -> None:
    answer = await client.result("batch", cmd={"a": "telephony.externalCall.attachRecord?CALL_ID=x&FILENAME=a.mp3"})
    assert answer["result_error"]["a"]["error"] == "ERROR_BATCH_METHOD_NOT_ALLOWED"


# ---- faults


async def test_a_fault_strikes_as_often_as_asked_and_only_its_methods(client: Client) -> None:
    client.portal.faults.rest = [RestFault(methods=("profile",), status=500, code="INTERNAL_SERVER_ERROR", count=1)]
    assert (await client.rest("server.time"))[0] == 200
    assert await client.error("profile") == (500, "INTERNAL_SERVER_ERROR")
    assert (await client.rest("profile"))[0] == 200


async def test_a_dropped_response_leaves_the_call_registered(client: Client) -> None:
    client.portal.faults.rest = [RestFault(methods=(REGISTER,), drop_response=True, count=1)]
    with pytest.raises(aiohttp.ClientError):
        await client.register()
    (call,) = client.portal.calls
    assert await client.register() == call.id
    assert client.portal.requests[0].status == 0


async def test_a_dropped_request_leaves_nothing(client: Client) -> None:
    client.portal.faults.rest = [RestFault(carry_out=False, delay=0.01, count=1)]
    with pytest.raises(aiohttp.ClientError):
        await client.register()
    assert client.portal.calls == []


async def test_faults_are_ordered_over_http_and_misspelt_ones_refused(client: Client) -> None:
    url = f"{client.base}/sim/faults"
    async with client.http.post(url, json={"rest": [{"status": 503, "code": "OVERLOAD_LIMIT"}]}) as response:
        assert response.status == 200
    assert await client.error("profile") == (503, "OVERLOAD_LIMIT")
    for wrong in ({"rest_dely": 1}, {"allow": "x"}, {"rest": [{"x": 1}]}, {"prompt": 1}, {"push_delay": -1}, [1]):
        async with client.http.post(url, json=wrong) as response:
            assert response.status == 400
    async with client.http.post(url, json={}) as response:
        assert (await response.json())["rest"] == []


async def test_a_test_in_another_process_reads_calls_and_requests_and_resets(client: Client) -> None:
    await client.register(PHONE_NUMBER="+442079460101")
    async with client.http.get(f"{client.base}/sim/calls") as response:
        (call,) = await response.json()
    assert (call["direction"], call["entity"], call["status"]) == ("incoming", "Alice Marlow", "in progress")
    async with client.http.get(f"{client.base}/sim/requests") as response:
        assert [entry["method"] for entry in await response.json()] == [REGISTER.lower()]
    async with client.http.post(f"{client.base}/sim/reset") as response:
        assert response.status == 200
    assert client.portal.calls == []


async def test_a_restarted_portal_remembers_its_application(standin: StandIn, tmp_path: Path) -> None:
    state = tmp_path / "var" / "portal.json"
    first = Portal(port=0, app=standin.app, users=[ANNA, BORIS], state=state)
    async with first.running(), aiohttp.ClientSession() as http:
        client = Client(first, http)
        await first.auto_install()
        await bind(client)
        await client.register()
        token = client.token()
    again = Portal(port=0, app=standin.app, users=[ANNA, BORIS], state=state)
    async with again.running(), aiohttp.ClientSession() as http:
        assert again.installed
        assert again.calls == first.calls
        assert (await Client(again, http).rest("placement.get", token=token))[0] == 200
    assert state.stat().st_mode & 0o077 == 0
