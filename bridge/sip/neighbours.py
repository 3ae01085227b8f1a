"""The PBXs around us: who is at the other end of a flow, what may come from there, and what we are called there."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from urllib.parse import unquote

import structlog

from .. import config
from .address import Uri
from .agent import UserAgent
from .certificate import Certificate
from .flow import Flow
from .gatekeeper import Gatekeeper
from .lamps import Lamps
from .message import Request, Response
from .owner import Standing
from .peer import Account, Peer
from .registration import Registration
from .summary import new_messages
from .tls import Link
from .transport import Transport, local_address

log = structlog.get_logger()

Voicemail = Callable[[str, str, int], None]
"""Hears the trunk, the account, and how many new voice messages wait for it."""
ANYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound
MOST_REMEMBERED = 1_000
OWN_ADDRESS_SECONDS = 2.0
"""Between two looks at our own addresses, where we listen on all of them."""


class Neighbours:
    """Answers what the user agent and the transport ask about peers."""

    def __init__(
        self,
        sip: config.Sip,
        trunks: Sequence[config.Trunk],
        accounts: Iterable[Account],
        lines: Sequence[config.Line] = (),
        voicemail: Voicemail = lambda trunk, account, new: None,
        moved: Callable[[], None] = lambda: None,
    ) -> None:
        """`moved` is called when a PBX is met elsewhere than before."""
        self._voicemail, self._met_elsewhere = voicemail, moved
        self._met: dict[str, str] = {}
        """Where each PBX was met when that was told last."""
        self.peers = [
            Peer(trunk, of_trunk, [line.number for line in lines if line.trunk in {"", trunk.name}])
            for trunk, of_trunk in _by_trunk(trunks, accounts)
        ]
        self.lamps = {peer.trunk.name: Lamps(peer) for peer in self.peers if peer.trunk.busy_lamps}
        """By trunk."""
        self._there: dict[str, list[Peer]] = {}
        """Who is known at an address: asked for every message."""
        for peer in self.peers:
            peer.moved = self._peer_moved
            peer.came = self._watch
        self.calls: Counter[str] = Counter()
        """At the moment, by trunk."""
        self._gatekeeper = Gatekeeper(sip, ())
        self._sip = sip
        self._transport: Transport | None = None
        self._agent: UserAgent | None = None
        self._own: dict[str, str] = {}
        """Our address by the peer's, where we listen on all of them."""
        self._nowhere = f"{secrets.token_hex(6)}.invalid"
        """What we are called where nobody can connect to us (RFC 7118 section 5)."""

    def live(self, transport: Transport | None, agent: UserAgent | None) -> None:
        """ConfigError if a password is not set that a PBX has to prove."""
        self._transport, self._agent = transport, agent
        self._there.clear()
        self.calls.clear()
        for lamps in self.lamps.values():
            lamps.forget()
        self._gatekeeper = Gatekeeper(self._sip, self.peers if transport else ())

    @property
    def registrations(self) -> Iterator[tuple[Peer, Registration]]:
        return ((peer, registration) for peer in self.peers for registration in peer.registrations.values())

    def assign(self, accounts: Iterable[Account]) -> None:
        for peer, (_, of_trunk) in zip(
            self.peers, _by_trunk([peer.trunk for peer in self.peers], accounts), strict=True
        ):
            peer.assign(of_trunk, self._agent)
        self._watch()

    def _peer_moved(self) -> None:
        self._there.clear()
        met = {peer.trunk.name: self.met_at(peer.trunk.name) for peer in self.peers}
        if met != self._met:
            self._met = met
            self._met_elsewhere()

    def met_at(self, trunk: str) -> str:
        """The address at which a PBX is met now, "" while it is not known."""
        peer = self.named(trunk)
        way = peer.way(peer.trunk.user) if peer else None
        return way.host if way else ""

    def _watch(self) -> None:
        """Extensions of whoever has an account now."""
        if self._agent is not None:
            for lamps in self.lamps.values():
                lamps.settle(self._agent, Transport.now())

    def keeps_flow(self, user: str, to: Flow) -> bool:
        """Whether an account's registrar reaches us over that very flow (RFC 5626)."""
        if not any(peer.trunk.outbound for peer in self.peers):
            return False
        peer = self.of(to, unquote(user))
        registration = peer.registration_of(unquote(user)) if peer else None
        return registration is not None and registration.flow_timer is not None

    def registered(self, registration: Registration) -> None:
        if self._agent is not None and self._transport is not None:
            for peer in self.peers:
                peer.keep_flows(self._agent, self._transport)
            for lamps in self.lamps.values():
                lamps.registered(registration, self._agent, Transport.now())

    def leave(self, agent: UserAgent, now: float) -> None:
        """Un-subscribe and un-register."""
        for lamps in self.lamps.values():
            lamps.stop(agent, now)
        for _, registration in self.registrations:
            agent.act(registration, registration.stop(now), now)

    def named(self, trunk: str) -> Peer | None:
        return next((peer for peer in self.peers if peer.trunk.name == trunk), None)

    def of(self, source: Flow, account: str) -> Peer | None:
        """The PBX at the other end that has the account; several may share a host, told apart by link or port."""
        there = [peer for peer in self.at(source) if peer.serves(account)]
        exact = (peer for peer in there if (source.host, source.port) in {(w.host, w.port) for w in peer.addresses})
        return next(exact, there[0] if there else None)

    def at(self, source: Flow) -> list[Peer]:
        """Those that may be at the other end: whose connection it is first, then those known by their address."""
        there = self._there.get(source.host)
        if there is None:
            if len(self._there) >= MOST_REMEMBERED:
                self._there.clear()
            there = self._there[source.host] = [peer for peer in self.peers if peer.is_known_at(source.host)]
        linked = self.named(source.link) if source.link else None
        return [linked, *(peer for peer in there if peer is not linked)] if linked else there

    # ---- what the user agent asks

    def standing(self, source: Flow) -> Standing:
        if self.at(source):
            return Standing.KNOWN
        return Standing.UNPROVEN if self._gatekeeper.answers_strangers else Standing.STRANGER

    def hears(self, source: Flow, now: float) -> bool:
        return bool(self.at(source)) or self._gatekeeper.hears(source, now)

    def vet(self, request: Request, source: Flow, now: float) -> Flow | Response:
        if not self.at(source):
            vetted = self._gatekeeper.vet(request, source, now)
            if isinstance(vetted, Response):
                return vetted
            source = vetted
        peer = self.of(source, unquote(Uri.parse(request.uri).user))
        if request.method == "INVITE" and not request.to_tag and peer is not None:
            return self._gatekeeper.limit(request, peer, self.calls[peer.trunk.name], now) or source
        return source

    def is_ours(self, uri: Uri, source: Flow) -> bool:
        """Our accounts at that PBX, and our bare address, which trunk monitors ask for OPTIONS."""
        return not uri.user or self.of(source, unquote(uri.user)) is not None

    def outside(self, request: Request, source: Flow, now: float) -> Response | None:
        """Everything earns the usual answer; voice messages are told on the way."""
        account = unquote(Uri.parse(request.uri).user)
        peer = self.of(source, account)
        if peer is not None and account in peer.accounts and (new := new_messages(request)) is not None:
            self._voicemail(peer.trunk.name, account, new)
        return None

    def largest(self, to: Flow) -> int:
        """Bytes that a request there may have as a datagram."""
        peer = next(iter(self._around(to)), None)
        return peer.trunk.udp_limit if peer else 0

    def _around(self, to: Flow) -> list[Peer]:
        """Whose place it is that we send to, however it proves who it is."""
        return [peer for peer in self.peers if peer.trunk.name == to.link or (not to.link and peer.is_at(to.host))]

    # ---- what connections ask

    def link(self, name: str) -> Link:
        peer = self.named(name)
        return peer.link if peer else Link()

    def link_of(self, source: Flow, certificate: Certificate) -> str | None:
        if peer := self._gatekeeper.certified(certificate) or next(iter(self.at(source)), None):
            return peer.trunk.name
        return "" if self._gatekeeper.answers_strangers else None

    def is_used(self, flow: Flow) -> bool:
        ways = {registration.way.place for _, registration in self.registrations if registration.way}
        return flow.place in ways or (self._agent is not None and self._agent.is_used(flow))

    def lost(self, flow: Flow) -> None:
        if self._agent is not None and self._transport is not None:
            for peer in self.peers:
                peer.lost(flow, self._agent, Transport.now())
            for lamps in self.lamps.values():
                lamps.lost(flow, self._agent, Transport.now())
            self._look(flow.host)
            self._transport.flush()

    # ---- what we are called

    def place(self, to: Flow) -> tuple[str, int | None]:
        """Our host and port as the peer at the other end of a flow reaches us."""
        if to.protocol.is_websocket or self._transport is None:
            return self._nowhere, None
        host, port = self._transport.place(to)
        peer = next(iter(self._around(to)), None)
        advertised = (peer.trunk.advertised if peer else "") or self._sip.advertised
        if advertised and (":" in advertised) == (":" in to.host):
            return advertised, port
        return (self._own_address(to.host) if host in ANYWHERE else host), port

    async def keep_place(self) -> None:
        """Notice that this machine has another address towards a peer, and tell the peer."""
        while True:
            await asyncio.sleep(OWN_ADDRESS_SECONDS)
            for host in list(self._own):
                self._look(host)

    def _look(self, host: str) -> None:
        before = self._own.get(host)
        with suppress(OSError):  # no way there at the moment: wait
            if before is not None and (own := local_address(host)) != before:
                log.warning("sip_own_address_changed", towards=host, before=before, now=own)
                self._own[host] = own
                self._moved(host, own)

    def _moved(self, host: str, own: str) -> None:
        """Accounts are registered anew and calls offered anew, from where we are now."""
        agent, transport = self._agent, self._transport
        if agent is None or transport is None:
            return
        transport.leave(host, own)
        now = transport.now()
        for _, registration in self.registrations:
            if registration.way is not None and registration.way.host == host:
                agent.act(registration, registration.start(now), now)
        for peer in self.peers:
            for way in (way for way in peer.addresses if way.host == host and peer.trunk.name in self.lamps):
                self.lamps[peer.trunk.name].lost(way, agent, now)
        for usage in agent.usages:
            if usage.dialog is not None and usage.dialog.peer.host == host:
                agent.act(usage, usage.moved(now), now)
        transport.flush()

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
