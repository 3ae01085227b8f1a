"""One call whose voice an rtpengine carries: what it is asked, and what its counters tell.

To the engine a page is the one who offers, under a tag of its own, and the PBX (`PBX`) the one who answers. What is really said
to the PBX is ours: the engine only lends the address, which stays the same whatever page comes.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import structlog

from ..calls.commands import AcceptPbxAnswer, ConnectBrowser, HoldMedia, ReofferMedia, Secrecy, SendDigits
from ..calls.events import (
    BrowserAnswered,
    BrowserLost,
    CallId,
    CodecChanged,
    DigitsUnsent,
    Event,
    MediaOfferMade,
    MediaReady,
    MediaReanswered,
    MediaReoffered,
    PbxFellSilent,
    PbxLegMoved,
    TabId,
)
from . import engine_sdp, page_sdp, sdp
from .bencode import Value
from .digits import DigitsError
from .engine_sdp import EngineVoice
from .equipment import Patience
from .ng import EngineError
from .ng_client import NgClient
from .pbx_session import OUR_EVENT_TYPES, OUR_TYPES, PbxSession

log = structlog.get_logger()

PBX: Final = "pbx"
MAX_LEGS: Final = 8
"""Pages that may be connected at once; a page that comes later takes the place of one that left."""
KEY_MS, PAUSE_MS = 100, 60

_COMMON: Final[dict[str, Value]] = {
    "SDES": ["off"],
    "replace": ["origin", "session connection"],
}
_TOWARDS_PBX: Final[dict[str, Value]] = {
    **_COMMON, "transport-protocol": "RTP/AVP", "ICE": "remove", "DTLS": "off", "rtcp-mux": ["demux"]
}  # fmt: skip
_FLAGS: Final = ["trust address", "port latching"]
_TOWARDS_PAGE: Final[dict[str, Value]] = {**_COMMON, "ICE": "force", "rtcp-mux": ["accept"]}


@dataclass(slots=True, kw_only=True)
class EngineLeg:
    """One page's leg."""

    tag: str
    page: page_sdp.PageOffer
    codec: sdp.Codec
    version: int = 0
    before: int = 0
    """Packets that came under its tag before it came."""


@dataclass(slots=True, kw_only=True)
class _Count:
    """Packets so far, and since when it has not moved."""

    packets: int
    since: float

    def passed(self, packets: int, now: float) -> float:
        if packets != self.packets:
            self.packets, self.since = packets, now
        return now - self.since


class EngineCall:
    """Voice of one call. Whoever calls its methods has its `turn`: they wait for the engine."""

    def __init__(
        self,
        call: CallId,
        engine: NgClient,
        post: Callable[[Event], None],
        patience: Patience,
        clock: Callable[[], float],
    ) -> None:
        self.call = call
        self.turn = asyncio.Lock()
        self._engine, self._post, self._patience, self._clock = engine, post, patience, clock
        self._session = PbxSession(secrets.randbits(62), secrets.token_bytes)
        self._allowed: tuple[str, ...] = ()
        self._legs: dict[TabId, EngineLeg] = {}
        self._joined: TabId | None = None
        self._wanted: TabId | None = None
        self._owed_since = 0.0
        self._asked: tuple[TabId, str] | None = None
        """Which page was asked for a new offer, and for which codec."""
        self._address: sdp.Address | None = None
        """The engine's, towards the PBX."""
        self._tied: TabId | None = None
        """Whose leg the engine has tied to the PBX."""
        self._silenced = False
        self._keys = False
        """The engine may put keys into the voice: it decodes and encodes all of it then, so not before there is one."""
        self._page_count = _Count(packets=0, since=0)
        self._pbx_count = _Count(packets=0, since=0)
        self._pbx_reported = False

    # ---- commands

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
        self._pbx_count.since = self._clock()

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
        if not self._keys:
            self._keys = True
            await self._tie(self._joined, leg)
        for digit in command.digits:
            await self._ask("play DTMF", from_tag=leg.tag, digit=digit, duration=KEY_MS, pause=PAUSE_MS)

    async def close(self) -> None:
        """The engine forgets the call; nothing is posted any more."""
        self._legs.clear()
        self._joined = self._wanted = None
        if self._address is not None:
            self._address = None
            try:
                await self._ask("delete", delete_delay=0)
            except EngineError as error:  # it has forgotten it before
                log.info("rtpengine_call_gone", call=self.call, why=str(error))

    @property
    def idle(self) -> bool:
        """Nothing was ever asked that would have to be remembered."""
        return not self._legs and self._wanted is None and self._address is None

    def _running(self) -> sdp.Address:
        if self._address is None or not self._session.text:
            raise sdp.SdpError("the voice of this call was never up")
        return self._address

    # ---- legs

    async def _new_leg(self, tab: TabId, page: page_sdp.PageOffer, codec: sdp.Codec) -> EngineLeg:
        if (old := self._legs.pop(tab, None)) is not None and tab == self._joined:
            self._part()
        taken = {leg.tag for leg in self._legs.values()}
        free = [
            tag for tag in (old.tag if old else "", *(f"page-{n}" for n in range(MAX_LEGS))) if tag not in taken and tag
        ]
        if not free:
            oldest = next(other for other in self._legs if other not in (self._joined, self._wanted))
            free = [self._legs.pop(oldest).tag]
        before = await self._packets(free[0]) if self._address else 0
        leg = self._legs[tab] = EngineLeg(tag=free[0], page=page, codec=codec, before=before)
        return leg

    def _part(self) -> None:
        self._joined, self._owed_since = None, self._clock()

    async def _tie(self, tab: TabId, leg: EngineLeg) -> page_sdp.LocalTransport:
        """Put this page and the PBX through to one another; what the page has to be told."""
        theirs = self._theirs(leg)
        ours = EngineVoice(codec=leg.codec, event=theirs.event, ptime=theirs.ptime)
        more: dict[str, Value] = {"to-tag": PBX} if self._address else {}
        described = engine_sdp.of_page(leg.page, ours)
        offered = await self._ask("offer", from_tag=leg.tag, sdp=described, flags=self._flags, **_TOWARDS_PBX, **more)
        before, self._address = self._address, engine_sdp.place(str(offered.get("sdp", "")))
        answered = await self._answer(leg, theirs)
        self._tied = tab
        if before != self._address and self._session.codec is not None:
            text = self._session.hold(self._session.held, self._address)
            self._post(PbxLegMoved(call=self.call, sdp=text))
        return engine_sdp.transport(answered)

    async def _answer(self, leg: EngineLeg, voice: EngineVoice) -> str:
        session = self._session
        direction = session.theirs.direction if session.theirs else sdp.Direction.SENDRECV
        described = engine_sdp.of_pbx(session.theirs.address if session.theirs else None, voice, direction)
        answered = await self._ask(
            "answer", from_tag=leg.tag, to_tag=PBX, sdp=described, flags=self._flags, **_TOWARDS_PAGE
        )
        await self._gate()
        return str(answered.get("sdp", ""))

    def _theirs(self, leg: EngineLeg) -> EngineVoice:
        """The leg's codec as the PBX numbers it, or will."""
        theirs, name, rate = self._session.theirs, leg.codec.name, leg.codec.clock_rate
        known = theirs.codec(name) if theirs else sdp.Codec(name=name, payload_type=OUR_TYPES[name])
        codec = known or leg.codec
        event = theirs.event_type(rate) if theirs else OUR_EVENT_TYPES[rate]
        if event in (leg.codec.payload_type, codec.payload_type):
            event = None
        return EngineVoice(codec=codec, event=event, ptime=self._session.ptime)

    async def _join(self, tab: TabId, leg: EngineLeg) -> None:
        self._legs = {tab: leg}
        if self._tied != tab:
            await self._tie(tab, leg)
        session, address = self._session, self._address
        assert address is not None, "whoever is tied has an address"
        if not session.text:
            if session.theirs is None:
                offered = {codec.name for codec in leg.page.audio.codecs}
                others = [name for name in self._allowed if name != leg.codec.name and name in offered]
                session.offer([leg.codec.name, *others], address)
            else:
                session.answer(leg.codec.name, address)
        self._joined = tab
        now = self._clock()
        self._page_count, self._pbx_count = _Count(packets=-1, since=now), _Count(packets=-1, since=now)
        self._post(MediaReady(call=self.call, tab=tab, sdp=session.text))
        self._ask_for_codec()

    async def _follow(self) -> None:
        """Bring the engine in line with what is agreed now."""
        leg = self._legs.get(self._tied) if self._tied else None
        if leg is not None:
            await self._answer(leg, self._theirs(leg))
        self._pbx_count.since = self._clock()
        self._ask_for_codec()

    def _ask_for_codec(self) -> None:
        """A page of another codec than the PBX's is asked to offer again."""
        tab, codec = self._joined, self._session.codec
        if tab is None or codec is None or self._legs[tab].codec.name == codec.name:
            self._asked = None
        elif self._asked != (tab, codec.name):
            self._asked = tab, codec.name
            self._post(CodecChanged(call=self.call, tab=tab))

    async def _gate(self) -> None:
        """While we hold, either hears silence; a new answer opens the gate again."""
        if self._session.held or self._silenced:
            await self._ask("silence media" if self._session.held else "unsilence media")
            self._silenced = self._session.held

    # ---- watching

    async def look(self) -> None:
        """Report who fell silent, and join whoever has begun to speak."""
        if self._joined is None and self._wanted not in self._legs:
            return
        try:
            counts = await self._counts()
        except EngineError as error:
            self._forgotten(str(error))
            return
        now = self._clock()
        if self._joined is None:
            await self._look_at_wanted(counts, now)
            return
        passed = self._page_count.passed(counts.get(self._legs[self._joined].tag, 0), now)
        if passed >= self._patience.browser:
            self._lose(self._joined, f"no voice for {passed:.1f} s")
        elif self._wanted and self._wanted != self._joined and self._wanted in self._legs:
            await self._look_at_wanted(counts, now)
        self._look_at_pbx(counts.get(PBX, 0), now)

    async def _look_at_wanted(self, counts: dict[str, int], now: float) -> None:
        tab = self._wanted
        if tab is None or (leg := self._legs.get(tab)) is None:
            return
        if counts.get(leg.tag, 0) > leg.before:
            await self._join(tab, leg)
        elif now - self._owed_since >= self._patience.connect:
            self._lose(tab, "no voice from the new page")

    def _look_at_pbx(self, packets: int, now: float) -> None:
        passed = self._pbx_count.passed(packets, now)
        if not self._session.pbx_should_speak:
            self._pbx_count.since = now
        elif passed < self._patience.pbx:
            self._pbx_reported = False
        elif not self._pbx_reported:
            self._pbx_reported = True
            self._post(PbxFellSilent(call=self.call))

    def _forgotten(self, why: str) -> None:
        """The engine was started anew: the next page gets another address, and the PBX is told it."""
        log.warning("rtpengine_forgot_call", call=self.call, why=why)
        self._address, self._tied, self._silenced = None, None, False
        tabs, self._legs = list(self._legs), {}
        for tab in tabs:
            self._lose(tab, "rtpengine has forgotten the call")

    def _lose(self, tab: TabId, why: str) -> None:
        missed = tab in (self._joined, self._wanted)
        self._legs.pop(tab, None)
        if tab == self._joined:
            self._part()
        if tab == self._wanted:
            self._wanted = None
        if missed:
            self._post(BrowserLost(call=self.call, tab=tab, why=why))

    # ---- the engine

    @property
    def _flags(self) -> list[Value]:
        return [*_FLAGS, "inject DTMF"] if self._keys else [*_FLAGS]

    async def _packets(self, tag: str) -> int:
        return (await self._counts()).get(tag, 0)

    async def _counts(self) -> dict[str, int]:
        """Tag -> packets of voice that came under it."""
        answer = cast(dict[str, Any], await self._ask("query"))
        counts = {}
        for tag, each in answer.get("tags", {}).items():
            streams = [stream for media in each.get("medias", []) for stream in media.get("streams", [])]
            counts[tag] = sum(stream["stats"]["packets"] for stream in streams if "RTP" in stream.get("flags", []))
        return counts

    async def _ask(self, command: str, **words: Value) -> dict[str, Value]:
        return await self._engine.ask(command, call_id=self.call, **words)
