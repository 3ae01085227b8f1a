"""REST methods of telephony: calls, lines, who has a number."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from .ledger import DIRECTIONS, Call, CallError, Registration, telephone
from .methods import Caller, Method, RestError
from .world import User

CALL_LIST = 41
"""CALL_LIST_ID of the one call list there is."""


def register(call: Caller) -> dict[str, Any]:
    """telephony.externalCall.register: an equal register of the last 30 minutes gives the same unfinished call."""
    user = _user(call)
    registration = _registration(call, user)
    now = time.time()
    started = _start_date(call, now)
    ledger = call.world.ledger
    created: list[dict[str, Any]] = []
    record = ledger.same(registration, now)
    if record is None:
        record = ledger.add(registration, now, started=started)
        record, created = _attach_customer(call, record)
        _voximplant(call, "ONVOXIMPLANTCALLINIT", record)
        call.world.ledger_changed()
    if call.number("SHOW", 1):
        call.world.show_card(record, [user.id])
    return {
        "CALL_ID": record.id,
        "CRM_CREATED_LEAD": next((item["ENTITY_ID"] for item in created), None),
        "CRM_CREATED_ENTITIES": created,
        "CRM_ENTITY_TYPE": record.entity_kind or None,
        "CRM_ENTITY_ID": record.entity_id or None,
    }


def _user(call: Caller) -> User:
    if not call.text("USER_ID") and not call.text("USER_PHONE_INNER"):
        raise RestError("ERROR_CORE", "USER_ID or USER_PHONE_INNER should be set")
    by_id = call.text("USER_ID")
    user = call.world.user(call.number("USER_ID")) if by_id else call.world.by_extension(call.text("USER_PHONE_INNER"))
    if user is None:
        raise RestError("ERROR_CORE", "User is not found or is not active")
    return user


def _registration(call: Caller, user: User) -> Registration:
    number, kind, line = telephone(call.text("PHONE_NUMBER")), call.number("TYPE"), call.text("LINE_NUMBER")
    if not number:
        raise RestError("ERROR_CORE", "Unsupported phone number format")
    if kind not in DIRECTIONS:
        raise RestError("ERROR_CORE", "Unknown TYPE")
    if line and line not in {known.number for known in call.world.lines.all}:
        raise RestError("ERROR_CORE", f"Could not find line with number {line}")
    return Registration(
        user=user.id, number=number, type=kind, line=line, external_id=call.text("EXTERNAL_CALL_ID")[:200]
    )


def _start_date(call: Caller, now: float) -> str:
    given = call.text("CALL_START_DATE")
    if not given:
        return datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise RestError("ERROR_CORE", "CALL_START_DATE should be in the ISO-8601 format")
    return moment.isoformat(timespec="seconds")


def _attach_customer(call: Caller, record: Call) -> tuple[Call, list[dict[str, Any]]]:
    if call.world.by_extension(record.number):
        return record, []  # between two employees: no business of the CRM
    known = call.world.customers.find(record.number)
    found = known
    if found is None and call.number("CRM_CREATE"):
        found = call.world.customers.make_lead(record.number)
    if found is None:
        return record, []
    record = call.world.ledger.attach(record.id, kind=found.kind, id=found.id, name=found.name)
    return record, [] if known else [{"ENTITY_TYPE": found.kind, "ENTITY_ID": found.id}]


def finish(call: Caller) -> dict[str, Any]:
    """telephony.externalCall.finish: only once per call."""
    user = _user(call)
    try:
        record = call.world.ledger.finish(
            _call_id(call),
            time.time(),
            user=user.id,
            duration=max(0, call.number("DURATION")),
            status_code=call.text("STATUS_CODE"),
            failed_reason=call.text("FAILED_REASON"),
        )
    except CallError as refused:
        raise RestError("ERROR_CORE", str(refused)) from None
    call.world.hide_card(record)
    _voximplant(call, "ONVOXIMPLANTCALLEND", record)
    call.world.ledger_changed()
    return _statistics(call, record)


def _statistics(call: Caller, record: Call) -> dict[str, Any]:
    return {
        "ID": record.activity,
        "CALL_ID": record.id,
        "EXTERNAL_CALL_ID": record.external_id,
        "PORTAL_USER_ID": record.user,
        "PHONE_NUMBER": record.number,
        "PORTAL_NUMBER": record.registration.line or "REST_APP:1",
        "INCOMING": record.registration.type,
        "CALL_DURATION": record.duration,
        "CALL_START_DATE": {},
        "CALL_STATUS": 1 if record.status_code == "200" else 0,
        "CALL_VOTE": call.number("VOTE") or None,
        "COST": call.text("COST") or 0,
        "COST_CURRENCY": call.text("COST_CURRENCY"),
        "CALL_FAILED_CODE": record.status_code,
        "CALL_FAILED_REASON": record.failed_reason,
        "REST_APP_ID": 1,
        "REST_APP_NAME": "Telephone",
        "CRM_ACTIVITY_ID": record.activity,
        "COMMENT": record.comment or None,
        "CRM_ENTITY_TYPE": record.entity_kind or None,
        "CRM_ENTITY_ID": record.entity_id or None,
    }


def show(call: Caller) -> bool:
    record = _live(call)
    if record is not None:
        call.world.show_card(record, _users(call) or [record.user])
    return record is not None


def hide(call: Caller) -> bool:
    record = _live(call)
    if record is not None:
        call.world.hide_card(record, _users(call) or [record.user])
    return record is not None


def _live(call: Caller) -> Call | None:
    record = call.world.ledger.get(_call_id(call))
    return record if record and record.finished is None else None


def _call_id(call: Caller) -> str:
    if not isinstance(call.params.get("CALL_ID"), str):
        raise RestError("INVALID_ARGUMENT", "CALL_ID must be a string")
    return call.text("CALL_ID")


def _users(call: Caller) -> list[int]:
    value = call.params.get("USER_ID")
    given: Iterable[Any] = value if isinstance(value, list) else [value]
    return [int(item) for item in given if str(item).isdigit()]


def search_entities(call: Caller) -> list[dict[str, Any]]:
    number = telephone(call.text("PHONE_NUMBER"))
    if not number:
        raise RestError("ERROR_CORE", "PHONE_NUMBER should not be empty")
    found = call.world.customers.find(number)
    owner = call.world.user(found.responsible) if found else None
    owner = owner or call.world.users[0]
    return (
        []
        if found is None
        else [
            {
                "CRM_ENTITY_TYPE": found.kind,
                "CRM_ENTITY_ID": found.id,
                "ASSIGNED_BY_ID": owner.id,
                "NAME": found.name,
                "ASSIGNED_BY": {
                    "ID": str(owner.id),
                    "TIMEMAN_STATUS": owner.workday,
                    "USER_PHONE_INNER": owner.extension,
                    "WORK_PHONE": "",
                    "PERSONAL_PHONE": "",
                    "PERSONAL_MOBILE": "",
                },
            }
        ]
    )


def statistic(call: Caller) -> list[dict[str, Any]]:
    """voximplant.statistic.get: finished calls, newest first, by CALL_ID if asked."""
    wanted = call.params.get("FILTER")
    call_id = str(wanted.get("CALL_ID", "")) if isinstance(wanted, dict) else ""
    done = [record for record in call.world.ledger.calls if record.finished is not None]
    return [_statistics(call, record) for record in reversed(done) if call_id in {"", record.id}][:50]


# ---- lines


def _number(call: Caller) -> str:
    if not call.text("NUMBER"):
        raise RestError("ERROR_CORE", "NUMBER should not be empty")
    return call.text("NUMBER")


def line_add(call: Caller) -> dict[str, int]:
    number = _number(call)
    try:
        return {"ID": call.world.lines.add(number, call.text("NAME"), call.text("CRM_AUTO_CREATE", "Y")).id}
    except CallError as refused:
        raise RestError("ERROR_CORE", str(refused)) from None


def line_get(call: Caller) -> list[dict[str, str]]:
    return [
        {"NUMBER": line.number, "NAME": line.name, "CRM_AUTO_CREATE": line.crm_auto_create}
        for line in call.world.lines.all
    ]


def line_update(call: Caller) -> dict[str, str]:
    number = _number(call)
    try:
        line = call.world.lines.update(number, name=call.text("NAME"), crm_auto_create=call.text("CRM_AUTO_CREATE"))
    except CallError as refused:
        raise RestError("ERROR_CORE", str(refused)) from None
    return {"ID": str(line.id)}


def line_delete(call: Caller) -> list[Any]:
    number = _number(call)
    try:
        call.world.lines.delete(number)
    except CallError as refused:
        raise RestError("ERROR_CORE", str(refused)) from None
    return []


def click_to_call(call: Caller) -> str:
    """What imPhoneTo and a click on a number do: the portal registers, shows the card and tells the application."""
    if not call.world.handlers.of("ONEXTERNALCALLSTART"):
        raise RestError("ERROR_CORE", "No application takes outgoing calls: install one that does")
    number = telephone(call.text("PHONE_NUMBER"))
    if not number:
        raise RestError("ERROR_CORE", "Unsupported phone number format")
    now = time.time()
    registration = Registration(user=call.user.id, number=number, type=1)
    started = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
    record, _ = _attach_customer(call, call.world.ledger.add(registration, now, started=started))
    call.world.show_card(record, [call.user.id])
    _voximplant(call, "ONVOXIMPLANTCALLINIT", record)
    call.world.ledger_changed()
    fields = {
        "PHONE_NUMBER": number,
        "PHONE_NUMBER_INTERNATIONAL": number,
        "EXTENSION": "",
        "USER_ID": call.user.id,
        "CALL_LIST_ID": CALL_LIST if call.world.faults.call_list else 0,
        "LINE_NUMBER": "",
        "IS_MOBILE": 0,
        "CALL_ID": record.id,
        "CRM_ENTITY_TYPE": record.entity_kind,
        "CRM_ENTITY_ID": record.entity_id,
    }
    call.events.happen("ONEXTERNALCALLSTART", fields, user=call.user.id)
    return record.id


def callback_form(call: Caller) -> None:
    """A visitor of the company's site asks to be called: nobody is registered yet, nobody is named."""
    number = telephone(call.text("PHONE_NUMBER"))
    if not number:
        raise RestError("ERROR_CORE", "Unsupported phone number format")
    known = call.world.customers.find(number)
    fields = {
        "PHONE_NUMBER": number,
        "TEXT": call.text("TEXT"),
        "VOICE": "",
        "CRM_ENTITY_TYPE": known.kind if known else "",
        "CRM_ENTITY_ID": known.id if known else 0,
        "LINE_NUMBER": call.text("LINE_NUMBER"),
    }
    call.events.happen("ONEXTERNALCALLBACKSTART", fields, user=call.user.id)


def _voximplant(call: Caller, event: str, record: Call) -> None:
    data = {"CALL_ID": record.id, "CALL_TYPE": record.registration.type, "PHONE_NUMBER": record.number}
    call.events.happen(event, data, user=call.user.id)


TELEPHONY: dict[str, Method] = {
    "telephony.externalcall.register": register,
    "telephony.externalcall.finish": finish,
    "telephony.externalcall.show": show,
    "telephony.externalcall.hide": hide,
    "telephony.externalcall.searchcrmentities": search_entities,
    "telephony.externalline.add": line_add,
    "telephony.externalline.get": line_get,
    "telephony.externalline.update": line_update,
    "telephony.externalline.delete": line_delete,
    "voximplant.statistic.get": statistic,
}
