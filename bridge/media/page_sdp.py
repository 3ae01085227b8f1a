"""A browser's offer and our answer to it (RFC 9429)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from . import peer, sdp
from .peer import OurEnd, Peer

CNAME = "bridge"
"""What our stream to a page is called, in the answer and in RTCP (RFC 5576, 6.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOffer:
    """What a browser offers. Its candidates are ignored: it is met as peer-reflexive, and mDNS names cost a second."""

    sections: tuple[sdp.Section, ...]
    index: int
    """Which section is the voice."""
    mid: str
    peer: Peer

    @property
    def audio(self) -> sdp.Section:
        return self.sections[self.index]


def parse_page_offer(text: str) -> PageOffer:
    sections = sdp.parse(text)
    voices = [i for i, s in enumerate(sections) if s.kind == "audio" and s.port and s.proto in _PAGE_PROTOS]
    if not voices:
        raise sdp.SdpError("the page offers no audio over DTLS-SRTP")
    index = voices[0]
    audio = sections[index]
    if audio.first("setup", "actpass") not in ("actpass", "passive"):
        raise sdp.SdpError("the page insists on opening DTLS itself")
    if "rtcp-mux" not in dict(audio.attributes):
        raise sdp.SdpError("the page offers no rtcp-mux")
    return PageOffer(
        sections=sections,
        index=index,
        mid=_mid(audio),
        peer=_peer(audio),
    )


_PAGE_PROTOS = ("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF")


def _mid(section: sdp.Section) -> str:
    value = section.first("mid")
    if not re.fullmatch(r"[\w!#$%&'*+.^`{|}~-]{1,64}", value, re.ASCII):
        raise sdp.SdpError("the page's offer has no valid a=mid")
    return value


def _peer(section: sdp.Section) -> Peer:
    named, prints = peer.credentials(section), peer.fingerprints(section)
    if named is None:
        raise sdp.SdpError("the page's offer has no valid a=ice-ufrag and a=ice-pwd")
    if not prints:
        raise sdp.SdpError("the page's offer has no usable a=fingerprint")
    return Peer(fingerprints=prints, username=named[0], password=named[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTransport:
    """Our end of a browser leg, as the page is told."""

    address: sdp.Address
    end: OurEnd
    ssrc: int | None
    """Of the voice that we send. A page that is not told makes its loudspeaker ready only at the first packet, 16 ms later."""


def write_page_answer(offer: PageOffer, codec: sdp.Codec, ptime: int, local: LocalTransport, version: int) -> str:
    """One codec on the voice; every other section is refused. `ptime` in ms."""
    host, port = local.address
    lines = ["v=0", f"o=- 1 {version} IN IP4 {host}", "s=-", "t=0 0", f"a=group:BUNDLE {offer.mid}"]
    for index, section in enumerate(offer.sections):
        if index != offer.index:
            lines += sdp.refused(section)
            continue
        lines += [
            f"m=audio {port} {section.proto} {codec.payload_type}",
            f"c=IN IP4 {host}",
            f"a=mid:{offer.mid}",
            f"a={section.direction.mirrored.value}",
            "a=rtcp-mux",
            f"a=rtpmap:{codec.payload_type} {codec.encoding}",
            *([f"a=fmtp:{codec.payload_type} {codec.fmtp}"] if codec.fmtp else []),
            f"a=ptime:{ptime}",
            *([] if local.ssrc is None else [f"a=ssrc:{local.ssrc} cname:{CNAME}"]),
            *local.end.lines(local.address),
            "a=end-of-candidates",
        ]
    return "\r\n".join(lines) + "\r\n"
