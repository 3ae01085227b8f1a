"""The voices of `crowd.c`: ends of calls that come and go, spoken and heard by a thread of its own."""

from __future__ import annotations

import asyncio
import ctypes
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ..bench.load import Address, PageVoice, compiled

PAGE, PBX = 0, 1
PRIORITY = 5
"""Of the real-time scheduler, where that may be had: who counts losses must not cause them."""
BINS, BIN_MS = 400, 0.25
KEYS = 33


class _Tally(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64 * 2) for name in ("sent", "arrived", "twice")] + [("refused", ctypes.c_int64)]


class _Summary(ctypes.Structure):
    _fields_ = [
        ("tally", _Tally),
        ("behind_ns", ctypes.c_int64),
        ("histogram", ctypes.c_int64 * BINS * 2),
        ("voices", ctypes.c_int64),
        ("unforwarded", ctypes.c_int64),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one call, or all together for a while, came to; both directions, packets that were counted."""

    sent: int
    arrived: int
    twice: int
    """Came twice, or after a later one."""
    refused: int
    """SRTP that did not open."""
    keys: str = ""
    """Of the keypad, as the PBX heard them."""

    @property
    def lost(self) -> int:
        return self.sent - self.arrived


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """All calls since the last look."""

    heard: Heard
    voices: int
    """Calls with two ends now."""
    p50: float
    """Milliseconds from socket to socket, up to half a millisecond of the load's own in it."""
    p99: float
    behind: float
    """Milliseconds that the load itself was late at worst."""
    unforwarded: int
    """STUN and DTLS that this process was too slow to take."""


class Crowd:
    """Numbers of calls are 0 to `most` - 1. Make one with `crowd`."""

    def __init__(self, most: int) -> None:
        self._library = compiled(Path(__file__).with_name("crowd.c"))
        self._free = list(range(most))
        self._legs: dict[int, PageVoice] = {}
        self._made = 0
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._theirs = theirs
        self._ours.setblocking(False)
        self.hurried = not self._library.crowd_begin(most, theirs.fileno(), PRIORITY)
        """It has the priority that it wants."""

    def open(self) -> int:
        """The number of a new call."""
        return self._free.pop()

    def page(self, number: int, voice: PageVoice) -> None:
        """This page speaks for the call from now on."""
        self._made += 1
        voice_name = self._made
        self._legs[voice_name] = voice
        voice.pc.on("connectionstatechange", lambda: self._forget(voice_name, voice))
        handed = voice.handed_over()
        failed = self._library.crowd_page(number, ctypes.c_uint32(voice_name), *handed)
        assert not failed, failed

    def pbx(self, number: int, end: socket.socket, to: Address) -> None:
        failed = self._library.crowd_pbx(number, end.fileno(), to[0].encode(), to[1])
        assert not failed, failed

    def silence(self, number: int, which: int) -> None:
        """This end is gone: its socket may be closed."""
        self._library.crowd_silence(number, which)

    def count(self, number: int, counted: bool) -> None:
        self._library.crowd_count(number, int(counted))

    def close(self, number: int) -> Heard:
        tally, keys = _Tally(), ctypes.create_string_buffer(KEYS)
        self._library.crowd_close(number, ctypes.byref(tally), keys)
        self._free.append(number)
        return _heard(tally, keys.value.decode())

    def look(self) -> Sound:
        summary = _Summary()
        self._library.crowd_read(ctypes.byref(summary))
        bins = [sum(both) for both in zip(*summary.histogram, strict=True)]
        return Sound(
            heard=_heard(summary.tally),
            voices=summary.voices,
            p50=_share(bins, 0.5),
            p99=_share(bins, 0.99),
            behind=summary.behind_ns / 1e6,
            unforwarded=summary.unforwarded,
        )

    def forward(self) -> None:
        """What came for a page and is no voice goes where it would have gone."""
        for _ in range(64):
            try:
                data = self._ours.recv(4096)
            except BlockingIOError:
                return
            voice = self._legs.get(int.from_bytes(data[:4], "little"))
            if voice is not None and (nominated := voice.ice._nominated.get(1)):
                nominated.protocol.datagram_received(data[4:], nominated.remote_addr)

    def end(self) -> None:
        self._library.crowd_end()
        self._ours.close()
        self._theirs.close()

    @property
    def descriptor(self) -> int:
        return self._ours.fileno()

    def _forget(self, name: int, voice: PageVoice) -> None:
        if voice.pc.connectionState == "closed":
            self._legs.pop(name, None)


@asynccontextmanager
async def crowd(most: int) -> AsyncIterator[Crowd]:
    one, loop = Crowd(most), asyncio.get_running_loop()
    take: Callable[[], None] = one.forward
    loop.add_reader(one.descriptor, take)
    try:
        yield one
    finally:
        loop.remove_reader(one.descriptor)
        one.end()


def _heard(tally: _Tally, keys: str = "") -> Heard:
    return Heard(
        sent=sum(tally.sent), arrived=sum(tally.arrived), twice=sum(tally.twice), refused=tally.refused, keys=keys
    )


def _share(bins: list[int], share: float) -> float:
    """The value below which this share lies, in milliseconds; 0 for nothing."""
    wanted, seen = sum(bins) * share, 0
    for number, count in enumerate(bins):
        seen += count
        if wanted and seen >= wanted:
            return (number + 1) * BIN_MS
    return 0.0
