"""Janus' SIP plugin as a peer of the relay, driven by its WebSocket API; the SIP it speaks is answered here."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ..rig import janus as rig
from .load import Address
from .rtpengine import description, place


class Callee(asyncio.DatagramProtocol):
    """Answers every INVITE at once with the description that was laid ready for its user."""

    def __init__(self) -> None:
        self.ready: dict[str, Address] = {}
        self.invited: dict[str, str] = {}
        """User -> the description that Janus offered."""
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    @property
    def port(self) -> int:
        port: int = self.transport.get_extra_info("sockname")[1]
        return port

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        text = data.decode(errors="replace")
        found = re.match(r"INVITE sip:(\w+)@", text)
        if found is None:
            return
        user, (head, _, body) = found[1], text.partition("\r\n\r\n")
        self.invited[user] = body
        copied = [line for line in head.splitlines() if re.match(r"(Via|From|Call-ID|CSeq|Record-Route):", line, re.I)]
        to = next(line for line in head.splitlines() if line.lower().startswith("to:"))
        answer = description(self.ready[user])
        lines = ["SIP/2.0 200 OK", *copied, f"{to};tag=callee", f"Contact: <sip:{user}@127.0.0.1:{self.port}>"]
        lines += ["Content-Type: application/sdp", f"Content-Length: {len(answer)}", "", answer]
        self.transport.sendto("\r\n".join(lines).encode(), addr)


class Janus(rig.Janus):
    name = "janus"
    callee: Callee

    async def call(self, offer: str, pbx: Address) -> tuple[str, Address]:
        handle = await self.handle()
        user = "u" + secrets.token_hex(4)
        self.callee.ready[user] = pbx
        await self.do(handle, "register", type="guest", username=f"sip:{user}@127.0.0.1")
        await self.until(handle, "registered")
        wish = f"sip:{user}@127.0.0.1:{self.callee.port}"
        await self.do(handle, "call", uri=wish, jsep={"type": "offer", "sdp": offer})
        accepted = await self.until(handle, "accepted")
        return accepted["jsep"]["sdp"], place(self.callee.invited[user])

    async def reached(self, call: Address) -> Address:
        return call


@asynccontextmanager
async def janus(directory: Path, host: str) -> AsyncIterator[Janus]:
    loop = asyncio.get_running_loop()
    transport, callee = await loop.create_datagram_endpoint(Callee, local_addr=("127.0.0.1", 0))
    try:
        async with Janus.running(directory, host) as peer:
            peer.callee = callee
            yield peer
    finally:
        transport.close()
