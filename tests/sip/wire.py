"""The room on real loopback sockets, and a PBX played by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from bridge import config
from bridge.calls.commands import AnswerPbx, PbxCommand
from bridge.calls.events import CallId, Event, PbxConfirmed, PbxInvited
from bridge.sip.message import Headers, Message, Request, Response, parse, respond
from bridge.sip.trunk import Trunks

from ..rig.waiting import PATIENCE

OFFER = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
CHALLENGE = ("WWW-Authenticate", 'Digest realm="pbx", nonce="n1", qop="auth"')


class WirePbx(asyncio.DatagramProtocol):
    """A socket of the PBX's, and what came in."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()
        self.asked: asyncio.Queue[bytes] = asyncio.Queue()
        """STUN requests."""
        self.kept_alive = asyncio.Event()
        self.udp: Any = None
        self.room: tuple[str, int] = ("", 0)
        self._branches = count()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data[:1] and data[0] < 4:
            self.asked.put_nowait(data)
        elif data.strip():
            self.inbox.put_nowait((data, addr))
        else:
            self.kept_alive.set()

    @property
    def address(self) -> tuple[str, int]:
        address: tuple[str, int] = self.udp.get_extra_info("sockname")
        return address

    async def receive(self) -> Message:
        async with asyncio.timeout(PATIENCE):
            return parse((await self.inbox.get())[0])

    async def stun(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.asked.get()

    async def response(self, status: int) -> Response:
        """The next one of that status; what else comes is let pass."""
        while True:
            message = await self.receive()
            if isinstance(message, Response) and message.status == status:
                return message

    async def request(self, method: str) -> Request:
        return await self.request_of(method)

    async def request_of(self, *methods: str) -> Request:
        """The next one of any of these methods."""
        while True:
            message = await self.receive()
            if isinstance(message, Request) and message.method in methods:
                return message

    def send(self, message: Message | bytes) -> None:
        self.udp.sendto(message if isinstance(message, bytes) else message.encode(), self.room)

    def message(self, method: str, user: str = "1001", *, cseq: int = 1, to_tag: str = "", call: str = "wire",
                branch: str = "", body: bytes = b"", headers: dict[str, str] | None = None) -> Request:  # fmt: skip
        host, port = self.address
        pairs = [
            ("Via", f"SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK{branch or f'n{next(self._branches)}'}"),
            ("Max-Forwards", "70"),
            ("From", f'"Ann" <sip:+74951234567@pbx.example>;tag=pbx{call}'),
            ("To", f"<sip:{user or 'nobody'}@pbx.example>" + (f";tag={to_tag}" if to_tag else "")),
            ("Call-ID", call),
            ("CSeq", f"{cseq} {method}"),
            ("Contact", f"<sip:pbx@{host}:{port}>"),
            *(headers or {}).items(),
            *([("Content-Type", "application/sdp")] if body else []),
        ]
        place = f"{self.room[0]}:{self.room[1]}"
        return Request(method, f"sip:{user}@{place}" if user else f"sip:{place}", Headers(pairs), body)

    async def refuses_to_hear(self) -> None:
        """Nothing came, although a later question was answered."""
        self.send(self.message("OPTIONS", call="probe"))
        assert (await self.receive()).call_id == "probe"


@asynccontextmanager
async def wire_pbx(host: str = "127.0.0.1") -> AsyncIterator[WirePbx]:
    udp, pbx = await asyncio.get_running_loop().create_datagram_endpoint(WirePbx, local_addr=(host, 0))
    pbx.udp = udp
    try:
        yield pbx
    finally:
        udp.close()


def account(user: str, password_env: str = "TRUNK_TEST_PASSWORD") -> config.OperatorAccount:
    return config.OperatorAccount(
        portal="http://b24.example", user_id=7, extension="7", trunk="main", sip_user=user, password_env=password_env
    )


def accepted(asked: Request) -> Response:
    """A REGISTER is granted what it asks for."""
    return respond(asked, 200, headers=[("Contact", asked.headers.get("Contact") or "")])


class Room:
    """The room under test and what it posted."""

    def __init__(
        self,
        server: tuple[str, int],
        *,
        register: bool = False,
        accounts: tuple[str, ...] = ("1001",),
        host: str = "127.0.0.1",
    ) -> None:
        self.posted: asyncio.Queue[Event] = asyncio.Queue()
        self.obstacle = ""
        self.objection: tuple[int, str] | None = None
        numbers = count(1)
        self.voicemail: list[tuple[str, str, int]] = []
        self.trunks = Trunks(
            sip=config.Sip(host=host, port=0),
            trunks=[config.Trunk.model_validate(
                    {"name": "main", "server": f"{server[0]}:{server[1]}", "register": register}
                )],
            accounts=[account(user) for user in accounts],
            post=self.posted.put_nowait,
            new_call_id=lambda: CallId(f"call-{next(numbers)}"),
            obstacle=lambda: self.obstacle,
            objection=lambda trunk, offer: self.objection,
            voicemail=lambda *told: self.voicemail.append(told),
        )  # fmt: skip

    async def event(self) -> Event:
        async with asyncio.timeout(PATIENCE):
            return await self.posted.get()

    async def do(self, command: PbxCommand) -> None:
        await self.trunks.perform(command)


@asynccontextmanager
async def a_room(pbx: WirePbx, *, register: bool = False, accounts: tuple[str, ...] = ("1001",)) -> AsyncIterator[Room]:
    room = Room(pbx.address, register=register, accounts=accounts)
    async with room.trunks.running():
        assert room.trunks.address
        pbx.room = room.trunks.address
        yield room


async def invited(pbx: WirePbx, room: Room, headers: dict[str, str] | None = None) -> PbxInvited:
    pbx.send(pbx.message("INVITE", branch="first", body=OFFER, headers=headers))
    event = await room.event()
    assert isinstance(event, PbxInvited)
    return event


async def talking(pbx: WirePbx, room: Room) -> tuple[CallId, str]:
    """The call and our tag of it."""
    call = (await invited(pbx, room)).call
    await room.do(AnswerPbx(call=call, sdp=OFFER))
    tag = (await pbx.response(200)).to_tag
    pbx.send(pbx.message("ACK", to_tag=tag))
    assert await room.event() == PbxConfirmed(call=call)
    return call, tag
