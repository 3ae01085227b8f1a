"""Which ICE and DTLS two descriptions agree on, and when that is another than before (RFC 8842, 8839); pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from . import sdp
from .peer import Credentials, OurEnd, Peer


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """Both ends of one association. As long as it compares equal, the association stands."""

    ours: OurEnd
    """`setup` says the role that was agreed."""
    theirs: Peer
    controlling: bool
    """We nominate (RFC 8445, 6.1.1)."""
    turn: int = 0
    """Counts what may be another association in the same words: it is one when the PBX begins anew."""

    def says_the_same(self, before: Handshake) -> bool:
        return replace(self, turn=before.turn) == before


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the PBX's description says about an association."""

    peer: Peer
    setup: str
    renews: bool = False
    """It may begin a new one though nothing else changed: Asterisk without ICE does so after a hold, baresip only says so."""

    def keeps(self, before: Handshake, role: str) -> bool:
        """The association that stands does for this."""
        renews = self.renews and role == "passive"  # else it would be for us to begin, and nobody wants that
        return not renews and self.peer.identity == before.theirs.identity and role == before.ours.setup

    def settled(self, before: Handshake | None) -> Wish:
        """A hold of RFC 2543 names no address; that moves nothing."""
        peer = self.peer
        if before is None or peer.username or peer.address:
            return self
        return replace(self, peer=replace(peer, address=before.theirs.address), renews=False)


def read(peer: Peer, section: sdp.Section, setup: str) -> Wish:
    """What a description wants; `setup` holds where it says nothing."""
    renews = section.first("connection") == "new" and not peer.username  # with ICE its names would have to change, too
    return Wish(peer=peer, setup=section.first("setup", setup), renews=renews)


def offered(fingerprint: str, octets: Callable[[int], bytes], *, ice: bool) -> OurEnd:
    """For whoever may answer, in whichever role."""
    return OurEnd(credentials=Credentials.new(octets) if ice else None, fingerprint=fingerprint, setup="actpass")


def answering(wish: Wish, before: Handshake | None, fingerprint: str, octets: Callable[[int], bytes]) -> Handshake:
    """What answers the PBX's offer; what stands goes on standing unless the offer wants it otherwise."""
    wish = wish.settled(before)
    role = "passive" if wish.setup == "active" else "active"
    if before is not None:
        if wish.setup not in ("active", "passive"):
            role = before.ours.setup
        if wish.keeps(before, role):
            return before
    peer = wish.peer
    credentials = Credentials.new(octets) if peer.username else None
    return Handshake(
        ours=OurEnd(credentials=credentials, fingerprint=fingerprint, setup=role),
        theirs=replace(peer, opened_by_us=role == "active"),
        controlling=peer.lite,
        turn=before.turn + 1 if before else 0,
    )


def answered(wish: Wish, offer: OurEnd, before: Handshake | None) -> Handshake:
    """What the PBX's answer makes of our offer."""
    wish = wish.settled(before)
    role = offer.setup if offer.setup != "actpass" else "active" if wish.setup == "passive" else "passive"
    if before is not None and offer.credentials == before.ours.credentials and wish.keeps(before, role):
        return before
    return Handshake(
        ours=replace(offer, setup=role),
        theirs=replace(wish.peer, opened_by_us=role == "active"),
        controlling=True,
        turn=before.turn + 1 if before else 0,
    )
