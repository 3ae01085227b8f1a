"""A PBX leg of DTLS-SRTP on a port of its own, with ICE where the PBX does ICE (RFC 5764, 8445)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from ..calls.commands import Latch
from .association import Association
from .dtls import Certificate
from .equipment import Equipment
from .handshake import Handshake
from .hub import Hub
from .packet import RTP
from .pbx_leg import PbxLeg, is_stranding
from .peer import Credentials, OurEnd
from .ports import Pair
from .progress import Progress
from .sdp import Address
from .terms import Terms

log = structlog.get_logger()

MAX_EARLY: Final = 8
"""DTLS datagrams kept that come before the answer which says whose they are."""


class DtlsLeg(PbxLeg):
    """The PBX's voice under the keys of one association at a time.

    The association outlives every description that agrees with it. Another one (RFC 8842, 4) takes its place on the same
    port, and our stream goes on. `failed(why)` is called if one could not be set up.
    """

    def __init__(
        self,
        equipment: Equipment,
        certificate: Certificate,
        pair: Pair,
        *,
        voice: Callable[[int, float], None],
        failed: Callable[[str], None],
    ) -> None:
        super().__init__(equipment.buffer, voice)
        # The second port is nobody else's, whether RTCP goes with the voice or not.
        rtp, self._rtcp = pair
        self._hub = Hub(rtp, equipment.buffer, equipment.poller, single=True)
        self._hub.stranger = self._dtls_from_elsewhere
        self._equipment, self._certificate, self._failed = equipment, certificate, failed
        self._handshake: Handshake | None = None
        self._current: Association | None = None
        self._offered: Association | None = None
        """Told to a PBX that has not answered yet."""
        self._open: set[Association] = set()
        self._partings: set[asyncio.Task[None]] = set()
        self._muxed = False
        self._latch = Latch.NEVER
        self._early: list[tuple[bytes, Address]] = []

    @property
    def address(self) -> Address:
        return self._hub.address

    @property
    def ready(self) -> bool:
        return self.connected

    @property
    def connected(self) -> bool:
        return self._current is not None and self._current.srtp is not None

    # ---- associations

    def expect(self, end: OurEnd | None) -> None:
        credentials = end.credentials if end is not None else None
        if credentials is None or any(known.credentials == credentials for known in self._open):
            return
        if self._offered is not None:
            self._part(self._offered)
        self._offered = self._associate(credentials, controlling=True)

    def _associate(self, credentials: Credentials, *, controlling: bool) -> Association:
        association = Association(
            self._hub,
            self._certificate,
            credentials,
            controlling=controlling,
            media=self._media_received,
            heard=lambda: self.received,
            ended=self._ended,
        )
        self._open.add(association)
        return association

    def follow(self, terms: Terms, latch: Latch) -> None:
        super().follow(terms, latch)
        self._muxed, self._latch = terms.muxed, latch
        if terms.handshake is None or terms.handshake == self._handshake:
            return
        handshake, before = terms.handshake, self._handshake
        if self.connected and before is not None and handshake.says_the_same(before):
            assert self._current is not None
            self._current.renewed = partial(self._renewed, handshake)
        else:
            self._begin(handshake)

    def _close_lane(self) -> None:
        """There is none."""

    def go_on(self, progress: Progress, now: float) -> None:
        """Nothing: the PBX has to be met anew, and new keys count from zero."""

    def _renewed(self, handshake: Handshake, data: bytes) -> None:
        """The PBX begins anew, as it was free to."""
        self._begin(handshake)
        if self._current is not None:
            self._current.dtls_received(data)

    def _begin(self, handshake: Handshake) -> None:
        self._handshake = handshake
        before, self._current = self._current, self._association_for(handshake)
        if before is not None:
            self._part(before)
        self._equipment.spawn(self._bring_up(self._current, handshake))
        early, self._early = self._early, []
        for data, address in early:
            self._dtls_from_elsewhere(data, address)

    def _association_for(self, handshake: Handshake) -> Association:
        """The one that our offer told of, if it is the PBX's answer that is followed."""
        credentials, offered = handshake.ours.credentials, self._offered
        if offered is not None and credentials == offered.credentials:
            self._offered = None
            return offered
        return self._associate(credentials or Credentials.new(secrets.token_bytes), controlling=handshake.controlling)

    async def _bring_up(self, association: Association, handshake: Handshake) -> None:
        if association is self._current:
            await association.connect(handshake.theirs, self._equipment.patience.connect)

    def _part(self, association: Association) -> None:
        association.leave()
        self._open.remove(association)
        parting = self._equipment.spawn(association.close())
        self._partings.add(parting)
        parting.add_done_callback(self._partings.discard)

    def _ended(self, why: str) -> None:
        """Only what never stood is worth a word at once: a PBX may say goodbye to DTLS just before it hangs up."""
        current = self._current
        log.warning("pbx_association_ended", why=why, was_up=current is not None and current.was_up)
        if current is not None and not current.was_up:
            self._failed(why)

    def close(self) -> None:
        self._current = self._offered = None
        for association in list(self._open):
            self._part(association)
        self._equipment.spawn(self._shut())

    async def _shut(self) -> None:
        while self._partings:
            await asyncio.wait(self._partings)
        self._hub.close()
        self._rtcp.close()

    # ---- datagrams

    def _dtls_from_elsewhere(self, data: bytes, address: Address) -> None:
        """Without ICE, whoever proves itself by DTLS is the PBX, as far as the trunk lets it come from elsewhere."""
        handshake, current = self._handshake, self._current
        if handshake is None:
            if len(self._early) < MAX_EARLY:
                self._early.append((data, address))
        elif current is not None and not current.was_up and not handshake.theirs.username:
            announced = handshake.theirs.address
            if address == announced or self._may_come_from(address, announced):
                current.connection.move(address)
                current.dtls_received(data)

    def _may_come_from(self, address: Address, announced: Address | None) -> bool:
        if self._latch is Latch.PORT:
            return announced is not None and address[0] == announced[0]
        return self._latch is Latch.ADDRESS

    def _media_received(self, length: int, now: float) -> None:
        current = self._current
        srtp = current.srtp if current is not None else None
        if srtp is None:
            return
        if 191 < self._buffer[1] < 224:  # RTCP (RFC 5761, 4)
            length = srtp.unprotect_report(self._slot, length)
            if length and self.sent is not None:
                self.reports.read(bytes(self._view[:length]), self.sent.ssrc, now)
        elif length := srtp.unprotect(self._slot, length):
            _, second, sequence, timestamp, ssrc = RTP.unpack_from(self._buffer)
            self._hear(second, sequence, timestamp, ssrc, length, now)
        if not length:
            self.strange += 1

    def send(self, length: int) -> None:
        current = self._current
        if current is not None and (srtp := current.srtp) is not None and (length := srtp.protect(self._slot, length)):
            self._put(current, length)

    def report(self, now: float, *, goodbye: bool = False) -> None:
        """Only with the voice: RTCP on a port of its own would want a handshake of its own (RFC 5764, 4.1)."""
        current = self._current
        if current is None or (srtp := current.srtp) is None or not self._muxed:
            return
        data = self.reports.write(self.sent, now, goodbye=goodbye)
        self._view[: len(data)] = data
        if length := srtp.protect_report(self._slot, len(data)):
            self._put(current, length)

    def _put(self, current: Association, length: int) -> None:
        remote = current.remote
        if remote is None:
            return
        try:
            self._hub.sendto(self._view[:length], remote)
        except OSError as error:  # full buffer or unreachable: media is not repeated
            self.strange += 1
            self.stranded = self.stranded or is_stranding(error)
