"""One call's voice: the browser legs that may speak for it, the one that does, and the PBX leg they speak to."""

from __future__ import annotations

import asyncio
import datetime
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog

from ..calls.commands import ConnectBrowser, ReofferMedia
from ..calls.events import (
    BrowserAnswered,
    BrowserLost,
    CallId,
    Event,
    MediaReady,
    MediaReanswered,
    PbxFellSilent,
    TabId,
)
from . import page_sdp, pbx_sdp, sdp
from .hub import Hub
from .poller import Poller
from .relay import Relay, Stream
from .rtp import PbxLeg, PortPairs
from .webrtc import BrowserLeg, Certificates

log = structlog.get_logger()

MAX_LEGS_PER_CALL: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds to wait before something counts as lost."""

    connect: float = 15.0
    """From a page's offer to DTLS; and of a page that is to take a call over, to its voice."""
    browser: float = 2.0
    """Without voice from the joined page; it sends while muted, too."""
    pbx: float = 60.0
    """Without RTP from the PBX while nobody holds."""
    quiet: float = 0.2
    """Without voice from the joined page until the PBX is sent silence instead."""
    look: float = 0.1
    """Between two looks at all calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """What all conversations share."""

    buffer: bytearray
    poller: Poller
    hub: Hub
    ports: PortPairs
    certificates: Certificates
    patience: Patience
    post: Callable[[Event], None]
    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    """Starts a task that ends with the room."""
    clock: Callable[[], float]


@dataclass(slots=True, kw_only=True)
class _Silence:
    """How long a counter has not moved."""

    count: int
    since: float

    def passed(self, count: int, now: float) -> float:
        if count != self.count:
            self.count, self.since = count, now
        return now - self.since


class Conversation:
    """Voice of one call.

    Legs of several tabs may wait, at most one is joined. Once the first one is joined, codec and description towards the
    PBX stay, whichever leg comes after it.
    """

    def __init__(self, call: CallId, equipment: Equipment) -> None:
        self.call = call
        self.legs: dict[TabId, BrowserLeg] = {}
        self.joined: TabId | None = None
        self._wanted: TabId | None = None
        self._owed_since = 0.0
        """When the wanted leg began to owe its voice."""
        self._equipment = equipment
        self._pbx: PbxLeg | None = None
        self._relay: Relay | None = None
        self._offer: pbx_sdp.PbxOffer | None = None
        self._codec: sdp.Codec | None = None
        self._session_id = secrets.randbits(62)
        self._version = 0
        self._sdp = b""
        self._tasks: set[asyncio.Task[None]] = set()
        self._browser_silence = _Silence(count=0, since=0)
        self._pbx_silence = _Silence(count=0, since=0)
        self._pbx_reported = False

    @property
    def idle(self) -> bool:
        """Nothing was ever asked that would have to be remembered."""
        return not self.legs and self._wanted is None and self._pbx is None

    # ---- commands

    async def connect(self, command: ConnectBrowser) -> None:
        """Answer a page's offer, or SdpError or PortsExhaustedError."""
        page = page_sdp.parse_page_offer(command.sdp)
        pbx = self._offer or pbx_sdp.parse_pbx_offer(command.pbx_offer)
        # Once the PBX has its answer, the codec stays.
        allowed = command.codecs if self._codec is None else (self._codec.name,)
        codec = sdp.choose(pbx.audio, page.audio, frozenset(allowed))[1]
        if self._wanted == command.tab:
            self._open_pbx()
        leg = self.legs.get(command.tab)
        if leg is not None and leg.same_page(page):
            answer = leg.reanswer(page, codec, pbx.ptime)
        else:
            if leg is not None:
                self._drop(command.tab)
            answer = await self._new_leg(command.tab, page, codec, pbx.ptime)
        self._offer = pbx
        post = self._equipment.post
        post(BrowserAnswered(call=self.call, tab=command.tab, offer=command.offer, sdp=answer))

    async def _new_leg(self, tab: TabId, page: page_sdp.PageOffer, codec: sdp.Codec, ptime: int) -> str:
        if len(self.legs) >= MAX_LEGS_PER_CALL:  # a page that was reloaded again and again: its oldest leg is dead
            self._drop(next(other for other in self.legs if other not in (self.joined, self._wanted)))
        equipment = self._equipment
        certificate = equipment.certificates.current(datetime.datetime.now(datetime.UTC))
        leg = BrowserLeg(
            equipment.hub, certificate, voice=partial(self._first_voice, tab), ended=partial(self._leg_ended, tab)
        )
        self.legs[tab] = leg
        answer = await leg.answer(page, codec, ptime)
        self._spawn(leg.connect(equipment.patience.connect))
        return answer

    def join(self, tab: TabId) -> None:
        """Join the leg of `tab` as soon as it speaks; if there is none yet, the one that comes."""
        self._wanted, self._owed_since = tab, self._equipment.clock()
        leg = self.legs.get(tab)
        if leg is None:
            return
        self._open_pbx()
        if leg.received:
            self._join(tab, leg)

    def reoffer(self, command: ReofferMedia) -> None:
        """Follow the PBX's new offer, or make ours if it is empty; SdpError leaves everything as it was."""
        if self._pbx is None or self._relay is None or self._offer is None or self._codec is None:
            raise sdp.SdpError("a new offer for a call that isn't answered")
        if command.sdp:
            offer = pbx_sdp.parse_pbx_offer(command.sdp)
            codec = offer.codec(self._codec.name)
            if codec is None:
                raise sdp.SdpError(f"the new offer has no {self._codec.name}, which the call uses")
            self._offer, self._codec = offer, codec
            self._follow(held=offer.held)
            self._describe(pbx_sdp.write_pbx_answer)
        else:
            # The PBX's answer comes in its ACK, unseen here: what asks for an offer resumes (RFC 6337, 5.2.1).
            self._follow(held=False)
            self._describe(pbx_sdp.write_pbx_offer)
        held = not self._relay.sending
        self._equipment.post(MediaReanswered(call=self.call, sdp=self._sdp, held=held))

    async def close(self) -> None:
        """Close everything; nothing is posted any more."""
        self._wanted = None
        for tab in list(self.legs):
            self._drop(tab)
        if self._pbx is not None:
            self._pbx.close()
            self._pbx = self._relay = None
        while self._tasks:
            await asyncio.wait(self._tasks)

    # ---- joining

    def _open_pbx(self) -> None:
        if self._pbx is None:
            equipment = self._equipment
            self._pbx = PbxLeg(equipment.ports, equipment.buffer, equipment.poller, voice=_nobody)

    def _first_voice(self, tab: TabId, length: int, now: float) -> None:
        leg = self.legs.get(tab)
        if leg is not None and tab == self._wanted != self.joined:
            self._join(tab, leg)
            leg.voice(length, now)

    def _join(self, tab: TabId, leg: BrowserLeg) -> None:
        for other in [other for other in self.legs if other != tab]:
            self._drop(other)
        relay = self._relay or self._start_relay(leg)
        relay.up.pause()
        relay.attach(leg, self._stream(leg.codec))
        leg.voice = relay.from_browser
        self.joined = tab
        self._browser_silence = _Silence(count=leg.received, since=self._equipment.clock())
        self._equipment.post(MediaReady(call=self.call, tab=tab, sdp=self._sdp))

    def _start_relay(self, leg: BrowserLeg) -> Relay:
        assert self._pbx is not None
        assert self._offer is not None
        self._codec = self._offer.codec(leg.codec.name)
        assert self._codec is not None
        self._relay = Relay(self._pbx, self._stream(self._codec), self._codec.name)
        self._pbx.voice = self._relay.from_pbx
        self._follow(held=self._offer.held)
        self._describe(pbx_sdp.write_pbx_answer)
        return self._relay

    def _stream(self, codec: sdp.Codec) -> Stream:
        return Stream(
            memoryview(self._equipment.buffer),
            ssrc=secrets.randbits(32),
            sequence=secrets.randbits(15),
            timestamp=secrets.randbits(32),
            payload_type=codec.payload_type,
            clock_rate=codec.clock_rate,
        )

    def _follow(self, *, held: bool) -> None:
        """Bring PBX leg and relay in line with the PBX's newest offer."""
        assert self._pbx is not None
        assert self._relay is not None
        assert self._offer is not None
        assert self._codec is not None
        address = self._offer.address
        self._pbx.follow(None if address[0] == sdp.NOWHERE else address, self._codec.payload_type)
        self._relay.up.payload_type = self._codec.payload_type
        self._relay.hold(held)
        self._pbx_silence = _Silence(count=self._pbx.received, since=self._equipment.clock())

    def _describe(self, write: Callable[[pbx_sdp.PbxOffer, sdp.Codec, pbx_sdp.PbxSession, int], bytes]) -> None:
        """Our description for the PBX: its version rises if and only if anything else changed (RFC 3264, 8)."""
        assert self._pbx is not None
        assert self._offer is not None
        assert self._codec is not None
        session = pbx_sdp.PbxSession(id=self._session_id, address=self._pbx.address)
        text = write(self._offer, self._codec, session, self._version)
        if text != self._sdp:
            self._version += 1
            text = write(self._offer, self._codec, session, self._version)
        self._sdp = text

    # ---- losing

    def _leg_ended(self, tab: TabId, why: str) -> None:
        joined, wanted = self.joined == tab, self._wanted == tab
        log.info("browser_leg_ended", call=self.call, tab=tab, joined=joined, why=why)
        self._drop(tab)
        if joined or wanted:
            self._lose(tab, why)

    def _lose(self, tab: TabId, why: str) -> None:
        if self._wanted == tab:
            self._wanted = None
        self._equipment.post(BrowserLost(call=self.call, tab=tab, why=why))

    def _drop(self, tab: TabId) -> None:
        """Close the leg of `tab`; if it was joined, the PBX leg goes on without."""
        leg = self.legs.pop(tab)
        leg.voice = _nobody
        if self.joined == tab:
            self.joined, self._owed_since = None, self._equipment.clock()
            if self._relay is not None:
                self._relay.detach()
        self._spawn(leg.close())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._equipment.spawn(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- watching

    def look(self, now: float) -> bool:
        """Report who fell silent; True if the PBX must be sent silence until voice comes."""
        if self._pbx is None or self._relay is None:
            return False
        self._look_at_pbx(self._pbx, self._relay, now)
        if self.joined is None:
            self._look_at_wanted(now)
            return self._relay.sending
        passed = self._browser_silence.passed(self.legs[self.joined].received, now)
        if passed >= self._equipment.patience.browser:
            tab = self.joined
            self._drop(tab)
            self._lose(tab, f"no voice for {passed:.1f} s")
        return self._relay.sending and passed >= self._equipment.patience.quiet

    def _look_at_wanted(self, now: float) -> None:
        """A page that is to take the call over may connect and yet never speak."""
        tab = self._wanted
        if tab in self.legs and now - self._owed_since >= self._equipment.patience.connect:
            self._drop(tab)
            self._lose(tab, "no voice from the new page")

    def _look_at_pbx(self, pbx: PbxLeg, relay: Relay, now: float) -> None:
        passed = self._pbx_silence.passed(pbx.received, now)
        if not relay.sending:
            self._pbx_silence.since = now
        elif passed < self._equipment.patience.pbx:
            self._pbx_reported = False
        elif not self._pbx_reported:
            self._pbx_reported = True
            self._equipment.post(PbxFellSilent(call=self.call))

    def silence(self, now: float) -> bool:
        """Send the PBX a frame of silence if one is due; False if voice came back or nobody listens."""
        if self._relay is None or not self._relay.sending:
            return False
        if self.joined is not None and self.legs[self.joined].received != self._browser_silence.count:
            return False
        self._relay.silence(now)
        return True


def _nobody(length: int, now: float) -> None:
    """Voice that nobody hears yet."""
