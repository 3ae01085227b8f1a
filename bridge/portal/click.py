"""Click-to-call: the portal has registered a call itself and asks the application to make it.

The portal sends its event through a queue, without a promise that it comes at all, or only once; the card that it draws
meanwhile is often faster. Every click with a usable number is reported, also one of a user without a telephone: the call then
ends at once as not possible, and its end closes the portal's call and card.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from ..calls.events import Operator
from ..calls.number import LONGEST_NUMBER, dialable
from ..config import Settings, portal_id
from ..store.writer import StoreDownError
from .form import FormError, optional, required

log = structlog.get_logger()

MOST_REMEMBERED = 1_000
LAST_DIGITS = 5
"""By which two ways to write one number are alike."""
PATIENCE_SECONDS = 2.0
"""For the store to say what it knows; a page's other messages wait as long."""
Dialled = Callable[[Operator, str, str, int], None]
"""Takes the operator, the number, the portal's CALL_ID or "", and the call list or 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """What ONEXTERNALCALLSTART says of interest."""

    user: int
    number: str
    """"" if there is nothing that can be dialled."""
    card: str
    """The CALL_ID; "" for a number of a call list that the portal left to us to register."""
    call_list: int = 0
    once: str = ""
    """What makes a click without a CALL_ID the same one."""

    @classmethod
    def parse(cls, data: dict[str, str], when: str = "") -> Click:
        """FormError if it names no user, or neither a call nor a call list. `when` is the event's `ts`."""
        user = required(data, "USER_ID", 18)
        if not (user.isascii() and user.isdigit()):
            raise FormError("The field USER_ID is not a number.")
        named = optional(data, "CALL_LIST_ID", 18)
        call_list = int(named) if named.isascii() and named.isdigit() else 0
        card = optional(data, "CALL_ID", 128) if call_list else required(data, "CALL_ID", 128)
        number = dialled_number(data)
        return cls(user=int(user), number=number, card=card, call_list=call_list, once=f"{call_list}/{number}/{when}")


class Clicks:
    """Clicks on numbers, of which two hear: the portal's event, and a page in which the portal has drawn the card.

    Whichever comes first makes the call; `claim` is where both meet. `dialled` is told of events only: pages dial by
    themselves, under the operator's own name and limits. `known` says whether the bridge may have registered a CALL_ID of
    this portal and user itself: such a card is no click.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        dialled: Dialled,
        known: Callable[[str, int, str], Awaitable[bool]],
        why_not: Callable[[Operator], str],
    ) -> None:
        self._why_not = why_not
        self._lines = {
            portal.id: {"", *(line.number for line in settings.line if portal_id(line.portal) == portal.id)}
            for portal in settings.portal
            if portal.dial_from_card
        }
        self._dialled = dialled
        self._known = known
        self._claimed: OrderedDict[tuple[Operator, str], str] = OrderedDict()

    def happened(self, portal: str, click: Click) -> None:
        operator = Operator(portal, click.user)
        if not self.claim(operator, click.card or click.once, click.number):
            return
        if not click.number:
            log.warning("click_without_number", portal=portal, user=click.user, card=click.card)
            return
        if why := self._why_not(operator):
            log.warning("click_of_a_stranger", portal=portal, user=click.user, card=click.card, why=why)
        self._dialled(operator, click.number, click.card, click.call_list)

    async def is_click(self, operator: Operator, card: str, line: str) -> bool:
        """May this outgoing card stand for a click? When in doubt no: the event decides then."""
        if (operator, card) in self._claimed or line not in self._lines.get(operator.portal, ()):
            return False
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return not await self._known(operator.portal, operator.user, card)
        except (StoreDownError, TimeoutError):
            return False

    def claim(self, operator: Operator, card: str, number: str) -> bool:
        """True for the first who is to make the call of this card."""
        dialled = self._claimed.get((operator, card))
        if dialled is not None:
            if dialled.partition("#")[0][-LAST_DIGITS:] != number.partition("#")[0][-LAST_DIGITS:]:
                log.warning("click_numbers_differ", operator=str(operator), card=card)
            return False
        self._claimed[operator, card] = number
        if len(self._claimed) > MOST_REMEMBERED:
            self._claimed.popitem(last=False)
        return True


def dialled_number(data: dict[str, str]) -> str:
    """The international form if it has digits, else what was clicked, and `#` with the extension if there is one."""
    international = optional(data, "PHONE_NUMBER_INTERNATIONAL", 255)
    given = international if re.search("[0-9]", international) else optional(data, "PHONE_NUMBER", 255)
    number = dialable(given)
    extension = re.sub("[^0-9]", "", optional(data, "EXTENSION", 64))
    if number and extension and "#" not in number:
        number = f"{number}#{extension}"
    return number if len(number) <= LONGEST_NUMBER else ""
