"""One PBX as the trunk sees it: where it is, who of ours has an account there, and whether they are registered."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import quote

from pydantic import SecretStr

from .. import config
from ..errors import ConfigError
from .address import Uri
from .agent import UserAgent
from .dialog import Identity
from .flow import Flow
from .login import Login
from .registration import Registration, State
from .resolve import resolve
from .transport import Transport

KEEP_ALIVE_SECONDS = 25.0
"""Most NATs forget a UDP flow after 30 s."""
KEEP_ALIVE = b"\r\n\r\n"
PACE_SECONDS = 0.01
"""Between two accounts at the start: a PBX takes a hundred a second with ease."""
RESOLVE_SECONDS = 5.0
"""As long as a call waits for the name of its PBX."""


class Account(Protocol):
    """Somebody of ours at a PBX."""

    @property
    def trunk(self) -> str: ...

    @property
    def sip_user(self) -> str: ...

    @property
    def password(self) -> SecretStr:
        """ConfigError if it is not set."""


class Peer:
    """`accounts` by their SIP user."""

    def __init__(self, trunk: config.Trunk, accounts: Mapping[str, Account]) -> None:
        self.trunk = trunk
        self.accounts = accounts
        self.addresses: tuple[Flow, ...] = ()
        """Empty until its name is resolved."""
        self.registrations: dict[str, Registration] = {}
        """By SIP user."""
        self._avoided: dict[Flow, float] = {}
        self._started = False

    # ---- calls

    def uri(self, user: str) -> Uri:
        """Somebody at this PBX; `user` as it is meant, to be escaped (RFC 3261, 25.1)."""
        host, port = self.trunk.address
        return Uri("sip", quote(user, safe="-_.!~*'()&=+$,;?/"), "", host, None if port == 5060 else port)

    def identity(self, account: str) -> Uri:
        """An account as From and To name it: whatever the port, it belongs to the domain."""
        uri = self.uri(account)
        return Uri(uri.scheme, uri.user, "", uri.host)

    def login(self, account: str) -> Login | None:
        """None without a password: a PBX where nobody registers may know us by our address."""
        try:
            return self._login(account)
        except ConfigError:
            if self.trunk.register_accounts:
                raise
            return None

    def is_at(self, host: str) -> bool:
        """Whether the PBX sends from this address."""
        return any(known.host == host for known in self.addresses)

    async def ways(self, account: str, now: float) -> tuple[Flow, ...]:
        """The addresses to call, best first: where the account is registered, the others, those that were silent."""
        if not self.addresses:
            try:
                async with asyncio.timeout(RESOLVE_SECONDS):
                    self.addresses = await resolve(*self.trunk.address)
            except TimeoutError:
                return ()
        registration = self.registrations.get(account)
        home = registration.peer if registration else None
        return tuple(sorted(self.addresses, key=lambda way: (self._avoided.get(way, 0) > now, way != home)))

    def avoid(self, address: Flow, until: float) -> None:
        """Call other addresses first."""
        if address in self.addresses:
            self._avoided = {known: when for known, when in self._avoided.items() if known in self.addresses}
            self._avoided[address] = until

    # ---- registrations

    def prepare(self, me: Identity) -> None:
        """For a new start; registrations wait for the address of the PBX. ConfigError if a password is not set."""
        self.addresses, self._avoided, self._started = (), {}, False
        self.registrations = {
            user: self._registration(user, me) for user in (self.accounts if self.trunk.register_accounts else ())
        }

    def assign(self, accounts: Mapping[str, Account], agent: UserAgent | None) -> None:
        """Other accounts from now on: who left is un-registered, who came is registered. Calls go on."""
        before, self.accounts = self.accounts, accounts
        if agent is None or not self.trunk.register_accounts:
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
            if not self._started or self._is_failing:
                self._move(await resolve(*self.trunk.address))
                if not self._started and self.addresses:
                    self._started = True
                    self._start(agent, self.registrations)
                    transport.flush()
            elif self.registrations:
                transport.send(KEEP_ALIVE, next(iter(self.registrations.values())).peer)
            await asyncio.sleep(KEEP_ALIVE_SECONDS)

    def _registration(self, user: str, me: Identity) -> Registration:
        return Registration(
            account=self.identity(user),
            registrar=self.uri(""),
            expires=self.trunk.expires,
            login=self._login(user),
            me=me,
            peer=self.addresses[0] if self.addresses else Flow(*self.trunk.address),
        )

    def _login(self, account: str) -> Login:
        return Login(account, self.accounts[account].password.get_secret_value(), secrets.token_hex)

    @property
    def _is_failing(self) -> bool:
        return any(registration.state is State.FAILING for registration in self.registrations.values())

    def _move(self, addresses: tuple[Flow, ...]) -> None:
        """Register at the next address if the one in use fails; without an answer the old ones stay."""
        self.addresses = addresses or self.addresses
        for registration in self.registrations.values() if self.addresses else ():
            known = self.addresses.index(registration.peer) + 1 if registration.peer in self.addresses else 0
            registration.peer = self.addresses[known % len(self.addresses)]

    def _start(self, agent: UserAgent, registrations: Mapping[str, Registration]) -> None:
        now = Transport.now()
        for place, registration in enumerate(registrations.values()):
            registration.deadline = now + place * PACE_SECONDS
            agent.act(registration, [], now)
