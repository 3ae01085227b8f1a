"""One peer on one of our sockets: the way to it and the keys of its voice (ICE, DTLS-SRTP; RFC 5764)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from .dtls import Certificate, Dtls, State
from .hub import Hub
from .ice import Connection
from .lane import Lane
from .peer import Credentials, Peer
from .sdp import Address
from .srtp import Srtp

log = structlog.get_logger()

MAX_EARLY: Final = 64
"""DTLS datagrams kept until the way to the peer is found."""


class Association:
    """From a description of the peer to keys, and to the end of them.

    `media(length, now)` gets each datagram of the peer that is neither STUN nor DTLS, as it came, in the hub's buffer.
    `heard` counts the packets that were its voice. `ended(why)` is called once if the association dies by itself.
    """

    def __init__(
        self,
        hub: Hub,
        certificate: Certificate,
        credentials: Credentials,
        *,
        controlling: bool,
        media: Callable[[int, float], None],
        heard: Callable[[], int],
        ended: Callable[[str], None],
    ) -> None:
        """From now on the peer may come."""
        self.hub, self.credentials = hub, credentials
        self.media_received = media
        self.lane: Lane | None = None
        """The short way of the peer's voice, while there is one."""
        self.srtp: Srtp | None = None
        """The keys, as soon as there are any."""
        self.was_up = False
        self.renewed: Callable[[bytes], None] | None = None
        """Gets the peer's first word of another association, once there may be one."""
        self.changed: Callable[[], None] = _unnoticed
        """Called when the keys or the way to the peer have changed."""
        self.connection = Connection(hub, self, credentials, controlling=controlling, heard=heard, lost=self._lost)
        self.connection.moved = self._moved
        self._certificate = certificate
        self._ended: Callable[[str], None] | None = ended
        self._dtls: Dtls | None = None
        self._early: list[bytes] = []
        self._repeating: asyncio.TimerHandle | None = None
        self._settled = asyncio.Event()
        """The handshake has come to an end, good or bad."""

    def _moved(self) -> None:
        self.changed()

    @property
    def remote(self) -> Address | None:
        """Where the peer is met."""
        return self.connection.remote

    async def connect(self, peer: Peer, seconds: float) -> None:
        """Bring up ICE and DTLS, or end: neither gives up by itself."""
        try:
            async with asyncio.timeout(seconds):
                await self.connection.meet(peer)
                self._shake_hands(peer)
                await self._settled.wait()
        except TimeoutError:
            self._end(f"not connected within {seconds:g} s")
        except ConnectionError:
            self._end("ICE failed")
        except Exception:
            log.exception("association_failed")
            self._end("the connection could not be set up")

    def _shake_hands(self, peer: Peer) -> None:
        self._dtls = Dtls(
            self._certificate, client=peer.opened_by_us, fingerprints=peer.fingerprints, send=self._dtls_sent
        )
        self._dtls.begin()
        early, self._early = self._early, []
        for data in early:
            self._dtls.receive(data)
        self._follow(self._dtls)

    def _dtls_sent(self, data: bytes) -> None:
        if self.connection.remote is not None:
            self.hub.send(data, self.connection.remote)

    def _follow(self, dtls: Dtls) -> None:
        """What DTLS has come to, and when it wants to be woken next."""
        if self._repeating is not None:
            self._repeating.cancel()
        patience = dtls.patience
        self._repeating = None if patience is None else asyncio.get_running_loop().call_later(patience, self._repeat)
        if dtls.state is State.UP:
            if not self.was_up:
                self.was_up = True
                self.srtp = Srtp(dtls.incoming, dtls.outgoing)
                self.changed()
        elif dtls.state is State.FAILED:
            self._over("DTLS failed")
        elif dtls.state is State.CLOSED:
            self._over("the other side closed the connection")
        if dtls.state is not State.HANDSHAKE:
            self._settled.set()

    def _repeat(self) -> None:
        if self._dtls is not None:
            self._dtls.repeat()
            self._follow(self._dtls)

    def _lost(self) -> None:
        self._over("no sign of life any more")

    def _over(self, why: str) -> None:
        self.srtp = self.lane = None
        self.changed()
        self._end(why)

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
        self.srtp = self.lane = None
        self.changed()

    async def close(self) -> None:
        """Say goodbye and leave the hub; closing twice is harmless."""
        self.leave()
        self._settled.set()
        if self._repeating is not None:
            self._repeating.cancel()
        try:
            if self._dtls is not None:
                self._dtls.close()
            await self.connection.close()
        except Exception:
            log.exception("association_not_closed")
        finally:
            self.hub.forget(self.credentials.username, self)
            self.connection.let_go()
            self.media_received, self.changed, self._dtls = _nobody, _unnoticed, None

    # ---- datagrams

    def stun_received(self, data: bytes, address: Address) -> None:
        self.connection.protocol.datagram_received(data, address)

    def dtls_received(self, data: bytes) -> None:
        if self.renewed is not None and _is_client_hello(data):
            self.renewed(data)
        elif self._dtls is not None:
            self._dtls.receive(data)
            self._follow(self._dtls)
        elif len(self._early) < MAX_EARLY:
            self._early.append(data)


def _nobody(length: int, now: float) -> None:
    """Takes what comes after the end."""


def _unnoticed() -> None:
    """Nobody relies on it."""


def _is_client_hello(data: bytes) -> bool:
    """The first of a handshake, before any keys (RFC 6347, 4.1 and 4.2.2)."""
    return len(data) > 13 and data[0] == 22 and data[3:5] == b"\0\0" and data[13] == 1
