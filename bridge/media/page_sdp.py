"""A browser's offer and our answer to it (RFC 9429)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from . import sdp

CNAME = "bridge"
"""What our stream to a page is called, in the answer and in RTCP (RFC 5576, 6.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOffer:
    """What a browser offers. Its candidates are ignored: it is met as peer-reflexive, and mDNS names cost a second."""

    sections: tuple[sdp.Section, ...]
    index: int
    """Which section is the voice."""
    mid: str
    username: str
    password: str
    fingerprints: tuple[tuple[str, str], ...]
    """Hash name and colon-separated hex."""

    @property
    def audio(self) -> sdp.Section:
        return self.sections[self.index]

    @property
    def transport(self) -> tuple[object, ...]:
        """What stays the same as long as the page's ICE and DTLS stay the same."""
        return self.username, self.password, self.fingerprints


_HASHES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}


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
        mid=_required(audio, "mid", r"[\w!#$%&'*+.^`{|}~-]{1,64}"),
        username=_required(audio, "ice-ufrag", r"[A-Za-z0-9+/]{4,256}"),
        password=_required(audio, "ice-pwd", r"[A-Za-z0-9+/]{22,256}"),
        fingerprints=_fingerprints(audio),
    )


_PAGE_PROTOS = ("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF")


def _required(section: sdp.Section, name: str, pattern: str) -> str:
    value = section.first(name)
    if not re.fullmatch(pattern, value, re.ASCII):
        raise sdp.SdpError(f"the page's offer has no valid a={name}")
    return value


def _fingerprints(section: sdp.Section) -> tuple[tuple[str, str], ...]:
    found = []
    for value in section.values("fingerprint"):
        algorithm, _, digest = value.partition(" ")
        length = _HASHES.get(algorithm.lower(), 0)
        if length and re.fullmatch(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})*", digest) and len(digest) == 3 * length - 1:
            found.append((algorithm.lower(), digest.upper()))
    if not found:
        raise sdp.SdpError("the page's offer has no usable a=fingerprint")
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTransport:
    """Our end of a browser leg, as the page is told."""

    address: sdp.Address
    username: str
    password: str
    fingerprint: str
    """SHA-256, colon-separated hex."""
    ssrc: int
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
            f"a=ptime:{ptime}",
            f"a=ssrc:{local.ssrc} cname:{CNAME}",
            f"a=ice-ufrag:{local.username}",
            f"a=ice-pwd:{local.password}",
            f"a=fingerprint:sha-256 {local.fingerprint}",
            "a=setup:active",
            f"a=candidate:1 1 udp 2130706431 {host} {port} typ host",
            "a=end-of-candidates",
        ]
    return "\r\n".join(lines) + "\r\n"
