"""What a PBX leg must know of the descriptions; pure."""

from __future__ import annotations

from dataclasses import dataclass

from .handshake import Handshake
from .sdes import Keys
from .sdp import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How the PBX's voice is carried, by the newest offer and answer."""

    address: Address | None
    """Where it wants ours; None for no (new) address."""
    control: Address | None
    """Where it wants RTCP."""
    payload_type: int
    """What its voice comes under."""
    clock_rate: int
    """Hz."""
    event_type: int | None = None
    """What its telephone-events come under."""
    muxed: bool = False
    """RTCP goes with the voice (RFC 5761)."""
    keys: Keys | None = None
    """SRTP by keys in the descriptions; None for plain RTP, and for DTLS."""
    handshake: Handshake | None = None
    """SRTP by DTLS."""
