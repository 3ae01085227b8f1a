"""A call that comes in, until it is answered (RFC 3261 sections 9.2 and 13.3; pure)."""

from __future__ import annotations

from collections.abc import Iterable

from .acceptance import Acceptance
from .address import NameAddr, Uri
from .dialog import ALLOW, PRODUCT, SDP, Dialog, Identity
from .flow import Flow
from .matching import Key
from .message import Request, caller_of, respond, session_description
from .output import Answer, Cancelled, HungUp, Output
from .reason import Q850, SIP, causes
from .reliable import ReliableSender
from .session import Stage, Timer
from .transaction import Timers
from .usage import Usage

FIRST_RSEQ = 2**30
RING_AGAIN_SECONDS = 60.0
"""Proxies give up a call that was silent for three minutes (RFC 3261 13.3.1.1)."""


class Inbound(Usage):
    """The called side. SipError if the INVITE can't make a dialog."""

    def __init__(self, key: Key, invite: Request, *, me: Identity, timers: Timers, user: str, peer: Flow) -> None:
        super().__init__(
            call_id=invite.call_id,
            me=me,
            timers=timers,
            user=user,
            peer=peer,
            login=None,
            made_call_id=False,
            secure=_wants_security(invite),
        )
        self.dialog = Dialog.of_server(invite, tag=self.tag, contact=self._contact, peer=peer)
        self._key = key
        self._invite = invite
        self._last = 180, b""
        """The provisional response that is repeated."""
        self._reliable = ReliableSender(invite, timers, 1 + int(me.fraction() * FIRST_RSEQ))
        self._next: tuple[int, bytes] | None = None
        """A provisional response that waits for the PRACK of the one before."""
        self._answer_waits: bytes | None = None
        self._party = caller_of(invite)
        self._note(invite)

    def trying(self) -> list[Output]:
        return [Answer(self._key, respond(self._invite, 100))]

    def ring(self, now: float) -> list[Output]:
        """180 now and once a minute."""
        return self._provisional(180, b"", now)

    def progress(self, sdp: bytes, now: float) -> list[Output]:
        """183 with early media, now and once a minute."""
        return self._provisional(183, sdp, now)

    def answer(self, sdp: bytes, now: float) -> list[Output]:
        """200, repeated until the ACK."""
        if self.stage is not Stage.INVITING:
            return []
        if self._reliable.has_description:
            self._answer_waits = sdp
            return []
        self.stage = Stage.ANSWERED
        self._due.clear()
        self._reliable.stop()
        response = self._success(self._invite, sdp, now)
        self._described = sdp
        self._acceptance = Acceptance(self._key, self._invite, response, self._timers, now)
        return [Answer(self._key, response)]

    def refuse(self, status: int, phrase: str, now: float, headers: Iterable[tuple[str, str]] = ()) -> list[Output]:
        """A final 3xx–6xx to the INVITE."""
        if self.stage is not Stage.INVITING:
            return []
        headers = [("Server", PRODUCT), *headers]
        self._reliable.stop()
        response = respond(self._invite, status, phrase, to_tag=self.tag, headers=headers)
        return [Answer(self._key, response), *self._finish()]

    def hang_up(self, cause: int, now: float) -> list[Output]:
        """Before the answer: 480."""
        if self.stage is Stage.INVITING:
            return self.refuse(480, "", now, [("Reason", f"Q.850;cause={cause}")])
        return super().hang_up(cause, now)

    def cancelled(self, key: Key, request: Request, now: float) -> list[Output]:
        """Without effect once we answered: the caller has to send BYE then (RFC 3261 9.2)."""
        if key != self._key:
            return super().cancelled(key, request, now)
        if self.stage is not Stage.INVITING:
            return []
        return [*self.refuse(487, "", now), Cancelled(_is_elsewhere(request))]

    def refuses_to_be_replaced(self, *, early_only: bool) -> int:
        """An early dialog that we did not start stays (RFC 3891 section 3)."""
        return 481 if self.stage is Stage.INVITING else super().refuses_to_be_replaced(early_only=early_only)

    def _timed_out(self, timer: Timer, now: float) -> list[Output]:
        return self._provisional(*self._last, now) if timer is Timer.RING_AGAIN else super()._timed_out(timer, now)

    def received(self, key: Key, request: Request, now: float) -> list[Output]:
        dialog = self._dialog_with(request.from_tag)
        if request.method != "PRACK" or dialog is None or not dialog.in_order(request):
            return super().received(key, request, now)
        if not self._reliable.acknowledged(request):
            return [self._reply(key, request, 481)]
        if session_description(request):
            # It can only be an offer, for we never make one in a provisional response.
            return [self._reply(key, request, 488), *self._prack_came(now)]
        return [self._reply(key, request, 200), *self._prack_came(now)]

    @property
    def deadline(self) -> float | None:
        times = [when for when in (super().deadline, self._reliable.deadline) if when is not None]
        return min(times, default=None)

    def wake(self, now: float) -> list[Output]:
        woken = self._reliable.wake(now)
        if woken is None:
            return [*self.refuse(504, "", now), HungUp(f"no PRACK in {self._timers.timeout:g} s")]
        return [*woken, *super().wake(now)]

    def _prack_came(self, now: float) -> list[Output]:
        if self._answer_waits is not None:
            return self.answer(self._answer_waits, now)
        waiting, self._next = self._next, None
        return self._provisional(*waiting, now) if waiting else []

    def _provisional(self, status: int, sdp: bytes, now: float) -> list[Output]:
        """Reliable where the caller demands it, and where it can be and something depends on it (RFC 3262 section 3)."""
        if self.stage is not Stage.INVITING or self._answer_waits is not None:
            return []
        if self._reliable.waits:
            self._next = status, sdp
            return []
        if self._reliable.is_required and not sdp and not session_description(self._invite):
            return []  # it would have to bring the offer, which is not there yet (RFC 3261 13.2.1)
        self._last = status, sdp
        self._due[Timer.RING_AGAIN] = now + RING_AGAIN_SECONDS
        is_reliable = self._reliable.is_required or (self._reliable.is_possible and bool(sdp))
        headers = [("Contact", str(self._contact)), ("Allow", ALLOW), ("Server", PRODUCT)]
        headers += self._reliable.headers() if is_reliable else []
        headers += [SDP] if sdp else []
        response = respond(self._invite, status, to_tag=self.tag, headers=headers, body=sdp)
        if is_reliable:
            self._reliable.sent(self._key, response, now)
        return [Answer(self._key, response)]

    def _left(self, request: Request) -> list[Output]:
        """A BYE in the early dialog ends the INVITE as well (RFC 3261 15.1.2)."""
        if self.stage is Stage.INVITING:
            return [*self.refuse(487, "", 0), HungUp("BYE before the answer")]
        return super()._left(request)


def _wants_security(invite: Request) -> bool:
    """Then our Contact is a sips: one as well (RFC 3261, 12.1.1)."""
    first = invite.headers.all("Record-Route")[:1] or invite.headers.all("Contact")[:1]
    return Uri.parse(invite.uri).is_secure or any(NameAddr.parse(each).uri.is_secure for each in first)


def _is_elsewhere(request: Request) -> bool:
    """RFC 3326; Asterisk and others write Q.850 cause 26 for the same."""
    return 200 in causes(request, SIP) or 26 in causes(request, Q850)
