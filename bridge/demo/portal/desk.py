"""What the portal's own pages ask of the portal: frames, tokens, cards; everything an employee's click does."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import structlog
from aiohttp import web

from .events import Events
from .frames import app_frame, refusal, render, worker_frames
from .methods import Caller, RestError
from .placements import WORKER
from .telephony import callback_form, click_to_call
from .world import User, World

log = structlog.get_logger()
COOKIE = "portal_user"


class Desk:
    """The XHR endpoints of a signed-in employee."""

    def __init__(self, world: World, events: Events) -> None:
        self._world = world
        self._events = events

    def user(self, request: web.Request) -> User | None:
        """`?user=` wins over the cookie, so that one browser can show two employees."""
        given = request.query.get("user") or request.cookies.get(COOKIE, "")
        return self._world.user(int(given)) if given.isdecimal() else None

    def signed_in(self, request: web.Request) -> User:
        user = self.user(request)
        if user is None:
            raise web.HTTPForbidden(text="sign in at the portal's front page, or add ?user=ID")
        return user

    async def lazyload(self, request: web.Request) -> web.Response:
        """The HTML of a placement's frames, with tokens for this employee."""
        user, form = self.signed_in(request), await request.post()
        await asyncio.sleep(self._world.faults.frame_delay)
        if form.get("PLACEMENT", WORKER) == WORKER:
            frames = worker_frames(self._world, user, str(form.get("URI", "")))
            text = "".join(render(self._world, frame) for frame in frames)
        else:
            frame = app_frame(self._world, user, _options(str(form.get("PLACEMENT_OPTIONS", ""))))
            text = render(self._world, frame) if frame else refusal()
        return web.Response(text=text, content_type="text/html", headers={"Cache-Control": "no-store"})

    async def action(self, request: web.Request) -> web.Response:
        """The small requests of a page."""
        user, form = self.signed_in(request), await request.post()
        fields = {key: value for key, value in form.items() if isinstance(value, str)}
        actions = {
            "setLongLoad": self._slow_load,
            "refreshAuth": self._refresh,
            "installFinish": self._install_finish,
            "clickToCall": self._click_to_call,
            "callbackForm": self._callback_form,
            "saveComment": self._comment,
            "callExists": self._exists,
        }
        act = actions.get(fields.get("action", ""))
        if act is None:
            raise web.HTTPNotFound(text="unknown action")
        return web.json_response(act(user, fields))

    async def push(self, request: web.Request) -> web.StreamResponse:
        return await self._world.push.serve(request, self.signed_in(request).id)

    def finish_installation(self, user: User) -> None:
        """Installed from now on: widgets appear, events flow."""
        first = not self._world.installed
        self._world.installed = True
        log.info("app_installed", user=user.id)
        if first:
            data = {"VERSION": self._world.version, "ACTIVE": "Y", "INSTALLED": "Y", "LANGUAGE_ID": "en"}
            self._events.happen("ONAPPINSTALL", data, user=user.id)

    def uninstall(self, *, clean: bool) -> None:
        """Tells the application, then drops its handlers, widgets and tokens."""
        data = {"LANGUAGE_ID": "en", "CLEAN": int(clean)}
        self._events.happen("ONAPPUNINSTALL", data, user=self._world.admin().id)
        self._world.installed = False
        self._world.placements.load([])
        self._world.handlers.load([])
        self._world.tokens.forget_all()

    def update(self) -> None:
        """A new version: the application hears of it with a new application_token, and its event handlers are gone."""
        self._world.version += 1
        self._world.application_token = self._world.mint()
        data = {"VERSION": self._world.version, "PREVIOUS_VERSION": self._world.version - 1, "LANGUAGE_ID": "en"}
        self._events.happen("ONAPPUPDATE", data, user=self._world.admin().id)
        self._world.handlers.load([])

    def hire(self, user: User) -> None:
        """A new employee, which the application hears of; who leaves is told by no event."""
        self._world.users = [*(one for one in self._world.users if one.id != user.id), user]
        data = {"ID": user.id, "ACTIVE": "Y", "NAME": user.name, "UF_PHONE_INNER": user.extension}
        self._events.happen("ONUSERADD", data, user=self._world.admin().id)

    def slow_load(self, user: int, milliseconds: int = 6000) -> None:
        """What a page of this user does for each of its workers that took so long."""
        person = self._world.user(user)
        if person is None:
            return
        for row in self._world.placements.of(WORKER, user):
            self._slow_load(person, {"id": str(row.id), "ms": str(milliseconds)})

    def _slow_load(self, user: User, fields: dict[str, str]) -> dict[str, Any]:
        limit = int(self._world.faults.slow_load_limit)
        deleted = self._world.placements.slow_load(int(fields.get("id") or 0), time.time(), limit)
        log.warning("worker_loaded_slowly", user=user.id, milliseconds=fields.get("ms"), deleted=bool(deleted))
        if deleted and deleted.error_url:
            self._events.placement_deleted(deleted.error_url)
        return {"deleted": bool(deleted)}

    def _refresh(self, user: User, _fields: dict[str, str]) -> dict[str, Any]:
        if self._world.faults.refresh_auth_fails:
            return {"error": "Unable to get a new token"}
        grant = self._world.issue(user.id)
        expires = str(grant.seconds_left(time.time()))
        return {"AUTH_ID": grant.access, "AUTH_EXPIRES": expires, "REFRESH_ID": grant.refresh}

    def _install_finish(self, user: User, _fields: dict[str, str]) -> dict[str, Any]:
        if not user.admin:
            raise web.HTTPForbidden(text="only an administrator installs applications")
        self.finish_installation(user)
        return {"installed": True}

    def _click_to_call(self, user: User, fields: dict[str, str]) -> dict[str, Any]:
        params = {"PHONE_NUMBER": fields.get("phone", ""), "CRM_CREATE": 1}
        try:
            call_id = click_to_call(Caller(world=self._world, events=self._events, user=user, params=params))
        except RestError as refused:
            return {"error": refused.text}
        return {"callId": call_id}

    def _callback_form(self, user: User, fields: dict[str, str]) -> dict[str, Any]:
        params = {"PHONE_NUMBER": fields.get("phone", ""), "TEXT": fields.get("text", "")[:500]}
        try:
            callback_form(Caller(world=self._world, events=self._events, user=user, params=params))
        except RestError as refused:
            return {"error": refused.text}
        return {}

    def _comment(self, _user: User, fields: dict[str, str]) -> dict[str, Any]:
        self._world.ledger.note(fields.get("callId", ""), fields.get("comment", "")[:2000])
        self._world.ledger_changed()
        return {}

    def _exists(self, _user: User, fields: dict[str, str]) -> dict[str, Any]:
        call = self._world.ledger.get(fields.get("callId", ""))
        return {"exists": call is not None and call.finished is None}


def _options(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
