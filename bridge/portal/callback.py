"""A callback form on a site or in the CRM: the client waits to be called (ONEXTERNALCALLBACKSTART).

The portal names neither a user nor a call. Whose business it is: the operators of the line that the form belongs to, else
the person who looks after the client, else every operator of the portal.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from ..calls.events import Operator
from ..config import Settings, portal_id
from .click import dialled_number
from .form import optional

log = structlog.get_logger()

MOST_REMEMBERED = 1_000
LONGEST_TEXT = 200
Asked = Callable[[Sequence[Operator], str, str, str], None]
"""Takes the operators, the number, the line and the form's text."""
Responsible = Callable[[str, str], Awaitable[Operator | None]]
"""Takes a portal and a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What ONEXTERNALCALLBACKSTART says of interest."""

    number: str
    """"" if there is nothing that can be dialled."""
    line: str
    text: str

    @classmethod
    def parse(cls, data: dict[str, str]) -> Wish:
        return cls(
            number=dialled_number(data),
            line=optional(data, "LINE_NUMBER", 64),
            text=" ".join(optional(data, "TEXT", 2000).split())[:LONGEST_TEXT],
        )


class Callbacks:
    """Tells `asked` of every wish once, however often the portal's queue delivers it."""

    def __init__(
        self,
        *,
        settings: Settings,
        operators: Callable[[str], Sequence[Operator]],
        responsible: Responsible,
        asked: Asked,
    ) -> None:
        self._operators = operators
        self._lines = {
            (portal_id(line.portal), line.number): [Operator(portal_id(line.portal), user) for user in line.operators]
            for line in settings.line
        }
        self._responsible = responsible
        self._asked = asked
        self._seen: OrderedDict[tuple[str, str, str, str], None] = OrderedDict()

    async def happened(self, portal: str, wish: Wish, when: str) -> None:
        """`when` is the event's own `ts`: the same wish at the same second is the same event."""
        if not wish.number:
            log.warning("callback_without_number", portal=portal)
            return
        if self._is_repeated((portal, wish.number, wish.line, when)):
            return
        operators = await self._business_of(portal, wish)
        if not operators:
            log.warning(
                "callback_for_nobody",
                portal=portal,
                why="This portal has no operator, in the configuration or imported.",
            )
            return
        self._asked(operators, wish.number, wish.line, wish.text)

    async def _business_of(self, portal: str, wish: Wish) -> Sequence[Operator]:
        if line := self._lines.get((portal, wish.line)):
            return line
        everybody = self._operators(portal)
        responsible = await self._responsible(portal, wish.number) if everybody else None
        return [responsible] if responsible is not None and responsible in everybody else everybody

    def _is_repeated(self, wish: tuple[str, str, str, str]) -> bool:
        if wish in self._seen:
            return True
        self._seen[wish] = None
        if len(self._seen) > MOST_REMEMBERED:
            self._seen.popitem(last=False)
        return False
