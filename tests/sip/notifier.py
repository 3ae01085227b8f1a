"""A PBX that tells who talks at its only extension (RFC 6665 and 4235, written for the tests from the standards)."""

from __future__ import annotations

from itertools import count

from bridge.sip.flow import Flow
from bridge.sip.matching import stamp
from bridge.sip.message import Headers, Request, Response, parse, respond
from bridge.sip.transaction import Arrived, Output, Send
from bridge.sip.transactions import Transactions


def document(state: str, version: int, *, full: bool = True) -> bytes:
    kind = "full" if full else "partial"
    return (
        f'<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="{version}" state="{kind}" entity="sip:1001@pbx">'
        f'<dialog id="1"><state>{state}</state></dialog></dialog-info>'
    ).encode()


class Notifier:
    """Accepts one subscription at a time and tells every change of `state`, as UserAgent does its work: pure."""

    def __init__(self, place: Flow, granted: int = 60) -> None:
        self.place = place
        self.state = "terminated"
        self.granted = granted
        self.watched_until = 0.0
        self.subscribed = 0
        """Subscriptions that began."""
        self._transactions = Transactions()
        self._out: list[Send] = []
        self._numbers = count(1)
        self._dialog: Request | None = None
        """The SUBSCRIBE that made it."""
        self._cseq, self._version = 0, 0

    def receive(self, data: bytes, source: Flow, now: float) -> None:
        message = parse(data)
        if isinstance(message, Response):
            self._handle(self._transactions.receive_response(message, now) or [], now)
        else:
            self._handle(self._transactions.receive_request(stamp(message, source), source, now), now)

    def tick(self, now: float) -> None:
        self._handle(self._transactions.tick(now), now)

    def drain(self) -> list[Send]:
        out, self._out = self._out, []
        return out

    @property
    def next_deadline(self) -> float | None:
        return self._transactions.next_deadline

    @property
    def pending(self) -> int:
        return len(self._transactions)

    def turn(self, state: str, now: float) -> None:
        self.state = state
        if self._dialog is not None and now < self.watched_until:
            self._notify("active", now)

    def end(self, reason: str, now: float) -> None:
        if self._dialog is not None:
            self._notify(f"terminated;reason={reason}", now)
        self._dialog = None

    def _handle(self, outputs: list[Output], now: float) -> None:
        for output in outputs:
            if isinstance(output, Send):
                self._out.append(output)
            elif isinstance(output, Arrived):
                self._subscribe(output, now)

    def _subscribe(self, arrived: Arrived, now: float) -> None:
        request = arrived.request
        assert request.method == "SUBSCRIBE"
        if request.to_tag and (self._dialog is None or request.call_id != self._dialog.call_id):
            self._handle(self._transactions.answer(arrived.key, respond(request, 481), now), now)
            return
        expires = min(int(request.headers.get("Expires") or 0), self.granted)
        if not request.to_tag:
            self._dialog, self._version, self.subscribed = request, 0, self.subscribed + 1
        self.watched_until = now + expires
        contact = ("Contact", f"<sip:1001@{self.place.host}:{self.place.port}>")
        accepted = respond(request, 200, to_tag="pbx", headers=[contact, ("Expires", str(expires))])
        self._handle(self._transactions.answer(arrived.key, accepted, now), now)
        self._notify("active" if expires else "terminated;reason=timeout", now)

    def _notify(self, state: str, now: float) -> None:
        asked = self._dialog
        assert asked is not None
        self._cseq += 1
        self._version += 1
        target = (asked.headers.get("Contact") or "").strip("<>")
        pairs = [
            (
                "Via",
                f"SIP/2.0/UDP {self.place.host}:{self.place.port};rport;branch=z9hG4bKnotify{next(self._numbers)}",
            ),
            ("Max-Forwards", "70"),
            ("From", f"{asked.headers.get('To')};tag=pbx"),
            ("To", asked.headers.get("From") or ""),
            ("Call-ID", asked.call_id),
            ("CSeq", f"{self._cseq} NOTIFY"),
            ("Contact", f"<sip:1001@{self.place.host}:{self.place.port}>"),
            ("Event", "dialog"),
            ("Subscription-State", state),
            ("Content-Type", "application/dialog-info+xml"),
        ]
        body = document(self.state, self._version)
        host, _, port = target.partition("@")[2].partition(":")
        request = Request("NOTIFY", target, Headers(pairs), body)
        self._handle(self._transactions.ask(request, Flow(host, int(port)), now), now)
