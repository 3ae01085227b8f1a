"""The hot path: voice from one leg to the other, payloads untouched.

One datagram at a time lies in a shared buffer and is rewritten there; nothing is copied that need not be.
"""

from __future__ import annotations

import struct
from typing import Final, Protocol

RTP: Final = struct.Struct("!BBHII")
HEADER: Final = 12
BUFFER_BYTES: Final = 2048
LONGEST_DATAGRAM: Final = 1600
"""What is read of a datagram at most: leaves room behind it for the SRTP trailer."""

FRAMES_PER_SECOND: Final = 50
MAX_DROPOUT: Final = 3000
MAX_MISORDER: Final = 100
"""RFC 3550, A.1: a larger step is a source that started anew."""
LONGEST_PAUSE: Final = 60
"""Seconds that a source's timestamp may leap without being taken for a new start."""

SILENCE: Final = {"PCMU": b"\xff" * 160, "PCMA": b"\xd5" * 160, "G722": b"\xff" * 160, "opus": b"\xf8\xff\xfe"}
"""20 ms of nothing. G.722's decodes to amplitude 2 of 32768; opus's is the silence flag of a 20 ms CELT frame."""


class Outlet(Protocol):
    """Where a datagram leaves: it lies in the buffer."""

    def send(self, length: int) -> None: ...


def make_plain(view: memoryview, length: int) -> int:
    """Take CSRCs, extension and padding out of a packet (RFC 3550, 5.1); the new length, 0 if the packet is broken."""
    first = view[0]
    start, end = HEADER + 4 * (first & 0x0F), length
    if first & 0x10:
        if start + 4 > length:
            return 0
        start += 4 + 4 * int.from_bytes(view[start + 2 : start + 4], "big")
    if first & 0x20:
        end -= view[length - 1]
    if end <= start or end > length:
        return 0
    view[HEADER : HEADER + end - start] = bytes(view[start:end])
    return HEADER + end - start


class Stream:
    """An RTP stream that we send: one SSRC, and sequence and timestamps that go on whatever feeds it.

    Within one source, order and gaps stay as they are. When the source changes or starts anew, sequence numbers go on
    with the next one and timestamps with the time that passed, and the marker bit says so.
    """

    __slots__ = (
        "_at",
        "_frame",
        "_late",
        "_longest",
        "_sequence_in",
        "_sequence_shift",
        "_source",
        "_timestamp_in",
        "_timestamp_shift",
        "_view",
        "payload_type",
        "sequence",
        "ssrc",
        "timestamp",
    )

    def __init__(
        self, view: memoryview, *, ssrc: int, sequence: int, timestamp: int, payload_type: int, clock_rate: int
    ) -> None:
        self._view = view
        self.ssrc, self.sequence, self.timestamp = ssrc, sequence, timestamp
        """`sequence` and `timestamp` of the newest packet sent."""
        self.payload_type = payload_type
        self._frame = clock_rate // FRAMES_PER_SECOND
        self._longest = clock_rate * LONGEST_PAUSE
        self._source = -1
        self._sequence_in = self._timestamp_in = self._sequence_shift = self._timestamp_shift = 0
        self._late = 0
        self._at = -1.0

    def rewrite(self, length: int, now: float) -> int:
        """Make the packet in the buffer one of this stream; its new length, 0 if it is not to be sent."""
        view = self._view
        first, second, sequence, timestamp, ssrc = RTP.unpack_from(view)
        if first != 0x80:
            length = make_plain(view, length)
        if length <= HEADER:
            return 0
        marker = second & 0x80
        step = (sequence - self._sequence_in) & 0xFFFF
        leap = (timestamp - self._timestamp_in) & 0xFFFFFFFF
        if ssrc != self._source:
            marker = self._follow(ssrc, sequence, timestamp, now)
        elif 0 < step <= MAX_DROPOUT and leap <= self._longest:
            self._advance(sequence, timestamp, step, now)
        elif step == 0 or 0x10000 - step <= MAX_MISORDER:
            if step == 0 or 0x10000 - step > self._late:
                return 0  # repeated, or older than the first of its source: its number is taken
        else:
            marker = self._follow(ssrc, sequence, timestamp, now)
        RTP.pack_into(
            view,
            0,
            0x80,
            marker | self.payload_type,
            (sequence + self._sequence_shift) & 0xFFFF,
            (timestamp + self._timestamp_shift) & 0xFFFFFFFF,
            self.ssrc,
        )
        return length

    def _advance(self, sequence: int, timestamp: int, step: int, now: float) -> None:
        self._sequence_in, self._timestamp_in = sequence, timestamp
        self.sequence = (sequence + self._sequence_shift) & 0xFFFF
        self.timestamp = (timestamp + self._timestamp_shift) & 0xFFFFFFFF
        self._late = min(self._late + step, MAX_MISORDER)
        self._at = now

    def _follow(self, ssrc: int, sequence: int, timestamp: int, now: float) -> int:
        self._go_on(now)
        self._source, self._late, self._at = ssrc, 0, now
        self._sequence_in, self._timestamp_in = sequence, timestamp
        self._sequence_shift = self.sequence - sequence
        self._timestamp_shift = self.timestamp - timestamp
        return 0x80

    def _go_on(self, now: float) -> None:
        frames = max(1, round((now - self._at) * FRAMES_PER_SECOND)) if self._at >= 0 else 1
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + frames * self._frame) & 0xFFFFFFFF

    def pause(self) -> None:
        """Take what comes next as a new start: the time in between was not sent."""
        self._source = -1

    def silence(self, frame: bytes, now: float) -> int:
        """Put one frame of silence into the buffer if one is due; its length, else 0."""
        if self._at >= 0 and round((now - self._at) * FRAMES_PER_SECOND) < 1:
            return 0
        self._go_on(now)
        self._source, self._at = -1, now
        RTP.pack_into(self._view, 0, 0x80, self.payload_type, self.sequence, self.timestamp, self.ssrc)
        self._view[HEADER : HEADER + len(frame)] = frame
        return HEADER + len(frame)


class Relay:
    """Both directions of one call. The stream to the PBX outlives the browser legs that feed it."""

    __slots__ = ("_frame", "_pbx", "browser", "down", "sending", "up")

    def __init__(self, pbx: Outlet, up: Stream, codec: str) -> None:
        self._pbx = pbx
        self._frame = SILENCE[codec]
        self.up = up
        self.down: Stream | None = None
        self.browser: Outlet | None = None
        self.sending = True
        """The PBX wants to hear us."""

    def attach(self, browser: Outlet, down: Stream) -> None:
        self.browser, self.down = browser, down

    def detach(self) -> None:
        self.browser = self.down = None

    def from_browser(self, length: int, now: float) -> None:
        if self.sending and (length := self.up.rewrite(length, now)):
            self._pbx.send(length)

    def from_pbx(self, length: int, now: float) -> None:
        if self.down is not None and self.browser is not None and (length := self.down.rewrite(length, now)):
            self.browser.send(length)

    def silence(self, now: float) -> None:
        if self.sending and (length := self.up.silence(self._frame, now)):
            self._pbx.send(length)

    def hold(self, held: bool) -> None:
        if held:
            self.up.pause()
        self.sending = not held
