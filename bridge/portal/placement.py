"""What the bridge registers at a portal: the background worker and the handlers of events. Repeating it changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import structlog

from ..config import Settings
from ..errors import ConfigError
from ..tickets import Seal
from .rest import MethodClosedError, PortalRefusedError, Rest

log = structlog.get_logger()

WORKER = "PAGE_BACKGROUND_WORKER"
GENERAL = 0
"""The USER_ID of the handler that every user's pages load."""
EVENTS = (
    "ONAPPINSTALL",
    "ONAPPUPDATE",
    "ONAPPUNINSTALL",
    "ONAPPPAYMENT",
    "ONEXTERNALCALLSTART",
    "ONEXTERNALCALLBACKSTART",
    "ONUSERADD",
)
"""ONEXTERNALCALLSTART makes the portal offer the application for outgoing calls, and tells of a click on a number."""
OPTIONAL = {"ONUSERADD"}
"""Portals may not offer these to the application's scopes. Who left is told by no event at all: the people are read again."""

Row = Mapping[str, Any]


class Placement:
    """One general worker, or personal ones while a portal's `roll_out` names users: never both, because portals differ in
    what they make of that (the documents count them separately, the portal's code does not)."""

    def __init__(self, *, settings: Settings, seal: Seal, rest: Rest) -> None:
        self._base = settings.http.public_url.rstrip("/")
        self._users = {portal.id: frozenset(portal.roll_out) or frozenset({GENERAL}) for portal in settings.portal}
        self._seal = seal
        self._rest = rest

    def key(self, portal: str) -> str:
        """Proves that a message about a portal's worker came by the address that we gave to this portal."""
        return self._seal.sign(f"worker-error {portal}")

    def key_fits(self, portal: str, key: str) -> bool:
        return self._seal.signed(f"worker-error {portal}", key)

    def handler_of(self, portal: str, user: int) -> int:
        """Whose handler a page of this user has loaded."""
        return user if user in self._users.get(portal, ()) else GENERAL

    async def missing(self, portal: str) -> frozenset[int]:
        """The users (GENERAL: all of them) whose handler the portal does not have any more."""
        return self._users[portal] - {_user(row) for row in await self._rows(portal)}

    async def bind_worker(self, portal: str) -> bool:
        """Binds what is missing and removes what should not be there. True if something had to be changed."""
        if "." not in (urlsplit(self._base).hostname or ""):
            raise ConfigError(f"http.public_url: Bitrix24 accepts only host names with a dot, not {self._base}")
        changed = False
        for _ in range(2):
            found = await self._rows(portal)
            good = {_user(row) for row in found if self._is_wanted(portal, row)}
            wrong = [row for row in found if not self._is_wanted(portal, row)]
            if not wrong and good == self._users[portal]:
                return changed
            changed = True
            try:
                for user in sorted(self._users[portal] - await self._unbind(portal, wrong, good)):
                    await self._rest.call(portal, "placement.bind", self._binding(portal, user))
            except PortalRefusedError as error:
                if error.code != "ERROR_PLACEMENT_MAX_COUNT":
                    raise
                refused = error  # somebody else bound it meanwhile: look again
            else:
                return True
        raise refused

    async def bind_events(self, portal: str) -> int:
        """Binds what is missing; the number of handlers that had to be added."""
        handler = f"{self._base}/b24/events"
        found = await self._rest.call(portal, "event.get", {})
        have = {
            str(row.get("event", "")).upper()
            for row in (found if isinstance(found, list) else [])
            if isinstance(row, dict) and row.get("handler") == handler
        }
        missing = [event for event in EVENTS if event not in have]
        bound = [event for event in missing if await self._bind_event(portal, event, handler)]
        return len(bound)

    async def _bind_event(self, portal: str, event: str, handler: str) -> bool:
        try:
            await self._rest.call(portal, "event.bind", {"event": event, "handler": handler})
        except (PortalRefusedError, MethodClosedError) as error:
            if event not in OPTIONAL:
                raise
            log.info("event_not_offered", portal=portal, event_name=event, why=str(error))
            return False
        return True

    async def _rows(self, portal: str) -> list[Row]:
        found = await self._rest.call(portal, "placement.get", {})
        rows = found if isinstance(found, list) else []
        return [row for row in rows if isinstance(row, dict) and str(row.get("placement", "")).upper() == WORKER]

    async def _unbind(self, portal: str, wrong: Iterable[Row], good: set[int]) -> set[int]:
        """Takes the wrong handlers away; the users whose good one still stands.

        The general one goes only together with all others: what USER_ID 0 means to placement.unbind is not documented.
        """
        users = {_user(row) for row in wrong}
        if GENERAL in users:
            await self._rest.call(portal, "placement.unbind", {"PLACEMENT": WORKER})
            return set()
        for user in sorted(users):
            await self._rest.call(portal, "placement.unbind", {"PLACEMENT": WORKER, "USER_ID": user})
        return good - users

    def _binding(self, portal: str, user: int) -> dict[str, Any]:
        binding = {
            "PLACEMENT": WORKER,
            "HANDLER": f"{self._base}/b24/worker",
            "OPTIONS": {"errorHandlerUrl": self._error_url(portal)},
        }
        return binding if user == GENERAL else {**binding, "USER_ID": user}

    def _error_url(self, portal: str) -> str:
        return f"{self._base}/b24/worker-error?t={quote(portal, safe='')}&k={self.key(portal)}"

    def _is_wanted(self, portal: str, row: Row) -> bool:
        """Other keys of `options` are the portal's own affair: it keeps its slow-load counter there."""
        options = row.get("options")
        url = options.get("errorHandlerUrl") if isinstance(options, dict) else None
        ours = row.get("handler") == f"{self._base}/b24/worker" and url == self._error_url(portal)
        return ours and _user(row) in self._users[portal]


def _user(row: Row) -> int:
    """Whose handler it is. -1 for what makes no sense."""
    user = str(row.get("userId") or "0")
    return int(user) if user.isascii() and user.isdigit() else -1
