"""One PBX as the trunk sees it: where it is, who of ours has an account there, and whether they are registered."""

from __future__ import annotations

import asyncio
import secrets
import socket
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Protocol as Interface
from urllib.parse import quote, unquote

from pydantic import SecretStr

from .. import config
from ..errors import ConfigError
from .address import NameAddr, Uri
from .agent import UserAgent
from .checkup import Checkup
from .dialog import Identity
from .flow import Flow, Protocol, bracketed
from .flows import Flows
from .framer import PING
from .login import Login
from .message import Request
from .party import called, caller, plain
from .phrasebook import dialled_line
from .probe import Probe
from .registration import Registration, State
from .resolve import Resolver, Server
from .tls import Link, client_context
from .transaction import Send
from .transport import Transport

KEEP_ALIVE_SECONDS = 25.0
"""Most NATs forget a UDP flow after 30 s."""
PACE_SECONDS = 0.01
"""Between two accounts at the start: a PBX takes a hundred a second with ease."""
RESOLVE_SECONDS = 5.0
"""As long as a call waits for the name of its PBX …"""
REFRESH_SECONDS = 0.5
"""… and for a newer answer, where an old one will do."""
REMEMBERED_SECONDS = 3600.0
"""An address that DNS names no more still is the PBX for so long: its calls go on."""


class Account(Interface):
    """Somebody of ours at a PBX."""

    @property
    def trunk(self) -> str: ...

    @property
    def sip_user(self) -> str: ...

    @property
    def password(self) -> SecretStr:
        """ConfigError if it is not set."""

    @property
    def caller_id(self) -> str:
        """The number that their calls show, "" for the trunk's."""


class Peer:
    """`accounts` by their SIP user; `lines` are the numbers that a trunk may deliver, beside those of its operators."""

    def __init__(self, trunk: config.Trunk, accounts: Mapping[str, Account], lines: Iterable[str] = ()) -> None:
        self.trunk = trunk
        self.accounts = accounts
        self._lines = {plain(line): line for line in lines}
        self.addresses: tuple[Flow, ...] = ()
        """Where to send requests, best first; empty until its name is resolved."""
        self.registrations: dict[str, Registration] = {}
        """By SIP user."""
        self.checkup: Checkup | None = None
        """None where it is not to be asked, and while nothing runs."""
        self.link = Link()
        host, port = trunk.address
        protocol = None if trunk.transport == "auto" else Protocol(trunk.transport.upper())
        self._server = Server(host=host, port=port, protocol=protocol, link=trunk.name)
        self._scheme = "sips" if trunk.sips else "sip"
        self._domain = trunk.domain or bracketed(host)
        self._port = None if trunk.domain or port == 5060 else port
        self.moved: Callable[[], None] = lambda: None
        """Called when other addresses are the PBX's from now on."""
        self.came: Callable[[], None] = lambda: None
        """Called when its address is known for the first time."""
        self._hosts: dict[str, float] = {}
        """Every address it had, and until when it counts."""
        self._avoided: dict[Flow, float] = {}
        self._probes: dict[Flow, Probe] = {}
        self._started = False
        self._flows = Flows()
        self._resolver: Resolver | None = None

    # ---- calls

    def uri(self, user: str) -> Uri:
        """Somebody at this PBX; `user` as it is meant, to be escaped (RFC 3261, 25.1)."""
        return Uri(self._scheme, quote(user, safe="-_.!~*'()&=+$,;?/"), "", self._domain, self._port)

    def identity(self, account: str) -> Uri:
        """An account as From and To name it: whatever the port, it belongs to the domain."""
        uri = self.uri(account)
        return Uri(uri.scheme, uri.user, "", uri.host)

    @property
    def is_trunk(self) -> bool:
        """One account for all, or none."""
        return self.trunk.kind == "trunk"

    def serves(self, user: str) -> bool:
        """Whether the PBX may call this user; what a trunk means is told by more than that (`called`)."""
        return self.is_trunk or user in self.accounts

    def called(self, invite: Request) -> tuple[str, str] | None:
        """Account and line of a call; None if it is for nobody of ours."""
        if self.is_trunk:
            return called(invite, self.accounts, self._lines)
        account = unquote(Uri.parse(invite.uri).user)
        return (account, dialled_line(invite, account)) if account in self.accounts else None

    def caller(self, account: str) -> tuple[NameAddr, list[tuple[str, str]]]:
        """From, and the headers that say who really calls."""
        trunk = self.trunk
        number = self.accounts[account].caller_id or trunk.caller_id
        if not self.is_trunk:
            who, headers = caller(number or account, self._domain, trunk.identity, withheld=trunk.withhold)
            return (who if trunk.withhold else NameAddr("", self.identity(account))), headers
        return caller(number or trunk.user or account, self._domain, trunk.identity, withheld=trunk.withhold)

    def login(self, account: str) -> Login | None:
        """None without a password: a PBX where nobody registers may know us by our address."""
        if self.is_trunk and not self.trunk.password_env:
            return None
        try:
            return self._login(account)
        except ConfigError:
            if self.trunk.register_accounts:
                raise
            return None

    @property
    def routes(self) -> tuple[str, ...]:
        """What every request outside a dialog has to pass: an outbound proxy."""
        if not self.trunk.route:
            return ()
        host, port = self.trunk.address
        return (f"<{Uri(self._scheme, '', '', bracketed(host), port, (('lr', None),))}>",)

    def routes_of(self, account: str) -> tuple[str, ...]:
        """Where the registrar wants an account's calls to go, else as every request (RFC 3608)."""
        registration = self.registration_of(account)
        return (registration.service if registration else ()) or self.routes

    def registration_of(self, account: str) -> Registration | None:
        return self.registrations.get(self.trunk.user if self.is_trunk else account)

    def is_at(self, host: str) -> bool:
        """Whether the PBX sends from this address."""
        return host in self._hosts or any(ip_address(host) in network for network in self.trunk.networks)

    def is_known_at(self, host: str) -> bool:
        """Whether that address alone proves that it is the PBX."""
        return self.trunk.known_by == "address" and self.is_at(host)

    def way(self, account: str) -> Flow | None:
        """Where the account is registered, else the best address of those that were not silent."""
        registration = self.registration_of(account)
        known = registration.way if registration else None
        return known or min(self.addresses, key=lambda way: self._avoided.get(way, 0.0), default=None)

    async def ways(self, account: str, now: float) -> tuple[Flow, ...]:
        """The addresses to call, best first: where the account is registered, the others, those that were silent."""
        places: Sequence[Flow] = self.addresses  # old ones are better than none
        with suppress(TimeoutError):
            async with asyncio.timeout(REFRESH_SECONDS if places else RESOLVE_SECONDS):
                places = await self._locate(now)
        registration = self.registration_of(account)
        home = registration.way if registration else None
        return tuple(sorted(places, key=lambda way: (self._avoided.get(way, 0) > now, way != home)))

    def avoid(self, way: Flow, seconds: float, agent: UserAgent, now: float) -> None:
        """Call other addresses first, until the time is over or it answers a probe."""
        if way not in self.addresses:
            return
        self._avoided = {known: when for known, when in self._avoided.items() if known in self.addresses}
        self._avoided[way] = now + seconds
        if way not in self._probes:
            probe = self._probes[way] = Probe(way=way, domain=self.uri(""), me=agent.me, now=now)
            agent.act(probe, [], now)

    def woke_up(self, way: Flow, agent: UserAgent, now: float) -> None:
        """A place that was silent answers again: what failed there is tried once more."""
        self._avoided.pop(way, None)
        self._probes.pop(way, None)
        for registration in self.registrations.values():
            if registration.state is State.FAILING and registration.way is not None:
                agent.act(registration, registration.start(now), now)

    # ---- registrations

    def prepare(self, me: Identity, resolver: Resolver) -> None:
        """For a new start; registrations wait for the address of the PBX. ConfigError for a password or file that is missing."""
        self.addresses, self._hosts, self._avoided, self._probes, self._started = (), {}, {}, {}, False
        self._resolver, self._flows, self.checkup = resolver, Flows(), None
        self.link = self._link()
        users = [self.trunk.user] if self.is_trunk else list(self.accounts)
        self.registrations = {
            user: self._registration(user, me) for user in (users if self.trunk.register_accounts else ())
        }

    def assign(self, accounts: Mapping[str, Account], agent: UserAgent | None) -> None:
        """Other accounts from now on: who left is un-registered, who came is registered. Calls go on."""
        before, self.accounts = self.accounts, accounts
        if agent is None or not self.trunk.register_accounts or self.is_trunk:
            return
        now = Transport.now()
        for user in self.registrations.keys() - accounts.keys():
            registration = self.registrations.pop(user)
            agent.act(registration, registration.stop(now), now)
        for user in self.registrations.keys() & accounts.keys():
            if before[user].password != accounts[user].password:
                registration = self.registrations[user]
                agent.act(registration, registration.log_in(self._login(user), now), now)
        came = {user: self._registration(user, agent.me) for user in accounts.keys() - self.registrations.keys()}
        self.registrations |= came
        if self._started:
            self._start(agent, came)

    async def keep(self, agent: UserAgent, transport: Transport) -> None:
        """Know the addresses, start the registrations, keep NAT open."""
        while True:
            await self._locate(Transport.now())
            if not self._started and self.addresses:
                self._started = True
                self._start(agent, self.registrations)
                self._begin_checkups(agent)
                self.came()
                transport.flush()
            self.keep_flows(agent, transport)
            for way in {r.way for r in self.registrations.values() if r.way and r.way.protocol is Protocol.UDP}:
                if not self._flows.watched(way):
                    transport.send(Send(PING, way))
            await asyncio.sleep(KEEP_ALIVE_SECONDS)

    def keep_flows(self, agent: UserAgent, transport: Transport) -> None:
        if self.trunk.outbound:
            self._flows.settle(self.registrations.values(), agent, transport)

    def lost(self, flow: Flow, agent: UserAgent, now: float) -> None:
        """A connection ended, or nothing comes from there any more: register anew."""
        for registration in self.registrations.values():
            registration.lost(flow, now)
            agent.act(registration, [], now)

    async def _locate(self, now: float) -> Sequence[Flow]:
        """In the order of this moment: weights are drawn anew each time. Without an answer the old ones stay."""
        assert self._resolver is not None, "prepared before"
        found = await self._resolver.locate(self._server)
        before = self._hosts.keys()
        hosts = self._hosts | {way.host: now + REMEMBERED_SECONDS for way in found}
        self._hosts = {host: until for host, until in hosts.items() if until > now or not found}
        moves = bool(found) and set(found) != set(self.addresses)
        if moves:
            self._move(found)
        if moves or self._hosts.keys() != before:
            self.moved()
        return found or self.addresses

    def _move(self, found: Sequence[Flow]) -> None:
        self.addresses = tuple(found)
        for registration in self.registrations.values():
            registration.move(found)
        for way in self._probes.keys() - self.addresses:
            self._probes.pop(way).stop()

    def _link(self) -> Link:
        trunk = self.trunk
        if trunk.transport not in {"auto", "tls", "wss"}:
            return Link(path=trunk.path, server_name=self._domain)
        return Link(
            server_name=trunk.tls_name or self._domain.strip("[]"),
            wildcards=trunk.tls_wildcards,
            path=trunk.path,
            context=client_context(
                ca=trunk.tls_ca, certificate=trunk.tls_certificate, key=trunk.tls_key, where=f"trunk {trunk.name}"
            ),
        )

    def _registration(self, user: str, me: Identity) -> Registration:
        return Registration(
            account=self.identity(user),
            registrar=self.uri(""),
            expires=self.trunk.expires,
            login=self._login(user),
            me=me,
            ways=self.addresses,
            routes=self.routes,
            nat=self.trunk.nat,
            instance=_instance(self.trunk.name, user) if self.trunk.outbound else "",
        )

    def _login(self, account: str) -> Login:
        if self.is_trunk:
            return Login(self.trunk.user, self.trunk.password.get_secret_value(), secrets.token_hex)
        return Login(account, self.accounts[account].password.get_secret_value(), secrets.token_hex)

    def _start(self, agent: UserAgent, registrations: Mapping[str, Registration]) -> None:
        now = Transport.now()
        for place, registration in enumerate(registrations.values()):
            registration.deadline = now + place * PACE_SECONDS
            agent.act(registration, [], now)

    def _begin_checkups(self, agent: UserAgent) -> None:
        if self.trunk.check_seconds:
            now = Transport.now()
            self.checkup = Checkup(
                trunk=self.trunk.name, way=lambda: self.way(self.trunk.user), domain=self.uri(""), me=agent.me,
                every=self.trunk.check_seconds, now=now,
            )  # fmt: skip
            agent.act(self.checkup, [], now)


def _instance(trunk: str, user: str) -> str:
    """The same after every start: this account as this machine has it (RFC 5626 4.1)."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{socket.gethostname()} {trunk} {user}").urn
