"""Which transaction a message belongs to, and where its response goes (RFC 3261 17.1.3, 17.2.3, 18.2; pure)."""

from __future__ import annotations

from typing import TypeAlias

from .address import Via
from .message import Request, Response

Address: TypeAlias = tuple[str, int]
"""A numeric host and a port."""
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


def return_address(via: Via) -> Address:
    """Where a response goes (RFC 3261 18.2.2, RFC 3581), given a Via that was stamped."""
    port = via.param("rport")
    return via.param("received") or via.host, int(port) if port and port.isdigit() else via.port or 5060


def stamp(request: Request, source: Address) -> Request:
    """With the source address in the top Via, so that the answer finds its way (RFC 3261 18.2.1, RFC 3581)."""
    via = request.via
    stamped = via
    if via.host != source[0] or via.param("rport") is not None:
        stamped = stamped.with_param("received", source[0])
    if via.param("rport") is not None:
        stamped = stamped.with_param("rport", str(source[1]))
    if stamped == via:
        return request
    return Request(request.method, request.uri, request.headers.replace_first("Via", str(stamped)), request.body)
