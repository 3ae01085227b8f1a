"""aioice's connection on a socket of ours, and consent that outlives a long way round (RFC 8445, 7675).

Only this module and `dtls` touch private names of aioice and aiortc; `tests/media/test_webrtc.py` notices when one of them is gone.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Final

import aioice
from aioice import stun
from aioice.ice import CandidatePair, StunProtocol

from .hub import Endpoint, Hub
from .peer import Credentials, Peer
from .sdp import Address

CONSENT_INTERVAL: Final = 5.0
CONSENT_LIFE: Final = 30.0
"""Seconds without a sign of life after which the other side is gone (RFC 7675, 5.1)."""
CONSENT_RETRIES: Final = 2
"""aioice's own check waits 500 ms for its reply; two repetitions give a long way round 3.5 s."""
MAX_SOURCES: Final = 32
"""Addresses that one peer may check from, or name; more is no honest one."""


def _nothing() -> int:
    return 0


def _nobody() -> None:
    """Whom nothing is told any more."""


class _Transactions(dict[bytes, stun.Transaction]):
    """Open STUN transactions, which the hub must know to bring the answers."""

    def __init__(self, hub: Hub, endpoint: Endpoint) -> None:
        super().__init__()
        self._hub, self._endpoint = hub, endpoint

    def __setitem__(self, key: bytes, value: stun.Transaction) -> None:
        super().__setitem__(key, value)
        self._hub.by_transaction[key] = self._endpoint

    def __delitem__(self, key: bytes) -> None:
        super().__delitem__(key)
        self._hub.by_transaction.pop(key, None)


class _HubTransport(asyncio.DatagramTransport):
    """What aioice takes for its socket."""

    def __init__(self, hub: Hub, protocol: StunProtocol) -> None:
        super().__init__({"sockname": hub.address})
        self._hub, self._protocol = hub, protocol

    def sendto(self, data: object, addr: object = None) -> None:
        self._hub.send(data, addr)  # type: ignore[arg-type]  # aioice sends bytes to (host, port)

    def close(self) -> None:
        # StunProtocol.close() waits for connection_lost.
        asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)


class Connection(aioice.Connection):
    """The way to one peer: found by checks, or, without ICE, the address that it announced.

    A peer that names no address is met as peer-reflexive, when its first check comes. `endpoint` is whose the datagrams
    are, `heard` counts its voice.
    """

    def __init__(
        self,
        hub: Hub,
        endpoint: Endpoint,
        credentials: Credentials,
        *,
        controlling: bool,
        heard: Callable[[], int],
        lost: Callable[[], None],
    ) -> None:
        """`lost()` is called when the peer has shown no sign of life for too long, and the connection is closed."""
        # RELAY only keeps host names from being looked up.
        super().__init__(
            ice_controlling=controlling,
            transport_policy=aioice.TransportPolicy.RELAY,
            local_username=credentials.username,
            local_password=credentials.password,
        )
        self._hub, self._endpoint, self._heard, self._lost = hub, endpoint, heard, lost
        self.remote: Address | None = None
        self.moved: Callable[[], None] = _nowhere
        """Called when `remote` has changed."""
        self.protocol = StunProtocol(self)
        self.protocol.transactions = _Transactions(hub, endpoint)
        self._fixed: Address | None = None
        self._searching = False
        self._checked = asyncio.Event()
        self._incoming = 0
        self._answering = False
        self._come_in()

    def _come_in(self) -> None:
        """What gathering would find out: the socket is there."""
        host, port = self._hub.address
        self.protocol.connection_made(_HubTransport(self._hub, self.protocol))
        self.protocol.local_candidate = aioice.Candidate("1", 1, "udp", 2130706431, host, port, "host")
        self._protocols.append(self.protocol)  # close() closes what is in here
        self._local_candidates_end = True
        self._hub.by_username[self.local_username] = self._endpoint

    async def meet(self, peer: Peer) -> None:
        """Find the way to this peer, or ConnectionError."""
        self.remote_is_lite, self.remote_username, self.remote_password = peer.lite, peer.username, peer.password
        self._fixed = None if peer.username else peer.address
        for at, (host, port) in enumerate(peer.candidates[:MAX_SOURCES]):
            self._searching = True
            await self.add_remote_candidate(aioice.Candidate(str(at), 1, "udp", 2130706431 - at, host, port, "host"))
        await self.connect()

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
        """Answer only those who know the password: a stranger gets nothing to reflect."""
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
        """Find the way, or ConnectionError. A peer that only comes to us is waited for instead of polling every 20 ms."""
        if self._fixed is not None:
            if self._closing:
                raise ConnectionError("closed before it was connected")
            self.move(self.remote or self._fixed)
            return
        if not self._searching:
            await self._checked.wait()
        if not self._closing:
            await super().connect()
        if self._closing:  # meanwhile: aioice would leave its consent task behind
            if self._query_consent_task is not None:
                self._query_consent_task.cancel()
            raise ConnectionError("closed while connecting")

    def move(self, address: Address) -> None:
        """Without ICE, this address is the way; the proof is the DTLS that follows."""
        candidate = aioice.Candidate("1", 1, "udp", 2130706431, *address, "host")
        candidate._network_host = address[0]  # what add_remote_candidate() sets
        self._nominated[1] = CandidatePair(self.protocol, candidate)
        self._meet(address)
        self._hub.claim(address, self._endpoint)

    async def close(self) -> None:
        self._checked.set()
        await super().close()

    def let_go(self) -> None:
        """Once it is closed: hold nothing that holds it, or all that belongs to a call would wait for the garbage collector."""
        self._check_list.clear()
        self._nominated.clear()
        self.protocol.transactions = {}
        self.protocol.receiver = self.protocol.transport = None  # type: ignore[assignment]  # nothing comes or goes
        self._endpoint = None  # type: ignore[assignment]  # nor is claimed for it
        self._heard, self._lost, self.moved = _nothing, _nobody, _nowhere

    def _check_periodic(self) -> bool:
        return self._searching and super()._check_periodic()

    def check_complete(self, pair: CandidatePair) -> None:
        super().check_complete(pair)
        if pair.state != CandidatePair.State.SUCCEEDED:
            return
        if not self._answering:  # the peer answered our own check just now; a request alone proves nothing
            self._hub.claim(pair.remote_addr, self._endpoint)
        if pair.nominated:
            self._meet(pair.remote_addr)

    def _meet(self, address: Address) -> None:
        self.remote = address
        self.moved()

    def data_received(self, data: bytes, component: int) -> None:
        """Nothing: the hub tells DTLS from STUN, and what is neither is nobody's."""

    async def query_consent(self) -> None:
        """Close the connection when nothing shows that the peer lives: voice, its checks, or an answer to ours."""
        loop = asyncio.get_running_loop()
        alive, seen = loop.time(), self._signs_of_life
        while loop.time() - alive < CONSENT_LIFE:
            await asyncio.sleep(CONSENT_INTERVAL * random.uniform(0.8, 1.2))  # noqa: S311  # only spreads the load
            quiet = self._signs_of_life == seen
            if not quiet or await self._peer_answers() or self._signs_of_life != seen:
                alive, seen = loop.time(), self._signs_of_life
        self._query_consent_task = None  # close() would cancel and await this very task
        await self.close()
        self._lost()

    @property
    def _signs_of_life(self) -> int:
        return self._incoming + self._heard()

    async def _peer_answers(self) -> bool:
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


def _nowhere() -> None:
    """Nobody has to know where the peer is met."""
