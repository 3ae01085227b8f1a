"""Janus' SIP plugin as a peer of the relay, driven by its WebSocket API; the SIP it speaks is answered here."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from ..rig.asterisk import free_port
from ..rig.waiting import wait_for
from .load import Address
from .rtpengine import description, place

PLUGIN = "janus.plugin.sip"
KEEP_ALIVE_SECONDS = 20


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


class Janus:
    name = "janus"

    def __init__(self, pid: int, socket: aiohttp.ClientWebSocketResponse, callee: Callee) -> None:
        self.pid, self._socket, self._callee = pid, socket, callee
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._events: dict[int, asyncio.Queue[dict[str, Any]]] = {}
        self._session = 0

    async def begin(self) -> None:
        self._session = (await self._ask(janus="create"))["data"]["id"]

    async def call(self, offer: str, pbx: Address) -> tuple[str, Address]:
        handle = (await self._ask(janus="attach", plugin=PLUGIN))["data"]["id"]
        self._events[handle] = asyncio.Queue()
        user = "u" + secrets.token_hex(4)
        self._callee.ready[user] = pbx
        guest = {"request": "register", "type": "guest", "username": f"sip:{user}@127.0.0.1"}
        await self._send(janus="message", handle_id=handle, body=guest)
        await self._until(handle, "registered")
        wish = {"request": "call", "uri": f"sip:{user}@127.0.0.1:{self._callee.port}"}
        await self._send(janus="message", handle_id=handle, body=wish, jsep={"type": "offer", "sdp": offer})
        accepted = await self._until(handle, "accepted")
        return accepted["jsep"]["sdp"], place(self._callee.invited[user])

    async def reached(self, call: Address) -> Address:
        return call

    async def read(self) -> None:
        async for message in self._socket:
            word = json.loads(message.data)
            if word["janus"] == "event":
                self._events[word["sender"]].put_nowait(word)
            elif word["janus"] in ("success", "error") and word.get("transaction") in self._answers:
                self._answers.pop(word["transaction"]).set_result(word)

    async def keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE_SECONDS)
            await self._send(janus="keepalive")

    async def _until(self, handle: int, wanted: str) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while True:
                word = await self._events[handle].get()
                data = word["plugindata"]["data"]
                assert "error" not in data, data
                if data.get("result", {}).get("event") == wanted:
                    return word

    async def _ask(self, **words: Any) -> dict[str, Any]:
        transaction = await self._send(**words)
        future = self._answers[transaction] = asyncio.get_running_loop().create_future()
        return await asyncio.wait_for(future, 10)

    async def _send(self, **words: Any) -> str:
        transaction = secrets.token_hex(8)
        session = {"session_id": self._session} if self._session else {}
        await self._socket.send_json({"transaction": transaction, **session, **words})
        return transaction


@asynccontextmanager
async def janus(directory: Path, host: str) -> AsyncIterator[Janus]:
    port = free_port()
    configuration = _configure(directory, host, port)
    program = shutil.which("janus")
    assert program is not None
    with (directory / "janus.log").open("wb") as log:
        arguments = ["-F", str(configuration), "-C", str(configuration / "janus.jcfg"), "-o"]
        process = await asyncio.create_subprocess_exec(program, *arguments, stdin=-3, stdout=log, stderr=log)
    loop = asyncio.get_running_loop()
    transport, callee = await loop.create_datagram_endpoint(Callee, local_addr=("127.0.0.1", 0))
    try:
        async with aiohttp.ClientSession() as client:
            await wait_for(lambda: _is_up(client, port), 10, "Janus to answer")
            async with client.ws_connect(f"ws://127.0.0.1:{port}", protocols=["janus-protocol"]) as socket:
                peer = Janus(process.pid, socket, callee)
                tasks = [asyncio.create_task(peer.read())]
                await peer.begin()
                tasks.append(asyncio.create_task(peer.keep_alive()))
                try:
                    yield peer
                finally:
                    for task in tasks:
                        task.cancel()
                        with suppress(asyncio.CancelledError):
                            await task
    finally:
        transport.close()
        process.terminate()
        await process.wait()


async def _is_up(client: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with client.ws_connect(f"ws://127.0.0.1:{port}", protocols=["janus-protocol"]):
            return True
    except aiohttp.ClientError:
        return False


def _configure(directory: Path, host: str, port: int) -> Path:
    """Nothing but the SIP plugin and the WebSocket transport; the folder of the configuration."""
    base = next(Path("/usr/lib").glob("*/janus"))
    for kind, name in (("plugins", "libjanus_sip.so"), ("transports", "libjanus_websockets.so")):
        (directory / kind).mkdir(parents=True, exist_ok=True)
        (directory / kind / name).symlink_to(base / kind / name)
    folder = directory / "etc"
    folder.mkdir()
    (folder / "janus.jcfg").write_text(f"""
general: {{ configs_folder = "{folder}"  plugins_folder = "{directory}/plugins"  transports_folder = "{directory}/transports"
  events_folder = "{directory}/none"  loggers_folder = "{directory}/none"  debug_level = 3  session_timeout = 60 }}
media: {{ rtp_port_range = "26000-28999" }}
nat: {{ full_trickle = true  ice_enforce_list = "{host}" }}
""")
    (folder / "janus.plugin.sip.jcfg").write_text("""
general: { local_ip = "127.0.0.1"  sdp_ip = "127.0.0.1"  local_media_ip = "127.0.0.1"  behind_nat = false
  rtp_port_range = "29000-31999" }
""")
    (folder / "janus.transport.websockets.jcfg").write_text(f"""
general: {{ json = "compact"  ws = true  ws_port = {port}  ws_ip = "127.0.0.1"  wss = false }}
admin: {{ admin_ws = false  admin_wss = false }}
""")
    return folder
