"""The contract can fail: each kind of mistake in a request is found and named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.demo.portal import App, Portal, User
from bridge.demo.portal.world import SCOPES

from ..portal.fake import FakePortal
from . import contract

REGISTER = "telephony.externalCall.register"
RIGHT: dict[str, Any] = {
    "USER_ID": 1,
    "PHONE_NUMBER": "+49",
    "TYPE": 2,
    "CALL_START_DATE": "2026-11-25T12:00:00+00:00",
    "ADD_TO_CHAT": 1,
    "EXTERNAL_CALL_ID": "c1",
}
SOURCES = Path(__file__).parents[2] / "bridge"


@dataclass
class Asked:
    method: str
    params: dict[str, Any]


def test_a_right_request_has_no_violation_whatever_the_case_of_its_names() -> None:
    assert contract.violations(REGISTER, RIGHT) == []
    assert contract.violations(REGISTER.upper(), {name.lower(): value for name, value in RIGHT.items()}) == []


@pytest.mark.parametrize(
    ("method", "params", "fault"),
    [
        ("telephony.externalCall.regster", {}, "no such method"),
        (REGISTER, RIGHT | {"EXTERNAL_CALLID": "x"}, "there is no parameter EXTERNAL_CALLID"),
        (REGISTER, {name: value for name, value in RIGHT.items() if name != "PHONE_NUMBER"}, "PHONE_NUMBER is missing"),
        (REGISTER, RIGHT | {"USER_ID": "Anna"}, "USER_ID must be int"),
        (REGISTER, {name: value for name, value in RIGHT.items() if name != "USER_ID"}, "one of USER_ID"),
        (REGISTER, RIGHT | {"TYPE": 7}, "TYPE must be"),
        (REGISTER, RIGHT | {"SHOW": True}, "SHOW must be flag"),
        (REGISTER, RIGHT | {"CALL_START_DATE": "2026-11-25T12:00:00"}, "CALL_START_DATE must be date"),
        ("telephony.externalCall.show", {"CALL_ID": "x", "USER_ID": [1, "a"]}, "USER_ID must be ids"),
        ("telephony.externalCall.attachRecord", {"CALL_ID": "x", "FILENAME": "a.ogg"}, "FILENAME must be record"),
        ("telephony.externalCall.attachRecord", {"CALL_ID": "x"}, "one of RECORD_URL, FILENAME"),
        ("telephony.call.attachTranscription", {"CALL_ID": "x", "MESSAGES": []}, "MESSAGES must be replies"),
        ("telephony.externalLine.add", {"NUMBER": "1", "CRM_AUTO_CREATE": 1}, "CRM_AUTO_CREATE must be yes"),
        ("batch", {"cmd": {"a": "profile?X=1"}}, "there is no parameter X"),
        ("batch", {"cmd": {"a": "placement.bind?PLACEMENT=X"}}, "not allowed in it"),
        ("batch", {"cmd": {str(number): "profile" for number in range(51)}}, "51 commands"),
        ("batch", {"cmd": "profile"}, "CMD must be a map"),
    ],
)
def test_a_wrong_request_is_named(method: str, params: dict[str, Any], fault: str) -> None:
    assert any(fault in found for found in contract.violations(method, params)), contract.violations(method, params)


def test_a_log_with_one_wrong_request_fails() -> None:
    contract.check([Asked(REGISTER, RIGHT)])
    with pytest.raises(AssertionError, match="no parameter NUMBER"):
        contract.check([Asked(REGISTER, RIGHT), Asked(REGISTER, RIGHT | {"NUMBER": "1"})])


async def test_a_wrong_request_to_the_tests_own_portal_fails_the_test_that_sent_it() -> None:
    with pytest.raises(AssertionError, match="there is no parameter PHONE"):
        async with FakePortal(users={"token": ("1", True)}).running() as portal, aiohttp.ClientSession() as http:
            await http.post(
                f"http://127.0.0.1:{portal.url.rpartition(':')[2]}/rest/{REGISTER}",
                json=RIGHT | {"PHONE": "+49", "auth": "token"},
            )


async def test_a_wrong_request_to_the_simulated_portal_is_in_the_log_that_is_checked() -> None:
    app = App(client_id="c", client_secret="s", app_url="http://a.localhost/", install_url="http://a.localhost/")
    portal = Portal(port=0, app=app, users=[User(id=1, name="Anna", admin=True)])
    async with portal.running(), aiohttp.ClientSession() as http:
        token = portal.world.issue(1).access
        for wrong in ({}, {"SHOWN": 1}):
            url = f"http://127.0.0.1:{portal.world.port}/rest/{REGISTER}"
            async with http.post(url, json=RIGHT | wrong | {"auth": token}) as answer:
                assert answer.status == 200, "Bitrix24 ignores what it does not know"
    contract.check(portal.requests[:1])
    with pytest.raises(AssertionError, match="there is no parameter SHOWN"):
        contract.check(portal.requests)


def test_methods_that_the_sources_name_are_in_the_table_and_in_the_granted_scopes() -> None:
    text = "".join(path.read_text() for path in (SOURCES / "portal").glob("*.py"))
    used = {method for method in contract.TABLE if f'"{method}"' in text.lower()}
    assert {"telephony.externalcall.register", "placement.bind", "event.bind", "profile"} <= used
    assert contract.scopes(used) <= set(SCOPES)
