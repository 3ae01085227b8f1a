"""A call that comes in, until it is answered (RFC 3261 sections 9.2 and 13.3; pure)."""

from __future__ import annotations

from collections.abc import Iterable

from .dialog import PRODUCT, SDP, Dialog, Identity
from .flow import Flow
from .matching import Key
from .message import Request, respond
from .output import Answer, Cancelled, HungUp, Output
from .reason import Q850, SIP, causes
from .transaction import Timers
from .usage import Stage, Timer, Usage

RING_AGAIN_SECONDS = 60.0
"""Proxies give up a call that was silent for three minutes (RFC 3261 13.3.1.1)."""


class Inbound(Usage):
    """The called side. SipError if the INVITE can't make a dialog."""

    def __init__(self, key: Key, invite: Request, *, me: Identity, timers: Timers, user: str, peer: Flow) -> None:
        super().__init__(
            call_id=invite.call_id, me=me, timers=timers, user=user, peer=peer, login=None, made_call_id=False
        )
        self.dialog = Dialog.of_server(invite, tag=self.tag, contact=self._contact, peer=peer)
        self._key = key
        self._invite = invite
        self._last = 180, b""
        """The provisional response that is repeated."""

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
        self.stage = Stage.ANSWERED
        self._due.clear()
        response = self._success(self._invite, sdp)
        self._await_ack(self._key, response, now)
        return [Answer(self._key, response)]

    def refuse(self, status: int, phrase: str, now: float, headers: Iterable[tuple[str, str]] = ()) -> list[Output]:
        """A final 3xx–6xx to the INVITE."""
        if self.stage is not Stage.INVITING:
            return []
        headers = [("Server", PRODUCT), *headers]
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

    def _timed_out(self, timer: Timer, now: float) -> list[Output]:
        return self._provisional(*self._last, now) if timer is Timer.RING_AGAIN else super()._timed_out(timer, now)

    def _provisional(self, status: int, sdp: bytes, now: float) -> list[Output]:
        if self.stage is not Stage.INVITING:
            return []
        self._last = status, sdp
        self._due[Timer.RING_AGAIN] = now + RING_AGAIN_SECONDS
        headers = [("Contact", str(self._contact)), ("Server", PRODUCT), *([SDP] if sdp else [])]
        return [Answer(self._key, respond(self._invite, status, to_tag=self.tag, headers=headers, body=sdp))]

    def _left(self, request: Request) -> list[Output]:
        """A BYE in the early dialog ends the INVITE as well (RFC 3261 15.1.2)."""
        if self.stage is Stage.INVITING:
            return [*self.refuse(487, "", 0), HungUp("BYE before the answer")]
        return super()._left(request)


def _is_elsewhere(request: Request) -> bool:
    """RFC 3326; Asterisk and others write Q.850 cause 26 for the same."""
    return 200 in causes(request, SIP) or 26 in causes(request, Q850)
