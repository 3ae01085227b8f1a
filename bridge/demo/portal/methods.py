"""REST methods about users, the application, its placements and events."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from .events import Events
from .placements import EVENTS, PLACEMENTS, WORKER, FullError
from .world import SCOPES, User, World

Params = Mapping[str, Any]


class RestError(Exception):
    """An error answer: `code`, text and HTTP status."""

    def __init__(self, code: str, text: str, status: int = 400, **extra: Any) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.status = status
        self.extra = extra


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls a method, with what."""

    world: World
    events: Events
    user: User
    params: Params

    def text(self, name: str, default: str = "") -> str:
        value = self.params.get(name, default)
        if isinstance(value, bool):
            return "1" if value else "0"
        return str(value) if isinstance(value, str | int | float) else default

    def number(self, name: str, default: int = 0) -> int:
        try:
            return int(float(self.text(name) or default))
        except (ValueError, OverflowError):
            return default

    def optional_user(self, name: str) -> int | None:
        return self.number(name) if self.text(name) else None


_SCOPE_OF = {
    "placement": "placement",
    "telephony": "telephony",
    "voximplant": "telephony",
    "user": "user_brief",
    "im": "im",
    "pull": "pull",
    "timeman": "timeman",
    "crm": "crm",
}
Method = Callable[[Caller], Any]


def profile(call: Caller) -> dict[str, Any]:
    first, _, last = call.user.name.partition(" ")
    return {
        "ID": str(call.user.id),
        "ADMIN": call.user.admin,
        "NAME": first,
        "LAST_NAME": last,
        "PERSONAL_GENDER": "",
        "TIME_ZONE": "",
    }


def _person(user: User) -> dict[str, Any]:
    first, _, last = user.name.partition(" ")
    fields = {"ID": str(user.id), "ACTIVE": user.active, "NAME": first, "LAST_NAME": last, "USER_TYPE": "employee"}
    fields["UF_PHONE_INNER"] = user.extension
    fields["WORK_POSITION"] = "Administrator" if user.admin else "Sales"
    return {name: value for name, value in fields.items() if value != ""}


def user_current(call: Caller) -> dict[str, Any]:
    return _person(call.user)


def user_get(call: Caller) -> list[dict[str, Any]]:
    wanted = call.params.get("FILTER")
    wanted = wanted if isinstance(wanted, Mapping) else call.params
    found = call.world.users
    if "ID" in wanted:
        ids = wanted["ID"] if isinstance(wanted["ID"], list) else [wanted["ID"]]
        found = [user for user in found if str(user.id) in {str(id_) for id_ in ids}]
    if "UF_PHONE_INNER" in wanted:
        found = [user for user in found if user.extension == str(wanted["UF_PHONE_INNER"])]
    if "ACTIVE" in wanted:
        found = [user for user in found if user.active == (str(wanted["ACTIVE"]).lower() in {"true", "1", "y"})]
    if str(wanted.get("USER_TYPE", "employee")) != "employee":
        found = []
    start = max(0, call.number("START"))
    return [_person(user) for user in found[start : start + 50]]


def timeman_status(call: Caller) -> dict[str, Any]:
    user = call.world.user(call.number("USER_ID")) if call.text("USER_ID") else call.user
    if user is None:
        raise RestError("USER_NOT_FOUND", "User not found")
    return {"STATUS": user.workday, "ACTIVE": user.workday == "OPENED", "DURATION": "00:00:00"}


def user_admin(call: Caller) -> bool:
    return call.user.admin


def app_info(world: World) -> dict[str, Any]:
    """`CODE` of a local application is its client_id."""
    return {
        "ID": "1",
        "CODE": world.app.client_id,
        "VERSION": 1,
        "STATUS": "L",
        "INSTALLED": world.installed,
        "PAYMENT_EXPIRED": "Y" if world.faults.unpaid else "N",
        "DAYS": None,
        "LANGUAGE_ID": "en",
        "LICENSE": "com_basic",
        "LICENSE_TYPE": "basic",
        "LICENSE_FAMILY": "basic",
    }


def scope(call: Caller) -> list[str]:
    return [one for one in SCOPES if one not in call.world.faults.withheld.split(",")]


def needed_scope(method: str) -> str:
    """What an application must have been granted for a method; "" for what any may call."""
    return _SCOPE_OF.get(method.partition(".")[0], "")


def server_time(_call: Caller) -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def im_notify(call: Caller) -> int:
    if not call.number("USER_ID") and not call.number("TO"):
        raise RestError("USER_ID_EMPTY", "User ID can't be empty")
    if not call.text("MESSAGE"):
        raise RestError("MESSAGE_EMPTY", "Message can't be empty")
    user = call.number("USER_ID") or call.number("TO")
    call.world.notifications.append({"user": user, "message": call.text("MESSAGE"), "tag": call.text("TAG")})
    call.world.push.send([user], "notify", text=call.text("MESSAGE"))
    return len(call.world.notifications)


# ---- placements


def _administrator(call: Caller) -> None:
    if not call.user.admin:
        raise RestError("ACCESS_DENIED", "Access denied!", 403)


def placement_bind(call: Caller) -> Any:
    _administrator(call)
    status = call.world.faults.bind_error_status
    placement, handler = call.text("PLACEMENT").upper(), call.text("HANDLER")
    for name, value in (("PLACEMENT", placement), ("HANDLER", handler)):
        if not value:
            raise RestError("ERROR_ARGUMENT", f"Argument '{name}' is null or empty", status, argument=name)
    if placement not in PLACEMENTS:
        raise RestError("ERROR_PLACEMENT_NOT_FOUND", "Placement not found", status)
    if call.number("USER_ID") and placement != WORKER:
        raise RestError("ERROR_PLACEMENT_USER_MODE", "The placement has no user mode", status)
    _check_handler(handler, status)
    options = call.params.get("OPTIONS")
    error_url = str(options.get("errorHandlerUrl", "")) if isinstance(options, Mapping) else ""
    if placement == WORKER and not error_url:
        # Not thrown but returned by a callback of the portal, so it stands inside the result.
        return {"error": "EMPTY_ERROR_HANDLER_URL", "error_description": "Field errorHandlerUrl is empty."}
    try:
        call.world.placements.bind(
            placement=placement,
            handler=handler,
            user=call.number("USER_ID"),
            error_url=error_url,
            title=call.text("TITLE"),
            apart=call.world.faults.personal_beside_general,
        )
    except FullError:
        raise RestError("ERROR_PLACEMENT_MAX_COUNT", "Placement max count: 1", status) from None
    return True


def _check_handler(url: str, status: int = 400) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise RestError("ERROR_WRONG_HANDLER_URL", "Wrong handler URL", status) from None
    if parts.scheme not in {"http", "https"}:
        raise RestError("ERROR_UNSUPPORTED_PROTOCOL", "Unsupported event handler protocol", status)
    if "." not in host:
        raise RestError("ERROR_WRONG_HANDLER_URL", "Wrong handler URL", status)


def placement_get(call: Caller) -> list[dict[str, Any]]:
    _administrator(call)
    return [
        {
            "placement": row.placement,
            "userId": row.user,
            "handler": row.handler,
            "options": {"errorHandlerUrl": row.error_url, "maxTimeCount": row.slow} if row.error_url else [],
            "title": row.title,
            "description": "",
            "langAll": [],
        }
        for row in call.world.placements.all
    ]


def placement_list(_call: Caller) -> list[str]:
    return list(PLACEMENTS)


def placement_unbind(call: Caller) -> dict[str, int]:
    """`count` is twice the handlers: Bitrix24 counts each row found and each row deleted."""
    _administrator(call)
    if not call.text("PLACEMENT"):
        raise RestError("ERROR_ARGUMENT", "Argument 'PLACEMENT' is null or empty", argument="PLACEMENT")
    gone = call.world.placements.unbind(
        placement=call.text("PLACEMENT").upper(), handler=call.text("HANDLER"), user=call.optional_user("USER_ID")
    )
    return {"count": 2 * gone}


# ---- events


def event_bind(call: Caller) -> bool:
    event, url = call.text("EVENT").upper(), call.text("HANDLER")
    if event not in EVENTS:
        raise RestError("ERROR_EVENT_NOT_FOUND", "Event not found")
    if call.text("EVENT_TYPE", "online") != "online":
        raise RestError("ACCESS_DENIED", "Offline events are not available", 403)
    auth_type = call.number("AUTH_TYPE")
    if not call.user.admin and auth_type not in {0, call.user.id}:
        raise RestError("ACCESS_DENIED", "Access denied!", 403)
    _check_handler(url)
    try:
        call.world.handlers.bind(event, url, auth_type if call.user.admin else call.user.id)
    except FullError:
        raise RestError("ERROR_CORE", "Unable to set event handler: Handler already binded") from None
    return True


def event_unbind(call: Caller) -> dict[str, int]:
    url, user = call.text("HANDLER"), call.optional_user("AUTH_TYPE")
    return {"count": call.world.handlers.unbind(call.text("EVENT").upper(), url, user)}


def event_get(call: Caller) -> list[dict[str, Any]]:
    return [
        {"event": row.event, "handler": row.url, "auth_type": str(row.user), "offline": 0}
        for row in call.world.handlers.all
    ]


METHODS: dict[str, Method] = {
    "profile": profile,
    "scope": scope,
    "events": lambda _call: list(EVENTS),
    "app.info": lambda call: app_info(call.world),
    "server.time": server_time,
    "user.current": user_current,
    "user.get": user_get,
    "user.admin": user_admin,
    "timeman.status": timeman_status,
    "im.notify": im_notify,
    "im.notify.system.add": im_notify,
    "im.notify.personal.add": im_notify,
    "placement.bind": placement_bind,
    "placement.get": placement_get,
    "placement.list": placement_list,
    "placement.unbind": placement_unbind,
    "event.bind": event_bind,
    "event.unbind": event_unbind,
    "event.get": event_get,
}


def timing(start: float, finish: float, *, operating: float = 0, reset: int = 0) -> dict[str, Any]:
    """The `time` block of every successful answer; `operating` is the method's run time of the last ten minutes."""
    stamp = [datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds") for moment in (start, finish)]
    return {
        "start": start,
        "finish": finish,
        "duration": finish - start,
        "processing": finish - start,
        "date_start": stamp[0],
        "date_finish": stamp[1],
        "operating_reset_at": reset or int(time.time()) + 600,
        "operating": operating,
    }
