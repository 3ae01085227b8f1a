"""Our own offers within a session that stands: one at a time (RFC 3261 section 14.1; pure).

    IDLE ─want→ WANTED ─the dialog is free→ ASKING ─2xx→ IDLE (ACK, Reanswered)    ─4xx..6xx→ IDLE (ReofferRefused)
                   ▲                           │
                   └──── RESTING ◄─────491─────┘    both sides asked at once: again after a random pause, three times

What the end of a session means (408, 481, silence) is for the usage to decide.
"""

from __future__ import annotations

from dataclasses import dataclass

from .dialog import ALLOW, SDP, SUPPORTED, Dialog, Identity
from .flow import Flow
from .login import Login
from .matching import cancel_of
from .message import Request, Response, session_description
from .output import Abandon, Ask, Output, Reanswered, ReofferRefused, Transmit
from .session_timer import SessionTimer
from .transaction import Timers

MOST_GLARES = 3
MOST_ACKS = 4


@dataclass(slots=True)
class _Wish:
    sdp: bytes
    quiet: bool
    """It only refreshes the session: nobody needs to hear of it."""
    tentative: bool = False
    """If it is not answered, everything stays as it is."""


@dataclass(slots=True)
class _Asking:
    wish: _Wish
    request: Request
    to: Flow
    cancelled: bool = False


class Reinvite:
    """`made_call_id`: we placed the call, and so wait longer than the peer when both asked at once."""

    def __init__(self, *, me: Identity, timers: Timers, made_call_id: bool, session_timer: SessionTimer) -> None:
        self.deadline: float | None = None
        """The end of the pause, or of our patience."""
        self._me = me
        self._timers = timers
        self._made_call_id = made_call_id
        self._session_timer = session_timer
        self._wanted: _Wish | None = None
        self._glares = 0
        self._asking: _Asking | None = None
        self._acks: dict[int, Transmit] = {}
        """The last ones, by CSeq: a peer may repeat an older 2xx while it takes a newer offer."""

    @property
    def is_asking(self) -> bool:
        """An offer of ours is open."""
        return self._asking is not None

    def is_mine(self, request: Request) -> bool:
        return self._asking is not None and self._asking.request is request

    @property
    def is_tentative(self) -> bool:
        """The offer that is open is one that nothing depends on."""
        return self._asking is not None and self._asking.wish.tentative

    def want(self, sdp: bytes, *, quiet: bool = False, tentative: bool = False) -> None:
        """Of several offers that wait, the newest counts; one that only refreshes gives way to any other."""
        if quiet and (self._wanted or self._asking):
            return
        self._wanted, self._glares = _Wish(sdp, quiet, tentative), 0

    def ask(self, dialog: Dialog, login: Login | None, now: float) -> list[Output]:
        """Send what is wanted, unless it has to wait still."""
        if self._wanted is None or self._asking or self.deadline is not None:
            return []
        wish, self._wanted = self._wanted, None
        return self._begin(dialog, login, wish)

    def responded(self, dialog: Dialog, login: Login | None, response: Response, now: float) -> list[Output]:
        """A response to the request that `is_mine`."""
        asking = self._asking
        assert asking is not None, "whoever asks is answered"
        if response.status < 200:
            # Once a 1xx came the transaction waits for ever, and a dialog may not.
            self.deadline = self.deadline or now + self._timers.timeout
            return []
        if response.status in {401, 407} and login and not asking.cancelled:
            again, to = self._request(dialog, asking.wish.sdp)
            if (signed := login.retry(again, asking.request, response)) is not None:
                self._asking = _Asking(asking.wish, signed, to)
                return [Ask(signed, to)]
        self._asking = self.deadline = None
        if response.status < 300:
            self._session_timer.agreed(response, now)
            return self._answered(dialog, asking, response)
        if not asking.cancelled and self._session_timer.is_too_short(response):
            return self._begin(dialog, login, asking.wish)
        if response.status == 491 and self._glares < MOST_GLARES:
            return self._rest(asking, now)
        if not asking.wish.quiet:
            return [ReofferRefused(response.status)]
        self._session_timer.try_again(now)
        return []

    def acknowledge_again(self, response: Response) -> list[Output]:
        """The ACK once more, for a 2xx that is repeated."""
        ack = self._acks.get(response.cseq[0])
        return [ack] if ack else []

    def wake(self, now: float) -> list[Output] | None:
        """End the pause, or give up a peer that says no more than 100; None: it does not even answer the CANCEL."""
        if self._asking is None:
            self.deadline = None
            return []
        if self._asking.cancelled:
            return None
        self._asking.cancelled = True
        self.deadline = now + self._timers.timeout
        return [Ask(cancel_of(self._asking.request), self._asking.to)]

    def give_up(self) -> list[Output]:
        """The tentative offer found no answer."""
        asking, self._asking, self.deadline = self._asking, None, None
        if asking is None:
            return []
        return [Abandon(asking.request), *([] if asking.wish.quiet else [ReofferRefused(408)])]

    def drop(self) -> list[Output]:
        """The session has ended."""
        asking, self._asking = self._asking, None
        self._wanted = self.deadline = None
        return [Abandon(asking.request)] if asking else []

    def _answered(self, dialog: Dialog, asking: _Asking, response: Response) -> list[Output]:
        dialog.refresh(response)
        ack = Transmit(*dialog.acknowledge(asking.request, self._me))
        self._acks = dict([*self._acks.items(), (asking.request.cseq[0], ack)][-MOST_ACKS:])
        sdp = session_description(response)
        # Without an answer there is nothing that could have changed.
        told = Reanswered(sdp) if sdp else ReofferRefused(488)
        return [ack] if asking.wish.quiet else [ack, told]

    def _rest(self, asking: _Asking, now: float) -> list[Output]:
        """RFC 3261 14.1: 2.1 to 4 s for the owner of the Call-ID, up to 2 s for the other, in steps of 10 ms."""
        steps = 210 + int(self._me.fraction() * 191) if self._made_call_id else int(self._me.fraction() * 201)
        self.deadline = now + steps / 100
        self._glares += 1
        self._wanted = self._wanted or asking.wish
        return []

    def _begin(self, dialog: Dialog, login: Login | None, wish: _Wish) -> list[Output]:
        request, to = self._request(dialog, wish.sdp)
        self._asking = _Asking(wish, login.sign(request) if login else request, to)
        return [Ask(self._asking.request, to)]

    def _request(self, dialog: Dialog, sdp: bytes) -> tuple[Request, Flow]:
        headers = [("Contact", str(dialog.contact)), ("Allow", ALLOW), SUPPORTED, *self._session_timer.asking(), SDP]
        return dialog.request("INVITE", self._me, headers, sdp)
