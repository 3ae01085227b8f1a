"""One peer on one of our sockets: the way to it and the keys of its voice (ICE, DTLS-SRTP; RFC 5764).

Used are aiortc's transports without its peer connection, decoders and jitter buffer.
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from typing import Any, Final

import structlog
from aiortc import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceParameters,
    RTCIceTransport,
)

from .hub import Address, Hub
from .ice import Connection
from .peer import Credentials, Peer
from .srtp import Srtp

log = structlog.get_logger()

CERTIFICATE_LEFT: Final = datetime.timedelta(days=10)
"""aiortc's certificates live 30 days; new legs get a new one after 20."""


SESS_CACHE_OFF: Final = 0
"""SSL_SESS_CACHE_OFF of OpenSSL: nobody resumes a session, so none is remembered."""


CIPHERS: Final = b"ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES"
"""aiortc takes ECDSA only, which browsers have; most certificates of PBXs are RSA."""


class Certificate(RTCCertificate):
    """One of ours. Its OpenSSL context serves all its legs: making one is a tenth of a handshake."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._contexts: dict[bytes, Any] = {}

    def _create_ssl_context(self, srtp_profiles: list[Any]) -> Any:
        """What aiortc asks for with each leg."""
        profiles = b":".join(profile.openssl_profile for profile in srtp_profiles)
        if profiles not in self._contexts:
            self._contexts[profiles] = super()._create_ssl_context(srtp_profiles)
            self._contexts[profiles].set_session_cache_mode(SESS_CACHE_OFF)
            self._contexts[profiles].set_cipher_list(CIPHERS)
        return self._contexts[profiles]


class Certificates:
    """The certificate for new legs, renewed long before it expires."""

    def __init__(self) -> None:
        self._newest = Certificate.generateCertificate()

    def current(self, now: datetime.datetime) -> Certificate:
        if self._newest.expires - now < CERTIFICATE_LEFT:
            self._newest = Certificate.generateCertificate()
        return self._newest


def fingerprint(certificate: RTCCertificate) -> str:
    """SHA-256, colon-separated hex."""
    prints = certificate.getFingerprints()
    return next(str(item.value) for item in prints if item.algorithm == "sha-256")


class _Gatherer(RTCIceGatherer):
    def __init__(self, connection: Connection) -> None:
        super().__init__(iceServers=[])  # the default is a public STUN server
        self._connection = connection  # before RTCIceTransport copies recv and send from it


class Association:
    """From a description of the peer to keys, and to the end of them.

    `media(length, now)` gets each datagram of the peer that is neither STUN nor DTLS, as it came, in the hub's buffer.
    `heard` counts the packets that were its voice. `ended(why)` is called once if the association dies by itself.
    """

    def __init__(
        self,
        hub: Hub,
        certificate: RTCCertificate,
        credentials: Credentials,
        *,
        controlling: bool,
        media: Callable[[int, float], None],
        heard: Callable[[], int],
        ended: Callable[[str], None],
    ) -> None:
        self.hub, self.credentials = hub, credentials
        self.media_received = media
        self.srtp: Srtp | None = None
        """The keys, as soon as there are any."""
        self.was_up = False
        self.renewed: Callable[[bytes], None] | None = None
        """Gets the peer's first word of another association, once there may be one."""
        self._ended: Callable[[str], None] | None = ended
        self.connection = Connection(hub, self, credentials, controlling=controlling, heard=heard)
        self._gatherer = _Gatherer(self.connection)
        self._ice = RTCIceTransport(self._gatherer)
        self._dtls = RTCDtlsTransport(self._ice, [certificate])
        self._dtls.on("statechange", self._dtls_changed)

    @property
    def remote(self) -> Address | None:
        """Where the peer is met."""
        return self.connection.remote

    async def open(self) -> None:
        """From now on the peer may come."""
        await self._gatherer.gather()  # no waiting, the socket is there

    async def connect(self, peer: Peer, seconds: float) -> None:
        """Bring up ICE and DTLS, or end: neither gives up by itself."""
        try:
            async with asyncio.timeout(seconds):
                await self.connection.meet(peer)
                await self._ice.start(RTCIceParameters(peer.username, peer.password, peer.lite))
                if self._ice.state == "completed":
                    self._dtls._set_role("client" if peer.opened_by_us else "server")
                    prints = [RTCDtlsFingerprint(*item) for item in peer.fingerprints]
                    await self._dtls.start(RTCDtlsParameters(prints))
        except TimeoutError:
            self._end(f"not connected within {seconds:g} s")
        except Exception:
            log.exception("association_failed")
            self._end("the connection could not be set up")
        else:
            if self.srtp is None:
                self._end("ICE or DTLS failed")

    def _dtls_changed(self) -> None:
        state = self._dtls.state
        if state == "connected":
            self.was_up = True
            self.srtp = Srtp(self.hub.buffer, self._dtls._rx_srtp, self._dtls._tx_srtp)
        elif state in ("closed", "failed"):
            self.srtp = None
            silent, why = self.connection.silent, "the other side closed the connection"
            self._end("DTLS failed" if state == "failed" else "no sign of life any more" if silent else why)

    def _end(self, why: str) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(why)

    def disregard(self) -> None:
        """Nobody wants to know any more how it ends."""
        self._ended = None

    def leave(self) -> None:
        """What comes of it is of no interest any more."""
        self.disregard()
        self.srtp = None

    async def close(self) -> None:
        """Say goodbye and leave the hub; closing twice is harmless."""
        self.leave()
        self._dtls.remove_all_listeners()
        try:
            await self._dtls.stop()
            await self._ice.stop()
        except Exception:
            log.exception("association_not_closed")
        finally:
            self.hub.forget(self.credentials.username, self)
            self.connection.let_go()
            self.media_received = _nobody

    # ---- datagrams

    def stun_received(self, data: bytes, address: Address) -> None:
        self.connection.protocol.datagram_received(data, address)

    def dtls_received(self, data: bytes) -> None:
        if self.renewed is not None and _is_client_hello(data):
            self.renewed(data)
        else:
            self.connection.data_received(data, 1)


def _nobody(length: int, now: float) -> None:
    """Takes what comes after the end."""


def _is_client_hello(data: bytes) -> bool:
    """The first of a handshake, before any keys (RFC 6347, 4.1 and 4.2.2)."""
    return len(data) > 13 and data[0] == 22 and data[3:5] == b"\0\0" and data[13] == 1
