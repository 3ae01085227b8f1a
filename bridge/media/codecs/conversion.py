"""Voice of one direction from one codec to another, packet by packet, in step with the sender's clock; no sockets, no threads."""

from __future__ import annotations

from typing import Final

from ..relay import HEADER, MAX_DROPOUT, MAX_MISORDER, RTP
from ..sdp import CLOCK_RATES
from . import codec

FRAMES: Final = 50
"""A second: what we send are frames of 20 ms, whatever comes."""
MADE_UP: Final = 3
"""Packets in a row that are made up for; of a longer gap the listener has to make something."""
WIDE: Final = frozenset({"G722", "opus"})


class Conversion:
    """RTP packets in, RTP packets out: of the same source, numbered anew, their timestamps the sender's on the other clock.

    What is lost of opus is made up for from what the next packet repeats of it (in-band FEC), or from what was heard before.
    What is lost of another codec is missing in what goes out as well: the listener makes up for that better than we could.
    """

    def __init__(self, source: str, target: str) -> None:
        self._source = source
        self._rate = 16_000 if {source, target} <= WIDE else 8000
        self._clock_in, self._clock_out = CLOCK_RATES[source], CLOCK_RATES[target]
        self._samples = self._rate // FRAMES
        """Of a frame."""
        self._encoder = codec.encoder(target, self._rate)
        self._ssrc = -1
        self._sequence_out = 0
        self._begin(-1, 0, 0)

    def _begin(self, ssrc: int, sequence: int, timestamp: int) -> None:
        self._decoder = codec.decoder(self._source, self._rate)
        self._ssrc, self._sequence, self._timestamp = ssrc, (sequence - 1) & 0xFFFF, timestamp
        self._at = 0
        """Where the newest packet begins, in samples since the source began."""
        self._pcm = b""
        """What does not fill a frame yet …"""
        self._end = 0
        """… and where it ends."""

    def convert(self, packet: bytes) -> list[bytes]:
        """What has to be sent now; nothing for a packet that came twice or too late."""
        first, second, sequence, timestamp, ssrc = RTP.unpack_from(packet)
        payload = packet[HEADER:] if first == 0x80 else _plain(first, packet)
        step = (sequence - self._sequence) & 0xFFFF
        if ssrc != self._ssrc or MAX_DROPOUT < step < 0x10000 - MAX_MISORDER:
            self._begin(ssrc, sequence, timestamp)
            step = 1
        if not payload or not 0 < step <= MAX_DROPOUT:
            return []
        leap = ((timestamp - self._timestamp + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        self._at += leap * self._rate // self._clock_in
        self._sequence, self._timestamp = sequence, timestamp
        made_up = self._made_up(step - 1, payload) if step > 1 else b""
        if not made_up:
            self._sequence_out += step - 1
        pcm = self._decoder.decode(payload)
        return self._frames(made_up + pcm, self._at - len(made_up) // 2, second & 0x80)

    def _made_up(self, lost: int, payload: bytes) -> bytes:
        if lost > MADE_UP:
            return b""
        from_before = b"".join(self._decoder.conceal(self._samples) for _ in range(lost - 1))
        return from_before + self._decoder.conceal(self._samples, payload)

    def _frames(self, pcm: bytes, at: int, marker: int) -> list[bytes]:
        """Whole frames of what is there now; a leap of the sender's clock is one of ours, too."""
        size, out = 2 * self._samples, []
        if at > self._end and self._pcm:
            out.append(self._packet(self._pcm + bytes(size - len(self._pcm)), self._end - len(self._pcm) // 2, marker))
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
            out.append(self._packet(whole[offset : offset + size], start + offset // 2, marker))
            marker = 0
        self._pcm = whole[used:]
        return out

    def _packet(self, pcm: bytes, at: int, marker: int) -> bytes:
        self._sequence_out += 1
        timestamp = at * self._clock_out // self._rate & 0xFFFFFFFF
        header = RTP.pack(0x80, marker, self._sequence_out & 0xFFFF, timestamp, self._ssrc)
        return header + self._encoder.encode(pcm)


def _plain(first: int, packet: bytes) -> bytes:
    """The payload without CSRCs, extension and padding."""
    start, end = HEADER + 4 * (first & 0x0F), len(packet)
    if first & 0x10:
        start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4], "big")
    if first & 0x20:
        end -= packet[-1]
    return packet[start:end]
