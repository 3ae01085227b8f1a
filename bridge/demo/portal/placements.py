"""Widget registrations, their slow-load counters, and event handlers (pure; time is an argument)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

WORKER = "PAGE_BACKGROUND_WORKER"
PLACEMENTS = (
    WORKER,
    "CALL_CARD",
    "LEFT_MENU",
    "CRM_DEAL_DETAIL_TAB",
    "CRM_CONTACT_DETAIL_TAB",
    "CRM_LEAD_DETAIL_TAB",
    "CRM_COMPANY_DETAIL_TAB",
)
EVENTS = (
    "ONAPPINSTALL",
    "ONAPPUPDATE",
    "ONAPPUNINSTALL",
    "ONAPPPAYMENT",
    "ONEXTERNALCALLSTART",
    "ONEXTERNALCALLBACKSTART",
    "ONVOXIMPLANTCALLINIT",
    "ONVOXIMPLANTCALLSTART",
    "ONVOXIMPLANTCALLEND",
    "ONUSERADD",
)
_DAY = 24 * 3600
_HANDLERS = 200


class FullError(Exception):
    """The placement takes no further handler."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One registered widget. `user` 0 is everyone; `slow` counts slow loads."""

    id: int
    placement: str
    handler: str
    user: int = 0
    error_url: str = ""
    title: str = ""
    slow: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """One event handler. `user` 0 is the user whose action caused the event."""

    id: int
    event: str
    url: str
    user: int = 0


class Placements:
    """The registrations of the application."""

    def __init__(self) -> None:
        self._rows: dict[int, Binding] = {}
        self._made = 0
        self._reset_at = 0.0

    @property
    def all(self) -> list[Binding]:
        return list(self._rows.values())

    def of(self, placement: str, user: int) -> list[Binding]:
        """The widgets that a page of this user loads."""
        return [row for row in self._rows.values() if row.placement == placement and row.user in {0, user}]

    def bind(
        self, *, placement: str, handler: str, user: int, error_url: str, title: str, apart: bool = False
    ) -> Binding:
        """FullError, if this user or everyone already has a handler: the worker allows one.

        `apart`: the general handler and the personal ones are counted separately.
        """
        counted = {user} if apart else {0, user}
        if placement == WORKER and any(row.user in counted for row in self._rows.values() if row.placement == WORKER):
            raise FullError
        if len(self._rows) >= _HANDLERS:
            raise FullError
        self._made += 1
        row = Binding(id=self._made, placement=placement, handler=handler, user=user, error_url=error_url, title=title)
        self._rows[row.id] = row
        return row

    def unbind(self, *, placement: str, handler: str = "", user: int | None = None) -> int:
        """How many rows went."""
        doomed = [
            row.id
            for row in self._rows.values()
            if row.placement == placement and (not handler or row.handler == handler) and user in {None, row.user}
        ]
        for id_ in doomed:
            del self._rows[id_]
        return len(doomed)

    def slow_load(self, id_: int, now: float, limit: int) -> Binding | None:
        """Counts one slow load; the binding, if this one was too many and it was deleted."""
        if now >= self._reset_at:
            self._reset_at = now + _DAY
            self._rows = {key: replace(row, slow=0) for key, row in self._rows.items()}
        row = self._rows.get(id_)
        if row is None:
            return None
        row = self._rows[id_] = replace(row, slow=row.slow + 1)
        return self._rows.pop(id_) if row.slow > limit else None

    def load(self, rows: Iterable[Binding]) -> None:
        self._rows = {row.id: row for row in rows}
        self._made = max(self._rows, default=0)


class Handlers:
    """The event handlers of the application."""

    def __init__(self) -> None:
        self._rows: list[Handler] = []
        self._made = 184

    @property
    def all(self) -> list[Handler]:
        return list(self._rows)

    def of(self, event: str) -> list[Handler]:
        return [row for row in self._rows if row.event == event]

    def bind(self, event: str, url: str, user: int) -> Handler:
        """FullError, if it is already bound or there are too many."""
        if (
            any((row.event, row.url, row.user) == (event, url, user) for row in self._rows)
            or len(self._rows) >= _HANDLERS
        ):
            raise FullError
        self._made += 1
        self._rows.append(Handler(id=self._made, event=event, url=url, user=user))
        return self._rows[-1]

    def unbind(self, event: str, url: str, user: int | None) -> int:
        kept = [
            row for row in self._rows if not (row.event == event and url in {"", row.url} and user in {None, row.user})
        ]
        gone = len(self._rows) - len(kept)
        self._rows = kept
        return gone

    def load(self, rows: Iterable[Handler]) -> None:
        self._rows = list(rows)
        self._made = max((row.id for row in self._rows), default=self._made)
