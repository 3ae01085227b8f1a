"""A call that goes out, until it is answered (RFC 3261 sections 9.1 and 13.2; pure)."""

from __future__ import annotations

from collections.abc import Iterable

from .address import NameAddr, Uri
from .dialog import ALLOW, PRODUCT, Dialog, Identity
from .login import Login
from .matching import Address, cancel_of
from .message import Headers, Request, Response, session_description
from .transaction import Timers
from .usage import SDP, Abandon, Accepted, Ask, Output, Progressed, Refused, Stage, Timer, Transmit, Usage

MOST_FORKS = 16


class Outbound(Usage):
    """The calling side."""

    def __init__(
        self,
        *,
        target: Uri,
        caller: NameAddr,
        sdp: bytes,
        me: Identity,
        timers: Timers,
        peer: Address,
        login: Login | None = None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        super().__init__(call_id=me.call_id(), me=me, timers=timers, user=caller.uri.user, login=login)
        self._target = target
        self._caller = caller.with_tag(self.tag)
        self._sdp = sdp
        self._peer = peer
        self._headers = tuple(headers)
        self._cseq = 0
        self._invite = self._next_invite()
        self._ringing = False
        """A provisional response came: CANCEL is allowed."""
        self._early: dict[str, Dialog] = {}
        self._acks: dict[str, tuple[Request, Address]] = {}

    def start(self, now: float) -> list[Output]:
        self._invite = self._login.sign(self._invite) if self._login else self._invite
        return [Ask(self._invite, self._peer)]

    def hang_up(self, cause: int, now: float) -> list[Output]:
        """Before the answer: CANCEL, as soon as a provisional response allows it (RFC 3261 9.1)."""
        if self.stage is not Stage.INVITING:
            return super().hang_up(cause, now)
        if self._cause is not None:
            return []
        self._cause = cause
        return self._cancel(now) if self._ringing else []

    def responded(self, request: Request, response: Response, now: float) -> list[Output]:
        if request.method != "INVITE":
            return super().responded(request, response, now)
        if 200 <= response.status < 300:
            return self._accepted(request, response)
        if self.stage is not Stage.INVITING or request is not self._invite:
            return []
        if response.status < 200:
            return self._progressed(response, now)
        if response.status in {401, 407} and self._login and self._cause is None:
            signed = self._login.retry(self._next_invite(), request, response)
            if signed is not None:
                self._invite, self._ringing = signed, False
                return [Ask(signed, self._peer)]
        return self._refused(response.status, response.phrase)

    def unanswered(self, request: Request, now: float) -> list[Output]:
        if request.method == "INVITE" and self.stage is Stage.INVITING:
            return self._refused(408, "no answer from the network")
        return super().unanswered(request, now)

    def accepted_again(self, response: Response) -> list[Output]:
        """A 2xx that came after its transaction was forgotten: only its ACK is repeated."""
        ack = self._acks.get(response.to_tag)
        return [Transmit(*ack)] if ack else []

    def _timed_out(self, timer: Timer, now: float) -> list[Output]:
        if timer is Timer.GIVE_UP:
            return [Abandon(self._invite), *self._refused(487, "")]
        return super()._timed_out(timer, now)

    def _dialog_with(self, remote_tag: str) -> Dialog | None:
        return super()._dialog_with(remote_tag) if self.dialog else self._early.get(remote_tag)

    def _progressed(self, response: Response, now: float) -> list[Output]:
        outputs: list[Output] = []
        if not self._ringing:
            self._ringing = True
            outputs = self._cancel(now) if self._cause is not None else []
        if response.status == 100:
            return outputs
        tag = response.to_tag
        if tag and tag not in self._early and len(self._early) < MOST_FORKS:
            self._early[tag] = self._new_dialog(self._invite, response)
        return [*outputs, Progressed(response.status, session_description(response))]

    def _accepted(self, invite: Request, response: Response) -> list[Output]:
        """The first 2xx wins; every other tag's gets ACK and BYE; a repeat gets its ACK again (RFC 3261 13.2.2.4)."""
        tag = response.to_tag
        if tag in self._acks:
            return [Transmit(*self._acks[tag])]
        if len(self._acks) >= MOST_FORKS:
            return []
        dialog = self._new_dialog(invite, response)
        early = self._early.get(tag)
        dialog.remote_cseq = early.remote_cseq if early else None
        self._acks[tag] = dialog.acknowledge(invite, self._me)
        ack = Transmit(*self._acks[tag])
        if self.stage is not Stage.INVITING:
            return [ack, Ask(*dialog.request("BYE", self._me, [("Reason", "Q.850;cause=26")]))]
        self.dialog, self.stage = dialog, Stage.CONFIRMED
        self._due.pop(Timer.GIVE_UP, None)
        if self._cause is not None:
            return [ack, *self._bye(self._cause), Refused(487, "answered too late")]
        return [ack, Accepted(session_description(response))]

    def _refused(self, status: int, phrase: str) -> list[Output]:
        return [*self._finish(), Refused(status, phrase)]

    def _cancel(self, now: float) -> list[Output]:
        self._due[Timer.GIVE_UP] = now + self._timers.timeout
        return [Ask(cancel_of(self._invite), self._peer)]

    def _new_dialog(self, invite: Request, response: Response) -> Dialog:
        dialog = Dialog.of_client(invite, response, contact=self._contact, peer=self._peer)
        dialog.local_cseq = self._cseq
        return dialog

    def _next_invite(self) -> Request:
        self._cseq += 1
        pairs = [
            ("Via", str(self._me.via())),
            ("Max-Forwards", "70"),
            ("From", str(self._caller)),
            ("To", f"<{self._target}>"),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self._cseq} INVITE"),
            ("Contact", str(self._contact)),
            ("Allow", ALLOW),
            ("User-Agent", PRODUCT),
            *self._headers,
            SDP,
        ]
        return Request("INVITE", str(self._target), Headers(pairs), self._sdp)
