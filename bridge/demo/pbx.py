"""A small PBX for the stage: accounts register, it calls them, and they may call what it has to offer.

600     answers, plays a melody, then echoes          605   busy
601     plays before it answers (early media)         607   forbidden
606     rings and is never answered                   any other number of three digits or more is answered after 2 s
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import unquote

import structlog

from ..errors import RefusedError
from ..sip.address import NameAddr, Uri
from ..sip.agent import UserAgent
from ..sip.callee import Inbound
from ..sip.caller import Outbound
from ..sip.dialog import Identity
from ..sip.flow import Flow
from ..sip.message import Request, Response, session_description
from ..sip.output import Accepted, Output, Reoffered
from ..sip.owner import Gone, Invited, Report, Standing
from ..sip.session import Stage
from ..sip.transport import Transport
from ..sip.usage import Usage
from .melody import SECONDS as MELODY_SECONDS
from .melody import SILENCE, melody
from .registrar import Registrar
from .voice import FRAME, Voice

log = structlog.get_logger()

RING_SECONDS = 30.0
PICK_UP_SECONDS = 2.0
"""After which whoever is dialled answers."""
TALK_SECONDS = 120.0
MOST_CALLS = 20
ECHO, EARLY, BUSY, NOBODY, FORBIDDEN = "600", "601", "605", "606", "607"
REFUSALS = {BUSY: 486, FORBIDDEN: 403}
_ANYBODY = re.compile(r"\+?[0-9]{3,}")


class CallStatus(NamedTuple):
    """One call, for whoever looks on."""

    account: str
    stage: str
    heard: int
    """RTP packets received."""


@dataclass(eq=False, slots=True)
class _Call:
    account: str
    usage: Usage
    voice: Voice
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
            me = Identity(
                place=lambda to: (host, port), token=secrets.token_hex, fraction=secrets.SystemRandom().random
            )
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
    def address(self) -> tuple[str, int] | None:
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
            caller=NameAddr(caller_name, Uri("sip", caller or "anonymous", "", *me.place(binding.source))),
            sdp=voice.offer(),
            me=me,
            timers=self._agent.timers,
            peer=binding.source,
        )
        call = self._calls[usage] = _Call(account, usage, voice)
        self._agent.call(usage, Transport.now())
        self._transport.flush()
        self._tasks.create_task(self._ring(call))

    async def hang_up(self) -> None:
        """End every call."""
        calls = list(self._calls.values())
        for call in calls:
            self._end(call)
        for call in calls:
            await _within(1, call.gone)
            call.finish()

    async def _free_voice(self) -> Voice:
        for port in range(self._rtp_port, self._rtp_port + 2 * MOST_CALLS, 2):
            with suppress(OSError):  # taken: by another call, or by another program
                return await Voice.open(self._host, port)
        raise RefusedError("too many calls at the demo PBX")

    # ---- a call to an account

    async def _ring(self, call: _Call) -> None:
        """Ring, talk, end: each within its time."""
        async with self._kept(call), asyncio.TaskGroup() as tasks:
            await _within(RING_SECONDS, call.answered)
            if call.usage.stage is Stage.CONFIRMED:
                speaking = tasks.create_task(call.voice.speak())
                await _within(TALK_SECONDS, call.gone)
                speaking.cancel()

    # ---- a call of an account

    def _invited(self, usage: Inbound, invited: Invited) -> None:
        account = _user(NameAddr.parse(invited.invite.headers.get("From") or "").uri)
        number = _user(Uri.parse(invited.invite.uri))
        binding = self._registrar.binding(account, Transport.now())
        refusal = REFUSALS.get(number) or (0 if _ANYBODY.fullmatch(number) else 404)
        if binding is None or binding.source != invited.source:
            refusal = 403
        if refusal or self._tasks is None:
            self._act(usage, usage.refuse(refusal or 503, "", Transport.now()))
        else:
            self._tasks.create_task(self._serve(usage, account, number, session_description(invited.invite)))

    async def _serve(self, usage: Inbound, account: str, number: str, offer: bytes) -> None:
        try:
            voice = await self._free_voice()
        except RefusedError:
            self._act(usage, usage.refuse(503, "", Transport.now()))
            return
        call = self._calls[usage] = _Call(account, usage, voice)
        async with self._kept(call), asyncio.TaskGroup() as tasks:
            answer = voice.answer(offer)
            if usage.over or not answer:
                self._act(usage, usage.refuse(488, "", Transport.now()))
                return
            if number != EARLY:
                await self._let_ring(call, usage, number)
            speaking = tasks.create_task(voice.speak())
            if number == EARLY:
                self._act(usage, usage.progress(answer, Transport.now()))
                await _within(MELODY_SECONDS, call.gone)
            self._act(usage, usage.answer(answer, Transport.now()))
            await _within(TALK_SECONDS, call.gone)
            speaking.cancel()

    async def _let_ring(self, call: _Call, usage: Inbound, number: str) -> None:
        """For as long as that number does; whoever is never answered gets 480 in the end."""
        if number != ECHO:
            self._act(usage, usage.ring(Transport.now()))
            await _within(TALK_SECONDS if number == NOBODY else PICK_UP_SECONDS, call.gone)
        if number == NOBODY:
            self._end(call)

    # ---- any call

    @asynccontextmanager
    async def _kept(self, call: _Call) -> AsyncIterator[None]:
        """As long as somebody cares for it; then it is hung up."""
        try:
            yield
        finally:
            self._end(call)
            call.voice.close()
            self._calls.pop(call.usage, None)

    def _end(self, call: _Call) -> None:
        self._act(call.usage, call.usage.hang_up(16, Transport.now()))

    def _reported(self, report: Report) -> None:
        usage, fact = report.user, report.fact
        if isinstance(fact, Invited) and isinstance(usage, Inbound):
            self._invited(usage, fact)
        if not isinstance(usage, Usage) or (call := self._calls.get(usage)) is None:
            return
        log.info("demo_pbx", account=call.account, fact=type(fact).__name__)
        if isinstance(fact, Accepted):
            call.voice.aim(fact.sdp)
            call.answered.set()
        elif isinstance(fact, Reoffered):
            self._reoffered(call, fact.offer)
        elif isinstance(fact, Gone):
            call.finish()

    def _reoffered(self, call: _Call, offer: bytes) -> None:
        """Held, resumed, or moved; an offer is never made by this PBX."""
        now, answer = Transport.now(), call.voice.answer(offer)
        usage = call.usage
        self._act(usage, usage.answer_reoffer(answer, now) if answer else usage.refuse_reoffer(488, "", now))

    def _act(self, usage: Usage, outputs: list[Output]) -> None:
        if self._agent and self._transport:
            self._agent.act(usage, outputs, Transport.now())
            self._transport.flush()

    # ---- the registrar, and what the user agent asks

    def standing(self, source: Flow) -> Standing:
        return Standing.KNOWN

    def hears(self, source: Flow, now: float) -> bool:
        return True

    def vet(self, request: Request, source: Flow, now: float) -> Flow | Response:
        return source

    def is_ours(self, uri: Uri, source: Flow) -> bool:
        return True

    def outside(self, request: Request, source: Flow, now: float) -> Response | None:
        return self._registrar.answer(request, source, now) if request.method == "REGISTER" else None


def _user(uri: Uri) -> str:
    return unquote(uri.user)


async def _within(seconds: float, event: asyncio.Event) -> None:
    """Wait for an event, but no longer."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
