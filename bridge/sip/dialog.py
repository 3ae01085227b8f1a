"""Dialogs: what two user agents keep in common between requests (RFC 3261 section 12; pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from .address import NameAddr, Uri, Via
from .flow import Flow, Protocol, bracketed, next_hop
from .matching import COOKIE
from .message import Headers, Request, Response, SipError

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, INFO, REFER, NOTIFY"
SUPPORTED = ("Supported", "100rel, timer, replaces, norefersub")
PRODUCT = "bridge"
SDP = ("Content-Type", "application/sdp")
TARGET_REFRESHERS = frozenset({"INVITE", "UPDATE", "NOTIFY", "REFER"})
"""RFC 3261 12.2, 3311, 6665: their Contact becomes the remote target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What we call ourselves, and where our random names come from."""

    place: Callable[[Flow], tuple[str, int | None]]
    """Our host and port as the peer at the other end of a flow sees them; no port is the default one."""
    token: Callable[[int], str]
    """That many random bytes in hexadecimal, from a secure generator."""
    fraction: Callable[[], float]
    """A random number, 0 <= x < 1, for jitter."""
    keeps_flow: Callable[[str, Flow], bool] = lambda user, to: False
    """Whether that account's registrar reaches us over that very flow (RFC 5626)."""

    def via(self, to: Flow) -> Via:
        """A new branch; with rport, so that NAT does not matter (RFC 3581)."""
        host, port = self.place(to)
        return Via(to.protocol.value, bracketed(host), port, (("branch", COOKIE + self.token(12)), ("rport", None)))

    def contact(self, user: str, to: Flow, *, secure: bool = False) -> NameAddr:
        """Our address in a dialog; `ob` asks for everything over the flow that the dialog began on (RFC 5626 4.3)."""
        contact = self.address(user, to, secure=secure)
        return replace(contact, uri=contact.uri.with_param("ob")) if self.keeps_flow(user, to) else contact

    def address(self, user: str, to: Flow, *, secure: bool = False) -> NameAddr:
        """Where the peer at the other end of a flow reaches us, over the same transport; `secure`: as sips: (RFC 5630)."""
        host, port = self.place(to)
        said = to.protocol is not Protocol.UDP and not (secure and to.protocol is Protocol.TLS)
        transport = (("transport", to.protocol.parameter),) if said else ()
        return NameAddr("", Uri("sips" if secure else "sip", user, "", bracketed(host), port, transport))

    def tag(self) -> str:
        return self.token(8)

    def call_id(self) -> str:
        return self.token(16)


@dataclass(slots=True, kw_only=True)
class Dialog:
    """One dialog as one of its two parties sees it."""

    call_id: str
    local: NameAddr
    """With our tag."""
    remote: NameAddr
    contact: NameAddr
    """Ours."""
    target: Uri
    """Their Contact: where requests go."""
    routes: tuple[str, ...]
    """As received: proxies want their parameters back letter by letter."""
    peer: Flow
    """Where the dialog was made from, for a next hop that is not a numeric address."""
    local_cseq: int
    remote_cseq: int | None

    @classmethod
    def of_server(cls, invite: Request, *, tag: str, contact: NameAddr, peer: Flow) -> Dialog:
        """The callee's; SipError without a usable Contact."""
        return cls(
            call_id=invite.call_id,
            local=_address(invite, "To").with_tag(tag),
            remote=_address(invite, "From"),
            contact=contact,
            target=_address(invite, "Contact").uri,
            routes=_routes(invite),
            peer=peer,
            local_cseq=0,
            remote_cseq=invite.cseq[0],
        )

    @classmethod
    def of_client(cls, invite: Request, response: Response, *, contact: NameAddr, peer: Flow) -> Dialog:
        """The caller's, early or confirmed; what can't be read of the way back leaves the way the INVITE went."""
        dialog = cls(
            call_id=invite.call_id,
            local=_address(invite, "From"),
            remote=_address(response, "To"),
            contact=contact,
            target=Uri.parse(invite.uri),
            routes=(),
            peer=peer,
            local_cseq=invite.cseq[0],
            remote_cseq=None,
        )
        dialog.refresh(response)
        with suppress(SipError):
            dialog.routes = _routes(response)[::-1]
        return dialog

    def request(
        self, method: str, me: Identity, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> tuple[Request, Flow]:
        """The next request and where it goes."""
        self.local_cseq += 1
        return self._request(method, self.local_cseq, me, headers, body)

    def acknowledge(
        self, invite: Request, me: Identity, headers: Iterable[tuple[str, str]] = ()
    ) -> tuple[Request, Flow]:
        """The ACK to a 2xx: the CSeq number and the credentials of its INVITE (RFC 3261 13.2.2.4)."""
        credentials = [pair for pair in invite.headers if pair[0] in {"Authorization", "Proxy-Authorization"}]
        return self._request("ACK", invite.cseq[0], me, [*credentials, *headers], b"")

    def in_order(self, request: Request) -> bool:
        """Whether an incoming request's CSeq is higher than the last one's; remembers it if so (RFC 3261 12.2.2)."""
        number = request.cseq[0]
        if self.remote_cseq is not None and number <= self.remote_cseq:
            return False
        self.remote_cseq = number
        return True

    def refresh(self, message: Request | Response) -> None:
        """Take the remote target from a target refresh request or its 2xx; an unreadable Contact changes nothing."""
        try:
            self.target = _address(message, "Contact").uri
        except SipError:
            return

    def _request(
        self, method: str, number: int, me: Identity, headers: Iterable[tuple[str, str]], body: bytes
    ) -> tuple[Request, Flow]:
        uri, routes = self._way()
        to = next_hop(NameAddr.parse(self.routes[0]).uri if self.routes else self.target, self.peer)
        pairs = [
            ("Via", str(me.via(to))),
            *(("Route", route) for route in routes),
            ("Max-Forwards", "70"),
            ("From", str(self.local)),
            ("To", str(self.remote)),
            ("Call-ID", self.call_id),
            ("CSeq", f"{number} {method}"),
            ("User-Agent", PRODUCT),
            *headers,
        ]
        return Request(method, str(uri), Headers(pairs), body), to

    def _way(self) -> tuple[Uri, tuple[str, ...]]:
        """Request-URI and Route; a first route without `lr` is a strict router's (RFC 3261 12.2.1.1)."""
        if not self.routes:
            return self.target, ()
        first = NameAddr.parse(self.routes[0]).uri
        if first.param("lr") is not None:
            return self.target, self.routes
        return replace(first, headers=""), (*self.routes[1:], f"<{self.target}>")


def _routes(message: Request | Response) -> tuple[str, ...]:
    routes = message.headers.all("Record-Route")
    for route in routes:
        NameAddr.parse(route)
    return routes


def _address(message: Request | Response, header: str) -> NameAddr:
    value = message.headers.get(header)
    if value is None:
        raise SipError(f"there is no {header}")
    return NameAddr.parse(value)
