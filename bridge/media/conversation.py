"""One call's voice: the browser legs that may speak for it, the one that does, and the PBX leg they speak to."""

from __future__ import annotations

import asyncio
import datetime
import random
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog

from ..calls.commands import AcceptPbxAnswer, ConnectBrowser, HoldMedia, MediaPolicy, ReofferMedia, SendDigits
from ..calls.events import (
    BrowserAnswered,
    BrowserLost,
    CallId,
    CodecChanged,
    DigitsUnsent,
    MediaOfferMade,
    MediaReady,
    MediaReanswered,
    MediaReoffered,
    PbxFellSilent,
    PbxPressed,
    QualityChanged,
    TabId,
)
from . import page_sdp, sdp
from .digits import DigitsError, HeardKeys
from .equipment import Equipment
from .pbx_session import PbxSession
from .quality import Ear
from .relay import HEADER, Relay, Stream
from .rtp import PbxLeg
from .webrtc import BrowserLeg

log = structlog.get_logger()

MAX_LEGS_PER_CALL: Final = 8


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

    Legs of several tabs may wait, at most one is joined. What is agreed with the PBX stays, whichever leg comes after it: a
    page that speaks another codec is asked for a new offer.
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
        self._heard = HeardKeys()
        self._session = PbxSession(secrets.randbits(62), secrets.token_bytes)
        self._allowed: tuple[str, ...] = ()
        """Names of codecs."""
        self._policy = MediaPolicy()
        self._asked: tuple[TabId, str] | None = None
        """Which page was asked for a new offer, and for which codec."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._browser_silence = _Silence(count=0, since=0)
        self._pbx_silence = _Silence(count=0, since=0)
        self._pbx_reported = False
        self._ear = Ear()

    @property
    def idle(self) -> bool:
        """Nothing was ever asked that would have to be remembered."""
        return not self.legs and self._wanted is None and self._pbx is None

    @property
    def mute(self) -> bool:
        """The PBX listens, and what it hears is not the page's voice."""
        return self._relay is not None and self._relay.sending and not self._relay.talking

    # ---- commands

    async def connect(self, command: ConnectBrowser) -> None:
        """Answer a page's offer, or SdpError or PortsExhaustedError."""
        page = page_sdp.parse_page_offer(command.sdp)
        session = self._session
        session.secrecy = command.policy.srtp
        session.invited(command.pbx_offer)
        self._allowed, self._policy = command.codecs, command.policy
        codec = sdp.choose(session.wanted(command.codecs), page.audio)
        if self._wanted == command.tab:
            self._open_pbx()
        leg = self.legs.get(command.tab)
        if leg is not None and leg.same_page(page):
            answer = self._reanswer(command.tab, leg, page, codec)
        else:
            if leg is not None:
                self._drop(command.tab)
            answer = await self._new_leg(command.tab, page, codec, session.ptime)
        post = self._equipment.post
        post(BrowserAnswered(call=self.call, tab=command.tab, offer=command.offer, sdp=answer))

    def _reanswer(self, tab: TabId, leg: BrowserLeg, page: page_sdp.PageOffer, codec: sdp.Codec) -> str:
        """Answer a new offer for the transport that stands."""
        before = leg.codec
        answer = leg.reanswer(page, codec, self._session.ptime)
        if tab == self.joined and codec != before:
            self._attach(leg)
            self._open_ways()
        return answer

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

    def join(self, tab: TabId, *, speaks: bool = False) -> None:
        """Join the leg of `tab` as soon as it speaks; if there is none yet, the one that comes.

        `speaks`: the page says that its voice is on its way.
        """
        if speaks and tab == self.joined:
            return
        self._wanted, self._owed_since = tab, self._equipment.clock()
        leg = self.legs.get(tab)
        if leg is None:
            return
        self._open_pbx()
        if tab == self.joined:
            self._equipment.post(MediaReady(call=self.call, tab=tab, sdp=self._session.text))
        elif leg.received or (speaks and leg.connected):
            self._join(tab, leg)

    def reoffer(self, command: ReofferMedia) -> None:
        """Follow the PBX's new offer, or make ours if it is empty; SdpError leaves everything as it was."""
        pbx, relay = self._running()
        text = self._session.reoffered(command.sdp, pbx.address, self._allowed)
        self._follow(pbx, relay)
        self._equipment.post(MediaReanswered(call=self.call, sdp=text, held=self._session.pbx_holds))

    def accept(self, command: AcceptPbxAnswer) -> None:
        """Follow an answer of the PBX, the first or a later one; SdpError leaves everything as it was."""
        pbx, relay = self._running()
        before = self._session.theirs
        self._session.answered(command.sdp)
        if self._session.theirs != before:  # the final answer mostly repeats the early one
            self._follow(pbx, relay)
        self._expect_pbx(pbx)

    def hold(self, command: HoldMedia) -> None:
        """Stop or resume both ways at once, and say what to offer the PBX; SdpError before anything is agreed."""
        pbx, _ = self._running()
        text = self._session.hold(command.held, pbx.address)
        self._open_ways()
        self._equipment.post(MediaReoffered(call=self.call, sdp=text))

    def offer(self) -> None:
        """Say what a session that takes the place of this one would be offered; SdpError before anything is agreed."""
        pbx, _ = self._running()
        text = self._session.offered_anew(pbx.address, self._allowed)
        self._equipment.post(MediaOfferMade(call=self.call, sdp=text))

    def press(self, command: SendDigits) -> None:
        """Let keys follow one another; DigitsError if the PBX can't be told them."""
        if self._relay is None:
            raise DigitsError("nobody to send keys to yet")
        if self._session.codec is not None and self._session.event_type is None:
            self._equipment.post(DigitsUnsent(call=self.call, digits=command.digits))
        else:
            self._relay.press(command.digits)

    def _running(self) -> tuple[PbxLeg, Relay]:
        if self._pbx is None or self._relay is None:
            raise sdp.SdpError("the voice of this call was never up")
        return self._pbx, self._relay

    async def close(self) -> None:
        """Close everything; nothing is posted any more."""
        self._wanted = None
        for tab in list(self.legs):
            self._drop(tab)
        if self._pbx is not None:
            self._pbx.report(self._equipment.clock(), goodbye=True)
            self._pbx.close()
            self._pbx = self._relay = None
        while self._tasks:
            await asyncio.wait(self._tasks)

    # ---- joining

    def _open_pbx(self) -> None:
        if self._pbx is None:
            equipment = self._equipment
            self._pbx = PbxLeg(equipment.ports, equipment.buffer, equipment.poller, voice=_nobody)
            self._pbx.event = self._heard_key

    def _first_voice(self, tab: TabId, length: int, now: float) -> None:
        leg = self.legs.get(tab)
        if leg is not None and tab == self._wanted != self.joined:
            self._join(tab, leg)
            leg.voice(length, now)

    def _join(self, tab: TabId, leg: BrowserLeg) -> None:
        for other in [other for other in self.legs if other != tab]:
            self._drop(other)
        if self._relay is None:
            self._start_relay(leg)
        self.joined = tab
        self._ear.rest()
        self._attach(leg)
        self._browser_silence = _Silence(count=leg.received, since=self._equipment.clock())
        self._equipment.post(MediaReady(call=self.call, tab=tab, sdp=self._session.text))
        self._open_ways()

    def _start_relay(self, leg: BrowserLeg) -> None:
        assert self._pbx is not None
        session, name, address = self._session, leg.codec.name, self._pbx.address
        if session.theirs is None:
            others = [other for other in self._allowed if other != name and leg.offers(other)]
            session.offer([name, *others], address)
        else:
            session.answer(name, address)
        relay = self._relay = Relay(self._pbx, self._stream(leg.codec, secrets.randbits(32)), name)
        self._pbx.voice, self._pbx.sent = relay.from_pbx, relay.up
        if session.codec is not None:
            self._follow(self._pbx, relay)

    def _attach(self, leg: BrowserLeg) -> None:
        """A new stream to the page, under the SSRC that its answer told."""
        assert self._relay is not None
        self._relay.up.pause()
        leg.sent = down = self._stream(leg.codec, leg.ssrc)
        self._relay.attach(leg, down)
        leg.voice = self._relay.from_browser

    def _stream(self, codec: sdp.Codec, ssrc: int) -> Stream:
        return Stream(
            memoryview(self._equipment.buffer),
            ssrc=ssrc,
            sequence=secrets.randbits(15),
            timestamp=secrets.randbits(32),
            payload_type=codec.payload_type,
            clock_rate=codec.clock_rate,
        )

    def _follow(self, pbx: PbxLeg, relay: Relay) -> None:
        """Bring PBX leg and relay in line with what is agreed now."""
        session, codec = self._session, self._session.codec
        assert codec is not None
        assert session.theirs is not None
        pbx.follow(session.theirs.address, session.control, session.payload_type, codec.clock_rate, self._policy.latch)
        pbx.event_type = session.heard_event_type
        pbx.encrypt(session.keys)
        relay.tune(codec.name, codec.payload_type, codec.clock_rate, session.event_type)
        self._open_ways()
        self._expect_pbx(pbx)

    def _open_ways(self) -> None:
        """Let through what both sides agreed to hear; a page of another codec is asked to offer again."""
        assert self._relay is not None
        session, tab = self._session, self.joined
        codec, leg = session.codec, self.legs[tab] if tab else None
        tuned = leg is None or codec is None or leg.codec.name == codec.name
        self._relay.open(sending=session.pbx_listens, held=session.held, tuned=tuned)
        if tuned or tab is None or codec is None:
            self._asked = None
        elif self._asked != (tab, codec.name):
            self._asked = tab, codec.name
            self._equipment.post(CodecChanged(call=self.call, tab=tab))

    def _heard_key(self, timestamp: int, length: int) -> None:
        if key := self._heard.take(timestamp, bytes(self._equipment.buffer[HEADER:length])):
            self._equipment.post(PbxPressed(call=self.call, digits=key))

    def _expect_pbx(self, pbx: PbxLeg) -> None:
        """Its silence counts from now on."""
        self._pbx_silence = _Silence(count=pbx.received, since=self._equipment.clock())

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
        """Report who fell silent; True if the PBX must be sent frames of ours until voice comes."""
        if self._pbx is None or self._relay is None:
            return False
        self._look_at_pbx(self._pbx, now)
        self._report(now)
        self._listen(self._relay, self._pbx, now)
        if self.joined is None:
            self._look_at_wanted(now)
            return self._relay.sending
        passed = self._browser_silence.passed(self.legs[self.joined].received, now)
        if passed >= self._equipment.patience.browser:
            tab = self.joined
            self._drop(tab)
            self._lose(tab, f"no voice for {passed:.1f} s")
        return self._relay.sending and (passed >= self._equipment.patience.quiet or not self._relay.talking)

    def _report(self, now: float) -> None:
        """Send the reports that are due."""
        for leg in (self._pbx, self.legs.get(self.joined) if self.joined else None):
            if leg is not None and now >= leg.reports.due:
                pause = self._equipment.patience.report * random.uniform(0.5, 1.5)  # noqa: S311  # only spreads the load
                if leg.reports.put_off(now, pause):
                    leg.report(now)

    def _listen(self, relay: Relay, pbx: PbxLeg, now: float) -> None:
        """Judge how it sounds, while both speak and hear."""
        codec = self._session.codec
        if self.joined is None or codec is None or not (relay.talking and relay.hearing):
            self._ear.rest()
        elif quality := self._ear.listen(self.legs[self.joined].reports, pbx.reports, codec.name, now):
            self._equipment.post(QualityChanged(call=self.call, quality=quality))

    def _look_at_wanted(self, now: float) -> None:
        """A page that is to take the call over may connect and yet never speak."""
        tab = self._wanted
        if tab in self.legs and now - self._owed_since >= self._equipment.patience.connect:
            self._drop(tab)
            self._lose(tab, "no voice from the new page")

    def _look_at_pbx(self, pbx: PbxLeg, now: float) -> None:
        passed = self._pbx_silence.passed(pbx.received, now)
        if not self._session.pbx_should_speak:
            self._pbx_silence.since = now
        elif passed < self._equipment.patience.pbx:
            self._pbx_reported = False
        elif not self._pbx_reported:
            self._pbx_reported = True
            self._equipment.post(PbxFellSilent(call=self.call))

    def frame(self, now: float) -> bool:
        """Send the PBX the frame that is due; False if the page's voice is back or nobody listens."""
        relay = self._relay
        if relay is None or not relay.sending:
            return False
        if relay.talking and self.joined and self.legs[self.joined].received != self._browser_silence.count:
            return False
        relay.frame(now)
        return True


def _nobody(length: int, now: float) -> None:
    """Voice that nobody hears yet."""
