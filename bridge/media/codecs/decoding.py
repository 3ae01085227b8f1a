"""Voice of one direction as PCM, in whole frames and in step with the sender's clock; no sockets, no threads."""

from __future__ import annotations

from typing import Final, NamedTuple

from ..packet import HEADER, MAX_DROPOUT, MAX_MISORDER, RTP
from ..sdp import CLOCK_RATES
from . import codec

FRAMES: Final = 50
"""A second: what comes out are frames of 20 ms, whatever goes in."""
MADE_UP: Final = 3
"""Packets in a row that are made up for; of a longer gap the listener has to make something."""


class Frame(NamedTuple):
    pcm: bytes
    at: int
    """When it begins, in samples since its source began."""
    missing: int
    """Packets that were lost before it and not made up for."""
    marker: int
    """That of the packet it came in: 0x80 or 0."""
    fresh: bool
    """The first of its source."""


class Decoding:
    """RTP packets in, frames of 20 ms out.

    What is lost of opus is made up for from what the next packet repeats of it (in-band FEC), or from what was heard before.
    What is lost of another codec is missing in what goes out as well: the listener makes up for that better than we could.
    """

    def __init__(self, source: str, rate: int) -> None:
        """`rate` of the PCM, in Hz."""
        self._source, self._rate, self._clock = source, rate, CLOCK_RATES[source]
        self._samples = rate // FRAMES
        """Of a frame."""
        self.ssrc = -1
        self._begin(-1, 0, 0)

    def _begin(self, ssrc: int, sequence: int, timestamp: int) -> None:
        self._decoder = codec.decoder(self._source, self._rate)
        self.ssrc, self._sequence, self._timestamp = ssrc, (sequence - 1) & 0xFFFF, timestamp
        self._at = 0
        """Where the newest packet begins, in samples since the source began."""
        self._pcm = b""
        """What does not fill a frame yet …"""
        self._end = 0
        """… and where it ends."""
        self._missing = 0
        self._fresh = True

    def take(self, packet: bytes) -> list[Frame]:
        """What has become whole; nothing for a packet that came twice or too late."""
        first, second, sequence, timestamp, ssrc = RTP.unpack_from(packet)
        payload = packet[HEADER:] if first == 0x80 else _plain(first, packet)
        step = (sequence - self._sequence) & 0xFFFF
        if ssrc != self.ssrc or MAX_DROPOUT < step < 0x10000 - MAX_MISORDER:
            self._begin(ssrc, sequence, timestamp)
            step = 1
        if not payload or not 0 < step <= MAX_DROPOUT:
            return []
        leap = ((timestamp - self._timestamp + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        self._at += leap * self._rate // self._clock
        self._sequence, self._timestamp = sequence, timestamp
        made_up = self._made_up(step - 1, payload) if step > 1 else b""
        if not made_up:
            self._missing += step - 1
        pcm = self._decoder.decode(payload)
        return self._frames(made_up + pcm, self._at - len(made_up) // 2, second & 0x80)

    def _made_up(self, lost: int, payload: bytes) -> bytes:
        if lost > MADE_UP:
            return b""
        from_before = b"".join(self._decoder.conceal(self._samples) for _ in range(lost - 1))
        return from_before + self._decoder.conceal(self._samples, payload)

    def _frames(self, pcm: bytes, at: int, marker: int) -> list[Frame]:
        """Whole frames of what is there now; a leap of the sender's clock is one of ours, too."""
        size, out = 2 * self._samples, []
        if at > self._end and self._pcm:
            out.append(self._frame(self._pcm + bytes(size - len(self._pcm)), self._end - len(self._pcm) // 2, marker))
            self._pcm = b""
        if at > self._end or self._end - at > self._rate:  # a clock that was set back begins anew
            self._end, self._pcm = at, b""
        elif at < self._end:
            pcm = pcm[2 * (self._end - at) :]
        start = self._end - len(self._pcm) // 2
        whole = self._pcm + pcm
        self._end += len(pcm) // 2
        used = len(whole) - len(whole) % size
        for offset in range(0, used, size):
            out.append(self._frame(whole[offset : offset + size], start + offset // 2, marker))
            marker = 0
        self._pcm = whole[used:]
        return out

    def _frame(self, pcm: bytes, at: int, marker: int) -> Frame:
        frame = Frame(pcm, at, self._missing, marker, self._fresh)
        self._missing, self._fresh = 0, False
        return frame


def _plain(first: int, packet: bytes) -> bytes:
    """The payload without CSRCs, extension and padding."""
    start, end = HEADER + 4 * (first & 0x0F), len(packet)
    if first & 0x10:
        start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4], "big")
    if first & 0x20:
        end -= packet[-1]
    return packet[start:end]
