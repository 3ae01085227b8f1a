"""Ports for what tests start: of tests side by side no two are given the same."""

from __future__ import annotations

import contextlib
import os
import random
import socket
from collections.abc import Iterable, Iterator
from itertools import cycle

_LANES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_LANE = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
"""Processes that run tests side by side take every other port, so none takes what another has just found free."""


def lane_of(first: int, last: int) -> tuple[int, int]:
    """This process's part of a range of RTP ports, even to odd: what a bridge lets go of it takes back, not another's."""
    pairs = (last + 1 - first) // 2 // _LANES
    return first + 2 * pairs * _LANE, first + 2 * pairs * (_LANE + 1) - 1


def _shuffled(first: int, end: int) -> Iterator[int]:
    """This process's part of a range again and again: none comes twice until all others have come, for what was found free is not
    yet taken when the next one is asked for."""
    return cycle(random.sample(ours := range(first + _LANE, end, _LANES), len(ours)))


_PORTS, _SIP_PORTS = _shuffled(22_100, 26_000), _shuffled(10_000, 16_000)  # other parts have those around


def free_port(kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    """A port of 127.0.0.1 that nobody has at this moment, and that the kernel hands out to nobody who connects meanwhile."""
    return next(port for port in _PORTS if _are_free([port], kind))


def free_sip_port() -> int:
    """The same for whoever listens on UDP and TCP."""
    return next(port for port in _SIP_PORTS if _are_free([port], socket.SOCK_DGRAM, socket.SOCK_STREAM))


def _are_free(ports: Iterable[int], *kinds: socket.SocketKind) -> bool:
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        for port in ports:
            for kind in kinds:
                stack.enter_context(socket.socket(socket.AF_INET, kind)).bind(("127.0.0.1", port))
        return True
    return False


def free_block(ports: int) -> int:
    """The first of that many neighbours, even, all of them free for UDP: for what takes its ports itself."""
    first, last = lane_of(16_000, 19_999)
    while True:
        begin = random.randrange(first, last + 1 - ports, 2)
        if _are_free(range(begin, begin + ports), socket.SOCK_DGRAM):
            return begin
