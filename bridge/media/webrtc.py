"""One browser leg: the page's offer in, our answer out, RTP both ways on the shared socket."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from . import page_sdp, sdp
from .association import Association
from .datagrams import Name
from .dtls import Certificate
from .hub import Hub
from .lane import Exit, Lane, Way, no_way
from .packet import RTP
from .peer import Credentials, OurEnd
from .reports import Reports
from .sdp import Address
from .srtp import Srtp
from .stream import Stream


class BrowserLeg:
    """One page's voice, through the hub's buffer.

    `voice(length, now)` gets every packet of the negotiated codec, decrypted, in the buffer. `ended(why)` is called once
    if the leg dies by itself.
    """

    def __init__(
        self,
        hub: Hub,
        certificate: Certificate,
        *,
        voice: Callable[[int, float], None],
        ended: Callable[[str], None],
    ) -> None:
        self.hub = hub
        self._voice = voice
        self.short: Callable[[], Way | None] = no_way
        """How packets may go by without being heard, if they may."""
        self.codec: sdp.Codec
        self.ssrc = secrets.randbits(32)
        """Of the voice that we send, as the newest answer says."""
        self.reports = Reports(
            cname=page_sdp.CNAME,
            ssrc=self.ssrc,
            clock_rate=8000,
            wall=time.time() - time.monotonic(),
        )
        self._reception, self._payload_type = self.reports.reception, -1
        self.sent: Stream | None = None
        """What we send it, for the reports."""
        self.refused = 0
        """Packets from the page's address that SRTP did not accept."""
        self._buffer = hub.buffer
        self._slot, self._view, self._post = hub.slot, hub.slot.view, hub.post
        self._remote: Address | None = None
        self._name: Name = 0
        """Of that address."""
        self._version = 0
        self._fingerprint = certificate.fingerprint
        self.association = Association(
            hub,
            certificate,
            Credentials.new(secrets.token_bytes),
            controlling=False,
            media=self._media_received,
            heard=lambda: self.received,
            ended=ended,
        )
        self.association.changed = self._changed
        self._connection = self.association.connection

    @property
    def received(self) -> int:
        """Valid RTP packets so far."""
        return self._reception.packets

    @property
    def connected(self) -> bool:
        return self.association.srtp is not None

    # ---- offer and answer

    def offers(self, codec: str) -> bool:
        return any(known.name == codec for known in self._offer.audio.codecs)

    def same_page(self, offer: page_sdp.PageOffer) -> bool:
        """The offer is for the transport that stands already."""
        return self._offer.peer == offer.peer

    def answer(self, offer: page_sdp.PageOffer, codec: sdp.Codec, ptime: int) -> str:
        """Our description, the first or one for the transport that stands, perhaps with another codec."""
        if self._version and codec != self.codec:
            self.ssrc = secrets.randbits(32)  # codecs with different clocks don't share one (RFC 7160, 4.1)
        self._offer, self.codec, self._version = offer, codec, self._version + 1
        self._payload_type, self.association.lane = codec.payload_type, None
        self.reports.tune(codec.clock_rate)
        local = page_sdp.LocalTransport(
            address=self.hub.told,
            end=OurEnd(credentials=self.association.credentials, fingerprint=self._fingerprint, setup="active"),
            ssrc=self.ssrc,
        )
        return page_sdp.write_page_answer(offer, codec, ptime, local, self._version)

    # ---- life

    async def connect(self, seconds: float) -> None:
        """Bring up ICE and DTLS, or end the leg. Controlled by the page, hence DTLS client, as the answer says."""
        await self.association.connect(self._offer.peer, seconds)

    async def close(self) -> None:
        """Say goodbye and leave the hub; closing twice is harmless."""
        self.report(time.monotonic(), goodbye=True)
        await self.association.close()

    # ---- datagrams

    def _media_received(self, length: int, now: float) -> None:
        srtp, buffer = self.association.srtp, self._buffer
        if srtp is None:
            return
        if 191 < buffer[1] < 224:  # RTCP (RFC 5761, 4)
            self._report_received(srtp, length, now)
            return
        self.association.lane = None
        raw, length = length, srtp.unprotect(self._slot, length)
        if not length:
            self.refused += 1
            return
        _, second, sequence, timestamp, ssrc = RTP.unpack_from(buffer)
        if second & 0x7F == self._payload_type:
            self._reception.take(sequence, timestamp, ssrc, now)
            self._voice(length, now)
            self.association.lane = Lane.opened(srtp, raw, self._reception, self.short)

    @property
    def voice(self) -> Callable[[int, float], None]:
        return self._voice

    @voice.setter
    def voice(self, voice: Callable[[int, float], None]) -> None:
        self._voice, self.short, self.association.lane = voice, no_way, None

    def _report_received(self, srtp: Srtp, length: int, now: float) -> None:
        length = srtp.unprotect_report(self._slot, length)
        if not length:
            self.refused += 1
        elif self.sent is not None:
            self.reports.read(bytes(self._view[:length]), self.sent.ssrc, now)

    def send(self, length: int) -> None:
        """Encrypt the RTP packet in the buffer and send it to the page."""
        srtp, remote = self.association.srtp, self._connection.remote
        if srtp is not None and remote is not None and (length := srtp.protect(self._slot, length)):
            if remote is not self._remote:
                self._meet(remote)
            self._post(self._slot, length, self._name)

    def exit(self) -> Exit | None:
        """How packets are sent, until `sent` is parted."""
        srtp, remote = self.association.srtp, self._connection.remote
        return None if srtp is None or remote is None else Exit(srtp, self._post, self.hub.name(remote))

    def _changed(self) -> None:
        if self.sent is not None:
            self.sent.part()

    def report(self, now: float, *, goodbye: bool = False) -> None:
        """Send RTCP to the page; overwrites the buffer."""
        srtp, remote = self.association.srtp, self.association.remote
        if srtp is None or remote is None:
            return
        data = self.reports.write(self.sent, now, goodbye=goodbye)
        self._view[: len(data)] = data
        if length := srtp.protect_report(self._slot, len(data)):
            self._post(self._slot, length, self.hub.name(remote))

    def _meet(self, remote: Address) -> None:
        self._remote, self._name = remote, self.hub.name(remote)
