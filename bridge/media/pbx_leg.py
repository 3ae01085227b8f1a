"""The PBX's voice, however it is carried."""

from __future__ import annotations

import errno
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from ..calls.commands import Latch
from .lane import Exit, Way, no_way
from .peer import OurEnd
from .progress import Progress
from .reports import Reports
from .sdp import Address, is_ipv6
from .slot import Slot
from .stream import Stream
from .terms import Terms

_STRANDING = {errno.EINVAL, errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.ENETDOWN}


class PbxLeg(ABC):
    """One port for the voice of a PBX. `rtp.RtpLeg` speaks RTP and SRTP with keys of the SDP, `dtls_leg.DtlsLeg` DTLS-SRTP.

    `voice(length, now)` gets every packet of the negotiated codec, in the buffer.
    """

    def __init__(self, buffer: bytearray, voice: Callable[[int, float], None]) -> None:
        self._slot, self._buffer = Slot(buffer), buffer
        self._view = self._slot.view
        self._voice = voice
        self.short: Callable[[], Way | None] = no_way
        """How packets may go by without being heard, if they may."""
        self.event: Callable[[int, int], None] = _unheard
        """Gets the timestamp and length of each telephone-event, in the buffer."""
        self.reports = Reports(
            cname=secrets.token_hex(8),
            ssrc=secrets.randbits(32),
            clock_rate=8000,
            wall=time.time() - time.monotonic(),
        )
        self._reception = self.reports.reception
        self.sent: Stream | None = None
        """What we send it, for the reports."""
        self.strange = 0
        """Packets that were not believed, or not sent."""
        self.stranded = False
        """Nothing can be sent from its address any more."""
        self._payload_type = -1
        self._event_type: int | None = None

    @property
    @abstractmethod
    def address(self) -> Address:
        """What the PBX is told."""

    @property
    def ready(self) -> bool:
        """Voice can be sent."""
        return True

    @property
    def ipv6(self) -> bool:
        return is_ipv6(self.address[0])

    @property
    def received(self) -> int:
        """Packets that were believed, telephone-events and comfort noise among them."""
        return self._reception.packets

    @abstractmethod
    def expect(self, end: OurEnd | None) -> None:
        """The PBX is told this of our end: it may come from now on."""

    def follow(self, terms: Terms, latch: Latch) -> None:
        """What is agreed from now on."""
        self._payload_type, self._event_type = terms.payload_type, terms.event_type
        self.reports.tune(terms.clock_rate)
        self._close_lane()
        if self.sent is not None:
            self.sent.part()

    def take_over(self, former: PbxLeg) -> None:
        """Be the same leg at another place: what is counted is one, whoever of the two hears it."""
        self.reports, self.sent, self.event = former.reports, former.sent, former.event
        self._payload_type, self._event_type = former._payload_type, former._event_type

    def progress(self, now: float) -> Progress | None:
        """How far its streams have come; to be asked for every few minutes at least. None before there is any."""
        sent = self.sent
        if sent is None:
            return None
        return Progress(
            at=now,
            ssrc=sent.ssrc,
            sequence=sent.sequence,
            timestamp=sent.timestamp,
            spoke=sent.spoke,
            packets=sent.packets,
            octets=sent.octets,
            reports=self.reports.written,
            ciphered=False,
            remote=None,
            heard=None,
        )

    @abstractmethod
    def go_on(self, progress: Progress, now: float) -> None:
        """Take up what another process had counted, once it follows the same terms; `sent` has taken up its part."""

    @property
    def voice(self) -> Callable[[int, float], None]:
        return self._voice

    @voice.setter
    def voice(self, voice: Callable[[int, float], None]) -> None:
        self._voice, self.short = voice, no_way
        self._close_lane()

    @abstractmethod
    def send(self, length: int) -> None:
        """Send the packet in the buffer, which is encrypted there if it is to be."""

    @abstractmethod
    def _close_lane(self) -> None:
        """What comes goes the long way, which may open the short one again."""

    def exit(self) -> Exit | None:
        """How packets are sent until `sent` is parted; None if each is to be given to `send`."""
        return None

    @abstractmethod
    def report(self, now: float, *, goodbye: bool = False) -> None:
        """Send RTCP; overwrites the buffer."""

    @abstractmethod
    def close(self) -> None:
        """Without a word to the PBX but what DTLS says."""

    def _hear(self, second: int, sequence: int, timestamp: int, ssrc: int, length: int, now: float) -> None:
        """Take a believed packet, plain in the buffer; `second` is its second octet."""
        if second & 0x7F == self._payload_type:
            self._reception.take(sequence, timestamp, ssrc, now)
            self._voice(length, now)
        else:
            self._reception.pass_over(sequence, ssrc)
            if second & 0x7F == self._event_type:
                self.event(timestamp, length)


def is_stranding(error: OSError) -> bool:
    """What the system says to a packet from an address that is not ours any more, or with no way to go."""
    return error.errno in _STRANDING


def _unheard(timestamp: int, length: int) -> None:
    """Keys that nobody waits for yet."""
