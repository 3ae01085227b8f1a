"""Two user agents, a bad link between them, and a clock that only the tests move."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random

from bridge.sip.address import NameAddr, Uri
from bridge.sip.agent import UserAgent
from bridge.sip.caller import Outbound
from bridge.sip.dialog import Identity
from bridge.sip.flow import Flow
from bridge.sip.login import Login
from bridge.sip.message import Headers, Request, Response, parse, respond
from bridge.sip.output import Cancelled, Fact, HungUp, Output, Refused
from bridge.sip.owner import Report, Standing
from bridge.sip.transaction import Send
from bridge.sip.usage import Usage

OFFER = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
ANSWER = OFFER.replace(b"4000", b"5000")
ALICE = Flow("192.0.2.1", 5060)
BOB = Flow("192.0.2.2", 5060)
CAROL = Flow("192.0.2.3", 5060)


def identity(address: Flow, seed: int = 1) -> Identity:
    random = Random(f"{seed}{address}")
    return Identity(
        place=lambda to: (address.host, address.port),
        token=lambda size: random.randbytes(size).hex(),
        fraction=random.random,
    )


def request(
    method: str = "INVITE", *, uri: str = "sip:bob@192.0.2.2:5060", branch: str = "z9hG4bKone", cseq: int = 1,
    to: str = "<sip:bob@192.0.2.2>", from_tag: str = "alice", call_id: str = "call",
    headers: tuple[tuple[str, str], ...] = (("Contact", "<sip:alice@192.0.2.1:5060>"),), body: bytes = b"",
) -> Request:  # fmt: skip
    """As a peer at ALICE writes it."""
    pairs = [
        ("Via", f"SIP/2.0/UDP 192.0.2.1:5060;branch={branch};rport"),
        ("Max-Forwards", "70"),
        ("From", f"<sip:alice@192.0.2.1>;tag={from_tag}"),
        ("To", to),
        ("Call-ID", call_id),
        ("CSeq", f"{cseq} {method}"),
        *headers,
        *([("Content-Type", "application/sdp")] if body else []),
    ]
    return Request(method, uri, Headers(pairs), body)


def reply(
    asked: Request, status: int, *, tag: str = "bob", headers: tuple[tuple[str, str], ...] = (), sdp: bytes = b""
) -> Response:
    """As a peer at BOB writes it."""
    contact = (("Contact", "<sip:bob@192.0.2.2:5060>"),) if 100 < status < 300 else ()
    kind = (("Content-Type", "application/sdp"),) if sdp else ()
    return respond(asked, status, to_tag=tag, headers=[*contact, *headers, *kind], body=sdp)


def sent(agent: UserAgent) -> list[Request | Response]:
    """What an agent sends now; its reports are thrown away."""
    return [parse(item.data) for item in agent.drain() if isinstance(item, Send)]


@dataclass
class Party:
    """One user agent, and what it was told about its calls."""

    address: Flow
    agent: UserAgent = field(init=False)
    told: dict[Usage, list[Fact]] = field(default_factory=dict)
    react: Callable[[Usage, Fact], None] = lambda usage, fact: None
    seed: int = 1

    def __post_init__(self) -> None:
        me = replace(identity(self.address, self.seed), place=lambda to: (self.address.host, self.address.port))
        self.agent = UserAgent(me=me, owner=self)

    def standing(self, source: Flow) -> Standing:
        return Standing.KNOWN

    def hears(self, source: Flow, now: float) -> bool:
        return True

    def vet(self, request: Request, source: Flow, now: float) -> Flow | Response:
        return source

    def is_ours(self, uri: Uri, source: Flow) -> bool:
        return True

    def outside(self, request: Request, source: Flow, now: float) -> Response | None:
        return None

    def calling(
        self,
        target: Flow,
        login: Login | None = None,
        spares: tuple[Flow, ...] = (),
        headers: tuple[tuple[str, str], ...] = (),
        scheme: str = "sip",
    ) -> Outbound:
        return Outbound(
            target=Uri(scheme, "bob", "", target.host, target.port),
            caller=NameAddr("Alice", Uri("sip", "alice", "", self.address.host, self.address.port)),
            sdp=OFFER,
            me=self.agent.me,
            timers=self.agent.timers,
            peer=target,
            spares=spares,
            login=login,
            headers=headers,
        )


class World:
    """Packets are lost, doubled and overtake one another as the seed decides.

    With `forked`, whatever begins at Bob's address begins at Carol's too, as behind a proxy that forks.
    """

    def __init__(
        self, seed: int, *, loss: float = 0.3, doubled: float = 0.2, slowest: float = 0.4, forked: bool = False
    ) -> None:
        self.now = 0.0
        self.alice, self.bob = Party(ALICE, seed=seed), Party(BOB, seed=seed)
        self.carol = Party(CAROL, seed=seed)
        self.parties = (self.alice, self.bob, self.carol)
        self._forked = forked
        self._random = Random(seed)
        self.left: set[Flow] = set()
        """Addresses where nobody is any more."""
        self.loss, self._doubled, self._slowest = loss, doubled, slowest
        self._order = count()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (when, next(self._order), action))

    def act(self, party: Party, usage: Usage, outputs: list[Output]) -> None:
        party.agent.act(usage, outputs, self.now)

    def run(self, until: float) -> None:
        """Until nothing is left to do, or until a time."""
        self._flush()
        while (when := self._next()) is not None and when <= until:
            self.now = max(self.now, when)
            while self._queue and self._queue[0][0] <= self.now:
                heapq.heappop(self._queue)[2]()
                self._flush()
            for party in self.parties:
                party.agent.tick(self.now)
            self._flush()
        self.now = max(self.now, until)

    def _next(self) -> float | None:
        times = [party.agent.next_deadline for party in self.parties]
        times += [self._queue[0][0] if self._queue else None]
        return min((when for when in times if when is not None), default=None)

    def _flush(self) -> None:
        while drained := [(party, item) for party in self.parties for item in party.agent.drain()]:
            for party, item in drained:
                if isinstance(item, Send):
                    self._carry(item, party.address)
                elif isinstance(item, Report) and isinstance(item.user, Usage):
                    party.told.setdefault(item.user, []).append(item.fact)
                    party.react(item.user, item.fact)

    def _carry(self, item: Send, source: Flow) -> None:
        to = next((party for party in self.parties if party.address == item.to), None)
        if to is None and item.to in self.left:
            return
        assert to is not None, f"sent to a stranger: {item.to}"
        self._lose_or_deliver(item, source, to)
        if self._forked and to is self.bob and _begins(item):
            self._lose_or_deliver(item, source, self.carol)

    def _lose_or_deliver(self, item: Send, source: Flow, to: Party) -> None:
        for _ in range(2 if self._random.random() < self._doubled else 1):
            if self._random.random() >= self.loss:
                when = self.now + self._random.uniform(0.005, self._slowest)
                self.at(when, lambda: to.agent.receive(item.data, source, self.now))


def _begins(item: Send) -> bool:
    message = parse(item.data)
    return isinstance(message, Request) and not message.to_tag


def endings(facts: list[Fact]) -> int:
    return sum(isinstance(fact, (HungUp, Cancelled, Refused)) for fact in facts)


def count_of(kind: type[Fact], facts: list[Fact]) -> int:
    return sum(isinstance(fact, kind) for fact in facts)
