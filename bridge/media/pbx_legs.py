"""The PBX legs of one call, each of the kind that the descriptions want."""

from __future__ import annotations

import datetime

import structlog

from ..calls.events import CallId, PbxFellSilent, PbxPressed
from .digits import HeardKeys
from .dtls_leg import DtlsLeg
from .equipment import Equipment
from .packet import HEADER
from .pages import nobody
from .pbx_leg import PbxLeg
from .pbx_sdp import PbxDescription
from .rtp import RtpLeg
from .sdp import Address

log = structlog.get_logger()


class PbxLegs:
    """Opens them, under one certificate for all, and reports the keys that come on any of them."""

    def __init__(self, call: CallId, equipment: Equipment) -> None:
        self._call, self._equipment = call, equipment
        self._heard = HeardKeys()
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
        leg.event = self._heard_key
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

    def _heard_key(self, timestamp: int, length: int) -> None:
        if key := self._heard.take(timestamp, bytes(self._equipment.buffer[HEADER:length])):
            self._equipment.post(PbxPressed(call=self._call, digits=key))

    def _failed(self, why: str) -> None:
        log.warning("pbx_voice_failed", call=self._call, why=why)
        self._equipment.post(PbxFellSilent(call=self._call))
