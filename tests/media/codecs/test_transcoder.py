"""The thread that converts: everything comes back in its order, whatever one call's voice does to it."""

from __future__ import annotations

import threading

import pytest

from bridge.media.codecs.conversion import Conversion
from bridge.media.codecs.transcoder import MOST_WAITING, Transcoder

from ...rig.waiting import wait_for


class _Echo(Conversion):
    """Gives back what it gets, in another thread than the test's."""

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def convert(self, packet: bytes) -> list[bytes]:
        self.threads.add(threading.get_ident())
        if packet == b"broken":
            raise ValueError("a defect")
        return [packet]


async def test_packets_come_back_in_order_in_the_event_loop_and_a_broken_one_costs_only_itself() -> None:
    heard: list[tuple[bytes, int]] = []
    echo, transcoder = _Echo(), Transcoder()
    async with transcoder.running():
        for packet in (b"one", b"broken", *(b"%d" % number for number in range(100))):
            transcoder.take(echo.convert, packet, lambda packet: heard.append((packet, threading.get_ident())))
        await wait_for(lambda: len(heard) == 101, 5, "every packet")
    assert [packet for packet, _ in heard] == [b"one", *(b"%d" % number for number in range(100))]
    assert {thread for _, thread in heard} == {threading.get_ident()}
    assert threading.get_ident() not in echo.threads


async def test_a_machine_that_is_far_behind_leaves_packets_out_instead_of_piling_them_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, heard = threading.Event(), list[bytes]()

    class Stuck(_Echo):
        def convert(self, packet: bytes) -> list[bytes]:
            gate.wait(10)
            return [packet]

    stuck, transcoder = Stuck(), Transcoder()
    async with transcoder.running():
        for _ in range(MOST_WAITING + 50):
            transcoder.take(stuck.convert, b"x", heard.append)
        assert transcoder.dropped >= 49
        gate.set()
        await wait_for(lambda: len(heard) == MOST_WAITING + 50 - transcoder.dropped, 5, "the others")


async def test_nothing_is_delivered_after_the_end() -> None:
    heard: list[bytes] = []
    transcoder = Transcoder()
    async with transcoder.running():
        transcoder.take(_Echo().convert, b"late", heard.append)
    assert heard in ([], [b"late"])
    threads = [thread.name for thread in threading.enumerate()]
    assert "transcoder" not in threads
