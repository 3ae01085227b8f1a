"""The PBX's room: accounts registered, calls of the PBX reported, commands for it carried out."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote, unquote

import structlog

from .. import config
from ..calls.commands import (
    AnswerPbx,
    AnswerPbxReoffer,
    HangUpPbx,
    PbxCommand,
    RefusePbx,
    RefusePbxReoffer,
    RingPbx,
)
from ..calls.events import CallId, Event, PbxCancelled, PbxConfirmed, PbxHungUp, PbxInvited, PbxReoffered
from ..errors import ConfigError
from .address import NameAddr, Uri
from .agent import Gone, Invited, Report, UserAgent
from .callee import Inbound
from .dialog import Identity
from .login import Login
from .matching import Address
from .message import Request, Response, SipError, caller_of, session_description
from .registration import Became, Registration, State
from .resolve import numeric, resolve
from .transport import Transport, local_address
from .usage import Cancelled, Confirmed, Fact, HungUp, Output, Reoffered, Usage

log = structlog.get_logger()

KEEP_ALIVE_SECONDS = 25.0
"""Most NATs forget a UDP flow after 30 s."""
KEEP_ALIVE = b"\r\n\r\n"
MOST_CALLS = 2_000
"""At once; above, the PBX gets 503 and Retry-After."""
PACE_SECONDS = 0.01
"""Between two accounts at the start: a PBX takes a hundred a second with ease."""
GOODBYE_SECONDS = 2.0
_random = secrets.SystemRandom()


class AccountStatus(NamedTuple):
    """One account, for status displays."""

    trunk: str
    account: str
    state: str
    since: float
    """Unix seconds."""
    why: str
    """What went wrong last, "" if nothing."""


@dataclass(eq=False, slots=True)
class _Peer:
    """One PBX."""

    trunk: config.Trunk
    accounts: dict[str, config.OperatorAccount]
    addresses: tuple[Address, ...]
    """Empty until its name is resolved."""
    registrations: list[Registration]

    @property
    def is_failing(self) -> bool:
        return any(registration.state is State.FAILING for registration in self.registrations)


class Trunks:
    """All PBXs, on one socket."""

    def __init__(
        self,
        *,
        sip: config.Sip,
        trunks: Sequence[config.Trunk],
        accounts: Sequence[config.OperatorAccount],
        post: Callable[[Event], None],
        new_call_id: Callable[[], CallId],
    ) -> None:
        self._sip = sip
        self._post = post
        self._new_call_id = new_call_id
        self._peers = [
            _Peer(trunk, {a.sip_user: a for a in accounts if a.trunk == trunk.name}, (), []) for trunk in trunks
        ]
        self._calls: dict[CallId, Inbound] = {}
        self._ids: dict[Inbound, CallId] = {}
        self._transport: Transport | None = None
        self._agent: UserAgent | None = None
        self._left: asyncio.Event | None = None

    @property
    def registrations(self) -> tuple[AccountStatus, ...]:
        age = time.time() - Transport.now()
        return tuple(
            AccountStatus(peer.trunk.name, unquote(r.account.user), r.state.value, r.since + age, r.why)
            for peer in self._peers
            for r in peer.registrations
        )

    @property
    def address(self) -> Address | None:
        """Where the socket is bound while the room runs."""
        return self._transport.address if self._transport else None

    @property
    def counts(self) -> Counter[str]:
        """What was dropped while the room runs, by reason; "fault" is ours."""
        if self._agent is None or self._transport is None:
            return Counter()
        return self._agent.counts + Counter(fault=self._transport.faults)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """OSError if the port is taken, ConfigError if a password is not set."""
        transport = Transport(self._sip.host, self._sip.port, self._reported)
        try:
            agent = UserAgent(me=self._identity(transport), owner=self, most_calls=MOST_CALLS)
            self._transport, self._agent = transport, agent
            for peer in self._peers:
                self._prepare(peer, agent.me)
            await transport.open(agent)
            log.info("sip_listening", address=transport.address)
            async with asyncio.TaskGroup() as tasks:
                keepers = [tasks.create_task(self._keep(peer, agent, transport)) for peer in self._peers]
                try:
                    yield
                finally:
                    for keeper in keepers:
                        keeper.cancel()
                    await self._leave(agent, transport)
        finally:
            await transport.close()
            self._transport = self._agent = self._left = None
            self._calls.clear()
            self._ids.clear()

    async def perform(self, command: PbxCommand) -> None:
        """Carry out one command; a call that is over is let be."""
        usage = self._calls.get(command.call)
        if usage is not None:
            now = Transport.now()
            self._act(usage, _outputs(command, usage, now), now)

    # ---- what the user agent asks

    def admits(self, source: Address) -> bool:
        return any(source[0] == host for peer in self._peers for host, _ in peer.addresses)

    def is_ours(self, uri: Uri, source: Address) -> bool:
        """Our accounts at that PBX, and our bare address, which trunk monitors ask for OPTIONS."""
        return not uri.user or self._peer_of(source, unquote(uri.user)) is not None

    def outside(self, request: Request, source: Address, now: float) -> Response | None:
        return None

    # ---- what happened

    def _reported(self, report: Report) -> None:
        user, fact = report.user, report.fact
        if isinstance(user, Registration) and isinstance(fact, Became):
            log.info("sip_registration", account=str(user.account), state=fact.state.value, why=fact.why)
        elif isinstance(user, Inbound):
            self._happened(user, fact)
        if self._left is not None and self._agent is not None and self._is_quiet(self._agent):
            self._left.set()

    def _happened(self, usage: Inbound, fact: Fact) -> None:
        if isinstance(fact, Invited):
            self._invited(usage, fact)
        elif (call := self._ids.get(usage)) is None:
            return  # refused before anybody heard of it
        elif isinstance(fact, Gone):
            del self._calls[call], self._ids[usage]
        elif (event := _event(call, fact)) is not None:
            self._post(event)

    def _invited(self, usage: Inbound, invited: Invited) -> None:
        invite, now = invited.invite, Transport.now()
        account = unquote(Uri.parse(invite.uri).user)
        peer = self._peer_of(invited.source, account)
        offer = session_description(invite)
        if self._left is not None:
            self._act(usage, usage.refuse(503, "", now, [("Retry-After", "5")]), now)
        elif peer is None:
            self._act(usage, usage.refuse(404, "", now), now)
        elif not offer:
            warning = '399 bridge "an INVITE without an offer is not supported"'
            self._act(usage, usage.refuse(488, "", now, [("Warning", warning)]), now)
        else:
            call = self._new_call_id()
            self._calls[call], self._ids[usage] = usage, call
            caller, name = caller_of(invite)
            self._post(
                PbxInvited(
                    call=call, trunk=peer.trunk.name, account=account, line=_line(invite, account),
                    caller=caller, caller_name=name, offer=offer,
                )
            )  # fmt: skip

    def _peer_of(self, source: Address, account: str) -> _Peer | None:
        """The PBX at that address that has the account; several may share a host, told apart by port."""
        there = [peer for peer in self._peers if account in peer.accounts and source[0] in dict(peer.addresses)]
        return next((peer for peer in there if source in peer.addresses), there[0] if there else None)

    def _act(self, usage: Usage, outputs: Iterable[Output], now: float) -> None:
        if self._agent is not None and self._transport is not None:
            self._agent.act(usage, outputs, now)
            self._transport.flush()

    # ---- registrations

    def _identity(self, transport: Transport) -> Identity:
        host, port = transport.address
        host = self._sip.advertised or host
        if host == "0.0.0.0":  # noqa: S104 - compared, not bound
            host = self._own_address()
        return Identity(host=host, port=port, token=secrets.token_hex, fraction=_random.random)

    def _own_address(self) -> str:
        """The address that the first PBX known by number sees us at."""
        hosts = [host for peer in self._peers for host, _ in numeric(*peer.trunk.address)]
        try:
            return local_address((hosts[0] if hosts else "192.0.2.1", 9))
        except OSError:
            raise ConfigError("sip: host is every address and none leads to the PBX: set advertised") from None

    def _prepare(self, peer: _Peer, me: Identity) -> None:
        """Registrations wait for the address of their PBX."""
        host, port = peer.trunk.address
        peer.addresses, peer.registrations = (), []
        if not peer.trunk.register_accounts:
            return
        for account in peer.accounts.values():
            user = quote(account.sip_user, safe="-_.!~*'()&=+$,;?/")
            login = Login(account.sip_user, account.password.get_secret_value(), secrets.token_hex)
            registrar = Uri("sip", "", "", host, None if port == 5060 else port)
            peer.registrations.append(
                Registration(
                    account=Uri("sip", user, "", host, None), registrar=registrar, expires=peer.trunk.expires,
                    login=login, me=me, peer=(host, port),
                )
            )  # fmt: skip

    async def _keep(self, peer: _Peer, agent: UserAgent, transport: Transport) -> None:
        """Know the PBX's addresses, start its registrations, keep NAT open."""
        while True:
            if not peer.addresses or peer.is_failing:
                first = not peer.addresses
                self._move(peer, await resolve(*peer.trunk.address))
                if first and peer.addresses:
                    self._start(peer, agent)
                    transport.flush()
            elif peer.registrations:
                transport.send(KEEP_ALIVE, peer.registrations[0].peer)
            await asyncio.sleep(KEEP_ALIVE_SECONDS)

    def _move(self, peer: _Peer, addresses: tuple[Address, ...]) -> None:
        """Register at the next address if the one in use fails; without an answer the old ones stay."""
        peer.addresses = addresses or peer.addresses
        for registration in peer.registrations if peer.addresses else ():
            known = peer.addresses.index(registration.peer) + 1 if registration.peer in peer.addresses else 0
            registration.peer = peer.addresses[known % len(peer.addresses)]

    def _start(self, peer: _Peer, agent: UserAgent) -> None:
        now = Transport.now()
        for place, registration in enumerate(peer.registrations):
            registration.deadline = now + place * PACE_SECONDS
            agent.act(registration, [], now)

    async def _leave(self, agent: UserAgent, transport: Transport) -> None:
        """Hang up and un-register, as far as the PBX answers in time."""
        self._left = asyncio.Event()
        now = Transport.now()
        for usage in agent.usages:
            agent.act(usage, usage.hang_up(16, now), now)
        for registration in (r for peer in self._peers for r in peer.registrations):
            agent.act(registration, registration.stop(now), now)
        transport.flush()
        if not self._is_quiet(agent):
            try:
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await self._left.wait()
            except TimeoutError:
                log.warning("sip_left_without_answer", calls=len(agent.usages))

    def _is_quiet(self, agent: UserAgent) -> bool:
        return not agent.usages and all(r.over for peer in self._peers for r in peer.registrations)


def _outputs(command: PbxCommand, usage: Inbound, now: float) -> list[Output]:
    match command:
        case RingPbx():
            return usage.ring(now)
        case AnswerPbx(sdp=sdp):
            return usage.answer(sdp, now)
        case RefusePbx(status=status, phrase=phrase):
            return usage.refuse(status, phrase, now)
        case HangUpPbx(cause=cause):
            return usage.hang_up(cause, now)
        case AnswerPbxReoffer(sdp=sdp):
            return usage.answer_reoffer(sdp, now)
        case RefusePbxReoffer(status=status, phrase=phrase):
            return usage.refuse_reoffer(status, phrase, now)
        case _:
            raise TypeError(f"not a command for the PBX: {type(command).__name__}")


def _event(call: CallId, fact: Fact) -> Event | None:
    match fact:
        case Cancelled(elsewhere):
            return PbxCancelled(call=call, elsewhere=elsewhere)
        case Confirmed():
            return PbxConfirmed(call=call)
        case Reoffered(offer):
            return PbxReoffered(call=call, offer=offer)
        case HungUp(why):
            return PbxHungUp(call=call, why=why)
        case _:
            return None


def _line(invite: Request, account: str) -> str:
    """What the caller dialled: as the PBX says it, before it was turned into our account."""
    for header in ("P-Called-Party-ID", "Diversion", "To"):
        try:
            value = invite.headers.get(header)
            number = NameAddr.parse(value).uri.number if value else ""
        except SipError:
            continue  # a wish for more precision, nothing that a call depends on
        if number and number != account:
            return number
    return account
