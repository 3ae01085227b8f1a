"""A PBX leg of RTP or SRTP over a pair of UDP ports, RTCP beside it, and where both may come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..calls.commands import Latch
from .datagrams import Datagrams, OneByOne
from .doorway import Doorway
from .lane import Exit, Lane
from .packet import HEADER, LONGEST_DATAGRAM, RTP
from .pbx_leg import PbxLeg, is_stranding
from .peer import OurEnd
from .poller import Poller
from .ports import Pair
from .progress import Cycles, Progress
from .sdes import Crypto, Keys
from .sdp import Address
from .slot import Slot
from .source import Source
from .srtp import Srtp, go_on_hearing, go_on_reporting, go_on_sending, incoming_session, outgoing_session
from .terms import Terms


class RtpLeg(PbxLeg):
    """RTP, or SRTP with keys of the SDP. `Source` says whose packets count."""

    def __init__(
        self,
        pair: Pair,
        buffer: bytearray,
        poller: Poller,
        *,
        voice: Callable[[int, float], None],
        onward: Datagrams | None = None,
    ) -> None:
        super().__init__(buffer, voice)
        self._rtp, self._rtcp = pair
        self._address: Address = self._rtp.getsockname()
        self._inlet = self._view[:LONGEST_DATAGRAM]
        self._door = Doorway(
            self._rtp,
            self._slot,
            onward or OneByOne(self._rtp, self._slot),
            arrived=self._arrived,
            unsent=self._unsent,
        )
        self._poller = poller
        self.source = Source()
        self._control: Address | None = None
        self._keys: Keys | None = None
        self._srtp: Srtp | None = None
        self._sent = Cycles(-1)
        self._heard: tuple[int, Cycles] | None = None
        """What the keys count, as far as `progress` was asked for; the second under the PBX's SSRC."""
        poller.add(self._rtp, self._door.read)
        poller.add(self._rtcp, self._read_control)

    @property
    def address(self) -> Address:
        return self._address

    def expect(self, end: OurEnd | None) -> None:
        """Nothing: who comes without DTLS is known by its address."""

    def close(self) -> None:
        self._poller.remove(self._rtp)
        self._poller.remove(self._rtcp)
        self._door.close()
        self._rtp.close()
        self._rtcp.close()

    def follow(self, terms: Terms, latch: Latch) -> None:
        """Whoever sends must prove itself again."""
        super().follow(terms, latch)
        self.source.latch = latch
        self.source.follow(terms.address)
        self._control = terms.control
        self._encrypt(terms.keys)

    def _encrypt(self, keys: Keys | None) -> None:
        """Speak SRTP with these keys, None for plain RTP; a direction whose key stays goes on counting (RFC 4568, 7.1.4)."""
        before, self._keys = self._keys, keys
        if keys is None:
            self._srtp = None
            return
        keep_in = self._srtp if before and _is_same(before.incoming, keys.incoming) else None
        keep_out = self._srtp if before and _is_same(before.outgoing, keys.outgoing) else None
        if keep_in is None or keep_out is None:
            incoming = keep_in.incoming if keep_in else incoming_session(keys.incoming)
            outgoing = keep_out.outgoing if keep_out else outgoing_session(keys.outgoing)
            self._srtp = Srtp(incoming, outgoing)
        reception = self.reports.reception
        if keep_in is None:
            self._heard = (reception.ssrc, Cycles.after(reception.highest)) if reception.ssrc >= 0 else None
        if keep_out is None:
            self._sent = Cycles.after(self.sent.sequence if self.sent else -1)

    # ---- going on elsewhere

    def take_over(self, former: PbxLeg) -> None:
        super().take_over(former)
        if isinstance(former, RtpLeg):
            self.source, self._control = former.source, former._control
            self._keys, self._srtp = former._keys, former._srtp
            self._sent, self._heard = former._sent, former._heard

    def progress(self, now: float) -> Progress | None:
        progress, reception = super().progress(now), self.reports.reception
        if progress is None:
            return None
        if reception.ssrc >= 0 and (self._heard is None or self._heard[0] != reception.ssrc):
            self._heard = reception.ssrc, Cycles(reception.highest)
        return replace(
            progress,
            sequence=self._sent.follow(progress.sequence),
            ciphered=self._srtp is not None,
            remote=self.source.remote,
            heard=(self._heard[0], self._heard[1].follow(reception.highest & 0xFFFF)) if self._heard else None,
        )

    def go_on(self, progress: Progress, now: float) -> None:
        if progress.remote is not None:
            self.source.remember(progress.remote)
        if self._srtp is None or self._keys is None or self.sent is None:
            return
        self._sent = Cycles(progress.sequence)
        go_on_sending(self._srtp.outgoing, progress.ssrc, self._sent.follow(self.sent.sequence))
        self.reports.written = progress.skipped_reports(now)
        go_on_reporting(self._srtp.outgoing, progress.ssrc, self.reports.written)
        if progress.heard is not None:
            ssrc, index = progress.heard
            go_on_hearing(self._srtp.incoming, self._keys.incoming, ssrc, index)
            self._heard = ssrc, Cycles(index)

    def send(self, length: int) -> None:
        remote, srtp = self.source.remote, self._srtp
        if remote is None:
            return
        if srtp is not None and not (length := srtp.protect(self._slot, length)):
            self.strange += 1
            return
        self._door.post(self._slot, length, remote)

    def _close_lane(self) -> None:
        self._door.lane = None

    def exit(self) -> Exit | None:
        remote = self.source.remote
        return Exit(self._srtp, self._door.post, remote) if remote is not None else None

    def _unsent(self, error: OSError) -> None:
        self.strange += 1
        self.stranded = self.stranded or is_stranding(error)

    def report(self, now: float, *, goodbye: bool = False) -> None:
        """Send RTCP: to its own port beside the voice, or with the voice where both agreed to that (RFC 5761)."""
        source, control = self.source, self._control
        if source.remote is None or control is None:
            return
        muxed = control == source.announced
        if source.remote != source.announced:  # behind NAT: what was announced is not what can be reached
            control = source.remote if muxed else (source.remote[0], source.remote[1] + 1)
        data = self.reports.write(self.sent, now, goodbye=goodbye)
        length = len(data)
        self._view[:length] = data
        if self._srtp is not None:
            length = self._srtp.protect_report(self._slot, length)
        try:
            (self._rtp if muxed else self._rtcp).sendto(self._view[:length], control)
        except (OSError, OverflowError):
            self.strange += 1

    def _arrived(self, slot: Slot, length: int, address: Address, now: float) -> None:
        if slot is not self._slot:
            self._slot.copy(slot, length)
        raw = length
        first, second, sequence, timestamp, ssrc = RTP.unpack_from(self._buffer)
        if length <= HEADER or first & 0xC0 != 0x80 or 191 < second < 224:
            self._take_control(length, address, now)
            return
        if self._srtp is not None and not (length := self._decrypted(self._srtp, length, address)):
            self.strange += 1
            return
        voice = second & 0x7F == self._payload_type
        if address != self.source.fixed and not self._believes(address, ssrc, sequence, voice):
            self.strange += 1
        else:
            self._hear(second, sequence, timestamp, ssrc, length, now)
            if voice:
                self._door.lane = Lane.opened(self._srtp, raw, self._reception, self.short)
                self._door.source = address

    def _believes(self, address: Address, ssrc: int, sequence: int, voice: bool) -> bool:
        before = self.source.remote
        believed = self.source.believes(address, ssrc, sequence, voice=voice)
        if self.source.remote != before and self.sent is not None:
            self.sent.part()
        return believed

    def _decrypted(self, srtp: Srtp, length: int, address: Address) -> int:
        """Strangers are not worth the work once the source is fixed."""
        fixed = self.source.fixed
        return srtp.unprotect(self._slot, length) if fixed is None or address == fixed else 0

    def _read_control(self, now: float) -> int:
        try:
            length, address = self._rtcp.recvfrom_into(self._inlet)
        except OSError:
            return 0
        self._take_control(length, address, now)
        return 1

    def _take_control(self, length: int, address: Address, now: float) -> None:
        """Read a report; one that does not name our stream says nothing to us."""
        known = length >= 8 and self.source.may_report(address[0]) and 191 < self._buffer[1] < 224
        if known and self._srtp is not None:
            length = self._srtp.unprotect_report(self._slot, length)
        if not known or not length:
            self.strange += 1
        elif self.sent is not None:
            self.reports.read(bytes(self._view[:length]), self.sent.ssrc, now)


def _is_same(one: Crypto, other: Crypto) -> bool:
    """Tags only name lines."""
    return (one.suite, one.key) == (other.suite, other.key)
