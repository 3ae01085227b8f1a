"""Refusals that are sent once and forgotten: a repeated request earns the same answer again (RFC 3261 8.2.7; pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

from .dialog import PRODUCT, Identity
from .flow import Flow, return_flow
from .matching import stamp
from .message import FaultyRequestError, Request, Response, SipError, respond
from .owner import Owner, Standing
from .transaction import Send


class Refusals:
    """`size` is that of the message that is looked at, in bytes."""

    def __init__(self, me: Identity, owner: Owner, counts: Counter[str], send: Callable[[Send], None]) -> None:
        self.size = 0
        self._me = me
        self._owner = owner
        self._counts = counts
        self._send = send

    def refuse(
        self, request: Request, source: Flow, status: int, phrase: str = "", headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        if request.method == "ACK" or not _is_answerable(request):
            self._counts["faulty request"] += 1
            return
        headers = [("Server", PRODUCT), *headers]
        self.reply(request, respond(request, status, phrase, to_tag=self._me.tag(), headers=headers), source)

    def reply(self, request: Request, response: Response, source: Flow) -> None:
        """A datagram's source may be invented: whoever is not known there gets no more bytes than came."""
        data = response.encode()
        is_proven = source.protocol.is_reliable or self._owner.standing(source) is Standing.KNOWN
        if not is_proven and len(data) > self.size:
            data = _with_one_challenge(response).encode()
        if not is_proven and len(data) > self.size:
            self._counts["not reflected"] += 1
            return
        self._send(Send(data, return_flow(request.via, source)))

    def refuse_faulty(self, fault: FaultyRequestError, source: Flow) -> None:
        if self._owner.standing(source) is Standing.STRANGER:
            self._counts["stranger"] += 1
            return
        try:
            self.refuse(stamp(fault.request, source), source, fault.status or 400, str(fault))
        except SipError:
            self._counts["unreadable"] += 1


def _with_one_challenge(response: Response) -> Response:
    """The last, which everybody understands: a small INVITE of a PBX that has to prove who it is would be left unanswered."""
    challenges = response.headers.all("WWW-Authenticate")
    return (
        replace(response, headers=response.headers.set("WWW-Authenticate", challenges[-1:])) if challenges else response
    )


def _is_answerable(request: Request) -> bool:
    """Whether what every response copies is there; without it silence is all that is left (RFC 3261 8.2.6)."""
    return all(name in request.headers for name in ("Via", "From", "To", "Call-ID", "CSeq"))
