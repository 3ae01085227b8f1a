"""The PBX's room: accounts registered, calls of the PBX reported, commands for it carried out."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from urllib.parse import unquote

import structlog

from .. import config
from ..calls.commands import ConnectPbx, DialPbx, FollowPbxReferral, PbxCommand, TransferPbx
from ..calls.events import CallId, Event, PbxInvited, PbxRefused, PbxReoffered, PbxTransferFailed, PbxTransferred
from ..calls.extension import ExtensionState
from ..errors import ConfigError, OursError, TheirsError
from .address import Uri
from .agent import UserAgent
from .callee import Inbound
from .caller import Outbound
from .checkup import Health, HealthChanged
from .datagrams import family_of
from .dialog import Identity
from .flow import Flow
from .flow_watch import FlowFailed
from .leg import DIALLED, Deed, Leg
from .message import Request, caller_of, diverter_of, referrer_of, session_description, warning
from .neighbours import Neighbours, Voicemail
from .output import Fact, Output, TransferFailed, Unreachable
from .owner import Gone, Invited, Report
from .peer import Account, Peer
from .probe import WokeUp
from .refer import attended, blind
from .registration import Became, Registration
from .registration import State as Registered
from .resolve import Resolver
from .status import AccountStatus, TrunkStatus, account_statuses, trunk_statuses
from .subscription import Subscription, Turned
from .tls import server_context
from .transport import Transport
from .usage import Usage

log = structlog.get_logger()

MOST_CALLS = 2_000
"""At once; above, the PBX gets 503 and Retry-After."""
GOODBYE_SECONDS = 2.0
Objection = Callable[[str, bytes], tuple[int, str] | None]
"""Why an offer of that trunk can't be answered: the code of a Warning and a sentence; None if it can."""
_random = secrets.SystemRandom()


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
        voicemail: Voicemail = lambda trunk, account, new: None,
        lines: Sequence[config.Line] = (),
        obstacle: Callable[[], str] = lambda: "",
        objection: Objection = lambda trunk, offer: None,
        moved: Callable[[], None] = lambda: None,
    ) -> None:
        """`moved` is called when `met_at` has another answer. `obstacle` says why no further call is taken now, "" if it is; `objection` what is wrong with a PBX's offer."""
        self._sip = sip
        self._obstacle, self._objection = obstacle, objection
        self._post = post
        self._new_call_id = new_call_id
        self._neighbours = Neighbours(sip, trunks, accounts, lines, voicemail, moved)
        self._legs: dict[CallId, Leg] = {}
        self._of: dict[Usage, Leg] = {}
        self._transport: Transport | None = None
        self._agent: UserAgent | None = None
        self._left: asyncio.Event | None = None

    @property
    def registrations(self) -> tuple[AccountStatus, ...]:
        return account_statuses(self._neighbours.registrations, time.time() - Transport.now())

    @property
    def healths(self) -> tuple[TrunkStatus, ...]:
        return trunk_statuses(self._neighbours.peers, time.time() - Transport.now())

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
            me = Identity(
                place=neighbours.place,
                token=secrets.token_hex,
                fraction=_random.random,
                keeps_flow=neighbours.keeps_flow,
            )
            agent = UserAgent(me=me, owner=neighbours, most_calls=MOST_CALLS, largest=neighbours.largest)
            self._transport, self._agent = transport, agent
            neighbours.live(transport, agent)
            resolver = self._resolver(transport)
            for peer in neighbours.peers:
                peer.prepare(me, resolver)
                for caution in peer.trunk.cautions:
                    log.warning("trunk_caution", trunk=peer.trunk.name, caution=caution)
            await transport.open(agent)
            log.info("sip_listening", addresses=transport.addresses)
            async with asyncio.TaskGroup() as tasks:
                keepers = [tasks.create_task(peer.keep(agent, transport)) for peer in neighbours.peers]
                keepers.append(tasks.create_task(neighbours.keep_place()))
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
            self._legs.clear()
            self._of.clear()

    def met_at(self, trunk: str) -> str:
        """The address at which a PBX is met now, "" while it is not known."""
        return self._neighbours.met_at(trunk)

    def extension(self, trunk: str, account: str) -> ExtensionState:
        """What the PBX says about the extension of one of our accounts."""
        lamps = self._neighbours.lamps.get(trunk)
        return lamps.state(account) if lamps else ExtensionState.UNKNOWN

    def assign(self, accounts: Iterable[Account]) -> None:
        """These accounts from now on, and no others; calls that live go on."""
        self._neighbours.assign(accounts)
        if self._transport is not None and self._agent is not None:
            self._transport.flush()

    async def perform(self, command: PbxCommand) -> None:
        """Carry out one command; a call that is over is let be. TheirsError for a number that is none."""
        if isinstance(command, DialPbx):
            await self._dial(command)
        elif (leg := self._legs.get(command.call)) is not None:
            now = Transport.now()
            match command:
                case TransferPbx() | ConnectPbx():
                    self._act(leg.usage, self._transferred(command, leg, now), now)
                case FollowPbxReferral():
                    await self._follow(command, leg)
                case _:
                    self._do(leg.carried_out(command, now), now)

    def _transferred(self, command: TransferPbx | ConnectPbx, leg: Leg, now: float) -> list[Output]:
        """Only to numbers that may be dialled, and to calls that stand."""
        if isinstance(command, TransferPbx):
            if not DIALLED.fullmatch(command.number):
                raise TheirsError("a number is made of 0-9, * and #, with a + in front at most")
            return leg.usage.transfer(blind(leg.peer.uri(command.number)), now)
        other = self._legs.get(command.other)
        if other is None or other.usage.dialog is None or other.peer is not leg.peer:
            return [TransferFailed(404, "", refused=False)]
        leg.consulted = command.other
        return leg.usage.transfer(attended(other.usage.dialog), now)

    async def _follow(self, command: FollowPbxReferral, leg: Leg) -> None:
        """Call whom the PBX refers us to: at the same PBX, from the same account."""
        ways = await leg.peer.ways(leg.account, Transport.now())
        now, referral = Transport.now(), leg.usage.referral
        if self._agent is None or self._transport is None or referral is None or leg.heir is not None:
            return
        if not ways or self._left is not None or len(self._agent.usages) >= MOST_CALLS:
            self._act(leg.usage, leg.usage.refuse_referral(503, now), now)
            return
        number = unquote(referral.target.user)
        heir = self._outbound(number, command.sdp, leg.account, leg.peer, ways, self._agent, referral.headers)
        self._remember(heir, leg)
        self._do(leg.follow(heir, now), now)
        self._agent.call(heir, now)
        self._transport.flush()

    # ---- what happened

    def _reported(self, report: Report) -> None:
        user, fact = report.user, report.fact
        if isinstance(user, Registration) and isinstance(fact, Became):
            log.info("sip_registration", account=str(user.account), state=fact.state.value, why=fact.why)
            if fact.state is Registered.REGISTERED:
                self._neighbours.registered(user)
        elif isinstance(user, Subscription) and isinstance(fact, Turned):
            log.info("sip_extension", extension=str(user.extension), state=fact.state.value, why=fact.why)
        elif isinstance(fact, FlowFailed):
            log.warning("sip_flow_failed", way=str(fact.way))
            self._neighbours.lost(fact.way)
        elif isinstance(fact, Unreachable):
            self._unreachable(fact)
        elif isinstance(fact, WokeUp):
            self._woke_up(fact)
        elif isinstance(fact, HealthChanged):
            tell = log.info if fact.health is Health.ANSWERS else log.warning
            tell("trunk_health", trunk=fact.trunk, health=fact.health.value)
        elif isinstance(user, Usage):
            self._happened(user, fact)
        if self._left is not None and self._agent is not None and self._is_quiet(self._agent):
            self._left.set()

    def _happened(self, usage: Usage, fact: Fact) -> None:
        if isinstance(fact, Invited) and isinstance(usage, Inbound):
            self._invited(usage, fact)
        elif (leg := self._of.get(usage)) is None:
            return  # refused before anybody heard of it
        elif isinstance(fact, Gone):
            self._forget(usage, leg)
        else:
            self._do(leg.happened(usage, fact, Transport.now()), Transport.now())

    def _remember(self, usage: Usage, leg: Leg) -> None:
        self._of[usage] = leg
        self._neighbours.calls[leg.peer.trunk.name] += 1

    def _forget(self, usage: Usage, leg: Leg) -> None:
        del self._of[usage]
        self._neighbours.calls[leg.peer.trunk.name] -= 1
        if leg.heir is usage:
            leg.heir = None
        if not any(each in self._of for each in leg.usages):
            self._legs.pop(leg.call, None)

    def _do(self, deeds: Iterable[Deed], now: float) -> None:
        for deed in deeds:
            if isinstance(deed, Event):
                self._tell(deed)
            else:
                self._act(*deed, now)

    def _tell(self, event: Event) -> None:
        """The call, and the one that it asked about when their far ends are together."""
        self._post(event)
        leg = self._legs.get(event.call)
        if leg is not None and isinstance(event, PbxTransferred | PbxTransferFailed):
            other, leg.consulted = leg.consulted, None
            if other is not None and isinstance(event, PbxTransferred):
                if (consulted := self._legs.get(other)) is not None:
                    consulted.usage.replaced = True
                self._post(PbxTransferred(call=other))

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

    def _invited(self, usage: Inbound, invited: Invited) -> None:
        invite, now = invited.invite, Transport.now()
        peer = self._neighbours.of(invited.source, unquote(Uri.parse(invite.uri).user))
        called = peer.called(invite) if peer else None
        if self._left is not None or (invited.replaces is None and self._is_full()):
            self._act(usage, usage.refuse(503, "", now, [("Retry-After", "5")]), now)
        elif peer is None or called is None:
            self._act(usage, usage.refuse(404, "", now), now)
        else:
            account, line = called
            usage.login = peer.login(account)
            if invited.replaces is None and (fault := self._objection(peer.trunk.name, session_description(invite))):
                log.warning("call_not_taken", trunk=peer.trunk.name, why=fault[1])
                self._act(usage, usage.refuse(488, "", now, [warning(*fault)]), now)
                return
            if invited.replaces is not None:
                self._replace(usage, invite, self._of.get(invited.replaces), now)
                return
            call = self._new_call_id()
            self._legs[call] = Leg(call=call, usage=usage, peer=peer, account=account)
            self._remember(usage, self._legs[call])
            caller, name = caller_of(invite)
            self._post(
                PbxInvited(
                    call=call, trunk=peer.trunk.name, account=account, line=line,
                    caller=caller, caller_name=name, offer=session_description(invite), referrer=referrer_of(invite),
                    diverter=diverter_of(invite),
                )
            )  # fmt: skip

    def _is_full(self) -> bool:
        """Such a call is not for the CRM: the PBX tries another way, or again."""
        if why := self._obstacle():
            log.warning("call_not_taken", why=why)
        return bool(why)

    def _replace(self, heir: Inbound, invite: Request, leg: Leg | None, now: float) -> None:
        """To the call it is a new offer: the voice answers, and then the heir is the session."""
        if leg is None or leg.heir is not None:
            self._act(heir, heir.refuse(486 if leg else 481, "", now), now)
            return
        leg.heir, leg.arrival = heir, invite
        self._remember(heir, leg)
        self._post(PbxReoffered(call=leg.call, offer=session_description(invite)))

    # ---- calls that go out

    async def _dial(self, command: DialPbx) -> None:
        """INVITE, to the best address of the PBX; without any the call is refused with 503."""
        if not DIALLED.fullmatch(command.number):
            raise TheirsError("a number is made of 0-9, * and #, with a + in front at most")
        peer = self._neighbours.named(command.trunk)
        if peer is None or command.account not in peer.accounts:
            raise OursError(f"no account {command.account} at a trunk {command.trunk}")
        ways = await peer.ways(command.account, Transport.now())
        if self._agent is None or self._transport is None or command.call in self._legs:
            return
        busy = self._obstacle() or ("too many calls" if len(self._agent.usages) >= MOST_CALLS else "")
        if not ways or self._left is not None or busy:
            why = "the name of the PBX is not known" if not ways else busy or "the bridge is about to stop"
            self._post(PbxRefused(call=command.call, status=503, phrase=why, cause=0, provisional=False))
            return
        usage = self._outbound(command.number, command.sdp, command.account, peer, ways, self._agent)
        leg = Leg(call=command.call, usage=usage, peer=peer, account=command.account)
        self._legs[command.call] = leg
        self._remember(usage, leg)
        self._agent.call(usage, Transport.now())
        self._transport.flush()

    def _outbound(
        self, number: str, sdp: bytes, account: str, peer: Peer, ways: Sequence[Flow], agent: UserAgent,
        headers: Iterable[tuple[str, str]] = (),
    ) -> Outbound:  # fmt: skip
        caller, identity = peer.caller(account)
        routes = [("Route", route) for route in peer.routes_of(account)]
        return Outbound(
            target=peer.uri(number),
            caller=caller,
            user=peer.identity(peer.trunk.user or account).user,
            sdp=sdp,
            me=agent.me,
            timers=agent.timers,
            peer=ways[0],
            spares=ways[1:],
            login=peer.login(account),
            headers=[*routes, *identity, *headers],
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
        self._neighbours.leave(agent, now)
        transport.flush()
        if not self._is_quiet(agent):
            try:
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await self._left.wait()
            except TimeoutError:
                log.warning("sip_left_without_answer", calls=len(agent.usages))

    def _is_quiet(self, agent: UserAgent) -> bool:
        return not agent.usages and not agent.watched and all(r.over for _, r in self._neighbours.registrations)
