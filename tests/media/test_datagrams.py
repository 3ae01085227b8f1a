"""Many datagrams in one system call are what they would have been one by one."""

from __future__ import annotations

import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest

from bridge.media.datagrams import Batched, Datagrams, OneByOne
from bridge.media.mmsg import MOST
from bridge.media.packet import BUFFER_BYTES
from bridge.media.poller import Poller
from bridge.media.sdp import Address
from bridge.media.slot import Slot

ONLY_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="recvmmsg and sendmmsg are Linux'")


@contextmanager
def bound() -> Iterator[tuple[socket.socket, Address]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        host, port = sock.getsockname()
        yield sock, (host, port)


class Desk:
    """A socket of ours between two others."""

    def __init__(self, stack: ExitStack, kind: Callable[[socket.socket, Slot], Datagrams]) -> None:
        self.slot = Slot(bytearray(BUFFER_BYTES))
        self.ours, self.address = stack.enter_context(bound())
        self.peers = [stack.enter_context(bound()) for _ in range(2)]
        self.datagrams = kind(self.ours, self.slot)

    def read(self) -> list[tuple[bytes, Address]]:
        """Until nothing is left."""
        found, before = list[tuple[bytes, Address]](), -1
        while len(found) != before:
            before = len(found)
            for slot, length, name in self.datagrams.receive():
                found.append((bytes(slot.view[:length]), self.datagrams.address(name)))
        return found

    def gather(self) -> None:
        """The poller begins a look."""
        if isinstance(self.datagrams, Batched):
            self.datagrams.gather()

    def flush(self) -> None:
        """It ends."""
        if isinstance(self.datagrams, Batched):
            self.datagrams.flush()

    def post(self, data: bytes, to: Address, *, copied: bool = True) -> None:
        slot = self.slot if copied else self.datagrams.vacant
        slot.view[: len(data)] = data
        self.datagrams.post(slot, len(data), self.datagrams.name(to))
        self.slot.view[: len(data)] = bytes(len(data))


@pytest.fixture(params=["one by one", pytest.param("batched", marks=ONLY_LINUX)])
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    poller = Poller()
    batched = request.param == "batched"
    with ExitStack() as stack:
        desk = Desk(stack, partial(_batched, poller=poller) if batched else OneByOne)
        yield desk
        desk.datagrams.close()
    assert poller.gathers == []
    poller.close()


def _batched(sock: socket.socket, slot: Slot, poller: Poller) -> Batched:
    return Batched(sock, poller)


def voice(number: int) -> bytes:
    """Of a length between a byte and all that is read of a datagram."""
    return bytes([number]) * (1 + number * 37 % 1600)


def heard(sock: socket.socket) -> list[bytes]:
    found = list[bytes]()
    while True:
        try:
            found.append(sock.recv(BUFFER_BYTES))
        except BlockingIOError:
            return found


async def test_what_waits_comes_in_turn_with_whom_it_is_from(desk: Desk) -> None:
    sent = [(voice(number), number % 2) for number in range(MOST + 36)]
    for data, at in sent:
        desk.peers[at][0].sendto(data, desk.address)
    assert desk.read() == [(data, desk.peers[at][1]) for data, at in sent]
    assert desk.read() == []


async def test_what_is_posted_goes_as_it_was_then_and_in_order(desk: Desk) -> None:
    desk.gather()
    for number in range(2 * MOST + 5):
        desk.post(voice(number), desk.peers[number % 2][1], copied=number % 3 == 0)
    desk.flush()
    for at, (sock, _) in enumerate(desk.peers):
        assert heard(sock) == [voice(number) for number in range(at, 2 * MOST + 5, 2)]


async def test_what_is_posted_between_two_looks_of_the_poller_goes_at_once(desk: Desk) -> None:
    desk.post(b"voice", desk.peers[0][1])
    assert heard(desk.peers[0][0]) == [b"voice"]


async def test_one_that_can_not_be_sent_does_not_cost_the_others(desk: Desk) -> None:
    desk.gather()
    for data, to in ((b"one", desk.peers[0][1]), (b"lost", ("127.0.0.1", 0)), (b"two", desk.peers[0][1])):
        desk.post(data, to)
    desk.flush()
    assert heard(desk.peers[0][0]) == [b"one", b"two"]
    assert desk.datagrams.unsent == 1


@ONLY_LINUX
async def test_what_waits_when_the_socket_closes_is_nobody_elses() -> None:
    """The descriptor's number may be another socket's by then."""
    poller = Poller()
    with ExitStack() as stack:
        desk = Desk(stack, partial(_batched, poller=poller))
        desk.gather()
        desk.post(b"voice", desk.peers[0][1])
        descriptor = desk.ours.fileno()
        desk.ours.close()
        with bound() as (other, _):
            assert other.fileno() == descriptor
            desk.flush()
        assert heard(desk.peers[0][0]) == []
        assert desk.datagrams.unsent == 1
    poller.close()
