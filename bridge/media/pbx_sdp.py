"""A PBX's offer and our side of the session with it (RFC 3264)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from . import sdp


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxOffer:
    """What a PBX offers."""

    sections: tuple[sdp.Section, ...]
    index: int

    @property
    def audio(self) -> sdp.Section:
        return self.sections[self.index]

    @property
    def address(self) -> sdp.Address:
        return self.audio.address, self.audio.port

    @property
    def codecs(self) -> tuple[sdp.Codec, ...]:
        return self.audio.codecs

    @property
    def direction(self) -> sdp.Direction:
        """With `c=0.0.0.0`, the hold of RFC 2543, nothing is to be sent there whatever the attribute says."""
        wanted = self.audio.direction
        if self.audio.address != sdp.NOWHERE:
            return wanted
        return sdp.Direction.SENDONLY if wanted.sends else sdp.Direction.INACTIVE

    @property
    def held(self) -> bool:
        """The PBX does not want to hear us (RFC 3264, 8.4)."""
        return not self.direction.receives

    @property
    def ptime(self) -> int:
        """Milliseconds of voice in a packet that the PBX wishes to receive; 20 unless it says something sensible."""
        wish = sdp.bounded(self.audio.first("ptime"), 60) or 20
        most = sdp.bounded(self.audio.first("maxptime"), 1000) or wish
        wish = min(wish, most) if most >= 10 else wish
        return wish if wish >= 10 and wish % 10 == 0 else 20

    def event_type(self, clock_rate: int) -> int | None:
        """The payload type of telephone-event (RFC 4733) at a clock rate."""
        wanted = f"telephone-event/{clock_rate}"
        return next((number for number, text in self.audio.rtpmaps.items() if sdp.encoding_key(text) == wanted), None)

    def codec(self, name: str) -> sdp.Codec | None:
        return next((codec for codec in self.codecs if codec.name == name), None)


_PLAIN_PROTOS = ("RTP/AVP", "RTP/AVPF")


def parse_pbx_offer(raw: bytes) -> PbxOffer:
    sections = sdp.parse(raw)
    voices = [i for i, s in enumerate(sections) if s.kind == "audio" and s.port]
    plain = [i for i in voices if sections[i].proto in _PLAIN_PROTOS]
    if not voices:
        raise sdp.SdpError("the PBX offers no audio")
    if not plain:
        raise sdp.SdpError(f"the PBX offers audio over {sections[voices[0]].proto[:40]} only, we take RTP/AVP")
    offer = PbxOffer(sections=sections, index=plain[0])
    _check_unicast(offer.audio.address)
    return offer


def _check_unicast(text: str) -> None:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        raise sdp.SdpError("the PBX's c= line must give an IPv4 address") from None
    if address.is_multicast or address == ipaddress.IPv4Address("255.255.255.255"):
        raise sdp.SdpError("the PBX wants its voice at an address that isn't one host's")


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxSession:
    """Our side of the session with a PBX: what stays for the whole dialog."""

    id: int
    address: sdp.Address


def write_pbx_answer(offer: PbxOffer, codec: sdp.Codec, session: PbxSession, version: int) -> bytes:
    """One codec and, if offered, telephone-event, under the PBX's payload types; other sections are refused."""
    lines = _pbx_head(session, version)
    for index, section in enumerate(offer.sections):
        if index == offer.index:
            lines += _pbx_audio(offer, codec, session, offer.direction.mirrored)
        else:
            lines += sdp.refused(section)
    return ("\r\n".join(lines) + "\r\n").encode()


def write_pbx_offer(last: PbxOffer, codec: sdp.Codec, session: PbxSession, version: int) -> bytes:
    """Our own offer when the PBX asks for one: what is in use, both ways; the sections keep their places."""
    lines = _pbx_head(session, version)
    for index, section in enumerate(last.sections):
        if index == last.index:
            lines += _pbx_audio(last, codec, session, sdp.Direction.SENDRECV)
        else:
            lines += sdp.refused(section)
    return ("\r\n".join(lines) + "\r\n").encode()


def _pbx_head(session: PbxSession, version: int) -> list[str]:
    host = session.address[0]
    return ["v=0", f"o=- {session.id} {version} IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0"]


def _pbx_audio(offer: PbxOffer, codec: sdp.Codec, session: PbxSession, direction: sdp.Direction) -> list[str]:
    event = offer.event_type(codec.clock_rate)
    formats = f"{codec.payload_type}" + (f" {event}" if event is not None else "")
    lines = [
        f"m=audio {session.address[1]} {offer.audio.proto} {formats}",
        f"a=rtpmap:{codec.payload_type} {codec.encoding}",
    ]
    if event is not None:
        lines += [f"a=rtpmap:{event} telephone-event/{codec.clock_rate}", f"a=fmtp:{event} 0-15"]
    return [*lines, f"a=ptime:{offer.ptime}", f"a={direction.value}"]
