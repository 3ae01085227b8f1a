"""DTLS-SRTP with one peer: datagrams in, datagrams out, keys in the end (RFC 5764, 6347). No socket, no task, no clock.

OpenSSL counts the seconds until a flight is repeated; whoever carries the datagrams calls `repeat` when they are over.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum, auto
from functools import cached_property
from typing import Any, Final

from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import SRTP_PROFILES
from OpenSSL import SSL
from pylibsrtp import Policy, Session

CERTIFICATE_LEFT: Final = datetime.timedelta(days=10)
"""aiortc's certificates live 30 days; new legs get a new one after 20."""

SESS_CACHE_OFF: Final = 0
"""SSL_SESS_CACHE_OFF of OpenSSL: nobody resumes a session, so none is remembered."""

CIPHERS: Final = b"ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES"
"""aiortc takes ECDSA only, which browsers have; most certificates of PBXs are RSA."""

DATAGRAM: Final = 1500
"""Bytes of a flight that are sent at once; ours are half as long."""

REPLAY_WINDOW: Final = 1024
"""Packets that may overtake one another."""

_HASHES: Final = {"sha-256": "sha256", "sha-384": "sha384", "sha-512": "sha512"}


class Certificate(RTCCertificate):
    """One of ours. Its OpenSSL context serves all its legs: making one is a tenth of a handshake."""

    @cached_property
    def context(self) -> Any:
        context = self._create_ssl_context(SRTP_PROFILES)
        context.set_session_cache_mode(SESS_CACHE_OFF)
        context.set_cipher_list(CIPHERS)
        return context

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, colon-separated hex."""
        return next(str(item.value) for item in self.getFingerprints() if item.algorithm == "sha-256")


class Certificates:
    """The certificate for new legs, renewed long before it expires."""

    def __init__(self) -> None:
        self._newest = Certificate.generateCertificate()

    def current(self, now: datetime.datetime) -> Certificate:
        if self._newest.expires - now < CERTIFICATE_LEFT:
            self._newest = Certificate.generateCertificate()
        return self._newest


class State(Enum):
    HANDSHAKE = auto()
    UP = auto()
    CLOSED = auto()
    """The peer has said goodbye."""
    FAILED = auto()


ALIVE: Final = (State.HANDSHAKE, State.UP)


class Dtls:
    """From the first flight to the goodbye; `send` gets what the peer is to be sent."""

    def __init__(
        self,
        certificate: Certificate,
        *,
        client: bool,
        fingerprints: Sequence[tuple[str, str]],
        send: Callable[[bytes], None],
    ) -> None:
        """`fingerprints`: hash name and colon-separated hex; the peer's certificate has to agree with each of them."""
        self.state = State.HANDSHAKE
        self.incoming: Session
        self.outgoing: Session
        """The keys, once it is up."""
        self.ssl = SSL.Connection(certificate.context)
        self._client, self._fingerprints, self._send = client, fingerprints, send
        if client:
            self.ssl.set_connect_state()
        else:
            self.ssl.set_accept_state()

    def begin(self) -> None:
        """The client speaks first."""
        self._go_on()

    def receive(self, data: bytes) -> None:
        """Take a datagram of the peer; nonsense is dropped."""
        if self.state in ALIVE:
            self.ssl.bio_write(data)
            self._go_on()

    @property
    def patience(self) -> float | None:
        """Seconds until the last flight is to be repeated; None while none is owed an answer."""
        return self.ssl.DTLSv1_get_timeout() if self.state in ALIVE else None

    def repeat(self) -> None:
        """The patience is over."""
        self.ssl.DTLSv1_handle_timeout()
        self._flush()

    def close(self) -> None:
        """Say goodbye, unless the peer has."""
        if self.state not in ALIVE:
            return
        with suppress(SSL.Error):  # where nothing was agreed yet
            self.ssl.shutdown()
        self._flush()
        self.state = State.CLOSED

    def _go_on(self) -> None:
        if self.state is State.HANDSHAKE:
            self._shake_hands()
        else:
            self._read()
        self._flush()

    def _shake_hands(self) -> None:
        try:
            self.ssl.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error:
            self.state = State.FAILED
            return
        self.state = State.UP if self._knows_the_peer() and self._take_keys() else State.FAILED

    def _read(self) -> None:
        """There is nothing to be read but alerts, and flights that are repeated."""
        try:
            while True:
                self.ssl.recv(DATAGRAM)
        except SSL.ZeroReturnError:
            self.state = State.CLOSED
        except SSL.Error:
            pass  # nothing more has come; or nonsense, which anybody can send: whether the peer lives, consent tells (RFC 7675)

    def _flush(self) -> None:
        try:
            while True:
                self._send(self.ssl.bio_read(DATAGRAM))
        except SSL.Error:  # nothing more to send
            pass

    def _knows_the_peer(self) -> bool:
        """By each of its fingerprints (RFC 8122, 5)."""
        certificate = self.ssl.get_peer_certificate()
        return (
            certificate is not None
            and bool(self._fingerprints)
            and all(
                certificate.digest(_HASHES[algorithm]).decode() == digest for algorithm, digest in self._fingerprints
            )
        )

    def _take_keys(self) -> bool:
        """False if no way to encrypt the voice was agreed."""
        name = self.ssl.get_selected_srtp_profile()
        profile = next((profile for profile in SRTP_PROFILES if profile.openssl_profile == name), None)
        if profile is None:
            return False
        size = 2 * (profile.key_length + profile.salt_length)
        secret = self.ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", size)
        clients, servers = (profile.get_key_and_salt(secret, whose) for whose in (0, 1))
        ours, theirs = (clients, servers) if self._client else (servers, clients)
        self.outgoing = _session(ours, profile.libsrtp_profile, Policy.SSRC_ANY_OUTBOUND)
        self.incoming = _session(theirs, profile.libsrtp_profile, Policy.SSRC_ANY_INBOUND)
        return True


def _session(key: bytes, profile: int, which: int) -> Session:
    policy = Policy(key=key, ssrc_type=which, srtp_profile=profile)
    policy.window_size = REPLAY_WINDOW
    return Session(policy)
