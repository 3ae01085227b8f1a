"""The PBXs around us: who is at the other end of a flow, what may come from there, and what we are called there."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import unquote

import structlog

from .. import config
from .address import Uri
from .agent import UserAgent
from .certificate import Certificate
from .flow import Flow
from .message import Request, Response
from .peer import Account, Peer
from .registration import Registration
from .tls import Link
from .transport import Transport, local_address

log = structlog.get_logger()

ANYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound
MOST_REMEMBERED = 1_000


class Neighbours:
    """Answers what the user agent and the transport ask about peers."""

    def __init__(self, sip: config.Sip, trunks: Sequence[config.Trunk], accounts: Iterable[Account]) -> None:
        self.peers = [Peer(trunk, of_trunk) for trunk, of_trunk in _by_trunk(trunks, accounts)]
        self._sip = sip
        self._transport: Transport | None = None
        self._agent: UserAgent | None = None
        self._own: dict[str, str] = {}
        """Our address by the peer's, where we listen on all of them."""
        self._nowhere = f"{secrets.token_hex(6)}.invalid"
        """What we are called where nobody can connect to us (RFC 7118 section 5)."""

    def live(self, transport: Transport | None, agent: UserAgent | None) -> None:
        self._transport, self._agent = transport, agent

    @property
    def registrations(self) -> Iterator[tuple[Peer, Registration]]:
        return ((peer, registration) for peer in self.peers for registration in peer.registrations.values())

    def assign(self, accounts: Iterable[Account]) -> None:
        for peer, (_, of_trunk) in zip(
            self.peers, _by_trunk([peer.trunk for peer in self.peers], accounts), strict=True
        ):
            peer.assign(of_trunk, self._agent)

    def named(self, trunk: str) -> Peer | None:
        return next((peer for peer in self.peers if peer.trunk.name == trunk), None)

    def of(self, source: Flow, account: str) -> Peer | None:
        """The PBX at the other end that has the account; several may share a host, told apart by link or port."""
        there = [peer for peer in self._at(source) if account in peer.accounts]
        exact = (peer for peer in there if (source.host, source.port) in {(w.host, w.port) for w in peer.addresses})
        return next(exact, there[0] if there else None)

    def _at(self, source: Flow) -> list[Peer]:
        peers = sorted(self.peers, key=lambda peer: peer.trunk.name != source.link)
        return [peer for peer in peers if peer.trunk.name == source.link or peer.is_at(source.host)]

    # ---- what the user agent asks

    def admits(self, source: Flow) -> bool:
        return bool(self._at(source))

    def is_ours(self, uri: Uri, source: Flow) -> bool:
        """Our accounts at that PBX, and our bare address, which trunk monitors ask for OPTIONS."""
        return not uri.user or self.of(source, unquote(uri.user)) is not None

    def outside(self, request: Request, source: Flow, now: float) -> Response | None:
        return None

    def largest(self, to: Flow) -> int:
        """Bytes that a request there may have as a datagram."""
        peer = next(iter(self._at(to)), None)
        return peer.trunk.udp_limit if peer else 0

    # ---- what connections ask

    def link(self, name: str) -> Link:
        peer = self.named(name)
        return peer.link if peer else Link()

    def link_of(self, source: Flow, certificate: Certificate) -> str | None:
        peer = next(iter(self._at(source)), None)
        return peer.trunk.name if peer else None

    def is_used(self, flow: Flow) -> bool:
        ways = {registration.way.place for _, registration in self.registrations if registration.way}
        return flow.place in ways or (self._agent is not None and self._agent.is_used(flow))

    def lost(self, flow: Flow) -> None:
        if self._agent is not None and self._transport is not None:
            for peer in self.peers:
                peer.lost(flow, self._agent, Transport.now())
            self._transport.flush()

    # ---- what we are called

    def place(self, to: Flow) -> tuple[str, int | None]:
        """Our host and port as the peer at the other end of a flow reaches us."""
        if to.protocol.is_websocket or self._transport is None:
            return self._nowhere, None
        host, port = self._transport.place(to)
        peer = next(iter(self._at(to)), None)
        advertised = (peer.trunk.advertised if peer else "") or self._sip.advertised
        if advertised and (":" in advertised) == (":" in to.host):
            return advertised, port
        return (self._own_address(to.host) if host in ANYWHERE else host), port

    def _own_address(self, host: str) -> str:
        """The address that packets to that peer leave from."""
        if host not in self._own:
            if len(self._own) >= MOST_REMEMBERED:
                self._own.clear()
            try:
                self._own[host] = local_address(host)
            except OSError as error:
                log.warning("sip_no_way_to", host=host, why=str(error))
                return self._nowhere
        return self._own[host]


def _by_trunk(
    trunks: Iterable[config.Trunk], accounts: Iterable[Account]
) -> Iterator[tuple[config.Trunk, dict[str, Account]]]:
    everybody = list(accounts)
    for trunk in trunks:
        yield trunk, {account.sip_user: account for account in everybody if account.trunk == trunk.name}
