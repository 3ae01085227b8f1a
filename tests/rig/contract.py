"""What Bitrix24 documents of the REST methods that the bridge calls: every request of every test is held against it.

Bitrix24 ignores a misspelt parameter in silence, so only a table can find one. The facts are those of its public
documentation (August 2026); names of parameters are compared without regard to case, as the portal does.

A row reads `NAME:type`, with `!` where it is required. `a|b!` wants one of both. Types: int, num, str, flag (0 or 1),
yes (Y or N), map, list, ids (a number or a list of them), date (ISO 8601 with its zone), any, or words in parentheses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import parse_qsl

from bridge.demo.portal.forms import nest

STATUS_CODES = "(200,304,603,603-S,486,480,404,484,503,403,402,423,OTHER)"
NOTIFY = "USER_ID:int! MESSAGE:str! MESSAGE_OUT:str TAG:str SUB_TAG:str ATTACH:any CLIENT_ID:str"
CRM_GET = "ID:int!"

TABLE = {
    # basic: every application may
    "profile": ("", ""),
    "scope": ("", "FULL:flag"),
    "app.info": ("", ""),
    "app.option.get": ("", "OPTION:str"),
    "app.option.set": ("", "OPTIONS:map!"),
    "server.time": ("", ""),
    "method.get": ("", "NAME:str!"),
    "user.admin": ("", ""),
    "events": ("", "SCOPE:str FULL:flag"),
    "event.bind": (
        "",
        "EVENT:str! HANDLER:str! AUTH_TYPE:int EVENT_TYPE:(online,offline) AUTH_CONNECTOR:str OPTIONS:map",
    ),
    "event.unbind": ("", "EVENT:str! HANDLER:str! AUTH_TYPE:int EVENT_TYPE:(online,offline)"),
    "event.get": ("", ""),
    "event.offline.get": (
        "",
        "FILTER:map ORDER:map LIMIT:int CLEAR:flag PROCESS_ID:str AUTH_CONNECTOR:str ERROR:flag",
    ),
    "event.offline.list": ("", "FILTER:map ORDER:map START:int"),
    "event.offline.clear": ("", "PROCESS_ID:str! ID:list MESSAGE_ID:list"),
    "event.offline.error": ("", "PROCESS_ID:str! MESSAGE_ID:list!"),
    "batch": ("", "CMD:any! HALT:flag"),
    # placement
    "placement.bind": (
        "placement",
        "PLACEMENT:str! HANDLER:str! OPTIONS:map USER_ID:int TITLE:str DESCRIPTION:str GROUP_NAME:str LANG_ALL:map ICON:map",
    ),
    "placement.unbind": ("placement", "PLACEMENT:str! HANDLER:str USER_ID:int"),
    "placement.get": ("placement", ""),
    "placement.list": ("placement", "SCOPE:str FULL:flag"),
    # telephony
    "telephony.externalcall.register": (
        "telephony",
        "USER_ID|USER_PHONE_INNER! USER_ID:int USER_PHONE_INNER:str PHONE_NUMBER:str! TYPE:(1,2,3,4,5)!"
        " CALL_START_DATE:date CRM_CREATE:flag CRM_SOURCE:str CRM_ENTITY_TYPE:(CONTACT,COMPANY,LEAD) CRM_ENTITY_ID:int"
        " SHOW:flag ADD_TO_CHAT:flag! CALL_LIST_ID:int LINE_NUMBER:str EXTERNAL_CALL_ID:str!",
    ),
    "telephony.externalcall.finish": (
        "telephony",
        "CALL_ID:str! USER_ID|USER_PHONE_INNER! USER_ID:int USER_PHONE_INNER:str DURATION:int! COST:num COST_CURRENCY:str"
        f" STATUS_CODE:{STATUS_CODES}! FAILED_REASON:str VOTE:(1,2,3,4,5) ADD_TO_CHAT:flag!",
    ),
    "telephony.externalcall.show": ("telephony", "CALL_ID:str! USER_ID:ids"),
    "telephony.externalcall.hide": ("telephony", "CALL_ID:str! USER_ID:ids"),
    "telephony.externalcall.attachrecord": (
        "telephony",
        "CALL_ID:str! RECORD_URL|FILENAME! RECORD_URL:str FILENAME:record FILE_CONTENT:str",
    ),
    "telephony.call.attachtranscription": (
        "telephony",
        "CALL_ID:str! MESSAGES:replies! COST:num COST_CURRENCY:str",
    ),
    "telephony.externalcall.searchcrmentities": ("telephony", "PHONE_NUMBER:str!"),
    "telephony.externalline.add": ("telephony", "NUMBER:str! NAME:str CRM_AUTO_CREATE:yes"),
    "telephony.externalline.get": ("telephony", ""),
    "telephony.externalline.update": ("telephony", "NUMBER:str! NAME|CRM_AUTO_CREATE! NAME:str CRM_AUTO_CREATE:yes"),
    "telephony.externalline.delete": ("telephony", "NUMBER:str!"),
    "voximplant.statistic.get": ("telephony", "FILTER:map SORT:str ORDER:(ASC,DESC) START:int"),
    # people
    "user.current": ("user_brief", ""),
    "user.get": (
        "user_brief",
        "SORT:str ORDER:(ASC,DESC) FILTER:map ADMIN_MODE:any SELECT:list IMAGE_RESIZE:str START:int"
        " ID:any ACTIVE:any UF_PHONE_INNER:any USER_TYPE:any",
    ),
    "timeman.status": ("timeman", "USER_ID:int"),
    "im.notify": ("im", f"{NOTIFY} TYPE:(USER,SYSTEM)"),
    "im.notify.system.add": ("im", NOTIFY),
    "im.notify.personal.add": ("im", NOTIFY),
    "pull.application.event.add": ("pull", "COMMAND:str! PARAMS:map MODULE_ID:str USER_ID:ids"),
    "pull.application.config.get": ("pull", "CACHE:yes REOPEN:yes"),
    # CRM
    "crm.duplicate.findbycomm": ("crm", "TYPE:(PHONE,EMAIL)! VALUES:list! ENTITY_TYPE:(LEAD,CONTACT,COMPANY)"),
    "crm.contact.get": ("crm", CRM_GET),
    "crm.company.get": ("crm", CRM_GET),
    "crm.lead.get": ("crm", CRM_GET),
    "crm.contact.list": ("crm", "FILTER:map SELECT:list ORDER:map START:int"),
    "crm.item.list": (
        "crm",
        "ENTITYTYPEID:int! SELECT:list ORDER:map FILTER:map START:int USEORIGINALUFNAMES:yes",
    ),
}
"""Method, lower-case -> the scope it needs and its parameters. ADD_TO_CHAT, EXTERNAL_CALL_ID, DURATION and STATUS_CODE are
optional at Bitrix24; the bridge must always send them."""

LARGEST_BATCH = 50
NEVER_IN_A_BATCH = {"batch", "placement.bind", "telephony.externalcall.attachrecord"}


class Request(Protocol):
    """What a simulated portal keeps of a request."""

    @property
    def method(self) -> str: ...
    @property
    def params(self) -> dict[str, Any]: ...


def violations(method: str, params: Mapping[str, Any]) -> list[str]:
    """What is wrong with a request, a sentence each."""
    row = TABLE.get(method.lower())
    if row is None:
        return [f"{method}: no such method, or not in the table of tests/rig/contract.py"]
    given = {name.upper(): value for name, value in params.items() if name.upper() != "AUTH"}
    found = [f"{method}: {fault}" for fault in _faults(row[1].split(), given)]
    if method.lower() == "batch" and not found:
        found += _batch_violations(given["CMD"])
    return found


def check(requests: Iterable[Request]) -> None:
    """AssertionError that names every wrong request."""
    wrong = [fault for request in requests for fault in violations(request.method, request.params)]
    assert not wrong, "requests that Bitrix24 would refuse or ignore:\n" + "\n".join(sorted(set(wrong)))


def scopes(methods: Iterable[str]) -> set[str]:
    """What an installation has to grant for these methods."""
    return {TABLE[method.lower()][0] for method in methods} - {""}


def _faults(rules: list[str], given: Mapping[str, Any]) -> Iterable[str]:
    known = set[str]()
    for rule in rules:
        required = rule.endswith("!")
        name, _, kind = rule.removesuffix("!").partition(":")
        if not kind:
            if required and not any(given.get(one) not in {None, ""} for one in name.split("|")):
                yield f"one of {name.replace('|', ', ')} is required"
            continue
        known.add(name)
        if name not in given:
            if required:
                yield f"{name} is missing"
        elif not _fits(kind, given[name]):
            yield f"{name} must be {kind}, not {given[name]!r}"
    for name in sorted(set(given) - known):
        yield f"there is no parameter {name}"


def _fits(kind: str, value: Any) -> bool:
    if kind.startswith("("):
        return str(value) in kind[1:-1].split(",") and not isinstance(value, bool)
    return _TYPES[kind](value)


def _int(value: Any) -> bool:
    return not isinstance(value, bool) and re.fullmatch(r"-?\d+", str(value)) is not None


def _num(value: Any) -> bool:
    return not isinstance(value, bool) and re.fullmatch(r"-?\d+(\.\d+)?", str(value)) is not None


def _list(value: Any) -> bool:
    return isinstance(value, list)


def _ids(value: Any) -> bool:
    return all(_int(one) for one in value) if isinstance(value, list) else _int(value)


def _date(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _replies(value: Any) -> bool:
    """The MESSAGES of a transcript."""
    return _list(value) and bool(value) and all(isinstance(one, dict) and _reply(one) for one in value)


def _reply(one: dict[str, Any]) -> bool:
    if set(one) != {"SIDE", "START_TIME", "STOP_TIME", "MESSAGE"} or one["SIDE"] not in {"User", "Client"}:
        return False
    return (
        _int(one["START_TIME"])
        and _int(one["STOP_TIME"])
        and int(one["START_TIME"]) >= 0
        and int(one["STOP_TIME"]) >= 1
    )


_TYPES: dict[str, Callable[[Any], bool]] = {
    "int": _int,
    "num": _num,
    "str": lambda value: isinstance(value, str),
    "flag": lambda value: not isinstance(value, bool) and str(value) in {"0", "1"},
    "yes": lambda value: value in {"Y", "N"},
    "map": lambda value: isinstance(value, dict),
    "list": _list,
    "ids": _ids,
    "date": _date,
    "record": lambda value: isinstance(value, str) and value.lower().endswith((".mp3", ".wav")),
    "replies": _replies,
    "any": lambda value: True,
}


def _batch_violations(commands: Any) -> list[str]:
    each = list(commands.values()) if isinstance(commands, dict) else commands
    if not isinstance(each, list) or not each:
        return ["batch: CMD must be a map of commands"]
    found = [f"batch: {len(each)} commands, {LARGEST_BATCH} are allowed"] if len(each) > LARGEST_BATCH else []
    for command in each:
        method, _, query = str(command).partition("?")
        if method.lower() in NEVER_IN_A_BATCH:
            found.append(f"batch: {method} is not allowed in it")
        else:
            found += violations(method, nest(parse_qsl(query, keep_blank_values=True)))
    return found
