"""Stage for the voice room's tests: a page made of aiortc, a PBX that is a plain UDP socket, and the room's mailbox."""

from __future__ import annotations

import asyncio
import gc
import struct
import weakref
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import aioice.ice
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from bridge import config
from bridge.calls.commands import CloseMedia, ConnectBrowser, JoinMedia, MediaPolicy
from bridge.calls.events import BrowserAnswered, CallId, Event, MediaReady, TabId
from bridge.media.engine.rtpengine import RtpengineVoice
from bridge.media.equipment import Patience
from bridge.media.ports import PortPairs
from bridge.media.recording.recorder import Shelf
from bridge.media.session import Voice
from bridge.media.workers.workers import Workers

from ..rig.ports import lane_of
from ..rig.waiting import PATIENCE

CALL = CallId("call-1")
TAB = TabId("tab-1")
SOON = PATIENCE
"""Seconds after which a test that waits has failed."""

ENCODINGS = {"PCMU": "PCMU/8000", "PCMA": "PCMA/8000", "G722": "G722/8000", "opus": "opus/48000/2"}
CODECS = tuple(ENCODINGS)
PBX_TYPES = {"PCMU": 0, "PCMA": 8, "G722": 9, "opus": 107}

E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class Packet:
    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes

    @classmethod
    def read(cls, raw: bytes) -> Packet:
        first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", raw)
        assert first == 0x80, "no extension, CSRC or padding may be left"
        return cls(second & 0x7F, second > 127, sequence, timestamp, ssrc, raw[12:])


def rtp(payload_type: int, sequence: int, timestamp: int, payload: bytes, ssrc: int = 0x1234) -> bytes:
    return struct.pack("!BBHII", 0x80, payload_type, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


def pbx_offer(port: int, *codecs: str, host: str = "127.0.0.1", direction: str = "sendrecv", version: int = 1) -> bytes:
    types = " ".join(str(PBX_TYPES[codec]) for codec in codecs)
    maps = [f"a=rtpmap:{PBX_TYPES[codec]} {ENCODINGS[codec]}" for codec in codecs]
    place = f"IN {'IP6' if ':' in host else 'IP4'} {host}"
    lines = ["v=0", f"o=- 77 {version} {place}", "s=pbx", f"c={place}", "t=0 0"]
    lines += [f"m=audio {port} RTP/AVP {types} 101", *maps, "a=rtpmap:101 telephone-event/8000", f"a={direction}"]
    return ("\r\n".join(lines) + "\r\n").encode()


def pbx_answer(
    port: int, *codecs: str, events: str = "101", host: str = "127.0.0.1", direction: str = "sendrecv", version: int = 1
) -> bytes:
    """An answer to an offer of ours; without `events` the PBX takes no telephone-event."""
    text = pbx_offer(port, *codecs, host=host, direction=direction, version=version).decode()
    if not events:
        text = text.replace(" 101\r\n", "\r\n", 1).replace("a=rtpmap:101 telephone-event/8000\r\n", "")
    return text.encode()


def port_of(sdp: bytes) -> int:
    return int(next(line for line in sdp.decode().splitlines() if line.startswith("m=audio")).split()[1])


class Mailbox:
    """What the room posts."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Event] = asyncio.Queue()

    def post(self, event: Event) -> None:
        self._queue.put_nowait(event)

    async def next(self, kind: type[E], seconds: float = SOON) -> E:
        event = await asyncio.wait_for(self._queue.get(), seconds)
        assert isinstance(event, kind), event
        return event

    @property
    def empty(self) -> bool:
        return self._queue.empty()


class Pbx(asyncio.DatagramProtocol):
    """A plain RTP socket."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.transport: asyncio.DatagramTransport
        self.bridge: tuple[str, int] = ("127.0.0.1", 0)
        self.said = 0
        self.came_from = ""
        """The host that the newest packet is from."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | int, int]) -> None:
        self.heard.put_nowait(data)
        self.came_from = str(addr[0])

    @property
    def port(self) -> int:
        port: int = self.transport.get_extra_info("sockname")[1]
        return port

    def send(self, packet: bytes) -> None:
        self.transport.sendto(packet, self.bridge)

    async def next(self) -> Packet:
        return Packet.read(await asyncio.wait_for(self.heard.get(), SOON))

    async def next_with(self, *payloads: bytes) -> Packet:
        """The next packet with one of these payloads, whatever silence comes before it."""
        async with asyncio.timeout(SOON):
            while (packet := await self.next()).payload not in payloads:
                pass
        return packet


@asynccontextmanager
async def pbx_socket(host: str = "127.0.0.1") -> AsyncIterator[Pbx]:
    """The port behind it is its own, too: the reports that go there would be another's voice."""
    voice, control = PortPairs(lane_of(24_000, 25_999)).bind(host)
    transport, pbx = await asyncio.get_running_loop().create_datagram_endpoint(Pbx, sock=voice)
    try:
        yield pbx
    finally:
        transport.close()
        control.close()


class Page:
    """A browser: aiortc's whole peer connection, with raw RTP instead of its encoder and decoder."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.reports: asyncio.Queue[bytes] = asyncio.Queue()
        """RTCP, decrypted."""
        self.sequence, self.timestamp = 65_530, 2**32 - 320
        self.payload_type = self.ssrc = -1
        """What the newest answer says of the voice that comes."""
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._pc.addTransceiver("audio", direction="sendrecv")
        self._transport = self._pc.getTransceivers()[0].sender.transport
        self._transport._handle_rtp_data = self._keep  # type: ignore[method-assign]  # before it would be decoded
        self._transport._handle_rtcp_data = self._keep_report  # type: ignore[method-assign]

    async def _keep_report(self, data: bytes) -> None:
        self.reports.put_nowait(data)

    async def _keep(self, data: bytes, arrival_time_ms: int) -> None:
        self.heard.put_nowait(data)

    async def offer(self) -> str:
        await self._pc.setLocalDescription(await self._pc.createOffer())
        sdp: str = self._pc.localDescription.sdp
        return sdp

    async def accept(self, answer: str) -> None:
        self.payload_type = int(next(x for x in answer.splitlines() if x.startswith("m=audio")).split()[3])
        self.ssrc = int(
            next((x for x in answer.splitlines() if x.startswith("a=ssrc:")), "a=ssrc:-1 ").split(" ")[0][7:]
        )
        connected = asyncio.Event()

        def changed() -> None:
            if self._transport.state == "connected":
                connected.set()

        self._transport.on("statechange", changed)
        await self._pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        changed()
        await asyncio.wait_for(connected.wait(), SOON)

    async def send_raw(self, packet: bytes) -> None:
        await self._transport._send_rtp(packet)

    async def say(self, payload: bytes, step: int = 160) -> None:
        self.sequence += 1
        self.timestamp += step
        await self.send_raw(rtp(self.payload_type, self.sequence, self.timestamp, payload, 0xABCD))

    async def next(self) -> Packet:
        return Packet.read(await asyncio.wait_for(self.heard.get(), SOON))

    @property
    def address(self) -> tuple[str, int]:
        pair = self._transport.transport._connection._nominated[1]
        return pair.local_addr[0], pair.local_addr[1]

    async def vanish(self) -> None:
        """Stop without a word, as a killed renderer does."""
        await self._transport.transport.stop()
        await self._pc.close()

    async def close(self) -> None:
        await self._pc.close()


@dataclass
class Stage:
    room: Voice | Workers | RtpengineVoice
    mail: Mailbox
    pbx: Pbx
    pages: list[Page]

    @property
    def voice(self) -> Voice:
        """The room, where it is this very process."""
        assert isinstance(self.room, Voice)
        return self.room

    def offer(self, *codecs: str) -> bytes:
        return pbx_offer(self.pbx.port, *(codecs or ("PCMU",)))

    async def connect(self, tab: TabId = TAB, *codecs: str, call: CallId = CALL) -> Page:
        """A page whose leg is up, for a call that the PBX began."""
        return await self.offer_to(tab, self.offer(*codecs), CODECS, call)

    async def offer_to(
        self,
        tab: TabId,
        pbx_offer: bytes,
        allowed: tuple[str, ...],
        call: CallId = CALL,
        policy: MediaPolicy = MediaPolicy(),  # noqa: B008  # frozen
    ) -> Page:
        page = Page()
        self.pages.append(page)
        sdp = await page.offer()
        await self.room.perform(
            ConnectBrowser(call=call, tab=tab, offer="o-1", sdp=sdp, pbx_offer=pbx_offer, codecs=allowed, policy=policy)
        )
        answered = await self.mail.next(BrowserAnswered)
        assert (answered.call, answered.tab, answered.offer) == (call, tab, "o-1")
        await page.accept(answered.sdp)
        if isinstance(self.room, Voice):
            async with asyncio.timeout(SOON):  # the page, who is the DTLS server, is ready before the bridge
                while not self.voice._conversations[call].legs[tab].connected:
                    await asyncio.sleep(0.001)
        return page

    async def dial(self, *allowed: str, tab: TabId = TAB) -> tuple[Page, MediaReady]:
        """A page that speaks, in a call that starts here; the PBX knows nothing yet."""
        page = await self.offer_to(tab, b"", allowed or CODECS)
        await self.room.perform(JoinMedia(call=CALL, tab=tab))
        await page.say(b"first")
        ready = await self.mail.next(MediaReady)
        self.pbx.bridge = "127.0.0.1", port_of(ready.sdp)
        return page, ready

    async def reconnect(self, page: Page, tab: TabId = TAB, pbx_offer: bytes = b"") -> str:
        """The page offers again on the transport that stands; the answer."""
        command = ConnectBrowser(
            call=CALL, tab=tab, offer="o-2", sdp=await page.offer(), pbx_offer=pbx_offer, codecs=CODECS
        )
        await self.room.perform(command)
        answered = await self.mail.next(BrowserAnswered)
        await page.accept(answered.sdp)
        return answered.sdp

    async def join(self, page: Page, tab: TabId = TAB, *, call: CallId = CALL, first: bytes = b"first") -> MediaReady:
        """Join a page that speaks; its first packet has arrived at the PBX then."""
        await self.room.perform(JoinMedia(call=call, tab=tab))
        await page.say(first)
        ready = await self.mail.next(MediaReady)
        assert (ready.call, ready.tab) == (call, tab)
        self.pbx.bridge = "127.0.0.1", port_of(ready.sdp)
        return ready

    async def end_without_a_trace(self) -> None:
        """Ends the call: what it had is gone without the garbage collector, or TimeoutError."""
        conversation = self.voice._conversations[CALL]
        had: list[object] = [conversation, conversation.path.pbx, conversation._removal.former or conversation.path.pbx]
        for leg in conversation.legs.values():
            had += [leg, leg.association, leg.association.connection, leg.association._dtls]
        del conversation, leg
        async with without_a_trace(had):
            await self.voice.perform(CloseMedia(call=CALL))


@asynccontextmanager
async def without_a_trace(had: list[Any]) -> AsyncIterator[None]:
    """These are gone without the garbage collector soon after what happens within, or TimeoutError; empties the list."""
    gone = [weakref.ref(each) for each in had]
    had.clear()
    gc.collect()
    gc.disable()
    try:
        yield
        async with asyncio.timeout(SOON):
            while any(each() is not None for each in gone):
                await asyncio.sleep(0.01)
    finally:
        gc.enable()


@asynccontextmanager
async def stage(
    patience: Patience | None = None,
    workers: int = 1,
    rtpengine: str | tuple[str, ...] = "",
    shelf: Shelf | None = None,
    ipv6: str = "",
    spool: Path | None = None,
    ipv4: str = "127.0.0.1",
    music: Sequence[str] = (),
) -> AsyncIterator[Stage]:
    """A running room on free ports of the loopback; `rtpengine` is where one or several carry the voice, `spool` where it records."""
    mail = Mailbox()
    media = config.Media(
        browser_port=0, pbx_address=ipv4, pbx_address6=ipv6, pbx_ports=lane_of(22_000, 23_999), workers=workers
    )
    room: Voice | Workers | RtpengineVoice = Voice(
        media=media, post=mail.post, patience=patience, shelf=shelf, music=music
    )
    if workers > 1:
        room = Workers(media=media, post=mail.post, most_cpu=4, patience=patience, shelf=shelf, music=music)
    elif rtpengine:
        media = config.Media(engine="rtpengine", rtpengine=rtpengine, rtpengine_recordings=spool)
        room = RtpengineVoice(media=media, post=mail.post, patience=patience, shelf=shelf)
    found, aioice.ice.get_host_addresses = aioice.ice.get_host_addresses, lambda **_: ["127.0.0.1"]
    try:
        async with pbx_socket() as pbx, room.running():
            here = Stage(room, mail, pbx, [])
            try:
                yield here
            finally:
                for page in here.pages:
                    await page.close()
    finally:
        aioice.ice.get_host_addresses = found
