"""Two pure stacks over a stream that is cut anywhere and delayed: every call is answered once, ends once, and leaves nothing."""

from __future__ import annotations

import heapq
from collections import Counter
from itertools import count
from random import Random

import pytest

from bridge.sip.callee import Inbound
from bridge.sip.flow import Flow, Protocol
from bridge.sip.framer import Framer, Whole
from bridge.sip.output import Accepted, Confirmed, Fact
from bridge.sip.owner import Gone, Invited, Report
from bridge.sip.transaction import Send
from bridge.sip.usage import Usage

from .parties import ALICE, ANSWER, BOB, Party, count_of, endings

TO_ALICE, TO_BOB = Flow(ALICE.host, 5060, Protocol.TCP), Flow(BOB.host, 5060, Protocol.TCP)


class Pipe:
    """One direction of the connection: bytes arrive in order, in pieces of any size, at any time."""

    def __init__(self, to: Party, source: Flow, random: Random) -> None:
        self.to, self.source = to, source
        self._random = random
        self._framer = Framer()
        self._last = 0.0

    def pieces(self, data: bytes, now: float) -> list[tuple[float, bytes]]:
        cut = []
        while data:
            size = self._random.randint(1, 400)
            self._last = max(self._last, now) + self._random.uniform(0, 0.2)
            cut.append((self._last, data[:size]))
            data = data[size:]
        return cut

    def arrive(self, data: bytes, now: float) -> None:
        for item in self._framer.feed(data, now):
            assert isinstance(item, Whole)
            self.to.agent.receive(item.data, self.source, now)


class Wire:
    def __init__(self, seed: int) -> None:
        random = Random(seed)
        self.now = 0.0
        self.alice, self.bob = Party(TO_ALICE, seed=seed), Party(TO_BOB, seed=seed)
        self._pipes = {
            TO_BOB.host: Pipe(self.bob, TO_ALICE, random), TO_ALICE.host: Pipe(self.alice, TO_BOB, random),
        }  # fmt: skip
        self._order = count()
        self._queue: list[tuple[float, int, Pipe, bytes]] = []
        self.sent: Counter[bytes] = Counter()
        """By the first word: a method or the version."""

    def run(self, until: float) -> None:
        self._flush()
        while (when := self._next()) is not None and when <= until:
            self.now = max(self.now, when)
            while self._queue and self._queue[0][0] <= self.now:
                _, _, pipe, data = heapq.heappop(self._queue)
                pipe.arrive(data, self.now)
                self._flush()
            for party in (self.alice, self.bob):
                party.agent.tick(self.now)
            self._flush()
        self.now = max(self.now, until)

    def _next(self) -> float | None:
        times = [self.alice.agent.next_deadline, self.bob.agent.next_deadline]
        times += [self._queue[0][0] if self._queue else None]
        return min((when for when in times if when is not None), default=None)

    def _flush(self) -> None:
        while drained := [(party, item) for party in (self.alice, self.bob) for item in party.agent.drain()]:
            for party, item in drained:
                if isinstance(item, Send):
                    assert item.to.protocol is Protocol.TCP
                    self.sent[item.data.partition(b" ")[0]] += 1
                    pipe = self._pipes[item.to.host]
                    for when, piece in pipe.pieces(item.data, self.now):
                        heapq.heappush(self._queue, (when, next(self._order), pipe, piece))
                elif isinstance(item, Report) and isinstance(item.user, Usage):
                    party.told.setdefault(item.user, []).append(item.fact)
                    party.react(item.user, item.fact)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("who_ends", ["alice", "bob"])
def test_a_call_over_a_stream_is_answered_once_ends_once_and_no_request_is_sent_twice(seed: int, who_ends: str) -> None:
    wire = Wire(seed)

    def answers(usage: Usage, fact: Fact) -> None:
        if isinstance(usage, Inbound) and isinstance(fact, Invited):
            wire.bob.agent.act(usage, usage.ring(wire.now), wire.now)
            wire.bob.agent.act(usage, usage.answer(ANSWER, wire.now), wire.now)

    wire.bob.react = answers
    call = wire.alice.calling(TO_BOB)
    wire.alice.agent.call(call, 0.0)
    wire.run(20)
    (callee,) = wire.bob.told
    assert count_of(Accepted, wire.alice.told[call]) == 1
    assert count_of(Confirmed, wire.bob.told[callee]) == 1
    party, usage = (wire.alice, call) if who_ends == "alice" else (wire.bob, callee)
    party.agent.act(usage, usage.hang_up(16, wire.now), wire.now)
    wire.run(100)
    for one in (wire.alice, wire.bob):
        for facts in one.told.values():
            assert count_of(Gone, facts) == 1
            assert endings(facts) <= 1
        assert one.agent.pending == 0
        assert one.agent.next_deadline is None
    # The 2xx may be repeated until its ACK is there, and the ACK with it (RFC 3261 13.3.1.4).
    assert (wire.sent[b"INVITE"], wire.sent[b"BYE"]) == (1, 1)
