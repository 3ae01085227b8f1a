"""A PBX that is reached over TCP, TLS or WebSocket, played by the test."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from bridge import config
from bridge.calls.commands import Secrecy
from bridge.calls.events import CallId, Event
from bridge.media.objection import objection
from bridge.sip.framer import PING, Framer, Pinged, Whole
from bridge.sip.message import Headers, Message, Request, Response, parse, respond
from bridge.sip.trunk import Trunks

from ..rig.certificates import Pair
from ..rig.waiting import PATIENCE


class Line:
    """One connection as the PBX has it."""

    def __init__(self, writer: Any, *, websocket: bool = False, binary: bool = False) -> None:
        self._writer = writer
        self._websocket = websocket
        self.binary = binary
        self.inbox: asyncio.Queue[Message] = asyncio.Queue()
        self.pinged = asyncio.Event()
        self.ended = asyncio.Event()
        self._branches = count()

    async def send(self, message: Message | bytes) -> None:
        data = message if isinstance(message, bytes) else message.encode()
        if not self._websocket:
            self._writer.write(data)
        elif self.binary:
            await self._writer.send_bytes(data)
        else:
            await self._writer.send_str(data.decode())

    async def receive(self) -> Message:
        async with asyncio.timeout(PATIENCE):
            return await self.inbox.get()

    async def request(self, method: str) -> Request:
        while True:
            message = await self.receive()
            if isinstance(message, Request) and message.method == method:
                return message

    async def response(self, status: int) -> Response:
        while True:
            message = await self.receive()
            if isinstance(message, Response) and message.status == status:
                return message

    async def hangs_up(self) -> None:
        self._writer.close() if not self._websocket else await self._writer.close()

    async def registers(self, expires: int = 300) -> Request:
        """Take the next REGISTER."""
        asked = await self.request("REGISTER")
        contact = (asked.headers.get("Contact") or "").partition(";expires")[0]
        await self.send(respond(asked, 200, to_tag="pbx", headers=[("Contact", f"{contact};expires={expires}")]))
        return asked

    def message(self, method: str, uri: str, *, via: str, to_tag: str = "", cseq: int = 1, call: str = "wire",
                body: bytes = b"", contact: str = "<sip:pbx@pbx.invalid>", headers: Sequence[tuple[str, str]] = (),
                ) -> Request:  # fmt: skip
        pairs = [
            ("Via", f"{via};rport;branch=z9hG4bKs{next(self._branches)}"),
            ("Max-Forwards", "70"),
            ("From", f'"Ann" <sip:+74951234567@pbx.example>;tag=pbx{call}'),
            ("To", "<sip:1001@pbx.example>" + (f";tag={to_tag}" if to_tag else "")),
            ("Call-ID", call),
            ("CSeq", f"{cseq} {method}"),
            ("Contact", contact),
            *headers,
            *([("Content-Type", "application/sdp")] if body else []),
        ]
        return Request(method, uri, Headers(pairs), body)


class StreamPbx:
    """Its listening side; `lines` are the connections that came."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[Line] = asyncio.Queue()
        self.certificates: list[Any] = []
        """Of those who connected."""
        self.server_names: list[str | None] = []
        self.address = ("", 0)
        self._writers: list[asyncio.StreamWriter] = []

    async def line(self) -> Line:
        async with asyncio.timeout(PATIENCE):
            return await self.lines.get()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.certificates.append(writer.get_extra_info("peercert"))
        self._writers.append(writer)
        line, framer = Line(writer), Framer()
        self.lines.put_nowait(line)
        try:
            while data := await reader.read(65536):
                for item in framer.feed(data, 0.0):
                    if isinstance(item, Whole):
                        line.inbox.put_nowait(parse(item.data))
                    elif isinstance(item, Pinged):
                        line.pinged.set()
        except ConnectionError:
            pass
        finally:
            line.ended.set()
            writer.close()

    async def serve_websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("sip",))
        await socket.prepare(request)
        self.server_names.append(request.headers.get("Host"))
        line = Line(socket, websocket=True)
        self.lines.put_nowait(line)
        async for message in socket:
            if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                line.binary = message.type is WSMsgType.BINARY
                data = message.data if line.binary else message.data.encode()
                if data.strip():
                    line.inbox.put_nowait(parse(data))
        line.ended.set()
        return socket

    def close(self) -> None:
        for writer in self._writers:
            writer.close()


def server_context(pair: Pair, ca: Path | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    if ca is not None:
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@asynccontextmanager
async def stream_pbx(host: str = "127.0.0.1", *, tls: ssl.SSLContext | None = None) -> AsyncIterator[StreamPbx]:
    pbx = StreamPbx()
    if tls is not None:
        tls.sni_callback = lambda _, name, __: pbx.server_names.append(name)
    server = await asyncio.start_server(pbx.serve, host, 0, ssl=tls)
    pbx.address = server.sockets[0].getsockname()[:2]
    try:
        yield pbx
    finally:
        server.close()
        pbx.close()


@asynccontextmanager
async def websocket_pbx(*, tls: ssl.SSLContext | None = None) -> AsyncIterator[StreamPbx]:
    pbx = StreamPbx()
    app = web.Application()
    app.router.add_get("/ws", pbx.serve_websocket)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    pbx.address = runner.addresses[0]
    try:
        yield pbx
    finally:
        await runner.cleanup()


class TrunkRoom:
    """The room with one trunk of the test's making, and what it posted."""

    def __init__(self, sip: dict[str, Any], *trunks: dict[str, Any], accounts: tuple[str, ...] = ("1001",)) -> None:
        self.posted: asyncio.Queue[Event] = asyncio.Queue()
        self.voicemail: set[tuple[str, int]] = set()
        """Account and how many messages wait, as told so far."""
        self.met: list[str] = []
        """Where the first PBX is met, whenever that is news."""
        numbers = count(1)
        settings = [config.Trunk.model_validate({"name": f"t{index}", **trunk}) for index, trunk in enumerate(trunks)]
        self.trunks = Trunks(
            sip=config.Sip.model_validate({"port": 0, "tls_port": 0, **sip}),
            trunks=settings,
            accounts=[
                config.OperatorAccount(
                    portal="http://b24.example", user_id=7, extension="7", trunk=trunk.name, sip_user=user,
                    password_env="TRUNK_TEST_PASSWORD",
                )
                for trunk in settings for user in accounts
            ],
            post=self.posted.put_nowait,
            new_call_id=lambda: CallId(f"call-{next(numbers)}"),
            objection=lambda trunk, offer: objection(offer, ("PCMU", "PCMA"), Secrecy.ALLOWED),
            voicemail=lambda _, account, new: self.voicemail.add((account, new)),
            moved=lambda: self.met.append(self.trunks.met_at("t0")),
        )  # fmt: skip

    async def event(self) -> Event:
        async with asyncio.timeout(PATIENCE):
            return await self.posted.get()

    async def is_registered(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while [status.state for status in self.trunks.registrations] != ["registered"]:
                await asyncio.sleep(0.005)


__all__ = ["PING", "Line", "StreamPbx", "TrunkRoom", "server_context", "stream_pbx", "websocket_pbx"]
