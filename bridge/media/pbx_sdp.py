"""What a PBX describes, and how our side of the session with it is written (RFC 3264)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..calls.commands import Secrecy
from . import sdes, sdp
from .peer import OurEnd, Peer, from_section

USUAL_PTIME = 20
"""Milliseconds."""
NO_IPV6 = "the PBX offers its voice over IPv6, for which the bridge has no address (media.pbx_address6)"


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxDescription:
    """An offer or an answer of a PBX."""

    sections: tuple[sdp.Section, ...] = field(repr=False)
    """Keys may stand in them."""
    index: int
    crypto: tuple[sdes.Crypto, ...] = ()
    """What keys it offers that we can use, best first, or the ones that it took; none for plain RTP and DTLS."""
    peer: Peer | None = None
    """Who it is in DTLS, if its voice is encrypted by that."""

    @property
    def audio(self) -> sdp.Section:
        return self.sections[self.index]

    @property
    def address(self) -> sdp.Address | None:
        """Where it wants our voice; None for the hold of RFC 2543."""
        return _told(self.audio)

    @property
    def ipv6(self) -> bool:
        """It is met over IPv6. ICE is done over IPv4 only, whatever its c= line says."""
        return sdp.is_ipv6(self.audio.address) and not (self.peer and self.peer.username)

    @property
    def muxed(self) -> bool:
        """It sends RTCP with the voice, or wishes to (RFC 5761)."""
        return "rtcp-mux" in dict(self.audio.attributes)

    def control(self, *, mux: bool) -> sdp.Address | None:
        """Where it wants RTCP: with the voice, else as `a=rtcp` says (RFC 3605), else at the next port."""
        if self.address is None:
            return None
        if mux:
            return self.address
        host, port = self.address
        wish = self.audio.first("rtcp").split()
        if wish and (given := sdp.bounded(wish[0], 65_535)):
            if len(wish) == 4 and wish[1] == "IN" and _is_sent_to(wish[3], ipv6=self.ipv6):
                return wish[3], given
            return host, given
        return (host, port + 1) if port < 65_535 else None

    @property
    def codecs(self) -> tuple[sdp.Codec, ...]:
        return self.audio.codecs

    @property
    def direction(self) -> sdp.Direction:
        """With `c=0.0.0.0`, the hold of RFC 2543, nothing is to be sent there whatever the attribute says."""
        wanted, by_ice = self.audio.direction, self.peer is not None and self.peer.username
        return wanted if self.address or by_ice else sdp.Direction.of(sends=wanted.sends, receives=False)

    @property
    def ptime(self) -> int:
        """Milliseconds of voice in a packet that the PBX wishes to receive; 20 unless it says something sensible."""
        wish = sdp.bounded(self.audio.first("ptime"), 60) or USUAL_PTIME
        most = sdp.bounded(self.audio.first("maxptime"), 1000) or wish
        wish = min(wish, most) if most >= 10 else wish
        return wish if wish >= 10 and wish % 10 == 0 else USUAL_PTIME

    def event_type(self, clock_rate: int) -> int | None:
        """The payload type of telephone-event (RFC 4733) at a clock rate."""
        wanted = f"telephone-event/{clock_rate}"
        return next((number for number, text in self.audio.rtpmaps.items() if sdp.encoding_key(text) == wanted), None)

    def codec(self, name: str) -> sdp.Codec | None:
        return next((codec for codec in self.codecs if codec.name == name), None)


PLAIN, SECURE, DTLS, WEBRTC = "RTP/AVP", "RTP/SAVP", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF"
_PLAIN_PROTOS = (PLAIN, "RTP/AVPF")
_SECURE_PROTOS = (SECURE, "RTP/SAVPF")
_DTLS_PROTOS = (DTLS, WEBRTC)
_WANTED = {
    Secrecy.NEVER: "RTP/AVP",
    Secrecy.ALLOWED: "RTP/AVP, RTP/SAVP with a=crypto or UDP/TLS/RTP/SAVPF",
    Secrecy.REQUIRED: "RTP/SAVP with a=crypto or UDP/TLS/RTP/SAVPF, as this trunk requires",
    Secrecy.DTLS: "UDP/TLS/RTP/SAVPF, as this trunk requires",
    Secrecy.WEBRTC: "UDP/TLS/RTP/SAVPF, as this trunk requires",
}


def parse_pbx_offer(raw: bytes, secrecy: Secrecy = Secrecy.NEVER, *, ipv6: bool = False) -> PbxDescription:
    """An offer that we can answer, or SdpError; DTLS goes before keys in the description, and those before plain audio.

    `ipv6`: we have an address for that, too.
    """
    sections = sdp.parse(raw)
    voices = [i for i, s in enumerate(sections) if s.kind == "audio" and s.port]
    if not voices:
        raise sdp.SdpError("the PBX offers no audio")
    dtls, secure, plain = [], [], []
    for index in voices:
        section = sections[index]
        proto, crypto = section.proto, sdes.usable(section.values("crypto"))
        if (peer := _peer(section)) is not None and not crypto:
            dtls.append(PbxDescription(sections=sections, index=index, peer=peer))
        elif crypto and proto in (*_SECURE_PROTOS, *_PLAIN_PROTOS) and secrecy in (Secrecy.ALLOWED, Secrecy.REQUIRED):
            secure.append(PbxDescription(sections=sections, index=index, crypto=crypto))
        elif secrecy in (Secrecy.NEVER, Secrecy.ALLOWED) and proto in _PLAIN_PROTOS:
            plain.append(PbxDescription(sections=sections, index=index))
    if secrecy is Secrecy.NEVER:
        dtls = []
    if not (dtls or secure or plain):
        proto = sections[voices[0]].proto[:40]
        raise sdp.SdpError(f"the PBX offers audio over {proto} only, we take {_WANTED[secrecy]}")
    offer = (*dtls, *secure, *plain)[0]
    if offer.ipv6 and not ipv6:
        raise sdp.SdpError(NO_IPV6)
    _check_reachable(offer)
    return offer


def _peer(section: sdp.Section) -> Peer | None:
    """Who is to be met in DTLS, if this is carried over it; old ones say RTP/SAVP and a fingerprint."""
    if section.proto not in (*_DTLS_PROTOS, *_SECURE_PROTOS):
        return None
    return from_section(section, _told(section))


def _told(section: sdp.Section) -> sdp.Address | None:
    return None if section.address in (sdp.NOWHERE, sdp.NOWHERE_6) else (section.address, section.port)


def parse_pbx_answer(raw: bytes, index: int, offered: OurVoice, *, ipv6: bool = False) -> PbxDescription:
    """An answer to our offer, over IPv6 or not, whose audio is the m-line at `index`, or SdpError."""
    sections = sdp.parse(raw)
    if index >= len(sections) or sections[index].kind != "audio":
        raise sdp.SdpError("the PBX's answer leaves the audio out")
    audio = sections[index]
    if not audio.port:
        raise sdp.SdpError("the PBX's answer refuses the audio")
    groups = (_PLAIN_PROTOS, _SECURE_PROTOS, _DTLS_PROTOS)
    if audio.proto not in next(group for group in groups if offered.proto in group) and not _is_old_dtls(
        audio, offered
    ):
        raise sdp.SdpError(f"the PBX answers with audio over {audio.proto[:40]}, we offered {offered.proto}")
    answer = PbxDescription(sections=sections, index=index)
    if offered.end is not None:
        if (peer := _peer(audio)) is None:
            raise sdp.SdpError("the PBX's answer has no usable a=fingerprint")
        answer = replace(answer, peer=peer)
    elif offered.crypto:
        answer = replace(answer, crypto=_taken(audio, offered))
    if answer.ipv6 is not ipv6 and answer.address is not None:
        told, ours = ("IPv6", "IPv4") if answer.ipv6 else ("IPv4", "IPv6")
        raise sdp.SdpError(f"the PBX answers with an address of {told}, we offered {ours}")
    _check_reachable(answer)
    return answer


def _is_old_dtls(audio: sdp.Section, offered: OurVoice) -> bool:
    """We answered it in its own words, and it goes on with the newer ones, or the other way round."""
    return offered.end is not None and audio.proto in (*_DTLS_PROTOS, *_SECURE_PROTOS)


def _taken(audio: sdp.Section, offered: OurVoice) -> tuple[sdes.Crypto, ...]:
    known = {(ours.tag, ours.suite) for ours in offered.crypto}
    crypto = tuple(line for line in sdes.usable(audio.values("crypto")) if (line.tag, line.suite) in known)
    if len(crypto) != 1:
        raise sdp.SdpError("the PBX's answer takes none of the encryption that we offered")
    return crypto


def _check_reachable(description: PbxDescription) -> None:
    """Where ICE finds the way, the c= line says nothing."""
    if description.peer is not None and description.peer.username:
        return
    if not _is_sent_to(description.audio.address, ipv6=description.ipv6):
        raise sdp.SdpError("the PBX's c= line must give the IP address of one host")


def _is_sent_to(text: str, *, ipv6: bool) -> bool:
    return sdp.is_unicast_ipv6(text) if ipv6 else sdp.is_unicast(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class OurVoice:
    """What we say of our side of the audio."""

    codecs: tuple[sdp.Codec, ...]
    events: tuple[tuple[int, int], ...]
    """Payload type and clock rate of each telephone-event."""
    direction: sdp.Direction
    proto: str = PLAIN
    ptime: int = USUAL_PTIME
    """Milliseconds."""
    mux: bool = False
    """RTCP comes with the voice."""
    crypto: tuple[sdes.Crypto, ...] = ()
    """Our keys: all that we offer, or the one that answers."""
    end: OurEnd | None = None
    """Our end of DTLS, where that encrypts."""

    def codec(self, name: str) -> sdp.Codec | None:
        return next((codec for codec in self.codecs if codec.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who describes, and for which time."""

    id: int
    version: int
    address: sdp.Address


def write_for_pbx(origin: Origin, voice: OurVoice, theirs: PbxDescription | None) -> bytes:
    """Our description; m-lines stand where the PBX's newest description has them, all but the audio are refused."""
    host, _ = origin.address
    place = f"IN {'IP6' if sdp.is_ipv6(host) else 'IP4'} {host}"
    lines = ["v=0", f"o=- {origin.id} {origin.version} {place}", "s=-", f"c={place}", "t=0 0"]
    if theirs is None:
        lines += _audio(voice, origin.address)
    else:
        for index, section in enumerate(theirs.sections):
            if index != theirs.index:
                lines += sdp.refused(section)
                continue
            lines += _audio(voice, origin.address)
            lines += [f"a=mid:{mid}" for mid in section.values("mid")[:1]]  # RFC 5888, 9.1
    return ("\r\n".join(lines) + "\r\n").encode()


def _audio(voice: OurVoice, address: sdp.Address) -> list[str]:
    types = [codec.payload_type for codec in voice.codecs] + [number for number, _ in voice.events]
    lines = [f"m=audio {address[1]} {voice.proto} {' '.join(map(str, types))}"]
    lines += [f"a=rtpmap:{codec.payload_type} {codec.encoding}" for codec in voice.codecs]
    for number, clock_rate in voice.events:
        lines += [f"a=rtpmap:{number} telephone-event/{clock_rate}", f"a=fmtp:{number} 0-15"]
    lines += [f"a=crypto:{crypto}" for crypto in voice.crypto]
    if voice.end is not None:
        lines += voice.end.lines(address)
    if voice.mux:
        lines.append("a=rtcp-mux")
    return [*lines, f"a=ptime:{voice.ptime}", f"a={voice.direction.value}"]
