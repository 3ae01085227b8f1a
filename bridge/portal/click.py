"""Click-to-call: the portal has registered a call itself and asks the application to make it.

The portal sends its event through a queue, without a promise that it comes only once. Every click with a usable number is
reported, also one of a user without a telephone: the call then ends at once as not possible, and its end closes the
portal's call and card.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from ..calls.events import Operator
from ..config import Settings, portal_id
from .form import FormError, optional, required

log = structlog.get_logger()

MOST_REMEMBERED = 1_000
LONGEST_NUMBER = 32
Dialled = Callable[[Operator, str, str], None]
"""Takes the operator, the number and the portal's CALL_ID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """What ONEXTERNALCALLSTART says of interest."""

    user: int
    number: str
    """"" if there is nothing that can be dialled."""
    card: str

    @classmethod
    def parse(cls, data: dict[str, str]) -> Click:
        """FormError if it names no user or no call."""
        user = required(data, "USER_ID", 18)
        if not (user.isascii() and user.isdigit()):
            raise FormError("The field USER_ID is not a number.")
        return cls(user=int(user), number=dialled_number(data), card=required(data, "CALL_ID", 128))


class Clicks:
    """Tells `dialled` of every click once."""

    def __init__(self, *, settings: Settings, dialled: Dialled) -> None:
        self._operators = {Operator(portal_id(account.portal), account.user_id) for account in settings.operator}
        self._dialled = dialled
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()

    def happened(self, portal: str, click: Click) -> None:
        if self._is_repeated(portal, click.card):
            return
        operator = Operator(portal, click.user)
        if not click.number:
            log.warning("click_without_number", portal=portal, user=click.user, card=click.card)
            return
        if operator not in self._operators:
            why = "A click on a number by a user without a telephone: add an [[operator]] to the configuration."
            log.warning("click_of_a_stranger", portal=portal, user=click.user, card=click.card, why=why)
        self._dialled(operator, click.number, click.card)

    def _is_repeated(self, portal: str, card: str) -> bool:
        if (portal, card) in self._seen:
            return True
        self._seen[portal, card] = None
        if len(self._seen) > MOST_REMEMBERED:
            self._seen.popitem(last=False)
        return False


def dialled_number(data: dict[str, str]) -> str:
    """The international form if it has digits, else what was clicked, and `#` with the extension if there is one."""
    international = optional(data, "PHONE_NUMBER_INTERNATIONAL", 255)
    given = international if re.search("[0-9]", international) else optional(data, "PHONE_NUMBER", 255)
    signs = re.sub(r"[^0-9*#+]", "", given)
    number = signs[:1] + signs[1:].replace("+", "")
    extension = re.sub("[^0-9]", "", optional(data, "EXTENSION", 64))
    if number and extension and "#" not in number:
        number = f"{number}#{extension}"
    return number if number != "+" and len(number) <= LONGEST_NUMBER else ""
