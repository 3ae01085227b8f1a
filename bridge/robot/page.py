"""The page of a headless operator: what it decides and does, as the worker page would."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, Literal

import aiohttp
import socketio
import socketio.exceptions as sio_errors

from ..errors import NetworkError, RefusedError
from ..operators.protocol import Ack, Call, CallState, Ended, MediaAnswer, Refusal, Reoffer, State, Welcome
from .http import http_client
from .voice import TONE_HZ, Ear, Leg, Mouth, blocks_of, tone

CONNECT_SECONDS = 20
BYE_SECONDS = 1
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
LOSS_SECONDS = 0.2
MAX_OFFERS = 4
"""Legs for one call before the robot gives up on it."""

_library_log = logging.getLogger("bridge.robot.socketio")
_library_log.setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    answer_after: float | None = 1.0
    """Seconds of ringing; None for never."""
    hang_up_after: float | None = None
    """Seconds of talk; None for never."""
    early: bool = False
    """Connect the voice while it rings."""
    audio: Literal["tone", "echo"] | Path = "tone"
    dial: str = ""
    """A number to call once, after joining."""


class Robot:
    """One page of one operator. `run` until cancelled; everything that happens is told to `say` in one line.

    Raises ConfigError for a sound file that can't be played.
    """

    def __init__(
        self,
        *,
        bridge_url: str,
        ticket: str | Callable[[], Awaitable[str]],
        orders: Orders,
        say: Callable[[str], None],
        session: str = "",
        ear: Callable[[], Ear] | None = None,
    ) -> None:
        """`ear` makes what listens to a call, if somebody wants to know more than `say` is told."""
        self._url = bridge_url
        self._ticket = ticket
        self._orders = orders
        self._say = say
        self._session = session
        self._ear = ear or Ear
        self._visit: _Visit | None = None
        self._blocks = _blocks(orders.audio)
        self._tab, self._browser = str(uuid.uuid4()), str(uuid.uuid4())
        # The same name on every connection: whatever became of the first message, the bridge calls once.
        self._wish = {"dial": str(uuid.uuid4()), "number": orders.dial} if orders.dial else None

    async def run(self) -> None:
        """Raises RefusedError when the bridge will not have this operator; a lost connection is made again."""
        pause = FIRST_PAUSE
        async with http_client() as http:
            while True:
                try:
                    await self._attend(http)
                    pause = FIRST_PAUSE
                    self._say("the connection is lost, connecting again")
                except NetworkError as error:
                    self._say(f"{error}; trying again in {pause:.1f} s")
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    @property
    def calls(self) -> list[Call]:
        """As the bridge told them last; none without a connection."""
        return self._visit.calls if self._visit else []

    async def press(self, button: str, **data: Any) -> bool:
        """Send one message as a page does when somebody clicks; names are those of the wire. False if it was not heard."""
        return self._visit is not None and await self._visit.tell(button, data)

    async def _attend(self, http: aiohttp.ClientSession) -> None:
        """One connection, from the greeting to its end."""
        inbox: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        client = socketio.AsyncClient(
            reconnection=False,
            handle_sigint=False,
            http_session=http,
            logger=_library_log,
            engineio_logger=_library_log,
        )
        client.on("*", lambda event, data=None: inbox.put_nowait((event, data)))
        lost = asyncio.Event()

        def disconnected(reason: str) -> None:
            lost.set()
            inbox.put_nowait(("disconnect", reason))

        client.on("disconnect", disconnected)
        await self._connect(client)
        try:
            async with asyncio.TaskGroup() as tasks:
                visit = _Visit(self._tab, self._orders, self._mouth, self._ear, client, lost, inbox, tasks, self._say)
                self._visit = visit
                try:
                    while (event := await inbox.get())[0] != "disconnect":
                        if event[0] == "welcome":
                            self._welcomed(Welcome.model_validate(event[1]), inbox)
                        await visit.take(*event)
                        if self._wish and event[0] == "state" and await visit.tell("dial", self._wish):
                            self._wish = None
                finally:
                    self._visit = None
                    await visit.close()
        finally:
            await self._leave(client)

    async def _connect(self, client: Any) -> None:
        refusals: asyncio.Queue[Any] = asyncio.Queue()
        client.on("connect_error", refusals.put_nowait)
        hello = {
            "ticket": self._ticket if isinstance(self._ticket, str) else await self._ticket(),
            "session": self._session,
            "tab": self._tab,
            "browser": self._browser,
            "page": "worker",
            "presence": {"visible": True, "capture": "yes", "card": True},
        }
        try:
            await client.connect(self._url, auth=hello, transports=["websocket"], wait_timeout=CONNECT_SECONDS)
        except sio_errors.ConnectionError as error:
            answer = None if refusals.empty() else refusals.get_nowait()
            if not isinstance(answer, dict):
                raise NetworkError(f"{self._url} can't be reached: {error}") from None
            text = (answer.get("data") or {}).get("text") or answer.get("message", "")
            if answer.get("message") in {Refusal.PORTAL_UNREACHABLE, Refusal.BUSY}:
                raise NetworkError(f"the bridge says: {text}") from None
            raise RefusedError(f"the bridge says: {text}") from None

    def _mouth(self) -> Mouth:
        return Mouth(cycle(self._blocks) if self._blocks else None)

    def _welcomed(self, welcome: Welcome, inbox: asyncio.Queue[tuple[str, Any]]) -> None:
        self._session = welcome.session
        self._say(f"on duty as {welcome.name}")
        asyncio.get_running_loop().call_later(welcome.renew_in, inbox.put_nowait, ("renew", {}))

    async def _leave(self, client: Any) -> None:
        if client.connected:
            # Without an answer the bridge sees the socket close as well.
            with suppress(sio_errors.SocketIOError):
                await client.call("bye", {}, timeout=BYE_SECONDS)
            await client.disconnect()


class _Visit:
    """What the page decides and does during one connection; events are taken one after the other."""

    def __init__(
        self,
        tab: str,
        orders: Orders,
        mouth: Callable[[], Mouth],
        ear: Callable[[], Ear],
        client: Any,
        lost: asyncio.Event,
        inbox: asyncio.Queue[tuple[str, Any]],
        tasks: asyncio.TaskGroup,
        say: Callable[[str], None],
    ) -> None:
        self._tab = tab
        self._orders = orders
        self._mouth = mouth
        self._ear = ear
        self._client = client
        self._lost = lost
        self._inbox = inbox
        self._tasks = tasks
        self._say = say
        self._state = State(lead=False, desktop=False, voicemail=0, ice_servers=[], calls=[])
        self._seen: dict[str, Call] = {}
        self._legs: dict[str, Leg] = {}
        self._ears: dict[str, Ear] = {}
        self._offers: dict[str, int] = {}
        self._due: set[tuple[str, str]] = set()
        """Orders that have their time already."""

    @property
    def calls(self) -> list[Call]:
        return self._state.calls

    async def take(self, event: str, data: Any) -> None:
        match event:
            case "state":
                self._state = State.model_validate(data)
                await self._follow()
            case "mediaAnswer":
                answer = MediaAnswer.model_validate(data)
                leg = self._legs.get(answer.call)
                if leg and leg.name == answer.offer:
                    await leg.accept(answer.sdp)
            case "reoffer":
                # aiortc keeps the codec that a connection began with: a new one has to speak the other codec.
                call = Reoffer.model_validate(data).call
                if call in self._legs:
                    await self._drop(call)
                    await self._offer(call)
                    await self._follow()
            case "lost":
                leg = next((leg for leg in self._legs.values() if leg.name == data), None)
                if leg:
                    await self._drop(leg.call)
                    # Most legs are lost because the call ended, and its last state is on the way.
                    asyncio.get_running_loop().call_later(LOSS_SECONDS, self._inbox.put_nowait, ("follow", None))
            case "follow":
                await self._follow()
            case "answer" | "hangUp" | "renew":
                await self.tell(event, data)

    async def close(self) -> None:
        for call in list(self._legs):
            await self._drop(call)

    async def _follow(self) -> None:
        """Do what the calls now on show ask for."""
        shown = {call.id: call for call in self._state.calls if call.state is not CallState.ENDED}
        endings = {call.id: call.ended for call in self._state.calls if call.state is CallState.ENDED}
        for gone in [name for name in self._seen if name not in shown]:
            await self._finish(gone, endings.get(gone, Ended.NONE))
        for call in shown.values():
            before = self._seen.get(call.id)
            self._seen[call.id] = call
            if before is None or before.state is not call.state:
                self._say(f"{call.number or 'unknown number'}: {call.state.value}")
                if call.state is CallState.REJOINING:
                    await self._drop(call.id)  # the bridge has lost this leg
                elif call.state is CallState.TALKING:
                    self._offers.pop(call.id, None)
            await self._serve(call)

    async def _serve(self, call: Call) -> None:
        mine = call.voice == self._tab
        ringing = call.state is CallState.RINGING and self._state.lead
        unspoken = call.state in {CallState.REJOINING, CallState.DIALLING} and call.voice == ""
        awaited = unspoken and self._state.lead and not call.elsewhere
        if ringing and self._orders.answer_after is not None:
            self._later("answer", call.id, self._orders.answer_after)
        if mine and call.talk_seconds is not None and self._orders.hang_up_after is not None:
            self._later("hangUp", call.id, self._orders.hang_up_after - call.talk_seconds)
        if (mine or awaited or (ringing and self._orders.early)) and call.id not in self._legs:
            await self._offer(call.id)
        if leg := self._legs.get(call.id):
            leg.speak(mine and not call.muted)

    def _later(self, event: str, call: str, seconds: float) -> None:
        if (event, call) not in self._due:
            self._due.add((event, call))
            asyncio.get_running_loop().call_later(max(0.0, seconds), self._inbox.put_nowait, (event, {"call": call}))

    async def _offer(self, call: str) -> None:
        count = self._offers[call] = self._offers.get(call, 0) + 1
        if count > MAX_OFFERS:
            if count == MAX_OFFERS + 1:
                self._say(f"the voice was lost {MAX_OFFERS} times: giving up")
            return
        leg = self._legs[call] = Leg(
            call, self._mouth(), self._ears.setdefault(call, self._ear()), self._tasks, self._inbox
        )
        sdp = await leg.offer()
        if sdp is None:
            self._say("no network interface but loopback, which aiortc does not use: no voice")
            await self.tell("voiceFailed", {"call": call, "why": "no-device"})
        else:
            await self.tell("offer", {"call": call, "offer": leg.name, "sdp": sdp})

    async def _finish(self, call: str, why: Ended) -> None:
        last = self._seen.pop(call)
        ear = self._ears.pop(call, None)
        heard = f"; heard {ear}" if ear else ""
        self._say(f"{last.number or 'unknown number'}: ended{f' ({why.value})' if why else ''}{heard}")
        await self._drop(call)
        self._offers.pop(call, None)
        self._due -= {("answer", call), ("hangUp", call)}

    async def _drop(self, call: str) -> None:
        if leg := self._legs.pop(call, None):
            await leg.close()

    async def tell(self, event: str, data: dict[str, Any]) -> bool:
        """False when the bridge may not have heard it."""
        # The library would wait for an answer that a lost connection can't bring.
        told = self._tasks.create_task(self._call(event, data))
        lost = self._tasks.create_task(self._lost.wait())
        await asyncio.wait({told, lost}, return_when=asyncio.FIRST_COMPLETED)
        lost.cancel()
        ack = told.result() if told.done() else None
        told.cancel()
        if ack and not ack.ok:
            self._say(f"{event}: {ack.error}")
        return ack is not None

    async def _call(self, event: str, data: dict[str, Any]) -> Ack | None:
        try:
            return Ack.model_validate(await self._client.call(event, data, timeout=CONNECT_SECONDS))
        except sio_errors.SocketIOError:
            return None  # the next connection starts from a fresh state


def _blocks(audio: str | Path) -> list[bytes] | None:
    if isinstance(audio, Path):
        return blocks_of(audio)
    return [tone(TONE_HZ)] if audio == "tone" else None
