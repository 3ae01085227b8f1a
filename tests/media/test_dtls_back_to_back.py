"""Two ends of DTLS-SRTP that exchange datagrams by function call (RFC 5764, 6347)."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from functools import partial

import pytest

from bridge.media.dtls import Certificate, Dtls, State
from bridge.media.slot import Slot
from bridge.media.srtp import Srtp

from .stage import rtp

CERTIFICATES = [Certificate.generateCertificate() for _ in range(2)]
VOICE = bytes(range(160))


class Line:
    """A client and a server, and the datagrams between them."""

    def __init__(self, *, announced: Sequence[tuple[tuple[str, str], ...]] | None = None) -> None:
        prints = announced or [(("sha-256", certificate.fingerprint),) for certificate in CERTIFICATES]
        self.under_way: deque[tuple[int, bytes]] = deque()
        self.ends = [
            Dtls(
                CERTIFICATES[end],
                client=end == 0,
                fingerprints=prints[1 - end],
                send=partial(self._sent, 1 - end),
            )
            for end in (0, 1)
        ]
        for end in self.ends:
            end.begin()

    def _sent(self, to: int, data: bytes) -> None:
        self.under_way.append((to, data))

    def carry(self) -> None:
        while self.under_way:
            to, data = self.under_way.popleft()
            self.ends[to].receive(data)

    @property
    def states(self) -> list[State]:
        return [end.state for end in self.ends]


def test_both_have_keys_with_which_each_understands_the_other() -> None:
    line = Line()
    line.carry()
    assert line.states == [State.UP, State.UP]
    packet = rtp(0, 1, 1, VOICE)
    for mine, other in (line.ends, reversed(line.ends)):
        slot = Slot(bytearray(2048))
        slot.view[: len(packet)] = packet
        length = Srtp(mine.incoming, mine.outgoing).protect(slot, len(packet))
        assert bytes(slot.view[: len(packet)]) != packet
        assert Srtp(other.incoming, other.outgoing).unprotect(slot, length) == len(packet)
        assert slot.view[: len(packet)] == packet


def test_nobody_is_owed_an_answer_once_both_are_up() -> None:
    line = Line()
    assert line.ends[0].patience is not None, "the client's first flight may be lost"
    line.carry()
    assert [end.patience for end in line.ends] == [None, None]


@pytest.mark.parametrize("end", [0, 1])
def test_whoever_has_another_certificate_than_announced_gets_no_keys(end: int) -> None:
    announced = [(("sha-256", certificate.fingerprint),) for certificate in CERTIFICATES]
    announced[end] = (("sha-256", Certificate.generateCertificate().fingerprint),)
    line = Line(announced=announced)
    line.carry()
    judge = line.ends[1 - end]
    assert judge.state is State.FAILED
    assert not hasattr(judge, "incoming")


def test_every_fingerprint_has_to_agree_and_there_has_to_be_one() -> None:
    for prints in ((), (("sha-256", CERTIFICATES[1].fingerprint), ("sha-512", ":".join(["AB"] * 64)))):
        line = Line(announced=[(("sha-256", CERTIFICATES[0].fingerprint),), prints])
        line.carry()
        assert line.ends[0].state is State.FAILED


@pytest.mark.parametrize("end", [0, 1])
def test_goodbye_is_heard_by_the_other_and_said_once(end: int) -> None:
    line = Line()
    line.carry()
    line.ends[end].close()
    assert len(line.under_way) == 1
    line.carry()
    assert line.states == [State.CLOSED, State.CLOSED]
    for each in line.ends:
        each.close()
        each.repeat()
    assert not line.under_way


def test_who_is_closed_before_it_is_up_goes_quietly_and_takes_nothing_more() -> None:
    line = Line()
    line.ends[0].close()
    line.carry()
    assert line.states[0] is State.CLOSED
    assert line.ends[0].patience is None


@pytest.mark.parametrize("seed", range(20))
def test_nonsense_repetition_and_disorder_cost_no_handshake(seed: int) -> None:
    chance = random.Random(seed)
    line = Line()
    seen: list[tuple[int, bytes]] = []
    while line.under_way:
        waiting = list(line.under_way)
        seen += waiting
        noise = [(chance.randrange(2), chance.randbytes(chance.randrange(1, 200))) for _ in range(3)]
        cut = [(to, data[: chance.randrange(len(data))]) for to, data in waiting]
        again = chance.choices(seen, k=2) if all(state is State.HANDSHAKE for state in line.states) else []
        line.under_way = deque(chance.sample([*noise, *cut, *again], len(noise) + len(cut) + len(again)) + waiting)
        for _ in range(len(line.under_way)):
            to, data = line.under_way.popleft()
            line.ends[to].receive(data)
    assert line.states == [State.UP, State.UP]
