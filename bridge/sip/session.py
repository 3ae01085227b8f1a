"""A session from its answer to its end: offers both ways, refreshes, goodbyes (RFC 3261 sections 13 to 15; pure).

    INVITING ──2xx sent──→ ANSWERED ──ACK──→ CONFIRMED ──our BYE──→ LEAVING ──its answer──→ OVER
        └────────────2xx received, ACK sent──────┘ └───────────their BYE──────────────────────┘

Methods return what is to be done; the user agent does it. What else is done within its dialog: `usage.Usage`. Setting up differs:
`callee.Inbound` and `caller.Outbound`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from .acceptance import Acceptance
from .dialog import ALLOW, PRODUCT, SDP, SUPPORTED, TARGET_REFRESHERS, Dialog, Identity
from .errands import Errands
from .flow import Flow
from .login import Login
from .matching import Key
from .message import Request, Response, connected_of, respond, session_description
from .output import (
    Answer,
    Ask,
    Confirmed,
    HungUp,
    Output,
    PartyChanged,
    Reanswered,
    Reoffered,
    Transmit,
)
from .reinvite import Reinvite
from .session_timer import Due, SessionTimer, too_short
from .sundry import sundry
from .transaction import Timers

REOFFER_SECONDS = 10.0
"""How long a re-INVITE or UPDATE may wait for us; its sender gives up after 32 s."""


class Stage(Enum):
    INVITING = "inviting"
    ANSWERED = "answered"
    CONFIRMED = "confirmed"
    LEAVING = "leaving"
    OVER = "over"


class Timer(Enum):
    RING_AGAIN = "ring again"
    REOFFER = "offer unanswered"
    REFERRAL = "referral unanswered"
    GIVE_UP = "no final answer after CANCEL"
    FAREWELL = "no BYE of a peer that has put somebody through"
    SPARE = "no answer at all, and another address to try"


@dataclass(frozen=True, slots=True)
class _Reoffer:
    key: Key
    request: Request


class Session:
    """One session with one peer. `tag` is our tag of its dialogs, the same for all of its life."""

    def __init__(
        self,
        *,
        call_id: str,
        me: Identity,
        timers: Timers,
        user: str,
        peer: Flow,
        login: Login | None,
        made_call_id: bool,
        secure: bool = False,
    ) -> None:
        self.call_id = call_id
        self.tag = me.tag()
        self.stage = Stage.INVITING
        self.dialog: Dialog | None = None
        self.login = login
        """Proves who we are where the peer asks for it; may be given later."""
        self._me = me
        self._timers = timers
        self._user = user
        self._contact = me.contact(user, peer, secure=secure)
        self._untold = False
        """The peer does not know our newest address yet."""
        self._due: dict[Timer, float] = {}
        self._acceptance: Acceptance | None = None
        """Our 2xx that waits for its ACK."""
        self._reoffer: _Reoffer | None = None
        self._session_timer = SessionTimer()
        self._reinvite = Reinvite(me=me, timers=timers, made_call_id=made_call_id, session_timer=self._session_timer)
        self._described = b""
        """Our newest description that is in force."""
        self._allowed: frozenset[str] = frozenset()
        """The methods that the peer knows."""
        self._party: tuple[str, str] = "", ""
        """Number and name of whoever is at the other end."""
        self._errands = Errands(me)
        self._goodbye: Request | None = None
        self._cause: int | None = None
        """Hang up with this cause as soon as it is allowed."""

    @property
    def over(self) -> bool:
        return self.stage is Stage.OVER

    @property
    def deadline(self) -> float | None:
        times: list[float | None] = list(self._due.values())
        if self._acceptance is not None:
            times.append(self._acceptance.deadline)
        if self.stage is Stage.CONFIRMED:  # once the session ends, only the BYE is waited for
            times += [self._reinvite.deadline, self._session_timer.deadline]
        return min((when for when in times if when is not None), default=None)

    def is_with(self, remote_tag: str) -> bool:
        """One of its dialogs has that tag at the other end."""
        return self._dialog_with(remote_tag) is not None

    def refuses_to_be_replaced(self, *, early_only: bool) -> int:
        """The status that an INVITE with Replaces earns, 0 if it may take our place (RFC 3891 section 3)."""
        if self.stage in {Stage.LEAVING, Stage.OVER}:
            return 603
        return 486 if early_only and self.stage is not Stage.INVITING else 0

    # ---- what the user wants

    def hang_up(self, cause: int, now: float) -> list[Output]:
        """BYE with a Q.850 cause; while our 2xx waits for its ACK, not before that (RFC 3261 15)."""
        if self.stage is Stage.ANSWERED:
            self._cause = cause
        return self._bye(cause) if self.stage is Stage.CONFIRMED else []

    def reoffer(self, sdp: bytes, now: float, *, tentative: bool = False) -> list[Output]:
        """re-INVITE with a new offer of ours, as soon as no other offer is open (RFC 3261 14.1)."""
        if self.stage not in {Stage.ANSWERED, Stage.CONFIRMED}:
            return []
        self._reinvite.want(sdp, tentative=tentative)
        return self._ask_reoffer(now)

    def moved(self, now: float) -> list[Output]:
        """Our own address may have changed: an offer that changes nothing else says where we are (RFC 3261 12.2.1.1)."""
        if self.dialog is None or self.stage not in {Stage.ANSWERED, Stage.CONFIRMED}:
            return []
        contact = self._me.contact(self._user, self.dialog.peer, secure=self._contact.uri.is_secure)
        if contact == self._contact:
            return []
        self._contact = self.dialog.contact = contact
        self._untold = True
        return self._ask_reoffer(now)

    def answer_reoffer(self, sdp: bytes, now: float) -> list[Output]:
        if (reoffer := self._take_reoffer()) is None:
            return []
        response = self._success(reoffer.request, sdp, now)
        self._described = sdp
        if reoffer.request.method == "INVITE":
            self._acceptance = Acceptance(reoffer.key, reoffer.request, response, self._timers, now)
        return [Answer(reoffer.key, response), *self._ask_reoffer(now)]

    def refuse_reoffer(self, status: int, phrase: str, now: float) -> list[Output]:
        """The session stays as it was (RFC 3261 14.2)."""
        return [*self._drop_reoffer(status, phrase), *self._ask_reoffer(now)]

    # ---- what the peer sends

    def received(self, key: Key, request: Request, now: float) -> list[Output]:
        """A request within one of the dialogs, other than ACK and CANCEL."""
        dialog = self._dialog_with(request.from_tag)
        if dialog is None or self.stage is Stage.OVER:
            return [self._reply(key, request, 481)]
        if not dialog.in_order(request):
            return [self._reply(key, request, 500)]
        self._note(request)
        if request.method == "BYE":
            return [self._reply(key, request, 200), *self._left(request)]
        if (granted := self._granted(key, request, now)) is not None:
            return granted
        if self.stage is Stage.LEAVING:
            return [self._reply(key, request, 481)]
        if request.method in {"INVITE", "UPDATE"}:
            return self._offered(key, request, dialog, now)
        if request.method in TARGET_REFRESHERS and "Contact" in request.headers:
            dialog.refresh(request)
        return [Answer(key, sundry(request, in_dialog=True))]

    def _granted(self, key: Key, request: Request, now: float) -> list[Output] | None:
        """What a request earns that has nothing to do with the session itself; None for any other."""
        return None

    def acknowledged(self, request: Request, now: float) -> list[Output]:
        """An ACK to a 2xx of ours; only the one that is waited for counts."""
        acceptance = self._acceptance
        if acceptance is None or not acceptance.is_acknowledged_by(request):
            return []
        answer = session_description(request) if acceptance.offers else b""
        if acceptance.offers and not answer and self.stage is Stage.ANSWERED:
            told = [HungUp("ACK without an answer to our offer")] if self._cause is None else []
            return [*self._bye(self._cause or 88), *told]
        return [*self._settled(answer), *self._ask_reoffer(now)]

    def accepted_again(self, response: Response) -> list[Output]:
        """A 2xx that came after its transaction was forgotten: only its ACK is repeated."""
        return self._reinvite.acknowledge_again(response)

    def cancelled(self, key: Key, request: Request, now: float) -> list[Output]:
        """A CANCEL of the INVITE named `key`; it was answered with 200 already."""
        if self._reoffer is None or self._reoffer.key != key:
            return []
        return self.refuse_reoffer(487, "", now)

    def responded(self, request: Request, response: Response, now: float) -> list[Output]:
        """A response to a request of ours."""
        if request is self._goodbye and response.status >= 200:
            return self._left_answered(request, response)
        if (outputs := self._errands.responded(self.login, request, response, now)) is not None:
            return outputs
        if request.method != "INVITE" or self.dialog is None:
            return []
        if not self._reinvite.is_mine(request):
            return self._reinvite.acknowledge_again(response) if 200 <= response.status < 300 else []
        ends_it = {481} if self._reinvite.is_tentative else {408, 481}
        if self.stage is Stage.CONFIRMED and response.status in ends_it:
            return self._lost(f"{response.status} to our re-INVITE")
        outputs = self._reinvite.responded(self.dialog, self.login, response, now)
        if any(isinstance(output, Reanswered) for output in outputs):
            self._described = request.body
        if self.stage is not Stage.CONFIRMED:
            return [output for output in outputs if isinstance(output, Transmit)]
        return [*outputs, *self._ask_reoffer(now)]

    def unanswered(self, request: Request, status: int, now: float) -> list[Output]:
        """A request of ours found no answer, which counts as this status; a BYE ends the session all the same."""
        if request is self._goodbye:
            return self._finish()
        if (outputs := self._errands.unanswered(request, status, now)) is not None:
            return outputs
        if self._reinvite.is_mine(request) and self.stage is Stage.CONFIRMED:
            return self._unanswered_reoffer(now)
        return []

    def wake(self, now: float) -> list[Output]:
        """Do what is due."""
        outputs: list[Output] = []
        for timer in [timer for timer, when in self._due.items() if when <= now]:
            if self._due.pop(timer, None) is not None:
                outputs += self._timed_out(timer, now)
        outputs += self._wake_acceptance(now)
        if self.stage is Stage.CONFIRMED:
            outputs += self._wake_reinvite(now)
        if self.stage is Stage.CONFIRMED:
            outputs += self._wake_session(now)
        return outputs

    # ---- within

    def _wake_acceptance(self, now: float) -> list[Output]:
        woken = self._acceptance.wake(now) if self._acceptance else []
        if woken is not None:
            return woken
        told = [HungUp(f"no ACK in {self._timers.timeout:g} s")] if self._cause is None else []
        return [*self._bye(self._cause or 102), *told]

    def _wake_reinvite(self, now: float) -> list[Output]:
        if not is_due(self._reinvite.deadline, now):
            return []
        woken = self._reinvite.wake(now)
        return self._unanswered_reoffer(now) if woken is None else [*woken, *self._ask_reoffer(now)]

    def _unanswered_reoffer(self, now: float) -> list[Output]:
        if self._reinvite.is_tentative:
            return [*self._reinvite.give_up(), *self._ask_reoffer(now)]
        return self._lost("our re-INVITE was not answered")

    def _wake_session(self, now: float) -> list[Output]:
        match self._session_timer.wake(now):
            case Due.REFRESH:
                return self._refresh(now)
            case Due.EXPIRED:
                return self._lost("nobody refreshed the session")
            case None:
                return []

    def _refresh(self, now: float) -> list[Output]:
        """UPDATE where the peer knows it, else a re-INVITE that changes nothing (RFC 4028 section 7.4)."""
        assert self.dialog is not None, "a session that stands has a dialog"
        if "UPDATE" not in self._allowed:
            self._session_timer.try_again(now)  # should another offer of ours be on its way and fail
            self._reinvite.want(self._described, quiet=True)
            return self._ask_reoffer(now)
        headers = [("Contact", str(self._contact)), ("Allow", ALLOW), SUPPORTED, *self._session_timer.asking()]
        return self._errands.ask(self.dialog, self.login, "UPDATE", self._refreshed, headers)

    def _refreshed(self, status: int, response: Response | None, now: float) -> list[Output]:
        if self.stage is not Stage.CONFIRMED or self.dialog is None:
            return []
        if status in {408, 481}:
            return self._lost(f"{status} to our refresh")
        if response is not None and status < 300:
            self.dialog.refresh(response)
            self._session_timer.agreed(response, now)
        elif response is not None and self._session_timer.is_too_short(response):
            return self._refresh(now)
        elif status in {405, 501}:
            self._allowed -= {"UPDATE"}
            return self._refresh(now)
        else:
            self._session_timer.try_again(now)
        return []

    def _timed_out(self, timer: Timer, now: float) -> list[Output]:
        return self.refuse_reoffer(500, "", now) if timer is Timer.REOFFER else []

    def _dialog_with(self, remote_tag: str) -> Dialog | None:
        return self.dialog if self.dialog and self.dialog.remote.tag == remote_tag else None

    def _offered(self, key: Key, request: Request, dialog: Dialog, now: float) -> list[Output]:
        """re-INVITE and UPDATE. One offer at a time (RFC 3261 14.2, RFC 3311 5.2)."""
        offer = session_description(request)
        if short := too_short(request):
            return [self._reply(key, request, 422, short)]
        if request.method == "UPDATE" and not offer:
            dialog.refresh(request)
            return [Answer(key, self._success(request, b"", now)), *self._party_of(request)]
        if self._has_offered(dialog):
            return [self._reply(key, request, 491)]
        if not self._takes_offers(dialog) or self._reoffer is not None:
            return [self._busy(key, request)]
        dialog.refresh(request)
        # Whoever offers anew has our 2xx, even if its ACK was lost or overtaken (RFC 5407 3.1.5).
        told = self._settled() if self._acceptance else []
        if self.stage is Stage.LEAVING:
            return [*told, self._reply(key, request, 481)]
        self._reoffer = _Reoffer(key, request)
        self._due[Timer.REOFFER] = now + REOFFER_SECONDS
        trying = [Answer(key, respond(request, 100))] if request.method == "INVITE" else []
        return [*told, *trying, *self._party_of(request), Reoffered(offer)]

    def _takes_offers(self, dialog: Dialog) -> bool:
        """The first offer of the session was answered."""
        return self.stage is not Stage.INVITING

    def _party_of(self, message: Request | Response) -> list[Output]:
        """Who is at the other end now, if that is news (RFC 5876 section 3)."""
        party = connected_of(message)
        if party is None or party == self._party:
            return []
        self._party = party
        return [PartyChanged(*party)]

    def _note(self, message: Request | Response) -> None:
        """What the peer says it can."""
        if "Allow" in message.headers:
            self._allowed = frozenset(method.upper() for method in message.headers.all("Allow"))

    def _settled(self, answer: bytes = b"") -> list[Output]:
        """The awaited ACK is here."""
        self._acceptance = None
        if self.stage is not Stage.ANSWERED:
            return [Confirmed(answer)] if answer else []
        self.stage = Stage.CONFIRMED
        return [Confirmed(answer)] if self._cause is None else self._bye(self._cause)

    def _left(self, request: Request) -> list[Output]:
        """Their BYE; crossing ours it is no news."""
        told = [] if self._cause is not None or self.stage is Stage.LEAVING else [HungUp(_why(request))]
        return [*self._finish(), *told]

    def _lost(self, why: str) -> list[Output]:
        """The peer knows the session no more, or might not; BYE settles it (RFC 5057 5.1)."""
        return [*self._bye(102), HungUp(why)]

    def _bye(self, cause: int) -> list[Output]:
        assert self.dialog is not None, "a session that stands has a dialog"
        self._cause = cause
        self._acceptance = None
        outputs = self._drop_open()
        request, to = self.dialog.request("BYE", self._me, [("Reason", f"Q.850;cause={cause}")])
        self.stage = Stage.LEAVING
        self._goodbye = self.login.sign(request) if self.login else request
        return [*outputs, Ask(self._goodbye, to)]

    def _left_answered(self, request: Request, response: Response) -> list[Output]:
        """Whatever the answer to our BYE, the session is over, but for a challenge."""
        if response.status in {401, 407} and self.dialog and self.login:
            again, to = self.dialog.request("BYE", self._me)
            if (signed := self.login.retry(again, request, response)) is not None:
                self._goodbye = signed
                return [Ask(signed, to)]
        return self._finish()

    def _finish(self) -> list[Output]:
        outputs = [*self._drop_open(), *self._reinvite.drop(), *self._errands.drop()]
        self._acceptance = None
        self._due.clear()
        self._goodbye = None
        self.stage = Stage.OVER
        return outputs

    def _has_offered(self, dialog: Dialog) -> bool:
        """An offer of ours is open: theirs has to wait (RFC 3261 14.2, RFC 3311 5.2)."""
        return self._reinvite.is_asking

    def _ask_reoffer(self, now: float) -> list[Output]:
        """Our offer that waits, if none is open in either direction."""
        if self.stage is not Stage.CONFIRMED or self.dialog is None or self._reoffer or self._acceptance:
            return []
        if self._untold and not self._reinvite.is_asking:
            self._untold = False
            self._reinvite.want(self._described, quiet=True, tentative=True)
        return self._reinvite.ask(self.dialog, self.login, now)

    def _drop_open(self) -> list[Output]:
        """The session ends: what of the peer's waits for us is refused."""
        return self._drop_reoffer(487, "")

    def _drop_reoffer(self, status: int, phrase: str) -> list[Output]:
        reoffer = self._take_reoffer()
        return [] if reoffer is None else [self._refusal(reoffer, status, phrase)]

    def _take_reoffer(self) -> _Reoffer | None:
        reoffer, self._reoffer = self._reoffer, None
        self._due.pop(Timer.REOFFER, None)
        return reoffer

    def _success(self, request: Request, sdp: bytes, now: float) -> Response:
        headers = [("Contact", str(self._contact)), ("Allow", ALLOW), SUPPORTED, ("Server", PRODUCT)]
        headers += self._session_timer.grant(request, now)
        headers += [SDP] if sdp else []
        return respond(request, 200, to_tag=self.tag, headers=headers, body=sdp)

    def _reply(self, key: Key, request: Request, status: int, headers: Iterable[tuple[str, str]] = ()) -> Answer:
        return Answer(key, respond(request, status, to_tag=self.tag, headers=[("Server", PRODUCT), *headers]))

    def _busy(self, key: Key, request: Request) -> Answer:
        wait = str(int(self._me.fraction() * 11))
        return Answer(key, respond(request, 500, to_tag=self.tag, headers=[("Retry-After", wait)]))

    def _refusal(self, reoffer: _Reoffer, status: int, phrase: str) -> Answer:
        return Answer(reoffer.key, respond(reoffer.request, status, phrase, to_tag=self.tag))


def is_due(deadline: float | None, now: float) -> bool:
    return deadline is not None and deadline <= now


def unheeded(status: int, response: Response | None, now: float) -> list[Output]:
    """For requests whose answer changes nothing."""
    return []


def _why(request: Request) -> str:
    reason = request.headers.get("Reason")
    return f"{request.method} ({reason})" if reason else request.method
