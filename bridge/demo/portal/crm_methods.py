"""REST methods that look customers up: as much of `crm.*` as an application around calls asks for."""

from __future__ import annotations

from typing import Any

from .crm import CONTACTS, Entity, digits
from .methods import Caller, Method, RestError

_KINDS = {"LEAD": 1, "CONTACT": 3, "COMPANY": 4}
"""entityTypeId."""
_MOST_VALUES = 20
_PAGE = 50


def find_duplicates(call: Caller) -> Any:
    """Ids by kind; an empty map is an empty list. The sentence of an error stands in `error` itself."""
    values = call.params.get("VALUES")
    if call.text("TYPE") not in {"PHONE", "EMAIL"}:
        raise RestError("Parameter 'type' must be PHONE or EMAIL.", "")
    if not isinstance(values, list) or not values:
        raise RestError("Parameter 'values' must be a non-empty list.", "")
    wanted = {digits(str(value)) for value in values[:_MOST_VALUES]} - {""}
    only = call.text("ENTITY_TYPE")
    found: dict[str, list[int]] = {}
    for one in CONTACTS if call.text("TYPE") == "PHONE" else ():
        if digits(one.number) in wanted and only in {"", one.kind}:
            found.setdefault(one.kind, []).append(one.id)
    return found or []


def contact_list(call: Caller) -> list[dict[str, Any]]:
    """`PHONE` is a multi-field: it comes only where it is selected."""
    filtered, selected = call.params.get("FILTER"), call.params.get("SELECT")
    wanted = str(filtered.get("PHONE", "")) if isinstance(filtered, dict) else ""
    names = {str(name) for name in selected} if isinstance(selected, list) else {"ID", "NAME", "ASSIGNED_BY_ID"}
    rows = [_contact(one) for one in CONTACTS if one.kind == "CONTACT" and wanted in {"", one.number}]
    return [{name: value for name, value in row.items() if name in names or name == "ID"} for row in rows][:_PAGE]


def item_list(call: Caller) -> dict[str, Any]:
    kind = call.number("ENTITYTYPEID")
    if kind not in _KINDS.values():
        raise RestError("NOT_FOUND", "Smart process is not found")
    items = [
        {"id": one.id, "title": one.name, "entityTypeId": kind, "assignedById": one.responsible}
        for one in CONTACTS
        if _KINDS[one.kind] == kind
    ]
    return {"items": items[:_PAGE]}


def _contact(one: Entity) -> dict[str, Any]:
    return {
        "ID": str(one.id),
        "NAME": one.name,
        "ASSIGNED_BY_ID": str(one.responsible),
        "PHONE": [{"ID": str(one.id), "VALUE_TYPE": "WORK", "VALUE": one.number, "TYPE_ID": "PHONE"}],
    }


CRM: dict[str, Method] = {
    "crm.duplicate.findbycomm": find_duplicates,
    "crm.contact.list": contact_list,
    "crm.item.list": item_list,
}
