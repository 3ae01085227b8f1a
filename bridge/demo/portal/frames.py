"""Application frames: a hidden form with fresh tokens, posted into an iframe by the page that asked for it."""

from __future__ import annotations

import html
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from .placements import WORKER
from .world import SCOPES, User, World

LANGUAGE = "en"
NOT_INSTALLED = "The application is not fully installed. Please contact your portal administrator."


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One rendering of the application: its own APP_SID, its own tokens."""

    sid: str
    placement: str
    binding: int
    action: str
    fields: Mapping[str, str]
    init: Mapping[str, Any]
    """What getInitData answers in this frame."""

    @property
    def origin(self) -> str:
        parts = urlsplit(self.action)
        return f"{parts.scheme}://{parts.netloc}"


def worker_frames(world: World, user: User, uri: str) -> list[Frame]:
    """One frame for each registration of this user; none before the application is installed."""
    if not world.installed:
        return []
    options = {"ID": WORKER, "URI": uri}
    return [
        _frame(world, user, url=row.handler, placement=WORKER, options=options, binding=row.id)
        for row in world.placements.of(WORKER, user.id)
    ]


def app_frame(world: World, user: User, options: Mapping[str, Any]) -> Frame | None:
    """The application itself: its installer until it is installed; None for those who can't install it."""
    if not world.installed and not user.admin:
        return None
    url = world.app.app_url if world.installed else world.app.install_url
    return _frame(world, user, url=url, placement="DEFAULT", options=as_posted(options), binding=0)


def install_frame(world: World, user: User) -> Frame:
    """The initial installation path, as an administrator opens it for the first time or again."""
    return _frame(world, user, url=world.app.install_url, placement="DEFAULT", options={}, binding=0)


def as_posted(value: Any) -> Any:
    """What is left of a value after a form post: numbers have become strings."""
    if isinstance(value, Mapping):
        return {str(key): as_posted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_posted(item) for item in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _frame(world: World, user: User, *, url: str, placement: str, options: Mapping[str, Any], binding: int) -> Frame:
    sid = secrets.token_hex(16)
    grant = world.issue(user.id)
    expires = str(grant.seconds_left(time.time()))
    query = urlencode({"DOMAIN": world.domain, "PROTOCOL": "0", "LANG": LANGUAGE, "APP_SID": sid})
    fields = {"AUTH_ID": grant.access, "AUTH_EXPIRES": expires, "REFRESH_ID": grant.refresh}
    if not world.faults.old_portal:
        fields["SERVER_ENDPOINT"] = world.server_endpoint
        fields["APPLICATION_TOKEN"] = world.application_token
        fields["APPLICATION_SCOPE"] = ",".join(SCOPES)
    fields |= {"member_id": world.member_id, "status": "L", "PLACEMENT": placement}
    # PHP writes an empty map as an empty list.
    fields["PLACEMENT_OPTIONS"] = json.dumps(options or [])
    init = {
        "LANG": LANGUAGE,
        "DOMAIN": world.domain,
        "PROTOCOL": "0",
        "PATH": "/rest",
        "AUTH_ID": grant.access,
        "AUTH_EXPIRES": expires,
        "REFRESH_ID": grant.refresh,
        "MEMBER_ID": world.member_id,
        "FIRST_RUN": user.id not in world.opened,
        "IS_ADMIN": user.admin,
        "INSTALL": not world.installed,
        "USER_OPTIONS": {},
        "APP_OPTIONS": {},
        "PLACEMENT": placement,
        "PLACEMENT_OPTIONS": options,
    }
    world.opened.add(user.id)
    action = f"{url}{'&' if '?' in url else '?'}{query}"
    return Frame(sid=sid, placement=placement, binding=binding, action=action, fields=fields, init=init)


def render(world: World, frame: Frame) -> str:
    """The HTML that the XHR brings: an iframe without a sandbox, and the form to be sent into it."""
    name = f"{world.domain}|0|{frame.sid}"
    about = {
        "sid": frame.sid,
        "origin": frame.origin,
        "placement": frame.placement,
        "binding": frame.binding,
        "init": frame.init,
    }
    inputs = "".join(
        f'<input type="hidden" name="{html.escape(key)}" value="{html.escape(value)}">'
        for key, value in frame.fields.items()
    )
    allow = world.faults.allow_attribute(hidden=frame.placement == WORKER)
    delegated = f' allow="{allow}"' if allow else ""
    return (
        f'<div class="app-frame" data-frame="{html.escape(json.dumps(about))}">'
        f'<form name="appform_{frame.sid}" method="POST" action="{html.escape(frame.action)}" '
        f'target="{html.escape(name)}">{inputs}</form>'
        f'<iframe id="appframe_{frame.sid}" name="{html.escape(name)}"{delegated} frameborder="0"></iframe></div>'
    )


def refusal() -> str:
    return f'<div class="app-refused">{html.escape(NOT_INSTALLED)}</div>'
