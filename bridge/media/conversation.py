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
    ReofferMedia,
    SendDigits,
    SpeakEarly,
)
from ..calls.events import (
    BrowserAnswered,
    CallId,
    DigitsUnsent,
    EarlyMediaReady,
    MediaHeld,
    MediaOfferMade,
    MediaReady,
    MediaReanswered,
    MediaReoffered,
    PbxLegMoved,
    TabId,
)
from ..errors import ConfigError
from . import crossing, page_sdp, sdp, sound
from .digits import DigitsError
from .equipment import Equipment
from .filler import Filler
from .memory import Memory
from .pages import Pages
from .pbx_leg import PbxLeg
from .pbx_legs import PbxLegs
from .pbx_session import PbxSession
from .progress import Progress
from .relay import Relay
from .removal import Removal
from .speech_path import SpeechPath
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
        self._pbx_legs = PbxLegs(call, equipment)
        self._session = memory.session if memory else PbxSession(secrets.randbits(62), secrets.token_bytes)
        self._session.begin(self._pbx_legs.fingerprint)
        self._session.ipv6 = equipment.homes.have_ipv6
        self._allowed: tuple[str, ...] = memory.allowed if memory else ()
        """Names of codecs."""
        self._filler = (
            Filler(equipment.music, held=memory.held, early=memory.early) if memory else Filler(equipment.music)
        )
        self._moved = False
        """The PBX has yet to be told our new address, once it has answered the offer with the old one."""
        self._looks = 0
        self._removal = Removal(call, equipment, self._pbx_legs, self._session)
        self._watch = Watch(call, equipment, self._pages, self._session)
        self.path = SpeechPath(
            call,
            equipment,
            pages=self._pages,
            session=self._session,
            filler=self._filler,
            removal=self._removal,
            policy=memory.policy if memory else MediaPolicy(),
        )

    @property
    def legs(self) -> dict[TabId, BrowserLeg]:
        return self._pages.legs

    @property
    def idle(self) -> bool:
        """Nothing was ever asked that would have to be remembered."""
        return not self.legs and self._pages.wanted is None and self.path.pbx is None

    @property
    def memory(self) -> Memory | None:
        """What is needed to go on elsewhere; None while the PBX knows nothing of us."""
        path, pbx = self.path, self.path.pbx
        if pbx is None or not self._session.text:
            return None
        return Memory(
            session=self._session,
            allowed=self._allowed,
            policy=path.policy,
            address=pbx.address,
            cname=pbx.reports.cname,
            early=self._filler.early,
            recorded=path.recording.memory,
            held=self._filler.held,
            conference=path.part.other if path.part else None,
        )

    @property
    def progress(self) -> Progress | None:
        pbx = self.path.pbx
        return pbx.progress(self._equipment.clock()) if pbx is not None else None

    def go_on(self, memory: Memory, progress: Progress | None) -> None:
        """Open the PBX leg of a call that is remembered, where it was; if that can't be, the PBX has to be told."""
        session, path = self._session, self.path
        pbx = path.pbx = self._pbx_legs.open(
            by_dtls=session.by_dtls, ipv6=session.by_ipv6, towards=session.towards, at=memory.address
        )
        pbx.reports.cname = memory.cname
        relay = self._open_relay(session.codec or session.offered[0], progress)
        if progress is not None:
            pbx.go_on(progress, self._equipment.clock())
        if memory.recorded is not None:
            path.recording.go_on(memory.recorded, relay)
            path.wire()
        if memory.conference is not None:
            path.confer(memory.conference)
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
                self.path.fill()

    def _tell_address(self) -> None:
        pbx = self.path.pbx
        if self._moved and pbx is not None and self._session.codec is not None:
            self._moved = False
            text = self._session.hold(self._session.held, pbx.address)
            pbx.expect(self._session.our_end)
            self._equipment.post(PbxLegMoved(call=self.call, sdp=text))

    # ---- commands

    async def speak_early(self, command: SpeakEarly) -> None:
        """Answer the PBX and let it hear something until a page is joined; SdpError."""
        session = self._session
        session.secrecy, session.ipv6_first = command.policy.srtp, command.policy.ipv6_first
        session.invited(command.pbx_offer)
        self._allowed, self.path.policy = command.codecs, command.policy
        wanted = session.wanted(command.codecs)
        if not wanted:
            raise sdp.SdpError("the PBX offers no codec of ours")
        name = next((name for name in wanted if name in SURE), wanted[0])
        frames = await asyncio.to_thread(sound.frames, command.sound, name)
        text = session.answer(name, self._open_pbx().address)
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
        self._allowed, self.path.policy = command.codecs, command.policy
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
            self.path.attach(leg)
            self.path.open_ways()
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
        before, _ = self.path.running()
        offer = self._session.read(command.sdp) if command.sdp else None
        pbx = self._pbx_legs.carrying(offer, before)
        try:
            text = self._session.reoffered(command.sdp, pbx.address, self._allowed)
        except sdp.SdpError:
            if pbx is not before:
                pbx.close()
            raise
        if pbx is not before:
            self.path.turn_to(pbx)
        if offer is None:
            pbx.expect(self._session.our_end)
        else:
            self._removal.agreed(self._equipment.clock())
        self._follow()
        self._equipment.post(MediaReanswered(call=self.call, sdp=text, held=self._session.pbx_holds))

    def accept(self, command: AcceptPbxAnswer) -> None:
        """Follow an answer of the PBX, the first or a later one; SdpError leaves everything as it was."""
        pbx, _ = self.path.running()
        before = self._session.theirs
        self._session.answered(command.sdp)
        if self._moved:  # it was met where nobody is any more
            self._session.begin(self._pbx_legs.fingerprint)
        if command.knows_address:
            self._removal.agreed(self._equipment.clock())
        if self._session.theirs != before:  # the final answer mostly repeats the early one
            self.path.follow()
        self._watch.expect_pbx(pbx)
        self._tell_address()

    def hold(self, command: HoldMedia) -> None:
        """Stop or resume both ways at once, and say what to offer the PBX; SdpError before anything is agreed."""
        pbx, _ = self.path.running()
        if self.path.policy.music != PBX_MUSIC and self._session.codec is not None:
            self._filler.held = command.held
            self.path.open_ways()
            self._equipment.post(MediaHeld(call=self.call))
            return
        text = self._session.hold(command.held, pbx.address)
        self.path.open_ways()
        self._equipment.post(MediaReoffered(call=self.call, sdp=text))

    def offer(self) -> None:
        """Say what a session that takes the place of this one would be offered; SdpError before anything is agreed."""
        pbx, _ = self.path.running()
        text = self._session.offered_anew(pbx.address, self._allowed)
        pbx.expect(self._session.our_end)
        self._equipment.post(MediaOfferMade(call=self.call, sdp=text))

    def press(self, command: SendDigits) -> None:
        """Let keys follow one another; DigitsError if the PBX can't be told them."""
        relay = self.path.relay
        if relay is None:
            raise DigitsError("nobody to send keys to yet")
        if self._session.codec is not None and self._session.event_type is None:
            self._equipment.post(DigitsUnsent(call=self.call, digits=command.digits))
        else:
            relay.press(command.digits)

    async def close(self) -> None:
        """Close everything; nothing is posted any more."""
        self.path.close()
        await self._pages.close()

    # ---- joining

    def _open_pbx(self) -> PbxLeg:
        session, path = self._session, self.path
        if path.pbx is None:
            path.pbx = self._pbx_legs.open(
                by_dtls=session.by_dtls, ipv6=session.by_ipv6, towards=session.towards or path.policy.towards
            )
        return path.pbx

    def _spoke(self, tab: TabId, length: int, now: float) -> None:
        leg = self.legs[tab]
        self._join(tab, leg)
        leg.voice(length, now)

    def _join(self, tab: TabId, leg: BrowserLeg) -> None:
        self._pages.join(tab)
        path = self.path
        assert path.pbx is not None
        if path.relay is None:
            self._start_relay(leg, path.pbx)
        if self._filler.join():
            self._watch.expect_pbx(path.pbx)
        path.attach(leg)
        self._watch.expect_page(leg)
        self._equipment.post(MediaReady(call=self.call, tab=tab, sdp=self._session.text))
        path.open_ways()

    def _parted(self) -> None:
        self._filler.part(self._equipment.clock())
        if self.path.relay is not None:
            self.path.relay.detach()

    def _start_relay(self, leg: BrowserLeg, pbx: PbxLeg) -> None:
        session, name, address = self._session, leg.codec.name, pbx.address
        if session.theirs is None:
            common = [other for other in self._allowed if leg.offers(other)]
            first = [name] if name in common else []
            session.offer([*first, *(other for other in common or self._allowed if other not in first)], address)
            pbx.expect(session.our_end)
        else:
            wanted = session.wanted(self._allowed)
            session.answer(name if name in wanted else wanted[0], address)
        self._open_relay(session.codec or session.offered[0])

    def _open_relay(self, codec: sdp.Codec, progress: Progress | None = None) -> Relay:
        """`progress`: how far its stream to the PBX had come elsewhere."""
        relay = self.path.open(codec, progress)
        if self._session.codec is not None:
            self._follow()
        return relay

    def _follow(self) -> None:
        self._watch.expect_pbx(self.path.follow())

    # ---- going on

    def look(self, now: float) -> bool:
        """Report who fell silent; True if the PBX must be sent frames of ours until voice comes."""
        path, relay = self.path, self.path.relay
        if relay is None:
            return False
        self._looks += 1
        if self._looks % FULL_LOOK and path.part is None and self._watch.speaks(relay, now):
            return False
        path.relocate(now)
        if self._filler.look(now, self._equipment.patience.lonely):
            path.fill()
        if path.recording.begun:
            path.recording.look(relay, *path.spoken, now)
        pbx, _ = path.running()
        is_quiet = self._watch.look(pbx, relay, now)
        return is_quiet or (path.part is not None and relay.sending)

    def frame(self, now: float) -> bool:
        """Send the PBX the frame that is due; False if the page's voice is back or nobody listens."""
        relay, part = self.path.relay, self.path.part
        if relay is None or not relay.sending:
            return False
        if part is not None and relay.talking:
            part.frame(now)
            return True
        page = self._pages.speaker
        if relay.talking and page is not None and self._watch.page_is_back(page):
            return False
        relay.frame(now)
        return True
