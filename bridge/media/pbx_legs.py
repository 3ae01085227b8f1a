"""The PBX legs of one call, each of the kind that the descriptions want."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import structlog

from ..calls.events import CallId, PbxFellSilent
from .dtls_leg import DtlsLeg
from .equipment import Equipment
from .pages import nobody
from .pbx_leg import PbxLeg
from .pbx_sdp import PbxDescription
from .rtp import RtpLeg
from .sdp import Address

log = structlog.get_logger()


class PbxLegs:
    """Opens them, under one certificate for all; `key` gets their telephone-events."""

    def __init__(self, call: CallId, equipment: Equipment, key: Callable[[int, int], None]) -> None:
        self._call, self._equipment, self._key = call, equipment, key
        self._certificate = equipment.certificates.current(datetime.datetime.now(datetime.UTC))
        self.fingerprint = self._certificate.fingerprint

    def open(self, *, by_dtls: bool, ipv6: bool, towards: str, at: Address | None = None) -> PbxLeg:
        """A leg on a port of its own for voice with that host; PortsExhaustedError.

        `at`: where it was in another process, if that is there to be had.
        """
        equipment = self._equipment
        home = equipment.homes.towards(towards, equipment.clock(), ipv6=ipv6)
        pair = equipment.ports.bind(home, at)
        leg: PbxLeg
        if by_dtls:
            leg = DtlsLeg(equipment, self._certificate, pair, voice=nobody, failed=self._failed)
        else:
            leg = RtpLeg(pair, equipment.buffer, equipment.poller, voice=nobody, onward=equipment.hub.datagrams)
        leg.event = self._key
        return leg

    def carrying(self, offer: PbxDescription | None, leg: PbxLeg) -> PbxLeg:
        """The leg itself if it can carry what the PBX offers, else another one; PortsExhaustedError."""
        if offer is None:
            return leg
        by_dtls, ipv6 = offer.peer is not None, offer.ipv6
        if offer.address is None and not by_dtls:  # the hold of RFC 2543 names no address of either kind
            ipv6 = leg.ipv6
        if (by_dtls, ipv6) == (isinstance(leg, DtlsLeg), leg.ipv6):
            return leg
        return self.open(by_dtls=by_dtls, ipv6=ipv6, towards=offer.address[0] if offer.address else "")

    def close(self) -> None:
        """Nobody gets any keys any more; who got them owns this."""
        self._key = _no_key

    def _failed(self, why: str) -> None:
        log.warning("pbx_voice_failed", call=self._call, why=why)
        self._equipment.post(PbxFellSilent(call=self._call))


def _no_key(number: int, duration: int) -> None:
    pass
