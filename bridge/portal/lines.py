"""The telephone lines that the application has at a portal: without one, Bitrix24 refuses to log a call on it."""

from __future__ import annotations

from typing import Any

from ..config import Settings, portal_id
from ..store.portals import Portals
from .rest import PortalRefusedError, Rest

NAME = "Telephone"


class Lines:
    """The portal's own line, from the configuration or chosen on the page, and the numbers of its [[line]] tables."""

    def __init__(self, *, settings: Settings, portals: Portals, rest: Rest) -> None:
        self._portals = portals
        self._rest = rest
        self._configured = {portal.id: portal for portal in settings.portal}
        self._numbers = {
            portal.id: [line.number for line in settings.line if portal_id(line.portal) == portal.id]
            for portal in settings.portal
        }

    def wanted(self, portal: str) -> dict[str, str]:
        """Number and name of each line that the portal should have."""
        known, configured = self._portals.get(portal), self._configured[portal]
        number = (known.line if known else "") or configured.line
        name = (known.line_name if known else "") or configured.line_name or NAME
        others = {other: f"{name} {other}" for other in self._numbers[portal]}
        return {**others, **({number: name} if number else {})}

    def of(self, portal: str, dialled: str) -> str:
        """The line under which a call is logged: the one that was dialled, else the portal's own; "" if it has neither."""
        known, configured = self._portals.get(portal), self._configured.get(portal)
        if known is None or configured is None:
            return ""
        own = known.line or configured.line
        return next((number for number in (dialled, own) if number and number in known.lines), "")

    async def ensure(self, portal: str) -> int:
        """Adds and renames until the portal has them, and remembers which it has; how many had to be changed.

        Lines that nobody wants any more stay: calls in the CRM are theirs.
        """
        wanted, have = self.wanted(portal), await self._have(portal)
        changed = 0
        for number, name in wanted.items():
            if have.get(number) == name:
                continue
            changed += 1
            params = {"NUMBER": number, "NAME": name}
            if number in have:
                await self._rest.call(portal, "telephony.externalLine.update", params)
            else:
                await self._add(portal, params)
        await self._portals.change(portal, lines=tuple(sorted({*have, *wanted})))
        return changed

    async def _add(self, portal: str, params: dict[str, str]) -> None:
        try:
            await self._rest.call(portal, "telephony.externalLine.add", params)
        except PortalRefusedError as error:
            # ERROR_CORE "Line already exists": somebody repeats the installation at the same time.
            if "exist" not in error.text.lower() or params["NUMBER"] not in await self._have(portal):
                raise

    async def _have(self, portal: str) -> dict[str, str]:
        found: Any = await self._rest.call(portal, "telephony.externalLine.get", {})
        rows = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
        return {str(row.get("NUMBER", "")): str(row.get("NAME") or "") for row in rows}
