"""What the bridge registers at a portal: the background worker and the handlers of events. Repeating it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from ..config import Settings
from ..errors import ConfigError
from ..tickets import Seal
from .rest import PortalRefusedError, Rest

WORKER = "PAGE_BACKGROUND_WORKER"
EVENTS = ("ONAPPINSTALL", "ONAPPUPDATE", "ONAPPUNINSTALL", "ONEXTERNALCALLSTART")
"""The last one makes the portal offer the application for outgoing calls, and tells of a click on a number."""


class Placement:
    def __init__(self, *, settings: Settings, seal: Seal, rest: Rest) -> None:
        self._base = settings.http.public_url.rstrip("/")
        self._seal = seal
        self._rest = rest

    def key(self, portal: str) -> str:
        """Proves that a message about a portal's worker came by the address that we gave to this portal."""
        return self._seal.sign(f"worker-error {portal}")

    def key_fits(self, portal: str, key: str) -> bool:
        return self._seal.signed(f"worker-error {portal}", key)

    async def bind_worker(self, portal: str) -> bool:
        """Binds the one general handler unless it stands there already. True if something had to be changed."""
        if "." not in (urlsplit(self._base).hostname or ""):
            raise ConfigError(f"http.public_url: Bitrix24 accepts only host names with a dot, not {self._base}")
        for _ in range(2):
            found = await self._bound(portal)
            if len(found) == 1 and self._is_ours(portal, found[0]):
                return False
            if found:
                await self._rest.call(portal, "placement.unbind", {"PLACEMENT": WORKER})
            try:
                await self._rest.call(portal, "placement.bind", self._wanted(portal))
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
        for event in missing:
            await self._rest.call(portal, "event.bind", {"event": event, "handler": handler})
        return len(missing)

    async def _bound(self, portal: str) -> list[Mapping[str, Any]]:
        found = await self._rest.call(portal, "placement.get", {})
        rows = found if isinstance(found, list) else []
        return [row for row in rows if isinstance(row, dict) and str(row.get("placement", "")).upper() == WORKER]

    def _wanted(self, portal: str) -> dict[str, Any]:
        return {
            "PLACEMENT": WORKER,
            "HANDLER": f"{self._base}/b24/worker",
            "OPTIONS": {"errorHandlerUrl": self._error_url(portal)},
        }

    def _error_url(self, portal: str) -> str:
        return f"{self._base}/b24/worker-error?t={quote(portal, safe='')}&k={self.key(portal)}"

    def _is_ours(self, portal: str, row: Mapping[str, Any]) -> bool:
        """Other keys of `options` are the portal's own affair: it keeps its slow-load counter there."""
        options = row.get("options")
        url = options.get("errorHandlerUrl") if isinstance(options, dict) else None
        general = str(row.get("userId") or "0") == "0"
        return row.get("handler") == f"{self._base}/b24/worker" and url == self._error_url(portal) and general
