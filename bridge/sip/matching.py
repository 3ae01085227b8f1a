"""Which transaction a message belongs to, where it came from, and what shares its branch (pure).

RFC 3261 sections 9.1, 17.1.1.3, 17.1.3, 17.2.3 and 18.2.
"""

from __future__ import annotations

from typing import TypeAlias

from .address import Via
from .flow import Flow
from .message import Headers, Request, Response

Key: TypeAlias = tuple[str, ...]
"""Names a transaction: our role, the branch, and what tells equal branches apart."""

COOKIE = "z9hG4bK"


def client_key(message: Request | Response) -> Key:
    """RFC 3261 17.1.3: the branch of the top Via and the method of the CSeq."""
    return "client", message.via.branch, message.cseq[1]


def server_key(request: Request) -> Key:
    """RFC 3261 17.2.3; an ACK matches its INVITE. Peers older than the magic cookie are told apart by more."""
    via = request.via
    method = "INVITE" if request.method == "ACK" else request.method
    sent_by = f"{via.host.lower()}:{via.port or 5060}"
    if via.branch.startswith(COOKIE) and via.branch != COOKIE:
        return "server", via.branch, sent_by, method
    number = str(request.cseq[0])
    return "server", via.branch, sent_by, method, request.uri, request.from_tag, request.call_id, number


def invite_key(cancel: Key) -> Key:
    """The INVITE that a CANCEL means (RFC 3261 9.2)."""
    return (*cancel[:3], "INVITE", *cancel[4:])


def stamp(request: Request, source: Flow) -> Request:
    """With the source address in the top Via, so that the answer finds its way (RFC 3261 18.2.1, RFC 3581)."""
    via = request.via
    stamped = via
    if via.host.strip("[]") != source.host or via.param("rport") is not None:
        stamped = stamped.with_param("received", source.host)
    if via.param("rport") is not None:
        stamped = stamped.with_param("rport", str(source.port))
    return request if stamped == via else with_via(request, stamped)


def with_via(request: Request, via: Via) -> Request:
    """With another topmost Via."""
    return Request(request.method, request.uri, request.headers.replace_first("Via", str(via)), request.body)


def ack_of_refusal(invite: Request, response: Response) -> Request:
    """The ACK to a 3xx–6xx: part of the INVITE's transaction, on its branch (RFC 3261 17.1.1.3)."""
    return _on_the_branch_of(invite, "ACK", response.headers.get("To") or "")


def cancel_of(invite: Request) -> Request:
    """The CANCEL of an INVITE of ours: same branch, To without a new tag (RFC 3261 9.1)."""
    return _on_the_branch_of(invite, "CANCEL", invite.headers.get("To") or "")


def _on_the_branch_of(invite: Request, method: str, to: str) -> Request:
    headers = invite.headers
    kept = [("Via", headers.get("Via") or ""), *(("Route", route) for route in headers.all("Route"))]
    kept += [("Max-Forwards", "70"), ("From", headers.get("From") or ""), ("To", to)]
    kept += [("Call-ID", invite.call_id), ("CSeq", f"{invite.cseq[0]} {method}")]
    return Request(method, invite.uri, Headers(kept))
