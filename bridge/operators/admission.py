"""Who opens this socket? Page ticket, session ticket, and the portal's word."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from ..calls.events import Operator
from ..errors import NetworkError, RefusedError, TheirsError, TicketError
from ..tickets import PageTicket, Seal, SessionTicket
from .protocol import Hello, Refusal

IDENTIFY_SECONDS = 15
"""Below ping interval + timeout: socket.io reads no pong while a page is being let in, and would call it dead."""
CONFIRM_SECONDS = 600

Identify = Callable[[PageTicket], Awaitable[SessionTicket]]


class AdmissionError(TheirsError):
    """A page that may not come in; the text is a sentence for people."""

    def __init__(self, refusal: Refusal, text: str) -> None:
        super().__init__(text)
        self.refusal = refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Somebody who may come in."""

    session: SessionTicket
    slider: bool
    """The document was opened in a slider."""
    doubt: PageTicket | None
    """What `confirm` shall still ask the portal, None if that is settled."""


class Admission:
    """`is_open` says whether the application is still installed in a portal, `why_not` why somebody may not telephone."""

    def __init__(
        self,
        *,
        seal: Seal,
        identify: Identify,
        clock: Callable[[], float],
        is_open: Callable[[str], bool],
        why_not: Callable[[Operator], str],
    ) -> None:
        self._is_open = is_open
        self._why_not = why_not
        self._seal = seal
        self._identify = identify
        self._clock = clock

    async def admit(self, hello: Hello) -> Visitor:
        """The visitor, at once with a session of the same portal, else when the portal has named the user; or AdmissionError."""
        ticket, fresh = self._page_ticket(hello.ticket)
        slider = "Y" in parse_qs(urlsplit(ticket.uri).query).get("IFRAME", [])
        session = self._session(hello.session)
        if session and session.member_id and not self._is_open(session.portal):
            raise AdmissionError(Refusal.TICKET_INVALID, "The telephone was removed from this Bitrix24.")
        if session and session.member_id == ticket.member_id:
            if why := self._why_not(Operator(session.portal, session.user)):
                raise AdmissionError(Refusal.NOT_AN_OPERATOR, why)
            return Visitor(session=session, slider=slider, doubt=ticket if fresh else None)
        if not fresh:
            raise AdmissionError(Refusal.TICKET_EXPIRED, "This page was opened too long ago: reload it.")
        return Visitor(session=await self._ask(ticket), slider=slider, doubt=None)

    async def confirm(self, visitor: Visitor) -> bool:
        """Does the portal still say that this is the session's user? When it can't say, it is."""
        if visitor.doubt is None:
            return True
        try:
            async with asyncio.timeout(CONFIRM_SECONDS):
                user = await self._identify(visitor.doubt)
        except (NetworkError, TimeoutError):
            return True
        except TicketError as error:
            return error.expired
        except RefusedError:
            return False
        return (user.portal, user.user) == (visitor.session.portal, visitor.session.user)

    def _page_ticket(self, sealed: str) -> tuple[PageTicket, bool]:
        """What the page's ticket says, and whether it may still be used."""
        try:
            return self._seal.open(PageTicket, sealed, self._clock()), True
        except TicketError as error:
            if not error.expired:
                raise AdmissionError(Refusal.TICKET_INVALID, "This page was not issued by this bridge.") from None
        return self._seal.open(PageTicket, sealed, 0), False

    def _session(self, sealed: str) -> SessionTicket | None:
        try:
            return self._seal.open(SessionTicket, sealed, self._clock())
        except TicketError:
            return None  # none, old or forged: the portal will say who it is

    async def _ask(self, ticket: PageTicket) -> SessionTicket:
        try:
            async with asyncio.timeout(IDENTIFY_SECONDS):
                return await self._identify(ticket)
        except TicketError as error:
            refusal = Refusal.TICKET_EXPIRED if error.expired else Refusal.TICKET_INVALID
            raise AdmissionError(refusal, "Bitrix24 does not accept this page any more: reload it.") from None
        except RefusedError as error:
            raise AdmissionError(Refusal.NOT_AN_OPERATOR, str(error)) from None
        except (NetworkError, TimeoutError):
            raise AdmissionError(Refusal.PORTAL_UNREACHABLE, "Bitrix24 can't be reached at the moment.") from None
