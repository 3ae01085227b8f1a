"""An RTP stream of ours, fed by whoever speaks; pure."""

from __future__ import annotations

from typing import Final

from .digits import EventFrame
from .packet import HEAD, HEADER, MAX_DROPOUT, MAX_MISORDER, RTP, make_plain
from .progress import Progress

FRAMES_PER_SECOND: Final = 50
LONGEST_PAUSE: Final = 60
"""Seconds that a source's timestamp may leap without being taken for a new start."""
_STEPS: Final = {leap: (1 << 32) + leap for leap in (160, 240, 320, 960)}
"""From one head to the next, by clock units: all streams share these numbers, which then stay in the cache."""


class Stream:
    """An RTP stream that we send: one SSRC, and sequence and timestamps that go on whatever feeds it.

    Within one source, order and gaps stay as they are. When the source changes or starts anew, sequence numbers go on
    with the next one and timestamps with the time that passed, and the marker bit says so.
    """

    __slots__ = (
        "_from",
        "_late",
        "_leap",
        "_longest",
        "_next",
        "_octets",
        "_packets",
        "_sequence",
        "_sequence_shift",
        "_timestamp",
        "_timestamp_in",
        "_timestamp_shift",
        "_view",
        "at",
        "end",
        "expected",
        "frame",
        "length",
        "payload_type",
        "shift",
        "source",
        "ssrc",
        "step",
    )

    def __init__(
        self, view: memoryview, *, ssrc: int, sequence: int, timestamp: int, payload_type: int, clock_rate: int
    ) -> None:
        self._view = view
        self.ssrc, self._sequence, self._timestamp = ssrc, sequence, timestamp
        self._packets = self._octets = 0
        self.expected = self.end = self._from = -1
        """Heads (see `packet.HEAD`): what the source most probably goes on with, where that ends because a number starts
        again from zero, and up to which it is counted."""
        self.tune(payload_type, clock_rate)
        self.source = -1
        self._next = 0
        """The number that the source goes on with."""
        self.length = 0
        """Of the source's newest packet."""
        self._timestamp_in = self._sequence_shift = self._timestamp_shift = 0
        self._late = self._leap = 0
        self.at = -1.0
        """When the newest packet was sent, below 0 for never."""
        self.step = self.shift = 0
        """From one head to the next, and to ours."""

    def tune(self, payload_type: int, clock_rate: int) -> None:
        """Speak another codec from now on; `clock_rate` in Hz."""
        self.part()
        self.payload_type = payload_type
        self.frame = clock_rate // FRAMES_PER_SECOND
        """Clock units in 20 ms."""
        self._longest = clock_rate * LONGEST_PAUSE

    @property
    def packets(self) -> int:
        """Sent so far."""
        self._count()
        return self._packets

    @property
    def octets(self) -> int:
        """Of payload, sent so far."""
        self._count()
        return self._octets

    @property
    def sequence(self) -> int:
        """Of the newest packet sent."""
        self._count()
        return self._sequence

    @property
    def timestamp(self) -> int:
        """Of the newest packet sent."""
        self._count()
        return self._timestamp

    def rewrite(self, length: int, now: float) -> int:
        """Make the packet in the buffer one of this stream; its new length, 0 if it is not to be sent."""
        view = self._view
        head, ssrc = HEAD.unpack_from(view)
        if head == self.expected < self.end and ssrc == self.source and length == self.length:
            # As most are; `_count` makes up for what is left out here, and `Lane.carry` does the same.
            self.expected = head + self.step
            self.at = now
            HEAD.pack_into(view, 0, head + self.shift, self.ssrc)
            return length
        if view[0] != 0x80:
            length = make_plain(view, length)
        if length <= HEADER:
            return 0
        _, second, sequence, timestamp, ssrc = RTP.unpack_from(view)
        marker = self._place(second & 0x80, sequence, timestamp, ssrc, length, now)
        if marker < 0:
            return 0
        RTP.pack_into(
            view,
            0,
            0x80,
            marker | self.payload_type,
            (sequence + self._sequence_shift) & 0xFFFF,
            (timestamp + self._timestamp_shift) & 0xFFFFFFFF,
            self.ssrc,
        )
        if self.expected < 0:
            self._expect(second & 0x7F)
        return length

    @property
    def spoke(self) -> float:
        """When the newest packet was sent, below 0 for never."""
        return self.at

    def resume(self, progress: Progress, skipped: int) -> None:
        """Go on with a stream that came so far elsewhere; so many packets are taken for lost."""
        self._sequence = (progress.sequence + skipped) & 0xFFFF
        self._timestamp = progress.timestamp
        self.at = progress.spoke if progress.spoke >= 0 else progress.at
        self._packets, self._octets = progress.packets, progress.octets

    def _place(self, marker: int, sequence: int, timestamp: int, ssrc: int, length: int, now: float) -> int:
        """Find the packet's place in the stream: its marker bit, -1 if there is none for it."""
        self.part()
        step = (sequence - self._next + 1) & 0xFFFF
        leap = (timestamp - self._timestamp_in) & 0xFFFFFFFF
        if ssrc == self.source and 0 < step <= MAX_DROPOUT and leap <= self._longest:
            self._late = min(self._late + step, MAX_MISORDER)
            if step == 1:
                self._leap = leap
        elif ssrc == self.source and (step == 0 or 0x10000 - step <= MAX_MISORDER):
            if step == 0 or 0x10000 - step > self._late:
                return -1  # repeated, or older than the first of its source: its number is taken
            self._packets += 1
            self._octets += length - HEADER
            return marker
        else:
            self._go_on(now)
            self.source, self._late, self._leap = ssrc, 0, self.frame
            self._sequence_shift = self._sequence - sequence
            self._timestamp_shift = self._timestamp - timestamp
            marker = 0x80
        self._sequence = (sequence + self._sequence_shift) & 0xFFFF
        self._timestamp = (timestamp + self._timestamp_shift) & 0xFFFFFFFF
        self._timestamp_in, self.at = timestamp, now
        self._next = (sequence + 1) & 0xFFFF
        self._packets += 1
        self._octets += length - HEADER
        self.length = length
        return marker

    def _expect(self, payload_type: int) -> None:
        """That the source goes on with the next number, one frame later."""
        leap = self._leap
        number, time = self._next - 1 & 0xFFFF, self._timestamp_in
        last = min(
            0xFFFF - number,
            0xFFFF - self._sequence,
            (0xFFFFFFFF - max(time, self._timestamp)) // max(1, leap),
        )
        head = _head(payload_type, number, time)
        self.step = _STEPS.get(leap) or (1 << 32) + leap
        self.shift = _head(self.payload_type, self._sequence, self._timestamp) - head
        self.expected = self._from = head + self.step
        self.end = head + (last + 1) * self.step

    def part(self) -> None:
        """Expect nothing any more: what comes next takes the long way, and what follows it the short one again."""
        self._count()
        self.expected = self._from = self.end = -1

    def stands_at(self, sequence: int) -> bool:
        """The newest packet of its source had this number, and it expects the next."""
        return self.expected >= 0 and (self.expected - self.step >> 32) & 0xFFFF == sequence & 0xFFFF

    def _count(self) -> None:
        """Count the packets that have gone the short way since the last time."""
        if self.expected != self._from:
            run = (self.expected - self._from) // self.step
            self._from = self.expected
            self._packets += run
            self._octets += run * (self.length - HEADER)
            self._late = min(self._late + run, MAX_MISORDER)
            self._sequence = (self._sequence + run) & 0xFFFF
            self._next = (self._next + run) & 0xFFFF
            passed = run * (self.step & 0xFFFFFFFF)
            self._timestamp_in = (self._timestamp_in + passed) & 0xFFFFFFFF
            self._timestamp = (self._timestamp + passed) & 0xFFFFFFFF

    def _go_on(self, now: float) -> None:
        self.part()
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + max(1, self.frames_passed(now)) * self.frame) & 0xFFFFFFFF

    def frames_passed(self, now: float) -> int:
        """Frames of 20 ms since the newest timestamp, to the nearest."""
        return round((now - self.at) * FRAMES_PER_SECOND) if self.at >= 0 else 1

    def time_at(self, now: float) -> int:
        """The stream's timestamp of a moment, for RTCP."""
        passed = now - self.at if self.at >= 0 else 0.0
        return (self.timestamp + round(passed * FRAMES_PER_SECOND * self.frame)) & 0xFFFFFFFF

    def pause(self) -> None:
        """Take what comes next as a new start: the time in between was not sent."""
        self.part()
        self.source = -1

    def silence(self, payload: bytes, now: float) -> int:
        """Put one frame of silence into the buffer if one is due; its length, else 0."""
        return self.say(payload, now) if self.frames_passed(now) >= 1 else 0

    def say(self, payload: bytes, now: float) -> int:
        """Put one frame of our own into the buffer; its length."""
        self._go_on(now)
        self.source, self.at = -1, now
        return self._put(self.payload_type, payload)

    def event(self, payload_type: int, frame: EventFrame, now: float) -> int:
        """Put one packet of a telephone-event into the buffer: all of an event bear the time it began (RFC 4733, 2.2)."""
        if not frame.first:
            self._sequence = (self.sequence + 1) & 0xFFFF
            return self._put(payload_type, frame.payload)
        self._go_on(now)
        self.source, self.at = -1, now
        return self._put(0x80 | payload_type, frame.payload)

    def _put(self, second: int, payload: bytes) -> int:
        self._packets += 1
        self._octets += len(payload)
        RTP.pack_into(self._view, 0, 0x80, second, self._sequence, self._timestamp, self.ssrc)
        self._view[HEADER : HEADER + len(payload)] = payload
        return HEADER + len(payload)


def _head(payload_type: int, sequence: int, timestamp: int) -> int:
    return 0x80 << 56 | payload_type << 48 | sequence << 32 | timestamp
