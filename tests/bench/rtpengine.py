"""rtpengine in user space as a peer of the relay, driven by its ng protocol (bencode over UDP)."""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ..rig.asterisk import free_port
from ..rig.waiting import wait_for
from .load import Address


class Rtpengine:
    name = "rtpengine"

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.connect(("127.0.0.1", port))

    def close(self) -> None:
        self._socket.close()

    async def ping(self) -> bool:
        try:
            return bool((await self._ask(command="ping"))["result"] == "pong")
        except (OSError, TimeoutError):
            return False

    async def call(self, offer: str, pbx: Address) -> tuple[str, Address]:
        call = {"call-id": secrets.token_hex(8), "from-tag": "page"}
        plain = {"transport-protocol": "RTP/AVP", "ICE": "remove", "DTLS": "off", "rtcp-mux": ["demux"]}
        offered = await self._ask(command="offer", sdp=offer, **call, **plain)
        answer = {"to-tag": "pbx", "sdp": description(pbx), "ICE": "force"}
        answered = await self._ask(command="answer", **call, **answer)
        return answered["sdp"], place(offered["sdp"])

    async def reached(self, call: Address) -> Address:
        return call

    async def _ask(self, **words: Any) -> dict[str, Any]:
        loop, cookie = asyncio.get_running_loop(), secrets.token_hex(4).encode()
        await loop.sock_sendall(self._socket, cookie + b" " + _encode(words))
        async with asyncio.timeout(3):
            while not (raw := await loop.sock_recv(self._socket, 65_536)).startswith(cookie):
                pass
        answer: dict[str, Any] = _decode(raw[len(cookie) + 1 :])[0]
        assert answer["result"] in ("ok", "pong"), answer
        return answer


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


def _encode(value: Any) -> bytes:
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        return b"%d:%s" % (len(value.encode()), value.encode())
    if isinstance(value, list):
        return b"l" + b"".join(map(_encode, value)) + b"e"
    return b"d" + b"".join(_encode(key) + _encode(value[key]) for key in sorted(value)) + b"e"


def _decode(data: bytes, at: int = 0) -> tuple[Any, int]:
    kind = data[at : at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1 : end]), end + 1
    if kind in (b"l", b"d"):
        items, at = [], at + 1
        while data[at : at + 1] != b"e":
            item, at = _decode(data, at)
            items.append(item)
        found = items if kind == b"l" else dict(zip(items[::2], items[1::2], strict=True))
        return found, at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1 : end].decode(errors="replace"), end


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
    peer = Rtpengine(process.pid, port)
    try:
        await wait_for(peer.ping, 10, "rtpengine to answer")
        yield peer
    finally:
        peer.close()
        process.terminate()
        await process.wait()
