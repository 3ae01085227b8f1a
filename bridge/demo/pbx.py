"""A small PBX for the stage: accounts register, it calls them, plays a melody and then echoes what it hears."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

import structlog

from ..errors import RefusedError
from ..sip.address import NameAddr, Uri
from ..sip.agent import Gone, Invited, Report, UserAgent
from ..sip.callee import Inbound
from ..sip.caller import Outbound
from ..sip.dialog import Identity
from ..sip.matching import Address
from ..sip.message import Request, Response
from ..sip.transport import Transport
from ..sip.usage import Accepted, Output, Reoffered, Stage, Usage
from .melody import SILENCE, melody
from .registrar import Registrar

log = structlog.get_logger()

RING_SECONDS = 30.0
TALK_SECONDS = 120.0
MOST_CALLS = 20
FRAME_SECONDS = 0.02
FRAME = 160
"""Samples, and bytes of G.711, in a packet."""
ECHO_FRAMES = 25
"""Half a second: late enough to be told from one's own voice."""
_PLACE = re.compile(rb"^c=IN IP4 ([0-9.]+)", re.MULTILINE)
_AUDIO = re.compile(rb"^m=audio (\d+) \S+ (0|8)\b", re.MULTILINE)


class CallStatus(NamedTuple):
    """One call, for whoever looks on."""

    account: str
    stage: str
    heard: int
    """RTP packets received."""


class _Voice(asyncio.DatagramProtocol):
    """One RTP stream each way."""

    def __init__(self) -> None:
        self.heard = 0
        self._kind = 0
        self._peer: Address | None = None
        self._echo: deque[bytes] = deque(maxlen=ECHO_FRAMES + 5)
        self.udp: asyncio.DatagramTransport | None = None
        self.port = 0

    @classmethod
    async def open(cls, host: str, port: int) -> _Voice:
        """OSError if the port is taken."""
        udp, voice = await asyncio.get_running_loop().create_datagram_endpoint(cls, local_addr=(host, port))
        voice.udp, voice.port = udp, port
        return voice

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if addr == self._peer and len(data) > 12 and data[0] >> 6 == 2 and data[1] & 0x7F == self._kind:
            self.heard += 1
            self._echo.append(data[12 + 4 * (data[0] & 15) :])

    def aim(self, answer: bytes) -> None:
        """Speak to the place and with the codec of an SDP answer; silent if there is none."""
        place, audio = _PLACE.search(answer), _AUDIO.search(answer)
        if place and audio:
            self._peer, self._kind = (place[1].decode(), int(audio[1])), int(audio[2])

    async def speak(self) -> None:
        """Until cancelled: a packet every 20 ms by the clock, however late the last one was."""
        loop, tune, source = asyncio.get_running_loop(), melody(self._kind, FRAME), secrets.token_bytes(4)
        start, late = loop.time(), 0
        for number in count():
            payload = tune[number] if number < len(tune) else self._heard_before()
            head = bytes((0x80, self._kind | (0x80 if number == 0 else 0)))
            head += (number & 0xFFFF).to_bytes(2) + (number * FRAME & 0xFFFFFFFF).to_bytes(4) + source
            if self.udp and self._peer:
                self.udp.sendto(head + payload, self._peer)
            wait = start + (number + 1 + late) * FRAME_SECONDS - loop.time()
            if wait < -0.2:  # the machine slept: no burst of what it missed
                late += int(-wait / FRAME_SECONDS)
            await asyncio.sleep(max(0.0, wait))

    def _heard_before(self) -> bytes:
        return self._echo.popleft() if len(self._echo) >= ECHO_FRAMES else SILENCE[self._kind] * FRAME

    def close(self) -> None:
        if self.udp:
            self.udp.close()


@dataclass(eq=False, slots=True)
class _Call:
    account: str
    usage: Outbound
    voice: _Voice
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    """Or ended without an answer."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def finish(self) -> None:
        self.answered.set()
        self.gone.set()


class DemoPbx:
    """`accounts`: user to password. RTP takes every second port from `rtp_port` on, one for each call."""

    def __init__(self, host: str, port: int, accounts: Mapping[str, str], rtp_port: int) -> None:
        self._host, self._port, self._rtp_port = host, port, rtp_port
        self._registrar = Registrar(accounts, secrets.token_hex)
        self._calls: dict[Usage, _Call] = {}
        self._transport: Transport | None = None
        self._agent: UserAgent | None = None
        self._tasks: asyncio.TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """OSError if the port is taken."""
        transport = Transport(self._host, self._port, self._reported)
        try:
            for kind in SILENCE:
                melody(kind, FRAME)  # so that no call waits for it
            host, port = transport.address
            me = Identity(host=host, port=port, token=secrets.token_hex, fraction=secrets.SystemRandom().random)
            self._transport, self._agent = transport, UserAgent(me=me, owner=self)
            await transport.open(self._agent)
            async with asyncio.TaskGroup() as self._tasks:
                try:
                    yield
                finally:
                    await self.hang_up()
        finally:
            await transport.close()
            self._transport = self._agent = self._tasks = None
            self._calls.clear()

    @property
    def address(self) -> Address | None:
        """Where it listens while it runs."""
        return self._transport.address if self._transport else None

    @property
    def calls(self) -> tuple[CallStatus, ...]:
        return tuple(CallStatus(c.account, c.usage.stage.value, c.voice.heard) for c in self._calls.values())

    @property
    def registered(self) -> frozenset[str]:
        """The accounts that can be called."""
        return self._registrar.registered(Transport.now())

    async def call(self, account: str, caller: str, caller_name: str) -> None:
        """Ring an account and return while it rings; RefusedError if nobody is registered or all ports are taken."""
        binding = self._registrar.binding(account, Transport.now())
        if self._agent is None or self._transport is None or self._tasks is None or binding is None:
            raise RefusedError(f"{account} is not registered at the demo PBX")
        voice = await self._free_voice()
        me = self._agent.me
        usage = Outbound(
            target=binding.contact,
            caller=NameAddr(caller_name, Uri("sip", caller or "anonymous", "", me.host, me.port)),
            sdp=_offer(self._host, voice.port),
            me=me,
            timers=self._agent.timers,
            peer=binding.source,
        )
        call = self._calls[usage] = _Call(account, usage, voice)
        self._agent.call(usage, Transport.now())
        self._transport.flush()
        self._tasks.create_task(self._conduct(call))

    async def hang_up(self) -> None:
        """End every call."""
        calls = list(self._calls.values())
        for call in calls:
            self._end(call)
        for call in calls:
            await _within(1, call.gone)
            call.finish()

    async def _free_voice(self) -> _Voice:
        for port in range(self._rtp_port, self._rtp_port + 2 * MOST_CALLS, 2):
            with suppress(OSError):  # taken: by another call, or by another program
                return await _Voice.open(self._host, port)
        raise RefusedError("too many calls at the demo PBX")

    # ---- one call

    async def _conduct(self, call: _Call) -> None:
        """Ring, talk, end: each within its time."""
        try:
            await _within(RING_SECONDS, call.answered)
            if call.usage.stage is Stage.CONFIRMED:
                async with asyncio.TaskGroup() as talk:
                    speaking = talk.create_task(call.voice.speak())
                    await _within(TALK_SECONDS, call.gone)
                    speaking.cancel()
            self._end(call)
        finally:
            call.voice.close()
            self._calls.pop(call.usage, None)

    def _end(self, call: _Call) -> None:
        self._act(call.usage, call.usage.hang_up(16, Transport.now()))

    def _reported(self, report: Report) -> None:
        usage, fact = report.user, report.fact
        if isinstance(fact, Invited) and isinstance(usage, Inbound):
            self._act(usage, usage.refuse(403, "This PBX only calls", Transport.now()))
        if not isinstance(usage, Usage) or (call := self._calls.get(usage)) is None:
            return
        log.info("demo_pbx", account=call.account, fact=type(fact).__name__)
        if isinstance(fact, Accepted):
            call.voice.aim(fact.sdp)
            call.answered.set()
        elif isinstance(fact, Reoffered):
            self._act(usage, usage.refuse_reoffer(488, "", Transport.now()))
        elif isinstance(fact, Gone):
            call.finish()

    def _act(self, usage: Usage, outputs: list[Output]) -> None:
        if self._agent and self._transport:
            self._agent.act(usage, outputs, Transport.now())
            self._transport.flush()

    # ---- the registrar, and what the user agent asks

    def admits(self, source: Address) -> bool:
        return True

    def is_ours(self, uri: Uri, source: Address) -> bool:
        return True

    def outside(self, request: Request, source: Address, now: float) -> Response | None:
        return self._registrar.answer(request, source, now) if request.method == "REGISTER" else None


async def _within(seconds: float, event: asyncio.Event) -> None:
    """Wait for an event, but no longer."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _offer(host: str, port: int) -> bytes:
    session = secrets.randbelow(2**31)
    lines = (
        "v=0", f"o=- {session} 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0",
        f"m=audio {port} RTP/AVP 0 8 101", "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "a=ptime:20", "a=sendrecv", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode()
