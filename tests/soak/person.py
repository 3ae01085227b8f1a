"""One operator and those who call: a page reduced to its socket, its voice, and the other end at the PBX, call after call."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..bench.load import PageVoice
from ..bench.pbx import HOST, Call, Pbx
from ..bench.site import Tickets
from ..bench.tab import Tab, TabError
from .crowd import PAGE, Crowd, Heard
from .ledgers import Made
from .plan import Act, End, Plan, draw
from .stand import Desk

PATIENCE = 15.0
"""Seconds for what takes milliseconds."""
SETTLES = 0.5
"""Seconds that a packet may be on its way, and a call may need for its voice, before anything is counted."""
KEY_SECONDS = 0.4
_OFFER = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP 0 101\r\n"
    b"a=ptime:20\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
)
_AUDIO = re.compile(rb"^m=audio (\d+) ", re.MULTILINE)


class AmissError(Exception):
    """The bridge did not do what it should."""


@dataclass(slots=True)
class Deeds:
    """What all operators together did and saw."""

    made: list[Made] = field(default_factory=list)
    acts: dict[str, int] = field(default_factory=lambda: {act.value: 0 for act in Act})
    troubles: list[str] = field(default_factory=list)
    lost: int = 0
    """Packets of calls that are over."""
    twice: int = 0
    refused: int = 0
    silent: int = 0
    """Calls that were answered and in which nothing was heard."""
    wrong_keys: int = 0
    talking: int = 0


class Person:
    def __init__(
        self, desk: Desk, crowd: Crowd, deeds: Deeds, chance: random.Random, talk: tuple[float, float]
    ) -> None:
        self._desk, self._crowd, self._deeds, self._chance, self._talk = desk, crowd, deeds, chance, talk
        self._tickets: Tickets | None = None
        self._tab: Tab | None = None
        self._name = ""
        self._shown: dict[str, dict[str, Any]] = {}
        self._answers: dict[str, str] = {}
        self._news = asyncio.Event()
        self.closing = asyncio.Event()
        """No call any more; one that goes on is cut short."""

    async def sit_down(self) -> None:
        """A page is open."""
        self._tickets = await self._desk.site.ticket(self._desk.user)
        await self._open()

    async def work(self) -> None:
        """Call after call, until `closing`."""
        while not self.closing.is_set():
            plan = draw(self._chance, self._talk)
            try:
                await self._call(plan)
            except (AmissError, TimeoutError, TabError, OSError) as trouble:
                self._deeds.troubles.append(f"{time.strftime('%H:%M:%S')} {self._desk.account}: {trouble!r}")
                await asyncio.sleep(2)

    def leave(self) -> None:
        if self._tab is not None:
            self._tab.emit("bye", {})
            self._tab.close()

    # ---- a call

    async def _call(self, plan: Plan) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.bind((HOST, 0))
            call = self._pbx.call(self._desk.account, rtp_port=end.getsockname()[1], offer=_OFFER)
            made = Made(caller=call.caller, end=plan.end.value, at=time.time())
            self._deeds.made.append(made)
            try:
                await self._live(plan, call, end, made)
            finally:
                if not call.over.is_set():
                    self._give_up(call)
                made.heard = call.status

    async def _live(self, plan: Plan, call: Call, end: socket.socket, made: Made) -> None:
        shown = await self._until(lambda: self._find(call, "ringing"), "the page to show the call")
        if not plan.end.is_answered:
            await self._pause(plan.ring)
            if plan.end is End.DECLINED:
                self._emit("decline", call=shown["id"])
            else:
                self._pbx.cancel(call)
            await self._over(call)
            return
        number = self._crowd.open()
        voice = None
        try:
            voice = await self._connect(shown["id"], number)
            await self._pause(plan.ring)
            voice = await self._talks(plan, call, shown["id"], number, voice, end, made)
        finally:
            self._took(self._crowd.close(number), plan, made)
            if voice is not None:
                await voice.close()

    async def _talks(
        self, plan: Plan, call: Call, name: str, number: int, voice: PageVoice, end: socket.socket, made: Made
    ) -> PageVoice:
        """The voice that the page has in the end."""
        self._emit("answer", call=name)
        self._emit("speaking", call=name)
        async with asyncio.timeout(PATIENCE):
            await call.final.wait()
        if call.status != 200:
            raise AmissError(f"{call.caller} got {call.status}")
        self._crowd.pbx(number, end, _place(call.responses[-1].body))
        await self._until(lambda: self._find(call, "talking"), "the page to talk")
        begun = time.monotonic()
        with self._talking():
            await self._pause(SETTLES)
            self._crowd.count(number, True)
            for at, act in plan.acts:
                if await self._pause(begun + at - time.monotonic()):
                    voice = await self._carry_out(act, plan, call, name, number, voice, made)
            await self._pause(begun + plan.talk - time.monotonic())
            await self._quiet(number)
            made.talked = time.monotonic() - begun
            if plan.end is End.BY_PAGE:
                self._emit("hangUp", call=name)
            else:
                self._pbx.hang_up(call)
            await self._over(call)
        return voice

    async def _carry_out(
        self, act: Act, plan: Plan, call: Call, name: str, number: int, voice: PageVoice, made: Made
    ) -> PageVoice:
        await self._quiet(number)
        self._deeds.acts[act.value] += 1
        if act is Act.HOLD:
            self._emit("hold", call=name, held=True)
            await self._until(lambda: self._find(call, "held"), "the call to be held")
            await self._pause(plan.hold)
            self._emit("hold", call=name, held=False)
            await self._until(lambda: self._find(call, "talking"), "the call to go on")
        elif act is Act.KEYS:
            self._emit("digits", call=name, press=str(uuid.uuid4()), digits=plan.keys)
            made.keys = plan.keys
            await asyncio.sleep(1 + KEY_SECONDS * len(plan.keys))
        else:
            voice = await self._come_back(act, call, name, number, voice)
        await asyncio.sleep(SETTLES)
        self._crowd.count(number, True)
        return voice

    async def _come_back(self, act: Act, call: Call, name: str, number: int, voice: PageVoice) -> PageVoice:
        """Another page of the same browser goes on with the call."""
        assert self._tab is not None
        if act is Act.RELOAD:
            self._tab.emit("bye", {})
        self._tab.close()
        self._crowd.silence(number, PAGE)
        await voice.close()
        await asyncio.sleep(self._chance.uniform(0.1, 0.6))
        await self._open()
        await self._until(lambda: self._find(call, "rejoining"), "the call to wait for its voice")
        voice = await self._connect(name, number)
        await self._until(lambda: self._find(call, "talking"), "the call to go on with a new page")
        return voice

    async def _connect(self, name: str, number: int) -> PageVoice:
        """The page's leg, connected and speaking."""
        voice, offer = PageVoice(), str(uuid.uuid4())
        try:
            self._emit("offer", call=name, offer=offer, sdp=_bare(await voice.offer()))
            await self._until(lambda: offer in self._answers, "the answer to the page's offer")
            await voice.accept(self._answers.pop(offer))
        except BaseException:
            await voice.close()
            raise
        self._crowd.page(number, voice)
        return voice

    async def _quiet(self, number: int) -> None:
        """Nothing is counted any more, and what was is there."""
        self._crowd.count(number, False)
        await asyncio.sleep(SETTLES)

    async def _over(self, call: Call) -> None:
        async with asyncio.timeout(PATIENCE):
            await call.over.wait()

    def _give_up(self, call: Call) -> None:
        if call.status == 200:
            self._pbx.hang_up(call)
        elif not call.final.is_set():
            self._pbx.cancel(call)

    def _took(self, heard: Heard, plan: Plan, made: Made) -> None:
        self._deeds.lost += heard.lost
        self._deeds.twice += heard.twice
        self._deeds.refused += heard.refused
        if made.talked > 2 * SETTLES + 1 and not heard.arrived:
            self._deeds.silent += 1
        if heard.keys != made.keys:
            self._deeds.wrong_keys += 1
            self._deeds.troubles.append(f"{made.caller}: pressed {made.keys!r}, the PBX heard {heard.keys!r}")
        if heard.lost:
            self._deeds.troubles.append(f"{made.caller} ({plan}): {heard.lost} of {heard.sent} packets lost")

    @contextmanager
    def _talking(self) -> Iterator[None]:
        self._deeds.talking += 1
        try:
            yield
        finally:
            self._deeds.talking -= 1

    # ---- the page

    async def _open(self) -> None:
        self._shown.clear()
        self._tab = await self._desk.site.tab(self._desk.user, self._listen, self._tickets)

    def _listen(self, event: str, payload: Any, at: float) -> None:
        if event == "state":
            self._shown = {call["number"]: call for call in payload["calls"]}
        elif event == "mediaAnswer":
            self._answers = {payload["offer"]: payload["sdp"]}
        elif event == "reoffer":
            self._deeds.troubles.append(f"{self._desk.account}: the bridge asked for another offer: {payload}")
        self._news.set()

    def _find(self, call: Call, state: str) -> dict[str, Any] | None:
        shown = self._shown.get(call.caller)
        return shown if shown and shown["state"] == state else None

    async def _until(self, fact: Callable[[], Any], what: str) -> Any:
        try:
            async with asyncio.timeout(PATIENCE):
                while not (found := fact()):
                    self._news.clear()
                    await self._news.wait()
                return found
        except TimeoutError:
            states = [(call["id"], call["state"]) for call in self._shown.values()]
            raise AmissError(f"waited in vain for {what}; the page shows {states}") from None

    def _emit(self, event: str, **payload: Any) -> None:
        assert self._tab is not None
        self._tab.emit(event, payload)

    async def _pause(self, seconds: float) -> bool:
        """False if the day is over meanwhile."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self.closing.wait()
            return False
        except TimeoutError:
            return True

    @property
    def _pbx(self) -> Pbx:
        return self._desk.site.pbx


def _place(sdp: bytes) -> tuple[str, int]:
    audio = _AUDIO.search(sdp)
    if audio is None:
        raise AmissError(f"no audio in the answer: {sdp!r}")
    return HOST, int(audio[1])


def _bare(sdp: str) -> str:
    """Without candidates, as pages send it: the bridge learns their address from their checks."""
    return "".join(
        line for line in sdp.splitlines(keepends=True) if not line.startswith(("a=candidate", "a=end-of-candidates"))
    )
