"""Descriptions as an rtpengine is given them, one codec each, and what its own say of addresses and keys; pure."""

from __future__ import annotations

from dataclasses import dataclass

from .. import page_sdp, peer, sdp
from ..pbx_session import OUR_EVENT_TYPES, OUR_TYPES, PbxSession

UNKNOWN: sdp.Address = "127.0.0.1", 9
"""Somebody of whom no address is known yet: the engine's own discard port. With 0.0.0.0 it would tell that to the other side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineVoice:
    """One codec, and telephone-events if the PBX has them, under one side's payload types."""

    codec: sdp.Codec
    event: int | None
    """Payload type; the same on both sides, or the engine would not connect them."""
    ptime: int
    """Milliseconds."""

    @property
    def lines(self) -> list[str]:
        lines = [f"a=rtpmap:{self.codec.payload_type} {self.codec.encoding}"]
        if self.event is not None:
            lines += [f"a=rtpmap:{self.event} telephone-event/{self.codec.clock_rate}", f"a=fmtp:{self.event} 0-15"]
        return [*lines, f"a=ptime:{self.ptime}"]

    @property
    def formats(self) -> str:
        numbers = (self.codec.payload_type, self.event)
        return " ".join(str(number) for number in numbers if number is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxSide:
    """The PBX as it described itself."""

    address: sdp.Address | None
    """None for one that is not known yet, and for a hold by RFC 2543."""
    voice: EngineVoice
    direction: sdp.Direction


def of_page(page: page_sdp.PageOffer, voice: EngineVoice) -> str:
    """The page's offer, cut down to one codec. Its candidates are left out: it is met as peer-reflexive."""
    lines = [
        *_head(UNKNOWN[0]),
        f"m=audio {UNKNOWN[1]} UDP/TLS/RTP/SAVPF {voice.formats}",
        f"a=mid:{page.mid}",
        "a=rtcp-mux",
        f"a=ice-ufrag:{page.peer.username}",
        f"a=ice-pwd:{page.peer.password}",
        *(f"a=fingerprint:{name} {digest}" for name, digest in page.peer.fingerprints),
        "a=setup:actpass",
        *voice.lines,
        "a=sendrecv",
    ]
    return _text(lines)


def of_nobody(voice: EngineVoice) -> str:
    """Who stands in for a page that is yet to come."""
    host, port = UNKNOWN
    return _text([*_head(host), f"m=audio {port} RTP/AVP {voice.formats}", *voice.lines, "a=sendrecv"])


def of_pbx(pbx: PbxSide) -> str:
    host, port = pbx.address or UNKNOWN
    lines = [*_head(host), f"m=audio {port} RTP/AVP {pbx.voice.formats}", *pbx.voice.lines, f"a={pbx.direction.value}"]
    return _text(lines)


def _head(host: str) -> list[str]:
    return ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0"]


def _text(lines: list[str]) -> str:
    return "\r\n".join(lines) + "\r\n"


def place(description: str) -> sdp.Address:
    """Where the engine wants the PBX's voice; SdpError."""
    return _address(_audio(description))


def _address(audio: sdp.Section) -> sdp.Address:
    if not sdp.is_unicast(audio.address) or audio.address == sdp.NOWHERE:
        raise sdp.SdpError("rtpengine's description has no address that can be sent to")
    return audio.address, audio.port


def transport(description: str) -> page_sdp.LocalTransport:
    """What a page has to be told of the engine; SdpError."""
    audio = _audio(description)
    named, prints = peer.credentials(audio), dict(peer.fingerprints(audio))
    if named is None or "sha-256" not in prints or audio.first("setup") != "active":
        raise sdp.SdpError(
            "rtpengine's answer for the page lacks ICE or a SHA-256 fingerprint, or lets the page begin DTLS"
        )
    return page_sdp.LocalTransport(
        address=_address(audio),
        end=peer.OurEnd(
            credentials=peer.Credentials(username=named[0], password=named[1]),
            fingerprint=prints["sha-256"],
            setup="active",
        ),
        ssrc=None,
    )


def _audio(description: str) -> sdp.Section:
    audio = next((section for section in sdp.parse(description) if section.kind == "audio" and section.port), None)
    if audio is None:
        raise sdp.SdpError("rtpengine's description has no audio")
    return audio


def pbx_side(session: PbxSession, spoken: sdp.Codec) -> PbxSide:
    """The PBX as a page's leg of this codec has to see it."""
    theirs = session.theirs
    return PbxSide(
        address=theirs.address if theirs else None,
        voice=_voice_of_pbx(session, spoken),
        direction=theirs.direction if theirs else sdp.Direction.SENDRECV,
    )


def _voice_of_pbx(session: PbxSession, spoken: sdp.Codec) -> EngineVoice:
    """A page's codec as the PBX numbers it, or will."""
    theirs, name, rate = session.theirs, spoken.name, spoken.clock_rate
    known = theirs.codec(name) if theirs else sdp.Codec(name=name, payload_type=OUR_TYPES[name])
    codec = known or spoken
    event = theirs.event_type(rate) if theirs else OUR_EVENT_TYPES[rate]
    if event in (spoken.payload_type, codec.payload_type):
        event = None
    return EngineVoice(codec=codec, event=event, ptime=session.ptime)
