"""A call that goes out, until it is answered (RFC 3261 sections 9.1 and 13.2; pure).

CANCEL waits for the first provisional response. Every answer gets its ACK, and every answer but the first one a BYE.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .address import NameAddr, Uri
from .dialog import ALLOW, PRODUCT, SDP, SUPPORTED, Dialog, Identity
from .flow import Flow
from .login import Login
from .matching import cancel_of
from .message import Headers, Request, Response, seconds_in, session_description
from .output import Abandon, Accepted, Ask, HungUp, Output, Progressed, Rang, Refused, Transmit, Unreachable
from .reason import Q850, causes
from .reliable import ReliableReceiver, rack
from .session import Stage, Timer, unheeded
from .transaction import Timers
from .usage import Usage

MOST_FORKS = 16
SPARE_SECONDS = 8.0
"""How long an address may be silent while there is another one to try."""
DEAD_SECONDS = 60
"""How long an address that said nothing is spared by later calls."""
MOST_RETRY_AFTER = 3600


class Outbound(Usage):
    """The calling side. `user` is our account in Contact, if not the caller's; `spares` are tried in their order where `peer` is silent or has no time (RFC 3263 4.3)."""

    def __init__(
        self,
        *,
        target: Uri,
        caller: NameAddr,
        sdp: bytes,
        me: Identity,
        timers: Timers,
        peer: Flow,
        user: str = "",
        spares: Sequence[Flow] = (),
        login: Login | None = None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        user = user or caller.uri.user
        super().__init__(
            call_id=me.call_id(),
            me=me,
            timers=timers,
            user=user,
            peer=peer,
            login=login,
            made_call_id=True,
            secure=target.is_secure,
        )
        self._user = user
        self._target = target
        self._caller = caller.with_tag(self.tag)
        self._sdp = sdp
        self._peer = peer
        self._spares = list(spares)
        self._headers = tuple(headers)
        self._described = sdp
        self._party = target.number, ""
        self._reliable = ReliableReceiver()
        self._settled_by: dict[str, bytes] = {}
        """The answer to our offer that came in a reliable response, by fork."""
        self._cseq = 0
        self._invite = self._next_invite()
        self._former: list[tuple[Request, Flow]] = []
        """What was sent to addresses that were silent: they may wake up yet."""
        self._may_cancel = False
        """A provisional response came."""
        self._rang = False
        self._provisional = False
        self._early: dict[str, Dialog] = {}
        self._previews: dict[str, bytes] = {}
        """Early media by fork."""
        self._acks: dict[str, Transmit] = {}

    @property
    def number(self) -> str:
        """Whom it calls."""
        return self._target.number

    def start(self, now: float) -> list[Output]:
        self._invite = self._signed(self._invite)
        return self._ask(now)

    def hang_up(self, cause: int, now: float) -> list[Output]:
        """Before the answer: CANCEL, as soon as a provisional response allows it (RFC 3261 9.1)."""
        if self.stage is not Stage.INVITING:
            return super().hang_up(cause, now)
        if self._cause is not None:
            return []
        self._cause = cause
        return self._cancel(now) if self._may_cancel else []

    def responded(self, request: Request, response: Response, now: float) -> list[Output]:
        if request.method != "INVITE" or request.to_tag:
            return super().responded(request, response, now)
        if request is not self._invite:
            return self._woke_up(request, response)
        if 200 <= response.status < 300:
            return self._answered(response, now)
        if self.stage is not Stage.INVITING:
            return []
        if response.status < 200:
            return self._progressed(response, now)
        if response.status in {401, 407} and self.login and self._cause is None:
            signed = self.login.retry(self._next_invite(), request, response)
            if signed is not None:
                self._invite, self._may_cancel = signed, False
                return self._ask(now)
        if self._cause is None and self._session_timer.is_too_short(response):
            self._invite, self._may_cancel = self._signed(self._next_invite()), False
            return self._ask(now)
        if response.status == 503:
            return self._overloaded(response, now)
        return self._refused(response)

    def unanswered(self, request: Request, status: int, now: float) -> list[Output]:
        if request is not self._invite or self.stage is not Stage.INVITING:
            return super().unanswered(request, status, now)
        dead = Unreachable(self._peer, DEAD_SECONDS)
        if self._spares and self._cause is None:
            return [dead, *self._try_next(now)]
        why = "no answer from the network" if status == 408 else "can't be sent"
        return [dead, *self._finish(), Refused(status, why, 0, self._provisional)]

    def accepted_again(self, response: Response) -> list[Output]:
        if response.cseq[0] != self._invite.cseq[0]:
            return super().accepted_again(response)
        ack = self._acks.get(response.to_tag)
        return [ack] if ack else []

    def _timed_out(self, timer: Timer, now: float) -> list[Output]:
        if timer is Timer.GIVE_UP:
            outputs = [Abandon(self._invite), *self._finish()]
            return [*outputs, Refused(487, "no answer to CANCEL", 0, self._provisional)]
        if timer is Timer.SPARE:
            self._former.append((self._invite, self._peer))
            return [Unreachable(self._peer, DEAD_SECONDS), *self._try_next(now)] if self._cause is None else []
        return super()._timed_out(timer, now)

    def _dialog_with(self, remote_tag: str) -> Dialog | None:
        return super()._dialog_with(remote_tag) if self.dialog else self._early.get(remote_tag)

    def _has_offered(self, dialog: Dialog) -> bool:
        is_open = self.stage is Stage.INVITING and dialog.remote.tag not in self._settled_by
        return is_open or super()._has_offered(dialog)

    def _takes_offers(self, dialog: Dialog) -> bool:
        """In an early dialog too, once the answer to our offer came for certain (RFC 3311 5.2)."""
        return super()._takes_offers(dialog) or dialog.remote.tag in self._settled_by

    def _left(self, request: Request) -> list[Output]:
        """A BYE before the answer comes from a callee whose answers were all lost on the way."""
        if self.stage is not Stage.INVITING:
            return super()._left(request)
        return [Abandon(self._invite), *self._finish(), HungUp("BYE before the answer")]

    # ---- what the INVITE meets

    def _progressed(self, response: Response, now: float) -> list[Output]:
        self._due.pop(Timer.SPARE, None)
        outputs: list[Output] = []
        if not self._may_cancel:
            self._may_cancel = True
            outputs = self._cancel(now) if self._cause is not None else []
        if response.status in {100, 199}:
            return outputs
        self._provisional = True
        tag = response.to_tag
        self._note(response)
        if tag and tag not in self._early and len(self._early) < MOST_FORKS:
            self._early[tag] = self._new_dialog(self._invite, response, self._peer)
        sdp = session_description(response)
        if tag in self._early and (is_next := self._reliable.takes(response)) is not None:
            if not is_next:
                return outputs
            outputs += self._errands.ask(self._early[tag], self.login, "PRACK", unheeded, [rack(response)])
            if sdp:
                self._settled_by.setdefault(tag, sdp)
        return outputs if self._cause is not None else [*outputs, *self._heard(tag, sdp)]

    def _heard(self, tag: str, sdp: bytes) -> list[Output]:
        """Early media of the fork that spoke up last; a repetition of what another one said before changes nothing."""
        if not sdp:
            rang, self._rang = self._rang, True
            return [] if rang else [Rang()]
        if self._previews.get(tag) == sdp or (tag not in self._previews and len(self._previews) >= MOST_FORKS):
            return []
        self._previews[tag] = sdp
        return [Progressed(sdp)]

    def _answered(self, response: Response, now: float) -> list[Output]:
        """The first 2xx wins; every other tag's gets ACK and BYE; a repeat gets its ACK again (RFC 3261 13.2.2.4)."""
        tag = response.to_tag
        if tag in self._acks:
            return [self._acks[tag]]
        if len(self._acks) >= MOST_FORKS:
            return []
        if self.stage is not Stage.INVITING:
            return self._refuse_answer(self._invite, response, self._peer)
        early = self._early.get(tag)
        dialog = self._new_dialog(self._invite, response, self._peer)
        if early is not None:
            dialog.remote_cseq, dialog.local_cseq = early.remote_cseq, early.local_cseq
        self._note(response)
        self._session_timer.agreed(response, now)
        ack = self._acks[tag] = Transmit(*dialog.acknowledge(self._invite, self._me))
        self.dialog, self.stage = dialog, Stage.CONFIRMED
        self._due.clear()
        if self._cause is not None:
            return [ack, *self._bye(self._cause), Refused(487, "answered too late", 0, self._provisional)]
        sdp = session_description(response)
        if tag in self._settled_by:  # what a 2xx repeats may be older than what an UPDATE has brought since
            return [ack, Accepted(b"" if sdp in {b"", self._settled_by[tag]} else sdp)]
        if not sdp:
            return [ack, *self._bye(88), Refused(488, "answered without a description", 0, self._provisional)]
        return [ack, Accepted(sdp)]

    def _refuse_answer(self, invite: Request, response: Response, peer: Flow) -> list[Output]:
        """ACK and BYE for an answer that came second."""
        dialog = self._new_dialog(invite, response, peer)
        ack = self._acks[response.to_tag] = Transmit(*dialog.acknowledge(invite, self._me))
        request, to = dialog.request("BYE", self._me, [("Reason", "Q.850;cause=26")])
        return [ack, Ask(self.login.sign(request) if self.login else request, to)]

    def _refused(self, response: Response) -> list[Output]:
        cause = next(iter(causes(response, Q850)), 0)
        return [*self._finish(), Refused(response.status, response.phrase, cause, self._provisional)]

    def _cancel(self, now: float) -> list[Output]:
        self._due[Timer.GIVE_UP] = now + self._timers.timeout
        return [Ask(cancel_of(self._invite), self._peer)]

    # ---- failover

    def _overloaded(self, response: Response, now: float) -> list[Output]:
        wait = min(seconds_in(response, "Retry-After"), MOST_RETRY_AFTER)
        told = [Unreachable(self._peer, wait)] if wait else []
        if self._spares and self._cause is None:
            return [*told, *self._try_next(now)]
        return [*told, *self._refused(response)]

    def _try_next(self, now: float) -> list[Output]:
        """The same request on a new branch (RFC 3263 4.3)."""
        self._peer = self._spares.pop(0)
        self._contact = self._me.contact(self._user, self._peer, secure=self._target.is_secure)
        headers = self._invite.headers.replace_first("Via", str(self._me.via(self._peer)))
        headers = headers.set("Contact", str(self._contact))
        self._invite = Request("INVITE", self._invite.uri, headers, self._invite.body)
        self._may_cancel = False
        return self._ask(now)

    def _woke_up(self, request: Request, response: Response) -> list[Output]:
        """An address that was given up answers after all: nothing may ring or talk there."""
        peer = next((peer for former, peer in self._former if former is request), None)
        if peer is None or response.status >= 300:
            return []
        if response.status < 200:
            return [Ask(cancel_of(request), peer), Abandon(request)]
        if response.to_tag in self._acks:
            return [self._acks[response.to_tag]]
        return self._refuse_answer(request, response, peer) if len(self._acks) < MOST_FORKS else []

    def _ask(self, now: float) -> list[Output]:
        self._due.pop(Timer.SPARE, None)
        if self._spares:
            self._due[Timer.SPARE] = now + SPARE_SECONDS
        return [Ask(self._invite, self._peer)]

    def _new_dialog(self, invite: Request, response: Response, peer: Flow) -> Dialog:
        dialog = Dialog.of_client(invite, response, contact=self._contact, peer=peer)
        dialog.local_cseq = self._cseq
        return dialog

    def _signed(self, request: Request) -> Request:
        return self.login.sign(request) if self.login else request

    def _next_invite(self) -> Request:
        self._cseq += 1
        pairs = [
            ("Via", str(self._me.via(self._peer))),
            ("Max-Forwards", "70"),
            ("From", str(self._caller)),
            ("To", f"<{self._target}>"),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self._cseq} INVITE"),
            ("Contact", str(self._contact)),
            ("Allow", ALLOW),
            SUPPORTED,
            *self._session_timer.asking(),
            ("User-Agent", PRODUCT),
            *self._headers,
            SDP,
        ]
        return Request("INVITE", str(self._target), Headers(pairs), self._sdp)
