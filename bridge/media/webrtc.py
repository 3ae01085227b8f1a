"""One browser leg: ICE, DTLS and SRTP on the shared socket.

The only module that touches private names of aiortc and aioice; `tests/media/test_webrtc.py` notices when one of them is gone. Used are aiortc's transports without its peer connection, decoders and jitter buffer.
"""

from __future__ import annotations

import asyncio
import datetime
import random
import secrets
import time
from collections.abc import Callable
from typing import Final

import aioice
import structlog
from aioice import stun
from aioice.ice import CandidatePair, StunProtocol
from aiortc import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceParameters,
    RTCIceTransport,
)

from . import page_sdp, sdp
from .hub import Address, Hub
from .relay import HEADER, RTP
from .reports import Reports, Sent
from .srtp import Srtp

log = structlog.get_logger()

CERTIFICATE_LEFT: Final = datetime.timedelta(days=10)
"""aiortc's certificates live 30 days; new legs get a new one after 20."""
CONSENT_INTERVAL: Final = 5.0
CONSENT_LIFE: Final = 30.0
"""Seconds without a sign of life after which a leg is dead (RFC 7675, 5.1)."""
CONSENT_RETRIES: Final = 2
"""aioice's own check waits 500 ms for its reply; two repetitions give a long way round 3.5 s."""
MAX_SOURCES: Final = 32
"""Addresses that one page may check from; more is no page."""
MAX_WAITING: Final = 64
"""DTLS datagrams that wait to be read."""


class Certificates:
    """The certificate for new legs, renewed long before it expires."""

    def __init__(self) -> None:
        self._newest = RTCCertificate.generateCertificate()

    def current(self, now: datetime.datetime) -> RTCCertificate:
        if self._newest.expires - now < CERTIFICATE_LEFT:
            self._newest = RTCCertificate.generateCertificate()
        return self._newest


class _Transactions(dict[bytes, stun.Transaction]):
    """A leg's open STUN transactions, which the hub must know to bring the answers."""

    def __init__(self, leg: BrowserLeg) -> None:
        super().__init__()
        self._leg = leg

    def __setitem__(self, key: bytes, value: stun.Transaction) -> None:
        super().__setitem__(key, value)
        self._leg.hub.by_transaction[key] = self._leg

    def __delitem__(self, key: bytes) -> None:
        super().__delitem__(key)
        self._leg.hub.by_transaction.pop(key, None)


class _HubTransport(asyncio.DatagramTransport):
    """What aioice takes for its socket."""

    def __init__(self, leg: BrowserLeg, protocol: StunProtocol) -> None:
        super().__init__({"sockname": leg.hub.address})
        self._leg, self._protocol = leg, protocol

    def sendto(self, data: object, addr: object = None) -> None:
        self._leg.hub.send(data, addr)  # type: ignore[arg-type]  # aioice sends bytes to (host, port)

    def close(self) -> None:
        # StunProtocol.close() waits for connection_lost.
        asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)


class _Connection(aioice.Connection):
    """aioice's connection on the shared socket, for a page that comes to us: no candidates of its own are known."""

    def __init__(self, leg: BrowserLeg) -> None:
        # RELAY only keeps gather_candidates() from scanning the interfaces. aioice's user names have 4 letters, which
        # would collide on one port.
        super().__init__(
            ice_controlling=False,
            transport_policy=aioice.TransportPolicy.RELAY,
            local_username=secrets.token_hex(8),
            local_password=secrets.token_hex(16),
        )
        self.leg = leg
        self.remote: Address | None = None
        self.protocol = StunProtocol(self)
        self.protocol.transactions = _Transactions(leg)
        self._checked = asyncio.Event()
        self._incoming = 0
        self._answering = False

    async def get_component_candidates(
        self, component: int, addresses: list[str], timeout: int = 5
    ) -> list[aioice.Candidate]:
        host, port = self.leg.hub.address
        self.protocol.connection_made(_HubTransport(self.leg, self.protocol))
        self.protocol.local_candidate = aioice.Candidate("1", component, "udp", 2130706431, host, port, "host")
        self._protocols.append(self.protocol)  # close() closes what is in here
        self.leg.hub.by_username[self.local_username] = self.leg
        return [self.protocol.local_candidate]

    def request_received(self, message: stun.Message, addr: Address, protocol: StunProtocol) -> None:
        if "PRIORITY" not in message.attributes:  # aioice would raise KeyError inside connect()
            return
        known = any((c.host, c.port) == addr for c in self._remote_candidates)
        if not known and len(self._remote_candidates) >= MAX_SOURCES:
            return
        super().request_received(message, addr, protocol)
        if self._early_checks:  # holds authenticated checks only
            self._checked.set()

    def respond_error(
        self, request: stun.Message, addr: Address, protocol: StunProtocol, error_code: tuple[int, str]
    ) -> None:
        """Answer only pages that know the password: a stranger gets nothing to reflect."""
        if request.check_message_integrity(self.local_password.encode()):
            super().respond_error(request, addr, protocol, error_code)

    def check_incoming(self, message: stun.Message, addr: Address, protocol: StunProtocol) -> None:
        self._incoming += 1
        self._answering = True
        try:
            super().check_incoming(message, addr, protocol)
        finally:
            self._answering = False

    async def connect(self) -> None:
        """Wait for the page's first valid check, which makes the pair, instead of polling every 20 ms."""
        await self._checked.wait()
        if not self._closing:
            await super().connect()
        if self._closing:  # meanwhile: aioice would leave its consent task behind
            if self._query_consent_task is not None:
                self._query_consent_task.cancel()
            raise ConnectionError("closed while connecting")

    async def close(self) -> None:
        self._checked.set()
        await super().close()

    def _check_periodic(self) -> bool:
        return False

    def check_complete(self, pair: CandidatePair) -> None:
        super().check_complete(pair)
        if pair.state != CandidatePair.State.SUCCEEDED:
            return
        if not self._answering:  # the page answered our own check just now; a request alone proves nothing
            self.leg.hub.claim(pair.remote_addr, self.leg)
        if pair.nominated:
            self.remote = pair.remote_addr

    def data_received(self, data: bytes, component: int) -> None:
        if self._queue.qsize() < MAX_WAITING:
            super().data_received(data, component)

    async def query_consent(self) -> None:
        """Close the connection when nothing shows that the page lives: voice, its checks, or an answer to ours."""
        loop = asyncio.get_running_loop()
        alive, seen = loop.time(), self._signs_of_life
        while loop.time() - alive < CONSENT_LIFE:
            await asyncio.sleep(CONSENT_INTERVAL * random.uniform(0.8, 1.2))  # noqa: S311  # only spreads the load
            quiet = self._signs_of_life == seen
            if not quiet or await self._page_answers() or self._signs_of_life != seen:
                alive, seen = loop.time(), self._signs_of_life
        self._query_consent_task = None  # close() would cancel and await this very task
        await self.close()

    @property
    def _signs_of_life(self) -> int:
        return self._incoming + self.leg.received

    async def _page_answers(self) -> bool:
        key = (self.remote_password or "").encode()
        for pair in list(self._nominated.values()):
            request = self.build_request(pair, nominate=False)
            try:
                await pair.protocol.request(
                    request, pair.remote_addr, integrity_key=key, retransmissions=CONSENT_RETRIES
                )
            except stun.TransactionError:
                continue
            return True
        return False


class _Gatherer(RTCIceGatherer):
    def __init__(self, connection: _Connection) -> None:
        super().__init__(iceServers=[])  # the default is a public STUN server
        self._connection = connection  # before RTCIceTransport copies recv and send from it


class BrowserLeg:
    """One page's voice: its offer in, our answer out, RTP both ways through the hub's buffer.

    `voice(length, now)` gets every packet of the negotiated codec, decrypted, in the buffer. `ended(why)` is called once
    if the leg dies by itself.
    """

    def __init__(
        self,
        hub: Hub,
        certificate: RTCCertificate,
        *,
        voice: Callable[[int, float], None],
        ended: Callable[[str], None],
    ) -> None:
        self.hub = hub
        self.voice = voice
        self.codec: sdp.Codec
        self.ssrc = secrets.randbits(32)
        """Of the voice that we send, as the newest answer says."""
        self.reports = Reports(
            cname=page_sdp.CNAME,
            ssrc=self.ssrc,
            clock_rate=8000,
            wall=time.time() - time.monotonic(),
        )
        self.sent: Sent | None = None
        """What we send it, for the reports."""
        self.refused = 0
        """Packets from the page's address that SRTP did not accept."""
        self._ended: Callable[[str], None] | None = ended
        self._buffer = hub.buffer
        self._view, self._sendto = memoryview(hub.buffer), hub.sendto
        self._srtp: Srtp | None = None
        self._version = 0
        self._connection = _Connection(self)
        self._gatherer = _Gatherer(self._connection)
        self._ice = RTCIceTransport(self._gatherer)
        self._dtls = RTCDtlsTransport(self._ice, [certificate])
        self._dtls.on("statechange", self._dtls_changed)

    @property
    def received(self) -> int:
        """Valid RTP packets so far."""
        return self.reports.reception.packets

    @property
    def connected(self) -> bool:
        return self._srtp is not None

    # ---- offer and answer

    async def answer(self, offer: page_sdp.PageOffer, codec: sdp.Codec, ptime: int) -> str:
        """Our description; from now on the page may come."""
        await self._gatherer.gather()  # no waiting, the socket is there
        return self.reanswer(offer, codec, ptime)

    def offers(self, codec: str) -> bool:
        return any(known.name == codec for known in self._offer.audio.codecs)

    def same_page(self, offer: page_sdp.PageOffer) -> bool:
        """The offer is for the transport that stands already."""
        return self._offer.transport == offer.transport

    def reanswer(self, offer: page_sdp.PageOffer, codec: sdp.Codec, ptime: int) -> str:
        """Our description for the transport that stands, perhaps with another codec."""
        if self._version and codec != self.codec:
            self.ssrc = secrets.randbits(32)  # codecs with different clocks don't share one (RFC 7160, 4.1)
        self._offer, self.codec, self._version = offer, codec, self._version + 1
        self.reports.tune(codec.clock_rate)
        prints = self._dtls.getLocalParameters().fingerprints
        local = page_sdp.LocalTransport(
            address=self.hub.told,
            username=self._connection.local_username,
            password=self._connection.local_password,
            fingerprint=next(item.value for item in prints if item.algorithm == "sha-256"),
            ssrc=self.ssrc,
        )
        return page_sdp.write_page_answer(offer, codec, ptime, local, self._version)

    # ---- life

    async def connect(self, seconds: float) -> None:
        """Bring up ICE and DTLS, or end the leg: neither gives up by itself."""
        offer = self._offer
        try:
            async with asyncio.timeout(seconds):
                await self._ice.start(RTCIceParameters(offer.username, offer.password))
                if self._ice.state == "completed":
                    # Controlled by the page, hence DTLS client, as the answer says.
                    prints = [RTCDtlsFingerprint(*item) for item in offer.fingerprints]
                    await self._dtls.start(RTCDtlsParameters(prints))
        except TimeoutError:
            self._end(f"not connected within {seconds:g} s")
        except Exception:
            log.exception("browser_leg_failed")
            self._end("the connection could not be set up")
        else:
            if not self.connected:
                self._end("ICE or DTLS failed")

    def _dtls_changed(self) -> None:
        state = self._dtls.state
        if state == "connected":
            self._srtp = Srtp(self._buffer, self._dtls._rx_srtp, self._dtls._tx_srtp)
        elif state in ("closed", "failed"):
            self._srtp = None
            self._end("the page closed the connection" if state == "closed" else "DTLS failed")

    def _end(self, why: str) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(why)

    async def close(self) -> None:
        """Say goodbye and leave the hub; closing twice is harmless."""
        self._ended = None
        self.report(asyncio.get_running_loop().time(), goodbye=True)
        self._srtp = None
        self._dtls.remove_all_listeners()
        try:
            await self._dtls.stop()
            await self._ice.stop()
        except Exception:
            log.exception("browser_leg_not_closed")
        finally:
            self.hub.forget(self._connection.local_username, self)

    # ---- datagrams

    def stun_received(self, data: bytes, address: Address) -> None:
        self._connection.protocol.datagram_received(data, address)

    def dtls_received(self, data: bytes) -> None:
        self._connection.data_received(data, 1)

    def media_received(self, length: int, now: float) -> None:
        srtp, buffer = self._srtp, self._buffer
        if srtp is None:
            return
        if 191 < buffer[1] < 224:  # RTCP (RFC 5761, 4)
            self._report_received(srtp, length, now)
            return
        length = srtp.unprotect(length)
        if not length:
            self.refused += 1
            return
        _, second, sequence, timestamp, ssrc = RTP.unpack_from(buffer)
        if second & 0x7F == self.codec.payload_type:
            self.reports.reception.take(sequence, timestamp, ssrc, length - HEADER, now)
            self.voice(length, now)

    def _report_received(self, srtp: Srtp, length: int, now: float) -> None:
        length = srtp.unprotect_report(length)
        if not length:
            self.refused += 1
        elif self.sent is not None:
            self.reports.read(bytes(self._view[:length]), self.sent.ssrc, now)

    def send(self, length: int) -> None:
        """Encrypt the RTP packet in the buffer and send it to the page."""
        srtp, remote = self._srtp, self._connection.remote
        if srtp is not None and remote is not None and (length := srtp.protect(length)):
            self._send(length, remote)

    def report(self, now: float, *, goodbye: bool = False) -> None:
        """Send RTCP to the page; overwrites the buffer."""
        srtp, remote = self._srtp, self._connection.remote
        if srtp is None or remote is None:
            return
        data = self.reports.write(self.sent, now, goodbye=goodbye)
        self._view[: len(data)] = data
        if length := srtp.protect_report(len(data)):
            self._send(length, remote)

    def _send(self, length: int, remote: Address) -> None:
        try:
            self._sendto(self._view[:length], remote)
        except OSError:
            self.hub.unsent += 1
