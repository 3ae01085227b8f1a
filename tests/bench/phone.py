"""The caller's voice at the benches' PBX: a tone in PCMU out, and the moments at which the operator's voice came in."""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import NamedTuple

from .pbx import HOST

TONE_HZ = 1004
FRAME = 160
FRAME_SECONDS = 0.02
_VOICED = bytes(code for code in range(256) if (~code & 0x7F) >= 0x20)
"""PCMU codes of amplitudes above 132 of 32,635: louder than any comfort noise."""
"""The bridge's comfort noise among them."""
_PLACE = re.compile(rb"^c=IN IP4 ([0-9.]+)", re.MULTILINE)
_AUDIO = re.compile(rb"^m=audio (\d+) ", re.MULTILINE)


class Packet(NamedTuple):
    at: float
    """Unix seconds."""
    starts: bool
    """The marker bit: the first one of a talker."""
    loud: bool
    """There is voice in it."""


class Phone(asyncio.DatagramProtocol):
    """One RTP stream each way."""

    def __init__(self) -> None:
        self.port = 0
        self.heard: deque[Packet] = deque(maxlen=100_000)
        self._udp: asyncio.DatagramTransport | None = None
        self._peer: tuple[str, int] | None = None
        self._aimed = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Phone]:
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(HOST, 0))
        self.port = self._udp.get_extra_info("sockname")[1]
        async with asyncio.TaskGroup() as tasks:
            speaker = tasks.create_task(self._speak())
            try:
                yield self
            finally:
                speaker.cancel()
                self._udp.close()

    def aim(self, sdp: bytes) -> None:
        """Speak to the place in this answer, from now on; the first packet leaves at once."""
        place, audio = _PLACE.search(sdp), _AUDIO.search(sdp)
        if place and audio:
            self._peer = (place[1].decode(), int(audio[1]))
            self._aimed.set()

    def stop(self) -> None:
        self._peer = None
        self._aimed.clear()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        payload = data[12:]
        loud = len(payload.translate(None, delete=_VOICED)) < len(payload)
        self.heard.append(Packet(time.time(), bool(data[1] & 0x80), loud))

    def first_loud(self, since: float) -> float | None:
        """When the operator was first heard after that time."""
        return next((packet.at for packet in self.heard if packet.at >= since and packet.loud), None)

    def first_of_next_talker(self, since: float) -> float | None:
        """As `first_loud`, but of a voice that began after that time: what was still on its way does not count."""
        later = [packet for packet in self.heard if packet.at >= since]
        start = next((number for number, packet in enumerate(later) if packet.starts), len(later))
        return next((packet.at for packet in later[start:] if packet.loud), None)

    async def _speak(self) -> None:
        loop, tune = asyncio.get_running_loop(), _tone()
        while True:
            await self._aimed.wait()
            start = loop.time()
            for number in count():
                if self._udp is None or self._peer is None:
                    break
                head = bytes((0x80, 0x80 if number == 0 else 0)) + (number & 0xFFFF).to_bytes(2, "big")
                head += (number * FRAME & 0xFFFFFFFF).to_bytes(4, "big") + b"pbx1"
                self._udp.sendto(head + tune[number % len(tune)], self._peer)
                await asyncio.sleep(max(0.0, start + (number + 1) * FRAME_SECONDS - loop.time()))


def _tone() -> list[bytes]:
    """One second, which holds whole waves and so repeats without a click."""
    sound = bytes(_ulaw(int(8000 * math.sin(2 * math.pi * TONE_HZ * n / 8000))) for n in range(8000))
    return [sound[at : at + FRAME] for at in range(0, len(sound), FRAME)]


def _ulaw(sample: int) -> int:
    """ITU-T G.711."""
    sign, level = (0x80, -sample) if sample < 0 else (0, sample)
    level = min(level, 32635) + 0x84
    segment = level.bit_length() - 8
    return ~(sign | segment << 4 | level >> (segment + 3) & 0x0F) & 0xFF
