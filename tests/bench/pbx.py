"""The PBX of the benches: lets every account register, and calls. Knows what SIP a well-behaved loopback needs, no more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

HOST = "127.0.0.1"
_SILENT_SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP 0\r\na=ptime:20\r\n"
)


class Heard(NamedTuple):
    """A response to an INVITE, and when it came (`time.monotonic()`)."""

    status: int
    at: float
    body: bytes


@dataclass(eq=False, slots=True)
class Call:
    """One call of the PBX to an account of the bridge."""

    id: str
    account: str
    caller: str
    offer: bytes
    sent: float = 0.0
    """When the INVITE left (`time.monotonic()`)."""
    responses: list[Heard] = field(default_factory=list)
    answered: Callable[[bytes], None] = lambda sdp: None
    final: asyncio.Event = field(default_factory=asyncio.Event)
    """There is a final response to the INVITE."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Refused, or a BYE of either side is confirmed."""
    remote: str = ""
    """The bridge's To with its tag, and its Contact."""
    target: str = ""

    @property
    def status(self) -> int:
        """The final status, 0 while there is none."""
        return next((heard.status for heard in self.responses if heard.status >= 200), 0)


def _agreed(ours: bytes, theirs: bytes, version: str) -> bytes:
    """The answer to a hold or its end (RFC 3264, 8.4): what was offered first, in the direction that is wanted now."""
    for wanted, answer in ((b"sendonly", b"recvonly"), (b"inactive", b"inactive")):
        if b"a=" + wanted in theirs:
            ours += b"a=" + answer + b"\r\n"
    return ours.replace(b"o=- 1 1 ", b"o=- 1 " + version.encode() + b" ")


class Pbx(asyncio.DatagramProtocol):
    """A trunk for the bridge on loopback: no retransmissions, nothing is lost there."""

    def __init__(self, port: int, bridge_port: int) -> None:
        self.port = port
        self.registered: set[str] = set()
        self._bridge = (HOST, bridge_port)
        self._calls: dict[str, Call] = {}
        self._numbers = count(1)
        self._udp: asyncio.DatagramTransport | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Pbx]:
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(HOST, self.port))
        try:
            yield self
        finally:
            self._udp.close()

    def call(
        self,
        account: str,
        *,
        rtp_port: int = 9,
        answered: Callable[[bytes], None] = lambda sdp: None,
        offer: bytes = _SILENT_SDP,
    ) -> Call:
        """An INVITE to that account; the caller's number is unique, the port stands where `offer` has %d."""
        number = next(self._numbers)
        call = Call(
            id=f"bench-{number}-{self.port}", account=account, caller=f"+4930{number:07}",
            offer=offer % rtp_port, answered=answered,
        )  # fmt: skip
        self._calls[call.id] = call
        call.sent = time.monotonic()
        self._send(self._request(call, "INVITE", 1, body=call.offer))
        return call

    def cancel(self, call: Call) -> None:
        self._send(self._request(call, "CANCEL", 1))

    def hang_up(self, call: Call) -> None:
        self._send(self._request(call, "BYE", 2, branch="bye"))

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        head, _, body = data.partition(b"\r\n\r\n")
        start, *lines = head.decode().split("\r\n")
        headers = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        if start.startswith("SIP/2.0 "):
            self._response(int(start[8:11]), dict(headers), body)
        elif lines:
            self._answer(start.split()[0], headers, body)

    # ---- the bridge asks

    def _answer(self, method: str, headers: list[tuple[str, str]], offer: bytes) -> None:
        if method == "ACK":
            return
        known = dict(headers)
        extra, body = "", b""
        if method == "REGISTER":
            self.registered.add(known["to"].partition("sip:")[2].partition("@")[0])
            extra = f"Contact: {known['contact']};expires=3600\r\nExpires: 3600\r\n"
        elif method == "INVITE" and (held := self._calls.get(known["call-id"])):
            extra = f"Contact: <sip:pbx@{HOST}:{self.port}>\r\nContent-Type: application/sdp\r\n"
            body = _agreed(held.offer, offer, known["cseq"].split()[0])
        tag = "" if "tag=" in known["to"] else ";tag=bench"
        vias = "".join(f"Via: {value}\r\n" for name, value in headers if name == "via")
        self._send(
            f"SIP/2.0 200 OK\r\n{vias}From: {known['from']}\r\nTo: {known['to']}{tag}\r\n"
            f"Call-ID: {known['call-id']}\r\nCSeq: {known['cseq']}\r\n{extra}Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        if method == "BYE" and (call := self._calls.pop(known["call-id"], None)):
            call.over.set()

    # ---- the bridge answers

    def _response(self, status: int, headers: dict[str, str], body: bytes) -> None:
        call = self._calls.get(headers["call-id"])
        if call is None:
            return
        method = headers["cseq"].split()[1]
        if method == "BYE":
            del self._calls[call.id]
            call.over.set()
        elif method == "INVITE":
            self._progress(call, status, headers, body)

    def _progress(self, call: Call, status: int, headers: dict[str, str], body: bytes) -> None:
        call.responses.append(Heard(status, time.monotonic(), body))
        if status < 200:
            return
        call.remote = headers["to"]
        call.target = headers.get("contact", "").strip("<>")
        if status < 300:
            self._send(self._request(call, "ACK", 1, branch="ack"))
            call.answered(body)
        else:
            self._send(self._request(call, "ACK", 1))
            self._calls.pop(call.id, None)
            call.over.set()
        call.final.set()

    # ---- writing

    def _request(self, call: Call, method: str, cseq: int, *, branch: str = "", body: bytes = b"") -> bytes:
        """`branch`: of a transaction of its own; "" for the INVITE's, which CANCEL and the ACK of a refusal share."""
        host, port = self._bridge
        account = f"sip:{call.account}@{host}:{port}"
        target = call.target if branch else account
        to = f"<{account}>" if method in {"INVITE", "CANCEL"} else call.remote
        kind = "Content-Type: application/sdp\r\n" if body else ""
        return (
            f"{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {HOST}:{self.port};branch=z9hG4bK{branch}{call.id}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:{call.caller}@{HOST}>;tag={call.id}\r\nTo: {to}\r\nCall-ID: {call.id}\r\n"
            f"CSeq: {cseq} {method}\r\nContact: <sip:pbx@{HOST}:{self.port}>\r\n{kind}"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    def _send(self, data: bytes) -> None:
        if self._udp is not None:
            self._udp.sendto(data, self._bridge)
