"""One call whose voice an rtpengine carries: which pages may speak, which one does, and what is agreed with the PBX.

What is said to the PBX is ours: the engine only lends the address, which stays the same whatever page comes.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, Final

import structlog

from ...calls.commands import (
    AcceptPbxAnswer,
    ConnectBrowser,
    HoldMedia,
    PauseRecording,
    ReofferMedia,
    ResumeRecording,
    Secrecy,
    SendDigits,
    SpeakEarly,
    StartRecording,
)
from ...calls.events import (
    BrowserAnswered,
    BrowserLost,
    CallId,
    CodecChanged,
    DigitsUnsent,
    EarlyMediaReady,
    Event,
    MediaOfferMade,
    MediaReady,
    MediaReanswered,
    MediaReoffered,
    PbxFellSilent,
    PbxLegMoved,
    QualityChanged,
    TabId,
)
from .. import page_sdp, sdp
from ..conversation import SURE
from ..digits import DigitsError
from ..equipment import Patience
from ..pbx_session import PbxSession
from ..watch import Silence
from . import sdp as engine_sdp
from .leg import EngineLeg, free_tag
from .line import PBX, EngineLine, packets
from .ng import EngineError, EngineSilentError
from .prompts import Prompts
from .quality import EngineEar
from .sdp import EngineVoice, pbx_side
from .spooler import Sound, Spooler

log = structlog.get_logger()

QUIET_SECONDS: Final = 0.9
"""Without a packet of the page's until the PBX hears a sound of ours: two looks."""


class EngineCall:
    """Voice of one call. Whoever calls its methods has its `turn`: they wait for the engine."""

    def __init__(
        self,
        call: CallId,
        line: EngineLine,
        spooler: Spooler,
        post: Callable[[Event], None],
        patience: Patience,
        clock: Callable[[], float],
    ) -> None:
        self.call = call
        self.turn = asyncio.Lock()
        self._line, self._spooler = line, spooler
        self._post, self._patience, self._clock = post, patience, clock
        self._session = PbxSession(secrets.randbits(62), secrets.token_bytes)
        self._allowed: tuple[str, ...] = ()
        self._legs: dict[TabId, EngineLeg] = {}
        self._joined: TabId | None = None
        self._wanted: TabId | None = None
        self._owed_since = 0.0
        self._asked: tuple[TabId, str] | None = None
        """Which page was asked for a new offer, and for which codec."""
        self._tied: TabId | None = None
        """Whose leg is put through to the PBX."""
        self._page_silence, self._pbx_silence = Silence(), Silence()
        self._pbx_reported = False
        self._ear = EngineEar()
        self._prompts = Prompts(line)

    # ---- commands

    async def speak_early(self, command: SpeakEarly) -> None:
        """Answer the PBX and let it hear something until a page is joined; SdpError, EngineError or EngineSilentError."""
        session = self._session
        session.invited(command.pbx_offer)
        self._allowed = command.codecs
        wanted = session.wanted(command.codecs)
        if session.theirs is None or not wanted:
            raise sdp.SdpError("the PBX offers no codec of ours")
        name = next((name for name in wanted if name in SURE), wanted[0])
        codec = session.theirs.codec(name)
        assert codec is not None, "it is one of theirs"
        pbx = pbx_side(session, codec)
        await self._line.wait(pbx.voice, pbx)
        assert self._line.address is not None, "the engine has just lent it"
        text = session.answer(name, self._line.address)
        await self._prompts.early(command.sound)
        self._post(EarlyMediaReady(call=self.call, sdp=text))

    async def connect(self, command: ConnectBrowser) -> None:
        """Answer a page's offer; SdpError, EngineError or EngineSilentError."""
        page = page_sdp.parse_page_offer(command.sdp)
        if command.policy.srtp not in (Secrecy.NEVER, Secrecy.ALLOWED):
            raise sdp.SdpError("an rtpengine speaks plain RTP to the PBX here, and this trunk requires SRTP")
        session = self._session
        session.invited(command.pbx_offer)
        self._allowed = command.codecs
        codec = sdp.choose(session.wanted(command.codecs), page.audio)
        leg = self._legs.get(command.tab)
        if leg is None or leg.page.peer.identity != page.peer.identity:
            leg = await self._new_leg(command.tab, page, codec)
        leg.page, leg.codec, leg.version = page, codec, leg.version + 1
        transport = await self._tie(command.tab, leg)
        if self._joined is not None and self._joined != command.tab:
            await self._tie_again()
        answer = page_sdp.write_page_answer(page, codec, session.ptime, transport, leg.version)
        self._post(BrowserAnswered(call=self.call, tab=command.tab, offer=command.offer, sdp=answer))
        if command.tab == self._joined:
            self._ask_for_codec()

    async def join(self, tab: TabId, *, speaks: bool) -> None:
        """Join the leg of `tab` as soon as it speaks, or if the page says that its voice is on its way."""
        if speaks and tab == self._joined:
            return
        self._wanted, self._owed_since = tab, self._clock()
        leg = self._legs.get(tab)
        if leg is None:
            return
        if tab == self._joined:
            self._post(MediaReady(call=self.call, tab=tab, sdp=self._session.text))
        elif speaks or await self._packets(leg.tag) > leg.before:
            await self._join(tab, leg)

    async def reoffer(self, command: ReofferMedia) -> None:
        """Follow the PBX's new offer, or make ours if it is empty; SdpError leaves everything as it was."""
        text = self._session.reoffered(command.sdp, self._running(), self._allowed)
        await self._follow()
        self._post(MediaReanswered(call=self.call, sdp=text, held=self._session.pbx_holds))

    async def accept(self, command: AcceptPbxAnswer) -> None:
        """Follow an answer of the PBX, the first or a later one; SdpError leaves everything as it was."""
        self._running()
        before = self._session.theirs
        self._session.answered(command.sdp)
        if self._session.theirs != before:
            await self._follow()
        self._pbx_silence.since = self._clock()

    async def hold(self, command: HoldMedia) -> None:
        """Stop or resume both ways at once, and say what to offer the PBX; SdpError before anything is agreed."""
        text = self._session.hold(command.held, self._running())
        await self._gate()
        self._post(MediaReoffered(call=self.call, sdp=text))

    async def offer(self) -> None:
        """Say what a session that takes the place of this one would be offered; SdpError before anything is agreed."""
        text = self._session.offered_anew(self._running(), self._allowed)
        self._post(MediaOfferMade(call=self.call, sdp=text))

    async def press(self, command: SendDigits) -> None:
        """Have keys played one after the other; DigitsError if the PBX can't be told them."""
        if self._joined is None:
            raise DigitsError("nobody to send keys to yet, or no page to send them from")
        leg = self._legs[self._joined]
        if self._session.codec is not None and self._session.event_type is None:
            self._post(DigitsUnsent(call=self.call, digits=command.digits))
            return
        if self._session.held or not self._session.pbx_listens:
            raise DigitsError("the PBX does not listen now")
        if self._line.let_keys_in():
            await self._tie(self._joined, leg)
        await self._line.play(leg.tag, command.digits)

    async def record(self, command: StartRecording | PauseRecording | ResumeRecording) -> None:
        """Record from now on, or not; SdpError before the voice was ever up."""
        self._running()
        match command:
            case StartRecording() if not self._spooler.begun:
                self._spooler.start(command)
                if command.announcement and self._joined is not None:
                    await self._prompts.announce(command.announcement, self._legs[self._joined].tag, self._clock())
                    await self._gate()
            case PauseRecording() | ResumeRecording():
                self._spooler.pause(paused=isinstance(command, PauseRecording))
        await self._spooler.follow(self._sound())

    def _sound(self) -> Sound | None:
        """What is to be recorded: what both hear of one another; None while that is nothing."""
        session, leg, address = (
            self._session,
            self._legs.get(self._joined) if self._joined else None,
            self._line.address,
        )
        if session.held or self._prompts.announcing or session.codec is None or leg is None or address is None:
            return None
        return Sound(
            caller=sdp.Codec(name=session.codec.name, payload_type=session.payload_type),
            caller_port=address[1],
            operator=leg.codec,
            operator_port=leg.port if session.pbx_listens else 0,
        )

    async def close(self) -> None:
        """The engine forgets the call; nothing is posted any more."""
        self._legs.clear()
        self._joined = self._wanted = None
        try:
            await self._line.delete()
        finally:
            self._spooler.close()

    @property
    def engine(self) -> str:
        """Which one carries it."""
        return self._line.engine.name

    @property
    def idle(self) -> bool:
        """Nothing was ever asked that would have to be remembered."""
        return not self._legs and self._wanted is None and self._line.address is None

    def _running(self) -> sdp.Address:
        if self._line.address is None or not self._session.text:
            raise sdp.SdpError("the voice of this call was never up")
        return self._line.address

    # ---- legs

    async def _new_leg(self, tab: TabId, page: page_sdp.PageOffer, codec: sdp.Codec) -> EngineLeg:
        if tab in self._legs and tab == self._joined:
            self._part()
        tag = free_tag(self._legs, tab, needed=(self._joined, self._wanted))
        before = await self._packets(tag) if self._line.address else 0
        leg = self._legs[tab] = EngineLeg(tag=tag, page=page, codec=codec, before=before)
        return leg

    def _part(self) -> None:
        self._joined, self._owed_since = None, self._clock()

    async def _tie(self, tab: TabId, leg: EngineLeg) -> page_sdp.LocalTransport:
        """Put this page and the PBX through to one another; what the page has to be told."""
        before, pbx = self._line.address, pbx_side(self._session, leg.codec)
        ours = EngineVoice(codec=leg.codec, event=pbx.voice.event, ptime=pbx.voice.ptime)
        told = await self._line.tie(leg.tag, engine_sdp.of_page(leg.page, ours), pbx)
        self._tied, address = tab, self._line.address
        leg.port = told.address[1]
        await self._gate()
        if address is not None and before != address and self._session.codec is not None:
            text = self._session.hold(self._session.held, address)
            self._post(PbxLegMoved(call=self.call, sdp=text))
        return told

    async def _tie_again(self) -> None:
        """Whoever speaks goes on until the page that has just connected is joined."""
        assert self._joined is not None
        leg = self._legs[self._joined]
        await self._line.answer(leg.tag, pbx_side(self._session, leg.codec))
        self._tied = self._joined
        await self._gate()

    async def _join(self, tab: TabId, leg: EngineLeg) -> None:
        self._legs = {tab: leg}
        if self._tied != tab:
            await self._tie(tab, leg)
        session, address = self._session, self._line.address
        assert address is not None, "whoever is tied has an address"
        if not session.text:
            if session.theirs is None:
                offered = {codec.name for codec in leg.page.audio.codecs}
                others = [name for name in self._allowed if name != leg.codec.name and name in offered]
                session.offer([leg.codec.name, *others], address)
            else:
                session.answer(leg.codec.name, address)
        self._joined = tab
        await self._prompts.joined()
        await self._gate()
        now = self._clock()
        self._page_silence.begin(-1, now)
        self._pbx_silence.begin(-1, now)
        self._post(MediaReady(call=self.call, tab=tab, sdp=session.text))
        self._ask_for_codec()

    async def _follow(self) -> None:
        """Bring the engine in line with what is agreed now."""
        leg = self._legs.get(self._tied) if self._tied else None
        if leg is not None:
            await self._line.answer(leg.tag, pbx_side(self._session, leg.codec))
            await self._gate()
        self._pbx_silence.since = self._clock()
        self._ask_for_codec()

    async def _gate(self) -> None:
        leg, session = self._legs.get(self._tied) if self._tied else None, self._session
        speaker = self._legs.get(self._joined) if self._joined else None
        if leg is not None:
            listens = session.theirs is None or session.pbx_listens
            others = self._line.tags - {speaker.tag} if speaker else set()
            if self._prompts.announcing:
                others = {*self._line.tags, PBX}
            await self._line.gate((speaker or leg).tag, others, held=session.held, listens=listens)
        if self._joined is not None:
            await self._spooler.follow(self._sound())

    def _ask_for_codec(self) -> None:
        """A page of another codec than the PBX's is asked to offer again."""
        tab, codec = self._joined, self._session.codec
        if tab is None or codec is None or self._legs[tab].codec.name == codec.name:
            self._asked = None
        elif self._asked != (tab, codec.name):
            self._asked = tab, codec.name
            self._post(CodecChanged(call=self.call, tab=tab))

    # ---- watching

    async def look(self) -> None:
        """Report who fell silent, and join whoever has begun to speak."""
        try:
            if not self._line.engine.answers:
                raise EngineSilentError("rtpengine does not answer")
            if self._joined is None:
                await self._comfort(quiet=True)
                if self._wanted not in self._legs:
                    return
            answer = await self._line.query()
        except (EngineError, EngineSilentError) as error:
            self._forgotten(str(error))
            return
        counts, now = packets(answer), self._clock()
        if self._joined is None:
            await self._look_at_wanted(counts, now)
            return
        passed = self._page_silence.passed(counts.get(self._legs[self._joined].tag, 0), now)
        await self._comfort(quiet=passed >= QUIET_SECONDS)
        if self._prompts.is_told(now):
            await self._gate()
        if passed >= self._patience.browser:
            self._lose(self._joined, f"no voice for {passed:.1f} s")
        elif self._wanted and self._wanted != self._joined and self._wanted in self._legs:
            await self._look_at_wanted(counts, now)
        self._look_at_pbx(counts.get(PBX, 0), now)
        self._listen(answer)
        await self._spooler.look(sum(counts.values()))

    async def _comfort(self, *, quiet: bool) -> None:
        """A PBX that listens, and has agreed to something, hears no dead line."""
        if self._line.address is not None and self._session.codec is not None and self._session.pbx_listens:
            await self._prompts.comfort(quiet=quiet)

    def _listen(self, answer: dict[str, Any]) -> None:
        """Judge how it sounds, while both speak and hear."""
        leg, session = self._legs.get(self._joined) if self._joined else None, self._session
        if leg is None or session.codec is None or session.held or session.pbx_holds:
            return
        if quality := self._ear.listen(answer, leg.tag, PBX, session.codec.name):
            self._post(QualityChanged(call=self.call, quality=quality))

    async def _look_at_wanted(self, counts: dict[str, int], now: float) -> None:
        tab = self._wanted
        if tab is None or (leg := self._legs.get(tab)) is None:
            return
        if counts.get(leg.tag, 0) > leg.before:
            await self._join(tab, leg)
        elif now - self._owed_since >= self._patience.connect:
            self._lose(tab, "no voice from the new page")

    def _look_at_pbx(self, packets: int, now: float) -> None:
        passed = self._pbx_silence.passed(packets, now)
        if not self._session.pbx_should_speak:
            self._pbx_silence.since = now
        elif passed < self._patience.pbx:
            self._pbx_reported = False
        elif not self._pbx_reported:
            self._pbx_reported = True
            self._post(PbxFellSilent(call=self.call))

    def _forgotten(self, why: str) -> None:
        """The engine was started anew, or is dead: the next page gets another address, and the PBX is told it."""
        log.warning("rtpengine_lost_call", call=self.call, why=why)
        self._line.forgotten()
        self._spooler.forgotten()
        self._prompts.forgotten()
        self._tied = None
        tabs, self._legs = list(self._legs), {}
        for tab in tabs:
            self._lose(tab, f"the call is lost to rtpengine: {why}")

    def _lose(self, tab: TabId, why: str) -> None:
        missed = tab in (self._joined, self._wanted)
        self._legs.pop(tab, None)
        if tab == self._joined:
            self._part()
        if tab == self._wanted:
            self._wanted = None
        if missed:
            self._post(BrowserLost(call=self.call, tab=tab, why=why))

    async def _packets(self, tag: str) -> int:
        return packets(await self._line.query()).get(tag, 0)
