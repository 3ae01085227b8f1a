"""Janus and its SIP plugin, driven by its WebSocket API: SIP and RTP of another make (Sofia-SIP, FreeSWITCH's stack)."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

import aiohttp

from .ports import free_port
from .waiting import PATIENCE, wait_for

PLUGIN = "janus.plugin.sip"
KEEP_ALIVE_SECONDS = 20


class Janus:
    """One session with a running Janus."""

    def __init__(self, pid: int, wire: aiohttp.ClientWebSocketResponse) -> None:
        self.pid, self._socket = pid, wire
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._events: dict[int, asyncio.Queue[dict[str, Any]]] = {}
        self._session = 0

    @classmethod
    @asynccontextmanager
    async def running(cls, directory: Path, host: str) -> AsyncIterator[Self]:
        """`host`: an address of this machine beside 127.0.0.1, which Janus never uses for ICE."""
        port = free_port()
        configuration = _configure(directory, host, port)
        program = shutil.which("janus")
        assert program is not None
        with (directory / "janus.log").open("wb") as log:
            arguments = ["-F", str(configuration), "-C", str(configuration / "janus.jcfg"), "-o"]
            process = await asyncio.create_subprocess_exec(program, *arguments, stdin=-3, stdout=log, stderr=log)
        try:
            async with aiohttp.ClientSession() as client:
                await wait_for(lambda: _is_up(client, port), what="Janus to answer")
                async with client.ws_connect(f"ws://127.0.0.1:{port}", protocols=["janus-protocol"]) as wire:
                    peer = cls(process.pid, wire)
                    tasks = [asyncio.create_task(peer._read())]
                    peer._session = (await peer.ask(janus="create"))["data"]["id"]
                    tasks.append(asyncio.create_task(peer._keep_alive()))
                    try:
                        yield peer
                    finally:
                        for task in tasks:
                            task.cancel()
                            with suppress(asyncio.CancelledError):
                                await task
        finally:
            process.terminate()
            await process.wait()

    async def handle(self) -> int:
        """One more user of the SIP plugin."""
        handle: int = (await self.ask(janus="attach", plugin=PLUGIN))["data"]["id"]
        self._events[handle] = asyncio.Queue()
        return handle

    async def do(self, handle: int, request: str, *, jsep: dict[str, str] | None = None, **words: Any) -> None:
        more = {"jsep": jsep} if jsep else {}
        await self._send(janus="message", handle_id=handle, body={"request": request, **words}, **more)

    async def until(self, handle: int, wanted: str) -> dict[str, Any]:
        """The next event of that name; whatever came before it is passed over, but for errors."""
        async with asyncio.timeout(PATIENCE):
            while True:
                word = await self._events[handle].get()
                data = word["plugindata"]["data"]
                assert "error" not in data, data
                if data.get("result", {}).get("event") == wanted:
                    return word

    async def ask(self, **words: Any) -> dict[str, Any]:
        transaction = await self._send(**words)
        future = self._answers[transaction] = asyncio.get_running_loop().create_future()
        return await asyncio.wait_for(future, PATIENCE)

    async def _read(self) -> None:
        async for message in self._socket:
            word = json.loads(message.data)
            if word["janus"] == "event":
                self._events[word["sender"]].put_nowait(word)
            elif word["janus"] in ("success", "error") and word.get("transaction") in self._answers:
                self._answers.pop(word["transaction"]).set_result(word)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE_SECONDS)
            await self._send(janus="keepalive")

    async def _send(self, **words: Any) -> str:
        transaction = secrets.token_hex(8)
        session = {"session_id": self._session} if self._session else {}
        await self._socket.send_json({"transaction": transaction, **session, **words})
        return transaction


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


def own_address() -> str:
    """An address of this machine that ICE takes: Janus wants no loopback. Packets to it stay in the kernel."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing, only chooses a route
        except OSError:
            return "127.0.0.1"
        host: str = probe.getsockname()[0]
        return host
