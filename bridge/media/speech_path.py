"""A call's speech path: the legs that it joins, who listens on it, and which of its ways are open."""

from __future__ import annotations

import secrets

from ..calls.commands import MediaPolicy, PauseRecording, ResumeRecording, StartRecording
from ..calls.events import CallId, CodecChanged, TabId
from . import crossing, sdp
from .conference.mixing import MIXED_TYPE
from .conference.part import Part
from .crossing import Crossing
from .equipment import Equipment
from .filler import Filler
from .pages import Pages, nobody
from .pbx_leg import PbxLeg
from .pbx_session import PbxSession
from .progress import Progress
from .recording.recording import Recording
from .recording.tape import Channel
from .relay import Relay
from .removal import Removal
from .stream import Stream
from .webrtc import BrowserLeg


class SpeechPath:
    """From the joined page through the relay to the PBX, and back.

    It follows what the session says is agreed and what the pages say is joined, once it is told that they have changed.
    """

    def __init__(
        self,
        call: CallId,
        equipment: Equipment,
        *,
        pages: Pages,
        session: PbxSession,
        filler: Filler,
        removal: Removal,
        policy: MediaPolicy,
    ) -> None:
        self.pbx: PbxLeg | None = None
        self.relay: Relay | None = None
        """Since the voice is up."""
        self.part: Part | None = None
        """While it is in a conference."""
        self.policy = policy
        self.recording = Recording(
            call,
            recorder=equipment.recorder,
            buffer=equipment.buffer,
            post=equipment.post,
            clock=equipment.clock,
            changed=self.wire,
        )
        self._call, self._equipment = call, equipment
        self._pages, self._session = pages, session
        self._filler, self._removal = filler, removal
        self._crossing: Crossing | None = None
        """While page and PBX speak different codecs."""
        self._asked: tuple[TabId, str] | None = None
        """Which page was asked for a new offer, and for which codec."""

    def running(self) -> tuple[PbxLeg, Relay]:
        """Both of its ends at the PBX; SdpError before the voice was ever up."""
        if self.pbx is None or self.relay is None:
            raise sdp.SdpError("the voice of this call was never up")
        return self.pbx, self.relay

    @property
    def mute(self) -> bool:
        """The PBX listens, and what it hears is not the page's voice."""
        return self.relay is not None and self.relay.sending and not self.relay.talking

    @property
    def spoken(self) -> tuple[str, str]:
        """Codecs that PBX and page hear."""
        page, codec = self._pages.speaker, self._session.codec or self._session.offered[0]
        return codec.name, page.codec.name if page else codec.name

    # ---- its ends

    def open(self, codec: sdp.Codec, progress: Progress | None) -> Relay:
        """Up to the PBX leg; `progress`: how far its stream to the PBX had come elsewhere."""
        assert self.pbx is not None
        up = self._stream(codec, progress.ssrc if progress else secrets.randbits(32))
        if progress is not None:
            up.resume(progress, progress.skipped(self._equipment.clock(), self._session.ptime))
        self.relay = Relay(self.pbx, up, codec.name)
        self.pbx.sent = up
        self.wire()
        return self.relay

    def attach(self, leg: BrowserLeg) -> None:
        """A new stream to the page, under the SSRC that its answer told."""
        assert self.relay is not None
        self.relay.up.pause()
        leg.sent = down = self._stream(leg.codec, leg.ssrc)
        self.relay.attach(leg, down)
        self.wire()

    def turn_to(self, pbx: PbxLeg) -> None:
        """Another leg takes the place of the PBX's, which is closed."""
        before, relay = self.running()
        self.pbx, pbx.sent = pbx, relay.up
        relay.turn_to(pbx)
        before.close()

    def relocate(self, now: float) -> None:
        """Take the PBX's leg to where our address is by now."""
        before, relay = self.running()
        former = self._removal.former
        self.pbx = self._removal.look(before, relay, now)
        if self.pbx is not before or self._removal.former is not former:
            self.wire()

    def stay(self) -> None:
        """The PBX refuses to follow to another address of ours."""
        self.pbx = self._removal.refused(*self.running(), self._equipment.clock())
        self.wire()

    def _stream(self, codec: sdp.Codec, ssrc: int) -> Stream:
        return Stream(
            memoryview(self._equipment.buffer),
            ssrc=ssrc,
            sequence=secrets.randbits(15),
            timestamp=secrets.randbits(32),
            payload_type=codec.payload_type,
            clock_rate=codec.clock_rate,
        )

    def close(self) -> None:
        """Nothing is heard any more, and nothing here waits for the garbage collector."""
        self.recording.close()
        if self.part is not None:
            self.part.close()
        pbx = self.pbx
        if pbx is not None:
            pbx.report(self._equipment.clock(), goodbye=True)
            self._removal.close()
            pbx.close()
            pbx.voice = nobody
            self.pbx = self.relay = self._crossing = None

    # ---- its ways

    def follow(self) -> PbxLeg:
        """Bring it in line with what is agreed with the PBX now; its leg there."""
        pbx, relay = self.running()
        session, codec = self._session, self._session.codec
        assert codec is not None
        pbx.follow(session.terms, self.policy.latch)
        relay.tune(codec.name, codec.payload_type, codec.clock_rate, session.event_type)
        self.open_ways()
        self.wire()
        return pbx

    def open_ways(self) -> None:
        """Let through what both sides agreed to hear; a page of another codec is asked to offer again."""
        assert self.relay is not None
        session, tab, leg = self._session, self._pages.joined, self._pages.speaker
        codec = session.codec
        alike = leg is None or codec is None or leg.codec.name == codec.name
        if leg is not None and codec is not None:
            self._cross(self.relay, leg, codec.name)
        tuned = alike or self._crossing is not None
        self.relay.open(sending=session.pbx_listens, held=session.held or self._filler.held, tuned=tuned)
        self.fill()
        if self.part is not None:
            self.part.shut = session.pbx_holds
        if tuned or tab is None or codec is None:
            self._asked = None
        elif self._asked != (tab, codec.name):
            self._asked = tab, codec.name
            self._equipment.post(CodecChanged(call=self._call, tab=tab))

    def fill(self) -> None:
        """Have the PBX hear what is due where no voice of the page goes to it."""
        codec = self._session.codec
        if self.relay is not None and codec is not None:
            self._filler.fill(self.relay, codec.name, self.policy)

    def _cross(self, relay: Relay, leg: BrowserLeg, pbx: str) -> None:
        """Convert between page and PBX where they can't or shall not speak the same."""
        page, before = leg.codec.name, self._crossing
        if not crossing.needed(leg, pbx, self.policy.transcode):
            self._crossing = None
        elif before is None or (before.page, before.pbx) != (page, pbx):
            equipment = self._equipment
            self._crossing = Crossing(relay, equipment.buffer, equipment.transcoder, page=page, pbx=pbx)
        if self._crossing is not before:
            if before is not None:
                before.over = True
            relay.pause()
            self.wire()

    # ---- who listens

    def wire(self) -> None:
        """Whom both legs give their voice to: the relay, or a recording that stands before it."""
        relay, page, codec = self.relay, self._pages.speaker, self._session.codec
        if self.pbx is None or relay is None:
            return
        part, to_page = self.part, self._crossing or relay
        ear = self.recording.ear(part or to_page)
        self.pbx.voice = self._removal.ear(self.pbx, ear.from_pbx)
        if ear is relay and self._removal.former is None:
            self.pbx.short = relay.short_down
        if codec is not None:
            heard = sdp.Codec(name=codec.name, payload_type=self._session.payload_type)
            self.recording.tune(Channel.CALLER, heard)
        if part is not None and codec is not None:
            part.ear, part.onward = ear, to_page
            part.tune(page.codec.name if page else "", codec.name)
            self.recording.tune(Channel.OPERATOR, sdp.Codec(name=codec.name, payload_type=MIXED_TYPE))
        if page is not None:
            page.voice = part.speak if part else ear.from_browser
            if ear is relay:
                page.short = relay.short_up
            if part is None:
                self.recording.tune(Channel.OPERATOR, page.codec)
        if relay.playing is not None:
            self.recording.retell(relay, *self.spoken)

    def record(self, command: StartRecording | PauseRecording | ResumeRecording) -> None:
        """Record from now on, or not; SdpError before the voice was ever up."""
        _, relay = self.running()
        match command:
            case StartRecording() if not self.recording.begun:
                self.recording.start(command, relay)
                self.recording.announce(relay, *self.spoken)
            case PauseRecording():
                self.recording.pause()
            case ResumeRecording():
                self.recording.resume(relay)
        self.wire()

    def confer(self, other: CallId) -> None:
        """Mix what the PBX hears, from now on; SdpError before the voice was ever up."""
        _, relay = self.running()
        self.leave()
        self.part = Part(other, relay, self._equipment.buffer, self._equipment.transcoder)
        self._mixed_anew(relay)

    def leave(self) -> None:
        """The PBX hears the page alone."""
        if self.part is not None and self.relay is not None:
            self.part.close()
            self.part = None
            self._mixed_anew(self.relay)

    def _mixed_anew(self, relay: Relay) -> None:
        relay.up.pause()
        self.open_ways()
        self.wire()
