"""The PBX's room: accounts registered, calls of the PBX reported, commands for it carried out."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import unquote

import structlog

from .. import config
from ..calls.commands import ConnectPbx, DialPbx, PbxCommand, TransferPbx
from ..calls.events import CallId, Event, PbxInvited, PbxRefused, PbxTransferFailed, PbxTransferred
from ..errors import ConfigError, OursError, TheirsError
from .address import NameAddr, Uri
from .agent import Gone, Invited, Report, UserAgent
from .callee import Inbound
from .caller import Outbound
from .dialog import Identity
from .flow import Flow
from .message import Request, Response, caller_of, session_description
from .output import Fact, Output, TransferFailed, Unreachable
from .peer import Account, Peer
from .phrasebook import carried_out, dialled_line, told
from .refer import attended, blind
from .registration import Became, Registration
from .resolve import numeric
from .transport import Transport, local_address
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
    ) -> None:
        self._sip = sip
        self._post = post
        self._new_call_id = new_call_id
        self._peers = [Peer(trunk, of_trunk) for trunk, of_trunk in _by_trunk(trunks, accounts)]
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
            for peer in self._peers
            for r in peer.registrations.values()
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
        transport = Transport(self._sip.host, self._sip.port, self._reported)
        try:
            agent = UserAgent(me=self._identity(transport), owner=self, most_calls=MOST_CALLS)
            self._transport, self._agent = transport, agent
            for peer in self._peers:
                peer.prepare(agent.me)
            try:
                await transport.open(agent)
            except OSError as error:
                where = f"{self._sip.host}:{self._sip.port}"
                raise ConfigError(f"sip: can't use UDP {where}: {error.strerror}") from error
            log.info("sip_listening", address=transport.address)
            async with asyncio.TaskGroup() as tasks:
                keepers = [tasks.create_task(peer.keep(agent, transport)) for peer in self._peers]
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
            self._homes.clear()
            self._consulted.clear()

    def assign(self, accounts: Iterable[Account]) -> None:
        """These accounts from now on, and no others; calls that live go on."""
        for peer, (_, of_trunk) in zip(
            self._peers, _by_trunk([peer.trunk for peer in self._peers], accounts), strict=True
        ):
            peer.assign(of_trunk, self._agent)
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

    # ---- what the user agent asks

    def admits(self, source: Flow) -> bool:
        return any(peer.is_at(source.host) for peer in self._peers)

    def is_ours(self, uri: Uri, source: Flow) -> bool:
        """Our accounts at that PBX, and our bare address, which trunk monitors ask for OPTIONS."""
        return not uri.user or self._peer_of(source, unquote(uri.user)) is not None

    def outside(self, request: Request, source: Flow, now: float) -> Response | None:
        return None

    # ---- what happened

    def _reported(self, report: Report) -> None:
        user, fact = report.user, report.fact
        if isinstance(user, Registration) and isinstance(fact, Became):
            log.info("sip_registration", account=str(user.account), state=fact.state.value, why=fact.why)
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
            del self._calls[call], self._ids[usage], self._homes[usage]
            self._consulted.pop(usage, None)
        elif isinstance(fact, Unreachable):
            log.warning("sip_address_avoided", address=str(fact.address), seconds=fact.seconds)
            for peer in self._peers:
                peer.avoid(fact.address, Transport.now() + fact.seconds)
        elif (event := told(call, fact)) is not None:
            self._post(event)
            self._tell_consulted(usage, event)

    def _tell_consulted(self, usage: Usage, event: Event) -> None:
        """The far ends are together: the call that brought them together is over as well."""
        if isinstance(event, PbxTransferred | PbxTransferFailed):
            other = self._consulted.pop(usage, None)
            if other is not None and isinstance(event, PbxTransferred):
                self._post(PbxTransferred(call=other))

    def _invited(self, usage: Inbound, invited: Invited) -> None:
        invite, now = invited.invite, Transport.now()
        account = unquote(Uri.parse(invite.uri).user)
        peer = self._peer_of(invited.source, account)
        if self._left is not None:
            self._act(usage, usage.refuse(503, "", now, [("Retry-After", "5")]), now)
        elif peer is None:
            self._act(usage, usage.refuse(404, "", now), now)
        else:
            call = self._new_call_id()
            self._calls[call], self._ids[usage], self._homes[usage] = usage, call, peer
            usage.login = peer.login(account)
            caller, name = caller_of(invite)
            self._post(
                PbxInvited(
                    call=call, trunk=peer.trunk.name, account=account, line=dialled_line(invite, account),
                    caller=caller, caller_name=name, offer=session_description(invite),
                )
            )  # fmt: skip

    def _peer_of(self, source: Flow, account: str) -> Peer | None:
        """The PBX at that address that has the account; several may share a host, told apart by port."""
        there = [peer for peer in self._peers if account in peer.accounts and peer.is_at(source.host)]
        return next((peer for peer in there if source in peer.addresses), there[0] if there else None)

    # ---- calls that go out

    async def _dial(self, command: DialPbx) -> None:
        """INVITE, to the best address of the PBX; without any the call is refused with 503."""
        if not DIALLED.fullmatch(command.number):
            raise TheirsError("a number is made of 0-9, * and #, with a + in front at most")
        peer = next((peer for peer in self._peers if peer.trunk.name == command.trunk), None)
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
        self._calls[command.call], self._ids[usage], self._homes[usage] = usage, command.call, peer
        self._agent.call(usage, Transport.now())
        self._transport.flush()

    def _outbound(self, command: DialPbx, peer: Peer, ways: Sequence[Flow], agent: UserAgent) -> Outbound:
        return Outbound(
            target=peer.uri(command.number),
            caller=NameAddr("", peer.identity(command.account)),
            sdp=command.sdp,
            me=agent.me,
            timers=agent.timers,
            peer=ways[0],
            spares=ways[1:],
            login=peer.login(command.account),
        )

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
        return Identity(place=lambda to: (host, port), token=secrets.token_hex, fraction=_random.random)

    def _own_address(self) -> str:
        """The address that the first PBX known by number sees us at."""
        hosts = [known.host for peer in self._peers for known in numeric(*peer.trunk.address)]
        try:
            return local_address(hosts[0] if hosts else "192.0.2.1")
        except OSError:
            raise ConfigError("sip: host is every address and none leads to the PBX: set advertised") from None

    async def _leave(self, agent: UserAgent, transport: Transport) -> None:
        """Hang up and un-register, as far as the PBX answers in time."""
        self._left = asyncio.Event()
        now = Transport.now()
        for usage in agent.usages:
            agent.act(usage, usage.hang_up(16, now), now)
        for registration in (r for peer in self._peers for r in peer.registrations.values()):
            agent.act(registration, registration.stop(now), now)
        transport.flush()
        if not self._is_quiet(agent):
            try:
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await self._left.wait()
            except TimeoutError:
                log.warning("sip_left_without_answer", calls=len(agent.usages))

    def _is_quiet(self, agent: UserAgent) -> bool:
        return not agent.usages and all(r.over for peer in self._peers for r in peer.registrations.values())


def _by_trunk(
    trunks: Iterable[config.Trunk], accounts: Iterable[Account]
) -> Iterator[tuple[config.Trunk, dict[str, Account]]]:
    everybody = list(accounts)
    for trunk in trunks:
        yield trunk, {account.sip_user: account for account in everybody if account.trunk == trunk.name}
