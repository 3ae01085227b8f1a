"""SRTP in place (RFC 3711), for both kinds of legs: what lies in the shared buffer is encrypted and decrypted there.

pylibsrtp's own methods copy every packet; `tests/media/test_webrtc.py` notices when the private names that only this module uses are gone.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from pylibsrtp import Policy, Session
from pylibsrtp._binding import lib

from .sdes import Crypto
from .slot import Slot

protect, unprotect = lib.srtp_protect, lib.srtp_unprotect
"""For the hot path: context, octets and size; 0 if it was done."""
_protect_rtcp, _unprotect_rtcp = lib.srtp_protect_rtcp, lib.srtp_unprotect_rtcp

_PROFILES: Final = {
    "AEAD_AES_256_GCM": Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
}


def incoming_session(crypto: Crypto) -> Session:
    return _session(crypto, Policy.SSRC_ANY_INBOUND)


def outgoing_session(crypto: Crypto) -> Session:
    return _session(crypto, Policy.SSRC_ANY_OUTBOUND)


def _session(crypto: Crypto, which: int) -> Session:
    return Session(Policy(key=crypto.key, ssrc_type=which, srtp_profile=_PROFILES[crypto.suite]))


_STEP: Final = 0x6000
"""Of a sequence number, small enough to be taken for one forwards."""


def go_on_sending(session: Session, ssrc: int, index: int) -> None:
    """What is sent next follows the packet of this index (RFC 3711, 3.3.1); libsrtp has no other way to be told."""
    for packet in _ladder(ssrc, index):
        session.protect(packet)


def go_on_hearing(session: Session, crypto: Crypto, ssrc: int, index: int) -> None:
    """What is heard next follows the packet of this index."""
    sender = outgoing_session(crypto)
    for packet in _ladder(ssrc, index):
        session.unprotect(sender.protect(packet))


def go_on_reporting(session: Session, ssrc: int, reports: int) -> None:
    """So many reports were sent under this key."""
    empty = struct.pack("!BBHI", 0x80, 201, 1, ssrc)
    for _ in range(reports):
        session.protect_rtcp(empty)


def _ladder(ssrc: int, index: int) -> Iterator[bytes]:
    """Packets that lead to an index, which nobody gets."""
    for rung in (*range(0, index, _STEP), *([index] if index >= 0 else [])):
        yield struct.pack("!BBHIIB", 0x80, 0, rung & 0xFFFF, 0, ssrc, 0)


class Srtp:
    """The keys of both directions of one leg. Each method returns the packet's new length, 0 if it was refused."""

    __slots__ = ("incoming", "inward", "outgoing", "outward")

    def __init__(self, incoming: Session, outgoing: Session) -> None:
        self.incoming, self.outgoing = incoming, outgoing  # the contexts live as long as these
        self.inward, self.outward = incoming._srtp[0], outgoing._srtp[0]

    def protect(self, slot: Slot, length: int) -> int:
        size = slot.size
        size[0] = length
        return 0 if protect(self.outward, slot.octets, size) else size[0]

    def unprotect(self, slot: Slot, length: int) -> int:
        size = slot.size
        size[0] = length
        return 0 if unprotect(self.inward, slot.octets, size) else size[0]

    def protect_report(self, slot: Slot, length: int) -> int:
        slot.size[0] = length
        return 0 if _protect_rtcp(self.outward, slot.octets, slot.size) else int(slot.size[0])

    def unprotect_report(self, slot: Slot, length: int) -> int:
        slot.size[0] = length
        return 0 if _unprotect_rtcp(self.inward, slot.octets, slot.size) else int(slot.size[0])
