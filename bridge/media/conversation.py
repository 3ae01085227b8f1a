"""One call's voice: the browser legs that may speak for it, the one that does, and the PBX leg they speak to."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from typing import Final

from ..calls.commands import (
    PBX_MUSIC,
    AcceptPbxAnswer,
    ConnectBrowser,
    HoldMedia,
    MediaPolicy,
    PauseRecording,
    ReofferMedia,
    ResumeRecording,
    SendDigits,
    SpeakEarly,
    StartRecording,
    Transcode,
)
from ..calls.events import (
    BrowserAnswered,
    CallId,
    CodecChanged,
    DigitsUnsent,
    EarlyMediaReady,
    MediaHeld,
    MediaOfferMade,
    MediaReady,
    MediaReanswered,
    MediaReoffered,
    PbxLegMoved,
    PbxPressed,
    TabId,
)
from ..errors import ConfigError
from . import crossing, page_sdp, sdp, sound
from .conference.mixing import MIXED_TYPE
from .conference.part import Part
from .crossing import Crossing
from .digits import DigitsError, HeardKeys
from .equipment import Equipment
from .filler import Filler
from .memory import Memory
from .packet import HEADER
from .pages import Pages, nobody
from .pbx_leg import PbxLeg
from .pbx_legs import PbxLegs
from .pbx_session import PbxSession
from .progress import Progress
from .recording.recording import Recording
from .recording.tape import Channel
from .relay import Relay
from .removal import Removal
from .stream import Stream
from .watch import Watch
from .webrtc import BrowserLeg

SURE = frozenset({"PCMU", "PCMA", "opus"})
"""Codecs that every browser has (RFC 7874): one is chosen before anybody knows which page will answer."""

FULL_LOOK: Final = 5
"""While the page is heard, only one look of so many is at everything."""


class Conversation:
    """Voice of one call.

    Legs of several tabs may wait, at most one is joined. What is agreed with the PBX stays, whichever leg comes after it: a
    page that speaks another codec is asked for a new offer.
    """

    def __init__(self, call: CallId, equipment: Equipment, memory: Memory | None = None) -> None:
        self.call = call
        self._equipment = equipment
        self._pages = Pages(call, equipment, spoke=self._spoke, parted=self._parted)
        self._pbx: PbxLeg | None = None
        self._relay: Relay | None = None
        self._heard = HeardKeys()
        self._pbx_legs = PbxLegs(call, equipment, self._heard_key)
        self._session = memory.session if memory else PbxSession(secrets.randbits(62), secrets.token_bytes)
        self._session.begin(self._pbx_legs.fingerprint)
        self._session.ipv6 = equipment.homes.have_ipv6
        self._allowed: tuple[str, ...] = memory.allowed if memory else ()
        """Names of codecs."""
        self._policy = memory.policy if memory else MediaPolicy()
        self._filler = (
            Filler(equipment.music, held=memory.held, early=memory.early) if memory else Filler(equipment.music)
        )
        self._moved = False
        """The PBX has yet to be told our new address, once it has answered the offer with the old one."""
        self._asked: tuple[TabId, str] | None = None
        """Which page was asked for a new offer, and for which codec."""
        self._looks = 0
        self._removal = Removal(call, equipment, self._pbx_legs, self._session)
        self._watch = Watch(call, equipment, self._pages, self._session)
        self._recording = Recording(
            call,
            recorder=equipment.recorder,
            buffer=equipment.buffer,
            post=equipment.post,
            clock=equipment.clock,
            changed=self._wire,
        )
        self._crossing: Crossing | None = None
        """While page and PBX speak different codecs."""
        self.part: Part | None = None
        """While it is in a conference."""

    @property
    def legs(self) -> dict[TabId, BrowserLeg]:
        return self._pages.legs

    @property
    def idle(self) -> bool:
        """Nothing was ever asked that would have to be remembered."""
        return not self.legs and self._pages.wanted is None and self._pbx is None

    @property
    def mute(self) -> bool:
        """The PBX listens, and what it hears is not the page's voice."""
        return self._relay is not None and self._relay.sending and not self._relay.talking

    @property
    def memory(self) -> Memory | None:
        """What is needed to go on elsewhere; None while the PBX knows nothing of us."""
        pbx = self._pbx
        if pbx is None or not self._session.text:
            return None
        return Memory(
            session=self._session,
            allowed=self._allowed,
            policy=self._policy,
            address=pbx.address,
            cname=pbx.reports.cname,
            early=self._filler.early,
            recorded=self._recording.memory,
            held=self._filler.held,
            conference=self.part.other if self.part else None,
        )

    @property
    def progress(self) -> Progress | None:
        return self._pbx.progress(self._equipment.clock()) if self._pbx is not None else None

    def go_on(self, memory: Memory, progress: Progress | None) -> None:
        """Open the PBX leg of a call that is remembered, where it was; if that can't be, the PBX has to be told."""
        session = self._session
        pbx = self._pbx = self._pbx_legs.open(
            by_dtls=session.by_dtls, ipv6=session.by_ipv6, towards=session.towards, at=memory.address
        )
        pbx.reports.cname = memory.cname
        relay = self._open_relay(session.codec or session.offered[0], progress)
        if progress is not None:
            pbx.go_on(progress, self._equipment.clock())
        if memory.recorded is not None:
            self._recording.go_on(memory.recorded, relay)
            self._wire()
        if memory.conference is not None:
            self.confer(memory.conference)
        self._moved = session.by_dtls or pbx.address != memory.address
        self._tell_address()
        if not memory.early:
            self._filler.part(self._equipment.clock())
        elif session.codec is not None:
            self._equipment.spawn(self._say_again(session.codec.name))

    async def _say_again(self, codec: str) -> None:
        early = self._filler.early
        with suppress(ConfigError):  # the file is gone: silence is better than no call
            frames = await asyncio.to_thread(sound.frames, early, codec)
            if self._filler.early:  # nobody has answered meanwhile
                self._filler.speak_early(early, codec, frames)
                self._fill()

    def _tell_address(self) -> None:
        if self._moved and self._pbx is not None and self._session.codec is not None:
            self._moved = False
            text = self._session.hold(self._session.held, self._pbx.address)
            self._pbx.expect(self._session.our_end)
            self._equipment.post(PbxLegMoved(call=self.call, sdp=text))

    # ---- commands

    async def speak_early(self, command: SpeakEarly) -> None:
        """Answer the PBX and let it hear something until a page is joined; SdpError."""
        session = self._session
        session.secrecy, session.ipv6_first = command.policy.srtp, command.policy.ipv6_first
        session.invited(command.pbx_offer)
        self._allowed, self._policy = command.codecs, command.policy
        wanted = session.wanted(command.codecs)
        if not wanted:
            raise sdp.SdpError("the PBX offers no codec of ours")
        name = next((name for name in wanted if name in SURE), wanted[0])
        frames = await asyncio.to_thread(sound.frames, command.sound, name)
        self._open_pbx()
        assert self._pbx is not None
        text = session.answer(name, self._pbx.address)
        codec = session.codec
        assert codec is not None
        self._filler.speak_early(command.sound, name, frames)
        self._open_relay(codec)
        self._equipment.post(EarlyMediaReady(call=self.call, sdp=text))

    async def connect(self, command: ConnectBrowser) -> None:
        """Answer a page's offer, or SdpError or PortsExhaustedError."""
        page = page_sdp.parse_page_offer(command.sdp)
        session = self._session
        session.secrecy, session.ipv6_first = command.policy.srtp, command.policy.ipv6_first
        session.invited(command.pbx_offer)
        self._allowed, self._policy = command.codecs, command.policy
        codec = crossing.choose(session.wanted(command.codecs), page.audio, command.policy.transcode)
        if self._pages.wanted == command.tab:
            self._open_pbx()
        leg = self.legs.get(command.tab)
        if leg is not None and leg.same_page(page):
            answer = self._reanswer(command.tab, leg, page, codec)
        else:
            answer = await self._pages.connect(command.tab, page, codec, session.ptime)
        post = self._equipment.post
        post(BrowserAnswered(call=self.call, tab=command.tab, offer=command.offer, sdp=answer))

    def _reanswer(self, tab: TabId, leg: BrowserLeg, page: page_sdp.PageOffer, codec: sdp.Codec) -> str:
        """Answer a new offer for the transport that stands."""
        before = leg.codec
        answer = leg.answer(page, codec, self._session.ptime)
        if tab == self._pages.joined and codec != before:
            self._attach(leg)
            self._open_ways()
        return answer

    def join(self, tab: TabId, *, speaks: bool = False) -> None:
        """Join the leg of `tab` as soon as it speaks; if there is none yet, the one that comes.

        `speaks`: the page says that its voice is on its way.
        """
        if speaks and tab == self._pages.joined:
            return
        leg = self._pages.want(tab)
        if leg is None:
            return
        self._open_pbx()
        if tab == self._pages.joined:
            self._equipment.post(MediaReady(call=self.call, tab=tab, sdp=self._session.text))
        elif leg.received or (speaks and leg.connected):
            self._join(tab, leg)

    def reoffer(self, command: ReofferMedia) -> None:
        """Follow the PBX's new offer, or make ours if it is empty; SdpError leaves everything as it was."""
        before, relay = self._running()
        offer = self._session.read(command.sdp) if command.sdp else None
        pbx = self._pbx_legs.carrying(offer, before)
        try:
            text = self._session.reoffered(command.sdp, pbx.address, self._allowed)
        except sdp.SdpError:
            if pbx is not before:
                pbx.close()
            raise
        if pbx is not before:
            self._pbx, pbx.sent = pbx, relay.up
            relay.turn_to(pbx)
            before.close()
        if offer is None:
            pbx.expect(self._session.our_end)
        else:
            self._removal.agreed(self._equipment.clock())
        self._follow(pbx, relay)
        self._equipment.post(MediaReanswered(call=self.call, sdp=text, held=self._session.pbx_holds))

    def accept(self, command: AcceptPbxAnswer) -> None:
        """Follow an answer of the PBX, the first or a later one; SdpError leaves everything as it was."""
        pbx, relay = self._running()
        before = self._session.theirs
        self._session.answered(command.sdp)
        if self._moved:  # it was met where nobody is any more
            self._session.begin(self._pbx_legs.fingerprint)
        if command.knows_address:
            self._removal.agreed(self._equipment.clock())
        if self._session.theirs != before:  # the final answer mostly repeats the early one
            self._follow(pbx, relay)
        self._watch.expect_pbx(pbx)
        self._tell_address()

    def hold(self, command: HoldMedia) -> None:
        """Stop or resume both ways at once, and say what to offer the PBX; SdpError before anything is agreed."""
        pbx, _ = self._running()
        if self._policy.music != PBX_MUSIC and self._session.codec is not None:
            self._filler.held = command.held
            self._open_ways()
            self._equipment.post(MediaHeld(call=self.call))
            return
        text = self._session.hold(command.held, pbx.address)
        self._open_ways()
        self._equipment.post(MediaReoffered(call=self.call, sdp=text))

    def keep_address(self) -> None:
        """The PBX refuses to follow to another address of ours."""
        pbx, relay = self._running()
        self._pbx = self._removal.refused(pbx, relay, self._equipment.clock())
        self._wire()

    def offer(self) -> None:
        """Say what a session that takes the place of this one would be offered; SdpError before anything is agreed."""
        pbx, _ = self._running()
        text = self._session.offered_anew(pbx.address, self._allowed)
        pbx.expect(self._session.our_end)
        self._equipment.post(MediaOfferMade(call=self.call, sdp=text))

    def press(self, command: SendDigits) -> None:
        """Let keys follow one another; DigitsError if the PBX can't be told them."""
        if self._relay is None:
            raise DigitsError("nobody to send keys to yet")
        if self._session.codec is not None and self._session.event_type is None:
            self._equipment.post(DigitsUnsent(call=self.call, digits=command.digits))
        else:
            self._relay.press(command.digits)

    def record(self, command: StartRecording | PauseRecording | ResumeRecording) -> None:
        """Record from now on, or not; SdpError before the voice was ever up."""
        _, relay = self._running()
        match command:
            case StartRecording() if not self._recording.begun:
                self._recording.start(command, relay)
                self._recording.announce(relay, *self._spoken())
            case PauseRecording():
                self._recording.pause()
            case ResumeRecording():
                self._recording.resume(relay)
        self._wire()

    def confer(self, other: CallId) -> None:
        """Mix what the PBX hears, from now on; SdpError before the voice was ever up."""
        _, relay = self._running()
        self.leave()
        self.part = Part(other, relay, self._equipment.buffer, self._equipment.transcoder)
        self._mixed_anew(relay)

    def leave(self) -> None:
        """The PBX hears the page alone."""
        if self.part is not None and self._relay is not None:
            self.part.close()
            self.part = None
            self._mixed_anew(self._relay)

    def _mixed_anew(self, relay: Relay) -> None:
        relay.up.pause()
        self._open_ways()
        self._wire()

    def _running(self) -> tuple[PbxLeg, Relay]:
        if self._pbx is None or self._relay is None:
            raise sdp.SdpError("the voice of this call was never up")
        return self._pbx, self._relay

    async def close(self) -> None:
        """Close everything; nothing is posted any more."""
        self._recording.close()
        if self.part is not None:
            self.part.close()
        pbx = self._pbx
        if pbx is not None:
            pbx.report(self._equipment.clock(), goodbye=True)
            self._removal.close()
            pbx.close()
            pbx.voice = nobody
            self._pbx = self._relay = self._crossing = None
        self._pbx_legs.close()
        await self._pages.close()

    # ---- joining

    def _open_pbx(self) -> None:
        if self._pbx is None:
            session = self._session
            self._pbx = self._pbx_legs.open(
                by_dtls=session.by_dtls, ipv6=session.by_ipv6, towards=session.towards or self._policy.towards
            )

    def _spoke(self, tab: TabId, length: int, now: float) -> None:
        leg = self.legs[tab]
        self._join(tab, leg)
        leg.voice(length, now)

    def _join(self, tab: TabId, leg: BrowserLeg) -> None:
        self._pages.join(tab)
        if self._relay is None:
            self._start_relay(leg)
        if self._filler.join() and self._pbx is not None:
            self._watch.expect_pbx(self._pbx)
        self._attach(leg)
        self._watch.expect_page(leg)
        self._equipment.post(MediaReady(call=self.call, tab=tab, sdp=self._session.text))
        self._open_ways()

    def _parted(self) -> None:
        self._filler.part(self._equipment.clock())
        if self._relay is not None:
            self._relay.detach()

    def _start_relay(self, leg: BrowserLeg) -> None:
        assert self._pbx is not None
        session, name, address = self._session, leg.codec.name, self._pbx.address
        if session.theirs is None:
            common = [other for other in self._allowed if leg.offers(other)]
            first = [name] if name in common else []
            session.offer([*first, *(other for other in common or self._allowed if other not in first)], address)
            self._pbx.expect(session.our_end)
        else:
            wanted = session.wanted(self._allowed)
            session.answer(name if name in wanted else wanted[0], address)
        self._open_relay(session.codec or session.offered[0])

    def _open_relay(self, codec: sdp.Codec, progress: Progress | None = None) -> Relay:
        """`progress`: how far its stream to the PBX had come elsewhere."""
        assert self._pbx is not None
        up = self._stream(codec, progress.ssrc if progress else secrets.randbits(32))
        if progress is not None:
            up.resume(progress, progress.skipped(self._equipment.clock(), self._session.ptime))
        relay = self._relay = Relay(self._pbx, up, codec.name)
        self._pbx.sent = relay.up
        self._wire()
        if self._session.codec is not None:
            self._follow(self._pbx, relay)
        return relay

    def _attach(self, leg: BrowserLeg) -> None:
        """A new stream to the page, under the SSRC that its answer told."""
        assert self._relay is not None
        self._relay.up.pause()
        leg.sent = down = self._stream(leg.codec, leg.ssrc)
        self._relay.attach(leg, down)
        self._wire()

    def _wire(self) -> None:
        """Whom both legs give their voice to: the relay, or a recording that stands before it."""
        relay, page, codec = self._relay, self._pages.speaker, self._session.codec
        if self._pbx is None or relay is None:
            return
        part, to_page = self.part, self._crossing or relay
        ear = self._recording.ear(part or to_page)
        self._pbx.voice = self._removal.ear(self._pbx, ear.from_pbx)
        if ear is relay and self._removal.former is None:
            self._pbx.short = relay.short_down
        if codec is not None:
            heard = sdp.Codec(name=codec.name, payload_type=self._session.payload_type)
            self._recording.tune(Channel.CALLER, heard)
        if part is not None and codec is not None:
            part.ear, part.onward = ear, to_page
            part.tune(page.codec.name if page else "", codec.name)
            self._recording.tune(Channel.OPERATOR, sdp.Codec(name=codec.name, payload_type=MIXED_TYPE))
        if page is not None:
            page.voice = part.speak if part else ear.from_browser
            if ear is relay:
                page.short = relay.short_up
            if part is None:
                self._recording.tune(Channel.OPERATOR, page.codec)
        if relay.playing is not None:
            self._recording.retell(relay, *self._spoken())

    def _spoken(self) -> tuple[str, str]:
        """What PBX and page hear."""
        page, codec = self._pages.speaker, self._session.codec or self._session.offered[0]
        return codec.name, page.codec.name if page else codec.name

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
        pbx.follow(session.terms, self._policy.latch)
        relay.tune(codec.name, codec.payload_type, codec.clock_rate, session.event_type)
        self._open_ways()
        self._wire()
        self._watch.expect_pbx(pbx)

    def _open_ways(self) -> None:
        """Let through what both sides agreed to hear; a page of another codec is asked to offer again."""
        assert self._relay is not None
        session, tab, leg = self._session, self._pages.joined, self._pages.speaker
        codec = session.codec
        alike = leg is None or codec is None or leg.codec.name == codec.name
        if leg is not None and codec is not None:
            self._cross(leg, codec.name)
        tuned = alike or self._crossing is not None
        self._relay.open(sending=session.pbx_listens, held=session.held or self._filler.held, tuned=tuned)
        self._fill()
        if self.part is not None:
            self.part.shut = session.pbx_holds
        if tuned or tab is None or codec is None:
            self._asked = None
        elif self._asked != (tab, codec.name):
            self._asked = tab, codec.name
            self._equipment.post(CodecChanged(call=self.call, tab=tab))

    def _fill(self) -> None:
        codec = self._session.codec
        if self._relay is not None and codec is not None:
            self._filler.fill(self._relay, codec.name, self._policy)

    @property
    def _wishes_opus(self) -> bool:
        return self._policy.transcode is Transcode.OPUS_TO_BROWSER

    def _cross(self, leg: BrowserLeg, pbx: str) -> None:
        """Convert between page and PBX where they can't or shall not speak the same."""
        page, before, relay = leg.codec.name, self._crossing, self._relay
        assert relay is not None
        if page == pbx or not ((self._wishes_opus and page == "opus") or not leg.offers(pbx)):
            self._crossing = None
        elif before is None or (before.page, before.pbx) != (page, pbx):
            equipment = self._equipment
            self._crossing = Crossing(relay, equipment.buffer, equipment.transcoder, page=page, pbx=pbx)
        if self._crossing is not before:
            if before is not None:
                before.over = True
            relay.pause()
            self._wire()

    def _heard_key(self, timestamp: int, length: int) -> None:
        if key := self._heard.take(timestamp, bytes(self._equipment.buffer[HEADER:length])):
            self._equipment.post(PbxPressed(call=self.call, digits=key))

    # ---- going on

    def look(self, now: float) -> bool:
        """Report who fell silent; True if the PBX must be sent frames of ours until voice comes."""
        if self._pbx is None or self._relay is None:
            return False
        self._looks += 1
        if self._looks % FULL_LOOK and self.part is None and self._watch.speaks(self._relay, now):
            return False
        former = self._removal.former
        pbx = self._removal.look(self._pbx, self._relay, now)
        if pbx is not self._pbx or self._removal.former is not former:
            self._pbx = pbx
            self._wire()
        if self._filler.look(now, self._equipment.patience.lonely):
            self._fill()
        if self._recording.begun:
            self._recording.look(self._relay, *self._spoken(), now)
        is_quiet = self._watch.look(self._pbx, self._relay, now)
        return is_quiet or (self.part is not None and self._relay.sending)

    def frame(self, now: float) -> bool:
        """Send the PBX the frame that is due; False if the page's voice is back or nobody listens."""
        relay = self._relay
        if relay is None or not relay.sending:
            return False
        if self.part is not None and relay.talking:
            self.part.frame(now)
            return True
        page = self._pages.speaker
        if relay.talking and page is not None and self._watch.page_is_back(page):
            return False
        relay.frame(now)
        return True
