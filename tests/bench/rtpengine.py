"""rtpengine in user space as a peer of the relay, driven by its ng protocol."""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bridge.media.engine.ng import EngineError, EngineSilentError, Words
from bridge.media.engine.ng_client import NgClient, ng_client

from ..rig.ports import free_port
from ..rig.waiting import wait_for
from .load import Address


class Rtpengine:
    name = "rtpengine"

    def __init__(self, pid: int, client: NgClient) -> None:
        self.pid, self._client = pid, client

    async def ping(self) -> bool:
        try:
            return (await self._client.ask("ping"))["result"] == "pong"
        except (EngineError, EngineSilentError):
            return False

    async def call(self, offer: str, pbx: Address) -> tuple[str, Address]:
        call: Words = {"call_id": secrets.token_hex(8), "from_tag": "page"}
        plain: Words = {"transport_protocol": "RTP/AVP", "ICE": "remove", "DTLS": "off", "rtcp_mux": ["demux"]}
        offered = await self._client.ask("offer", sdp=offer, **call, **plain)
        answered = await self._client.ask("answer", to_tag="pbx", sdp=description(pbx), ICE="force", **call)
        return str(answered["sdp"]), place(str(offered["sdp"]))

    async def reached(self, call: Address) -> Address:
        return call


def description(pbx: Address) -> str:
    """A PBX that speaks PCMU at this address."""
    lines = ["v=0", f"o=- 1 1 IN IP4 {pbx[0]}", "s=-", f"c=IN IP4 {pbx[0]}", "t=0 0"]
    return "\r\n".join([*lines, f"m=audio {pbx[1]} RTP/AVP 0", "a=rtpmap:0 PCMU/8000", "a=ptime:20", ""])


def place(sdp: str) -> Address:
    """Where a description wants its voice."""
    host, port = re.search(r"^c=IN IP4 (\S+)", sdp, re.MULTILINE), re.search(r"^m=audio (\d+)", sdp, re.MULTILINE)
    assert host is not None
    assert port is not None
    return host[1], int(port[1])


@asynccontextmanager
async def rtpengine(directory: Path, host: str) -> AsyncIterator[Rtpengine]:
    """One worker thread, no kernel module."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    arguments = [
        "--foreground", "--log-stderr", "--log-level=3", "--table=-1", "--config-file=none", "--num-threads=1",
        f"--interface={host}", f"--listen-ng=127.0.0.1:{port}", "--port-min=26000", "--port-max=31999",
    ]  # fmt: skip
    with (directory / "rtpengine.log").open("wb") as log:
        program = shutil.which("rtpengine")
        assert program is not None
        process = await asyncio.create_subprocess_exec(program, *arguments, stdin=-3, stdout=log, stderr=log)
    try:
        async with ng_client("127.0.0.1", port) as client:
            peer = Rtpengine(process.pid, client)
            await wait_for(peer.ping, 10, "rtpengine to answer")
            yield peer
    finally:
        process.terminate()
        await process.wait()
