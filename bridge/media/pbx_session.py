"""Offer and answer with the PBX for the life of one dialog (RFC 3264): pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..calls.commands import Secrecy
from . import handshake, sdes, sdp
from .handshake import Handshake
from .pbx_sdp import (
    DTLS,
    PLAIN,
    SECURE,
    USUAL_PTIME,
    WEBRTC,
    Origin,
    OurVoice,
    PbxDescription,
    parse_pbx_answer,
    parse_pbx_offer,
    write_for_pbx,
)
from .peer import OurEnd
from .terms import Terms

OUR_TYPES = {"PCMU": 0, "PCMA": 8, "G722": 9, "opus": 107}
_OFFERED = {Secrecy.REQUIRED: SECURE, Secrecy.DTLS: DTLS, Secrecy.WEBRTC: WEBRTC}
OUR_EVENT_TYPES = {8000: 101, 48_000: 110}
"""Payload types of our own offers: the static ones, and those that most PBXs use themselves."""


class PbxSession:
    """What is agreed with the PBX.

    Either side offers, the other answers, and either may hold: what is described is always the AND of both wishes, so
    that one side's resuming never ends the other's hold. Each side's payload types say how that side wants to be sent to.
    """

    def __init__(self, session_id: int, octets: Callable[[int], bytes]) -> None:
        self.secrecy = Secrecy.NEVER
        """The trunk's wish."""
        self.ipv6 = False
        """We have an address for it."""
        self.ipv6_first = False
        """Our own offers are for IPv6, if we have an address for it."""
        self.codec: sdp.Codec | None = None
        """What we send, under the PBX's payload type; None until the PBX has spoken and a page was chosen."""
        self.theirs: PbxDescription | None = None
        """The PBX's newest description."""
        self.handshake: Handshake | None = None
        """Who meets whom, where DTLS encrypts."""
        self.held = False
        """We hold."""
        self.pbx_holds = False
        """The PBX does not want to hear us (RFC 3264, 8.4)."""
        self.text = b""
        """Our newest description."""
        self._id, self._version, self._octets = session_id, 0, octets
        self._told = ""
        """The host that `text` names."""
        self._fingerprint = ""
        """Of our certificate."""
        self._direction = sdp.Direction.INACTIVE
        """The PBX's, as far as it is known."""
        self._voice: OurVoice | None = None
        """What `text` says."""
        self._offered: OurVoice | None = None
        """What we offered last: its answer is measured against it, and several may come."""
        self._answered = False
        """One has come."""

    def begin(self, fingerprint: str) -> None:
        """Our end is the one with this certificate; whoever was met by another end has to be met anew."""
        self._fingerprint, self.handshake = fingerprint, None

    # ---- what follows from it

    @property
    def pbx_listens(self) -> bool:
        return self._direction.receives

    @property
    def pbx_should_speak(self) -> bool:
        """Its silence would mean that something is wrong."""
        return self._direction.sends and not self.held and not self.pbx_holds

    @property
    def ptime(self) -> int:
        """Milliseconds."""
        return self.theirs.ptime if self.theirs else USUAL_PTIME

    @property
    def payload_type(self) -> int:
        """What the PBX's voice comes under; -1 while nothing is agreed."""
        codec = self._voice.codec(self.codec.name) if self._voice and self.codec else None
        return codec.payload_type if codec else -1

    @property
    def muxed(self) -> bool:
        """RTCP goes with the voice."""
        return self._voice is not None and self.theirs is not None and self._voice.mux and self.theirs.muxed

    @property
    def terms(self) -> Terms:
        """What the PBX's leg must know of all this, once both have described themselves."""
        assert self.theirs is not None
        assert self.codec is not None
        return Terms(
            address=self.theirs.address,
            control=self.theirs.control(mux=self.muxed),
            muxed=self.muxed,
            payload_type=self.payload_type,
            event_type=self.heard_event_type,
            clock_rate=self.codec.clock_rate,
            keys=self.keys,
            handshake=self.handshake,
        )

    @property
    def keys(self) -> sdes.Keys | None:
        """What the voice is encrypted with; None for plain RTP, and before anything is agreed."""
        if self.theirs is None or not self.theirs.crypto:
            return None
        incoming = self.theirs.crypto[0]
        outgoing = self._our_crypto(incoming)
        return sdes.Keys(incoming=incoming, outgoing=outgoing) if outgoing else None

    @property
    def our_end(self) -> OurEnd | None:
        """Our end of DTLS as `text` says it."""
        return self._voice.end if self._voice else None

    @property
    def by_dtls(self) -> bool:
        """The voice is, or is to be, encrypted by DTLS."""
        return self.theirs.peer is not None if self.theirs else self.secrecy in (Secrecy.DTLS, Secrecy.WEBRTC)

    @property
    def towards(self) -> str:
        """The host that the voice goes to, "" while that is not known."""
        return self.theirs.address[0] if self.theirs and self.theirs.address else ""

    @property
    def by_ipv6(self) -> bool:
        """The voice goes, or is to go, over IPv6: as the PBX says, else as it was; ICE is done over IPv4 only."""
        if self.theirs and (self.theirs.address is not None or not self._told):
            return self.theirs.ipv6
        if self._told:
            return sdp.is_ipv6(self._told)
        return self.ipv6 and self.ipv6_first and self.secrecy is not Secrecy.WEBRTC

    def _our_crypto(self, theirs: sdes.Crypto) -> sdes.Crypto | None:
        ours = self._voice.crypto if self._voice else ()
        return next((line for line in ours if (line.tag, line.suite) == (theirs.tag, theirs.suite)), None)

    @property
    def event_type(self) -> int | None:
        """What the PBX wants telephone-events under, at the clock rate of the codec."""
        return self.theirs.event_type(self.codec.clock_rate) if self.theirs and self.codec else None

    @property
    def heard_event_type(self) -> int | None:
        """What the PBX's telephone-events come under."""
        events = self._voice.events if self._voice else ()
        return next((number for number, rate in events if self.codec and rate == self.codec.clock_rate), None)

    @property
    def offered(self) -> tuple[sdp.Codec, ...]:
        """What we offered last, best first."""
        return self._offered.codecs if self._offered else ()

    def wanted(self, allowed: Sequence[str]) -> tuple[str, ...]:
        """The codecs that a page may have, best first. Once the PBX has chosen, there is one."""
        if self.codec:
            return (self.codec.name,)
        if self.theirs:
            return tuple(codec.name for codec in self.theirs.codecs if codec.name in allowed)
        return tuple(codec.name for codec in self._offered.codecs) if self._offered else tuple(allowed)

    # ---- the PBX offers

    def invited(self, raw: bytes) -> None:
        """Read the PBX's first offer, if this call began with one; SdpError."""
        if raw and self.theirs is None:
            self._hear_offer(self.read(raw))

    def read(self, raw: bytes) -> PbxDescription:
        """An offer that this trunk may make, or SdpError; nothing is agreed by it."""
        return parse_pbx_offer(raw, self.secrecy, ipv6=self.ipv6)

    def answer(self, name: str, address: sdp.Address) -> bytes:
        """Answer the newest offer with one codec and, if offered, telephone-event; SdpError if it has no such codec."""
        codec = self.theirs.codec(name) if self.theirs else None
        if self.theirs is None or codec is None:
            raise sdp.SdpError(f"the PBX does not offer {name}")
        self.codec = codec
        event = self.event_type
        voice = OurVoice(
            codecs=(codec,),
            events=() if event is None else ((event, codec.clock_rate),),
            direction=sdp.Direction.of(
                sends=self._direction.receives, receives=self._direction.sends and not self.held
            ),
            proto=self.theirs.audio.proto,
            ptime=self.ptime,
            mux=self.theirs.muxed,
            crypto=self._answering(self.theirs.crypto),
            end=self._meeting(self.theirs),
        )
        return self._say(voice, address)

    def _answering(self, offered: tuple[sdes.Crypto, ...]) -> tuple[sdes.Crypto, ...]:
        """A suite that we have a key for if it is offered again, else the PBX's first."""
        if not offered:
            return ()
        ours = {line.suite: line for line in self._voice.crypto} if self._voice else {}
        chosen = next((line for line in offered if line.suite in ours), offered[0])
        assert self.theirs is not None
        self.theirs = replace(self.theirs, crypto=(chosen,))
        return (sdes.answer(chosen, ours.get(chosen.suite), self._octets),)

    def _meeting(self, theirs: PbxDescription) -> OurEnd | None:
        """Our end for an offer that wants DTLS."""
        before, self.handshake = self.handshake, None
        if theirs.peer is None:
            return None
        wish = handshake.read(theirs.peer, theirs.audio, "actpass")
        self.handshake = handshake.answering(wish, before, self._fingerprint, self._octets)
        return self.handshake.ours

    def reoffered(self, raw: bytes, address: sdp.Address, allowed: Sequence[str] = ()) -> bytes:
        """Our answer to the PBX's new offer, or our offer if its own is empty; SdpError leaves everything as it was.

        The codec in use stays if it can; else the first that is offered and `allowed` takes its place.
        """
        if self.codec is None:
            raise sdp.SdpError("a new offer before the first one was answered")
        if not raw:
            # What asks for an offer resumes (RFC 6337, 5.2.1); its answer comes in the ACK.
            self._direction, self.pbx_holds = sdp.Direction.SENDRECV, False
            return self._offer_again(address, others=allowed)
        offer = self.read(raw)
        name = next((name for name in (self.codec.name, *_common(offer, allowed)) if offer.codec(name)), None)
        if name is None:
            raise sdp.SdpError(f"the new offer has neither {self.codec.name}, which the call uses, nor another of ours")
        self._hear_offer(offer)
        return self.answer(name, address)

    def _hear_offer(self, offer: PbxDescription) -> None:
        if offer.direction.receives:
            self.pbx_holds = False
        elif offer.direction is not self._direction or self.theirs is None:
            self.pbx_holds = True
        # Else it repeats its answer: `inactive` to our own hold says nothing about one of its own.
        self.theirs, self._direction = offer, offer.direction

    # ---- we offer

    def offer(self, names: Sequence[str], address: sdp.Address) -> bytes:
        """The first offer of a call that starts here."""
        codecs = tuple(sdp.Codec(name=name, payload_type=OUR_TYPES[name]) for name in names)
        rates = sorted({8000, *(codec.clock_rate for codec in codecs)})
        events = tuple((OUR_EVENT_TYPES[rate], rate) for rate in rates)
        proto = _OFFERED.get(self.secrecy, PLAIN)
        dtls = proto in (DTLS, WEBRTC)
        self._offered = OurVoice(
            codecs=codecs,
            events=events,
            direction=sdp.Direction.SENDRECV,
            proto=proto,
            mux=dtls,
            crypto=sdes.offer(self._octets) if proto == SECURE else (),
            end=handshake.offered(self._fingerprint, self._octets, ice=proto == WEBRTC) if dtls else None,
        )
        self._answered = False
        return self._say(self._offered, address)

    def hold(self, held: bool, address: sdp.Address) -> bytes:
        """What to offer the PBX to hold or to resume: complete, and under a new version whatever was offered before."""
        if self.codec is None:
            raise sdp.SdpError("hold before the PBX has agreed to anything")
        self.held = held
        self.text = b""
        return self._offer_again(address)

    def offered_anew(self, address: sdp.Address, allowed: Sequence[str]) -> bytes:
        """What somebody else is offered who is to take the PBX's place."""
        if self.codec is None:
            raise sdp.SdpError("nobody's place can be taken before anything is agreed")
        return self._offer_again(address, others=allowed, to_another=True)

    def _offer_again(self, address: sdp.Address, others: Sequence[str] = (), *, to_another: bool = False) -> bytes:
        """What is in use, under the payload types that we gave it; after it the others whose types mean nothing else yet."""
        assert self._voice is not None
        assert self.codec is not None
        ours, rate = self._voice.codec(self.codec.name), self.codec.clock_rate
        assert ours is not None
        self._offered = replace(
            self._voice,
            codecs=(ours, *self._more_codecs(others)),
            events=tuple(event for event in self._voice.events if event[1] == rate),
            direction=sdp.Direction.of(sends=not self.pbx_holds, receives=not self.held),
            ptime=self.ptime,
            crypto=(keys.outgoing,) if (keys := self.keys) else self._voice.crypto,
            end=self._our_end(to_another),
        )
        self._answered = False
        return self._say(self._offered, address)

    def _our_end(self, to_another: bool) -> OurEnd | None:
        """What stands; whoever has yet to come is met anew."""
        before = self._voice.end if self._voice else None
        if self.handshake is not None and not to_another:
            return self.handshake.ours
        if before is None:
            return None
        return handshake.offered(self._fingerprint, self._octets, ice=before.credentials is not None)

    def _more_codecs(self, names: Sequence[str]) -> list[sdp.Codec]:
        assert self._voice is not None
        known = (*self._voice.codecs, *(self.theirs.codecs if self.theirs else ()))
        taken = {codec.payload_type for codec in known} | {number for number, _ in self._voice.events}
        free = [sdp.Codec(name=name, payload_type=OUR_TYPES[name]) for name in names if not self._voice.codec(name)]
        same = [codec for codec in known if codec in free]
        return [codec for codec in free if codec in same or codec.payload_type not in taken]

    def answered(self, raw: bytes) -> None:
        """Read an answer to our newest offer, the first or a later one; SdpError leaves everything as it was."""
        if self._offered is None:
            raise sdp.SdpError("an answer, but nothing was offered")
        index = self.theirs.index if self.theirs else 0
        answer = parse_pbx_answer(raw, index, self._offered, ipv6=sdp.is_ipv6(self._told))
        codec = next((codec for codec in answer.codecs if self._offered.codec(codec.name)), None)
        if codec is None:
            raise sdp.SdpError("the PBX's answer has no codec that was offered")
        if (
            self._offered.direction is sdp.Direction.SENDRECV
        ):  # any other leaves the PBX no choice to tell us its wish by
            self.pbx_holds = not answer.direction.receives
        if answer.peer is not None and self._offered.end is not None:
            wish = handshake.read(answer.peer, answer.audio, "active")
            if self._answered:  # as the final answer after an early one: it repeats itself
                wish = replace(wish, renews=False)
            self.handshake = handshake.answered(wish, self._offered.end, self.handshake)
        self.theirs, self.codec, self._direction, self._answered = answer, codec, answer.direction, True

    def _say(self, voice: OurVoice, address: sdp.Address) -> bytes:
        """Our description: its version rises if and only if anything else changed (RFC 3264, 8)."""
        self._voice, self._told = voice, address[0]
        text = self._write(voice, address)
        if text != self.text:
            self._version += 1
            text = self._write(voice, address)
        self.text = text
        return text

    def _write(self, voice: OurVoice, address: sdp.Address) -> bytes:
        return write_for_pbx(Origin(id=self._id, version=self._version, address=address), voice, self.theirs)


def _common(offer: PbxDescription, allowed: Sequence[str]) -> list[str]:
    """Names of the offered codecs that are allowed, in the order of the offer."""
    return [codec.name for codec in offer.codecs if codec.name in allowed]
