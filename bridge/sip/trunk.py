"""The PBX's room: accounts registered, calls of the PBX reported, commands for it carried out."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import unquote

import structlog

from .. import config
from ..calls.commands import ConnectPbx, DialPbx, PbxCommand, TransferPbx
from ..calls.events import CallId, Event, PbxInvited, PbxRefused, PbxTransferFailed, PbxTransferred
from ..errors import ConfigError, OursError, TheirsError
from .address import Uri
from .agent import Gone, Invited, Report, UserAgent
from .callee import Inbound
from .caller import Outbound
from .datagrams import family_of
from .dialog import Identity
from .flow import Flow
from .message import caller_of, session_description
from .neighbours import Neighbours
from .output import Fact, Output, TransferFailed, Unreachable
from .peer import Account, Peer
from .phrasebook import carried_out, told
from .probe import WokeUp
from .refer import attended, blind
from .registration import Became, Registration
from .resolve import Resolver
from .tls import server_context
from .transport import Transport
from .usage import Usage

log = structlog.get_logger()

MOST_CALLS = 2_000
"""At once; above, the PBX gets 503 and Retry-After."""
GOODBYE_SECONDS = 2.0
DIALLED = re.compile(r"\+?[0-9*#]{1,40}")
"""Nothing else is called: whoever may write a whole URI may call at the expense of others."""
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


class Trunks:
    """All PBXs, on one socket."""

    def __init__(
        self,
        *,
        sip: config.Sip,
        trunks: Sequence[config.Trunk],
        accounts: Iterable[Account],
        post: Callable[[Event], None],
        new_call_id: Callable[[], CallId],
        lines: Sequence[config.Line] = (),
    ) -> None:
        self._sip = sip
        self._post = post
        self._new_call_id = new_call_id
        self._neighbours = Neighbours(sip, trunks, accounts, lines)
        self._calls: dict[CallId, Usage] = {}
        self._ids: dict[Usage, CallId] = {}
        self._homes: dict[Usage, Peer] = {}
        self._consulted: dict[Usage, CallId] = {}
        """Attended transfers on their way: the call whose far end takes our place."""
        self._transport: Transport | None = None
        self._agent: UserAgent | None = None
        self._left: asyncio.Event | None = None

    @property
    def registrations(self) -> tuple[AccountStatus, ...]:
        age = time.time() - Transport.now()
        return tuple(
            AccountStatus(peer.trunk.name, unquote(r.account.user), r.state.value, r.since + age, r.why)
            for peer, r in self._neighbours.registrations
        )

    @property
    def address(self) -> tuple[str, int] | None:
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
        """ConfigError if the port is taken or a password is not set."""
        transport, neighbours = self._new_transport(), self._neighbours
        try:
            me = Identity(place=neighbours.place, token=secrets.token_hex, fraction=_random.random)
            agent = UserAgent(me=me, owner=neighbours, most_calls=MOST_CALLS, largest=neighbours.largest)
            self._transport, self._agent = transport, agent
            neighbours.live(transport, agent)
            resolver = self._resolver(transport)
            for peer in neighbours.peers:
                peer.prepare(me, resolver)
            await transport.open(agent)
            log.info("sip_listening", addresses=transport.addresses)
            async with asyncio.TaskGroup() as tasks:
                keepers = [tasks.create_task(peer.keep(agent, transport)) for peer in neighbours.peers]
                try:
                    yield
                finally:
                    for keeper in keepers:
                        keeper.cancel()
                    await self._leave(agent, transport)
        finally:
            await transport.close()
            neighbours.live(None, None)
            self._transport = self._agent = self._left = None
            self._calls.clear()
            self._ids.clear()
            self._homes.clear()
            self._consulted.clear()

    def assign(self, accounts: Iterable[Account]) -> None:
        """These accounts from now on, and no others; calls that live go on."""
        self._neighbours.assign(accounts)
        if self._transport is not None and self._agent is not None:
            self._transport.flush()

    async def perform(self, command: PbxCommand) -> None:
        """Carry out one command; a call that is over is let be. TheirsError for a number that is none."""
        if isinstance(command, DialPbx):
            await self._dial(command)
        elif (usage := self._calls.get(command.call)) is not None:
            now = Transport.now()
            if isinstance(command, TransferPbx | ConnectPbx):
                self._act(usage, self._transferred(command, usage, now), now)
            else:
                self._act(usage, carried_out(command, usage, now), now)

    def _transferred(self, command: TransferPbx | ConnectPbx, usage: Usage, now: float) -> list[Output]:
        """Only to numbers that may be dialled, and to calls that stand."""
        if isinstance(command, TransferPbx):
            if not DIALLED.fullmatch(command.number):
                raise TheirsError("a number is made of 0-9, * and #, with a + in front at most")
            return usage.transfer(blind(self._homes[usage].uri(command.number)), now)
        other = self._calls.get(command.other)
        if other is None or other.dialog is None or self._homes[other] is not self._homes[usage]:
            return [TransferFailed(404, "", refused=False)]
        self._consulted[usage] = command.other
        return usage.transfer(attended(other.dialog), now)

    # ---- what happened

    def _reported(self, report: Report) -> None:
        user, fact = report.user, report.fact
        if isinstance(user, Registration) and isinstance(fact, Became):
            log.info("sip_registration", account=str(user.account), state=fact.state.value, why=fact.why)
        elif isinstance(fact, Unreachable):
            self._unreachable(fact)
        elif isinstance(fact, WokeUp):
            self._woke_up(fact)
        elif isinstance(user, Usage):
            self._happened(user, fact)
        if self._left is not None and self._agent is not None and self._is_quiet(self._agent):
            self._left.set()

    def _happened(self, usage: Usage, fact: Fact) -> None:
        if isinstance(fact, Invited) and isinstance(usage, Inbound):
            self._invited(usage, fact)
        elif (call := self._ids.get(usage)) is None:
            return  # refused before anybody heard of it
        elif isinstance(fact, Gone):
            del self._calls[call], self._ids[usage]
            self._neighbours.calls[self._homes.pop(usage).trunk.name] -= 1
            self._consulted.pop(usage, None)
        elif (event := told(call, fact)) is not None:
            self._post(event)
            self._tell_consulted(usage, event)

    def _unreachable(self, fact: Unreachable) -> None:
        peer = self._neighbours.named(fact.address.link)
        if peer is not None and self._agent is not None:
            log.warning("sip_address_avoided", address=str(fact.address), seconds=fact.seconds)
            peer.avoid(fact.address, fact.seconds, self._agent, Transport.now())

    def _woke_up(self, fact: WokeUp) -> None:
        peer = self._neighbours.named(fact.way.link)
        if peer is not None and self._agent is not None:
            log.info("sip_address_answers", address=str(fact.way))
            peer.woke_up(fact.way, self._agent, Transport.now())

    def _tell_consulted(self, usage: Usage, event: Event) -> None:
        """The far ends are together: the call that brought them together is over as well."""
        if isinstance(event, PbxTransferred | PbxTransferFailed):
            other = self._consulted.pop(usage, None)
            if other is not None and isinstance(event, PbxTransferred):
                self._post(PbxTransferred(call=other))

    def _invited(self, usage: Inbound, invited: Invited) -> None:
        invite, now = invited.invite, Transport.now()
        peer = self._neighbours.of(invited.source, unquote(Uri.parse(invite.uri).user))
        called = peer.called(invite) if peer else None
        if self._left is not None:
            self._act(usage, usage.refuse(503, "", now, [("Retry-After", "5")]), now)
        elif peer is None or called is None:
            self._act(usage, usage.refuse(404, "", now), now)
        else:
            call = self._new_call_id()
            account, line = called
            self._remember(call, usage, peer)
            usage.login = peer.login(account)
            caller, name = caller_of(invite)
            self._post(
                PbxInvited(
                    call=call, trunk=peer.trunk.name, account=account, line=line,
                    caller=caller, caller_name=name, offer=session_description(invite),
                )
            )  # fmt: skip

    def _remember(self, call: CallId, usage: Usage, peer: Peer) -> None:
        self._calls[call], self._ids[usage], self._homes[usage] = usage, call, peer
        self._neighbours.calls[peer.trunk.name] += 1

    # ---- calls that go out

    async def _dial(self, command: DialPbx) -> None:
        """INVITE, to the best address of the PBX; without any the call is refused with 503."""
        if not DIALLED.fullmatch(command.number):
            raise TheirsError("a number is made of 0-9, * and #, with a + in front at most")
        peer = self._neighbours.named(command.trunk)
        if peer is None or command.account not in peer.accounts:
            raise OursError(f"no account {command.account} at a trunk {command.trunk}")
        ways = await peer.ways(command.account, Transport.now())
        if self._agent is None or self._transport is None or command.call in self._calls:
            return
        if not ways or self._left is not None or len(self._agent.usages) >= MOST_CALLS:
            why = "the name of the PBX is not known" if not ways else "too many calls, or the bridge is about to stop"
            self._post(PbxRefused(call=command.call, status=503, phrase=why, cause=0, provisional=False))
            return
        usage = self._outbound(command, peer, ways, self._agent)
        self._remember(command.call, usage, peer)
        self._agent.call(usage, Transport.now())
        self._transport.flush()

    def _outbound(self, command: DialPbx, peer: Peer, ways: Sequence[Flow], agent: UserAgent) -> Outbound:
        caller, identity = peer.caller(command.account)
        routes = [("Route", route) for route in peer.routes_of(command.account)]
        return Outbound(
            target=peer.uri(command.number),
            caller=caller,
            user=peer.identity(peer.trunk.user or command.account).user,
            sdp=command.sdp,
            me=agent.me,
            timers=agent.timers,
            peer=ways[0],
            spares=ways[1:],
            login=peer.login(command.account),
            headers=[*routes, *identity],
        )

    def _act(self, usage: Usage, outputs: Iterable[Output], now: float) -> None:
        if self._agent is not None and self._transport is not None:
            self._agent.act(usage, outputs, now)
            self._transport.flush()

    # ---- registrations

    def _new_transport(self) -> Transport:
        sip = self._sip
        tls = None
        if sip.tls_certificate is not None:
            tls = server_context(ca=sip.tls_ca, certificate=sip.tls_certificate, key=sip.tls_key, where="sip")
        try:
            return Transport(sip.hosts, sip.port, self._reported, door=self._neighbours, tls_port=sip.tls_port, tls=tls)
        except OSError as error:
            where = f"{' and '.join(sip.hosts)}, port {sip.port}{f' or {sip.tls_port}' if tls else ''}"
            raise ConfigError(f"sip: can't listen on {where}: {error.strerror}") from error

    def _resolver(self, transport: Transport) -> Resolver:
        families = {family_of(host) for host, _ in transport.addresses}
        return Resolver(nameservers=self._sip.dns_servers, families=families, fraction=_random.random)

    async def _leave(self, agent: UserAgent, transport: Transport) -> None:
        """Hang up and un-register, as far as the PBX answers in time."""
        self._left = asyncio.Event()
        now = Transport.now()
        for usage in agent.usages:
            agent.act(usage, usage.hang_up(16, now), now)
        for _, registration in self._neighbours.registrations:
            agent.act(registration, registration.stop(now), now)
        transport.flush()
        if not self._is_quiet(agent):
            try:
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await self._left.wait()
            except TimeoutError:
                log.warning("sip_left_without_answer", calls=len(agent.usages))

    def _is_quiet(self, agent: UserAgent) -> bool:
        return not agent.usages and all(r.over for _, r in self._neighbours.registrations)
