"""The hot path: voice from one leg to the other, payloads untouched.

One datagram at a time lies in a shared buffer and is rewritten there; nothing is copied that need not be.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, Protocol

from .comfort import QUIET
from .digits import DigitsError, EventFrame, Keypad
from .progress import Progress

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
        "_from",
        "_late",
        "_length",
        "_longest",
        "_next",
        "_octets",
        "_packets",
        "_sequence",
        "_sequence_shift",
        "_source",
        "_timestamp",
        "_timestamp_in",
        "_timestamp_shift",
        "_view",
        "frame",
        "payload_type",
        "ssrc",
    )

    def __init__(
        self, view: memoryview, *, ssrc: int, sequence: int, timestamp: int, payload_type: int, clock_rate: int
    ) -> None:
        self._view = view
        self.ssrc, self._sequence, self._timestamp = ssrc, sequence, timestamp
        self._packets = self._octets = 0
        self.tune(payload_type, clock_rate)
        self._source = -1
        self._next = self._from = 0
        """The number that the source goes on with, and up to which its packets are counted."""
        self._length = 0
        """Of the source's newest packet."""
        self._timestamp_in = self._sequence_shift = self._timestamp_shift = 0
        self._late = 0
        self._at = -1.0

    def tune(self, payload_type: int, clock_rate: int) -> None:
        """Speak another codec from now on; `clock_rate` in Hz."""
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
        first, second, sequence, timestamp, ssrc = RTP.unpack_from(view)
        if (
            sequence == self._next
            and ssrc == self._source
            and length == self._length
            and first == 0x80
            and 0 <= timestamp - self._timestamp_in <= self._longest
        ):  # as most are; `_count` makes up for what is left out here
            self._next = sequence + 1
            self._timestamp_in, self._at = timestamp, now
            marker = second & 0x80
        else:
            if first != 0x80:
                length = make_plain(view, length)
            if length <= HEADER:
                return 0
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
        return length

    @property
    def spoke(self) -> float:
        """When the newest packet was sent, below 0 for never."""
        return self._at

    def resume(self, progress: Progress, skipped: int) -> None:
        """Go on with a stream that came so far elsewhere; so many packets are taken for lost."""
        self._sequence = (progress.sequence + skipped) & 0xFFFF
        self._timestamp = progress.timestamp
        self._at = progress.spoke if progress.spoke >= 0 else progress.at
        self._packets, self._octets = progress.packets, progress.octets

    def _place(self, marker: int, sequence: int, timestamp: int, ssrc: int, length: int, now: float) -> int:
        """Find the packet's place in the stream: its marker bit, -1 if there is none for it."""
        self._count()
        step = (sequence - self._next + 1) & 0xFFFF
        leap = (timestamp - self._timestamp_in) & 0xFFFFFFFF
        if ssrc == self._source and 0 < step <= MAX_DROPOUT and leap <= self._longest:
            self._late = min(self._late + step, MAX_MISORDER)
        elif ssrc == self._source and (step == 0 or 0x10000 - step <= MAX_MISORDER):
            if step == 0 or 0x10000 - step > self._late:
                return -1  # repeated, or older than the first of its source: its number is taken
            self._packets += 1
            self._octets += length - HEADER
            return marker
        else:
            self._go_on(now)
            self._source, self._late = ssrc, 0
            self._sequence_shift = self._sequence - sequence
            self._timestamp_shift = self._timestamp - timestamp
            marker = 0x80
        self._sequence = (sequence + self._sequence_shift) & 0xFFFF
        self._timestamp = (timestamp + self._timestamp_shift) & 0xFFFFFFFF
        self._timestamp_in, self._at = timestamp, now
        self._next = self._from = sequence + 1
        self._packets += 1
        self._octets += length - HEADER
        self._length = length
        return marker

    def _count(self) -> None:
        """Count the packets that have gone the short way through `rewrite` since the last time."""
        run = self._next - self._from
        if run:
            self._from = self._next
            self._packets += run
            self._octets += run * (self._length - HEADER)
            self._late = min(self._late + run, MAX_MISORDER)
            self._sequence = (self._sequence + run) & 0xFFFF
            self._timestamp = (self._timestamp_in + self._timestamp_shift) & 0xFFFFFFFF

    def _go_on(self, now: float) -> None:
        self._count()
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + max(1, self.frames_passed(now)) * self.frame) & 0xFFFFFFFF

    def frames_passed(self, now: float) -> int:
        """Frames of 20 ms since the newest timestamp, to the nearest."""
        return round((now - self._at) * FRAMES_PER_SECOND) if self._at >= 0 else 1

    def time_at(self, now: float) -> int:
        """The stream's timestamp of a moment, for RTCP."""
        passed = now - self._at if self._at >= 0 else 0.0
        return (self.timestamp + round(passed * FRAMES_PER_SECOND * self.frame)) & 0xFFFFFFFF

    def pause(self) -> None:
        """Take what comes next as a new start: the time in between was not sent."""
        self._source = -1

    def silence(self, payload: bytes, now: float) -> int:
        """Put one frame of silence into the buffer if one is due; its length, else 0."""
        return self.say(payload, now) if self.frames_passed(now) >= 1 else 0

    def say(self, payload: bytes, now: float) -> int:
        """Put one frame of our own into the buffer; its length."""
        self._go_on(now)
        self._source, self._at = -1, now
        return self._put(self.payload_type, payload)

    def event(self, payload_type: int, frame: EventFrame, now: float) -> int:
        """Put one packet of a telephone-event into the buffer: all of an event bear the time it began (RFC 4733, 2.2)."""
        if not frame.first:
            self._sequence = (self.sequence + 1) & 0xFFFF
            return self._put(payload_type, frame.payload)
        self._go_on(now)
        self._source, self._at = -1, now
        return self._put(0x80 | payload_type, frame.payload)

    def _put(self, second: int, payload: bytes) -> int:
        self._packets += 1
        self._octets += len(payload)
        RTP.pack_into(self._view, 0, 0x80, second, self._sequence, self._timestamp, self.ssrc)
        self._view[HEADER : HEADER + len(payload)] = payload
        return HEADER + len(payload)


class Relay:
    """Both directions of one call. The stream to the PBX outlives the browser legs that feed it.

    Voice of the page that does not go to the PBX – while we hold, while a key sounds, while the page still speaks another
    codec – is made up for by `frame`, so that the PBX hears one stream without a gap.
    """

    __slots__ = (
        "_codec",
        "_pbx",
        "_played",
        "_quiet",
        "_turn",
        "browser",
        "down",
        "event_type",
        "hearing",
        "held",
        "keypad",
        "playing",
        "sending",
        "talking",
        "tuned",
        "up",
    )

    def __init__(self, pbx: Outlet, up: Stream, codec: str) -> None:
        self._pbx = pbx
        self._codec, self._quiet = codec, QUIET[codec]
        self._turn = 0
        self.up = up
        self.down: Stream | None = None
        self.browser: Outlet | None = None
        self.keypad: Keypad | None = None
        """Keys on their way."""
        self.playing: tuple[Sequence[bytes], Sequence[bytes]] | None = None
        """What both sides are to hear instead of one another, PBX and page: frames of 20 ms."""
        self._played = 0
        self.event_type: int | None = None
        """Payload type of telephone-event, None if the PBX takes none."""
        self.sending = True
        """The PBX wants to hear us."""
        self.held = False
        """We hold: neither hears the other."""
        self.tuned = True
        """Page and PBX speak the same codec."""
        self.talking = self.hearing = True
        """What follows from it: the page's voice goes to the PBX, the PBX's to the page."""

    def attach(self, browser: Outlet, down: Stream) -> None:
        self.browser, self.down = browser, down

    def turn_to(self, pbx: Outlet) -> None:
        """Send to the PBX this way from now on."""
        self._pbx = pbx

    def detach(self) -> None:
        self.browser = self.down = None

    def tune(self, codec: str, payload_type: int, clock_rate: int, event_type: int | None) -> None:
        """Speak this codec to the PBX. Keys that wait are given up if it changes their clock."""
        frame = self.up.frame
        if codec != self._codec:
            self._codec, self._quiet = codec, QUIET[codec]
        self.event_type = event_type
        self.up.tune(payload_type, clock_rate)
        if event_type is None or self.up.frame != frame:
            self.keypad = None
        self._decide()

    def open(self, *, sending: bool, held: bool, tuned: bool) -> None:
        """Which ways are open."""
        self.sending, self.held, self.tuned = sending, held, tuned
        if not sending:
            self.keypad = None
        self._decide()

    def pause(self) -> None:
        """Take what comes next from either side as a new start: its numbers have nothing to do with those before."""
        self.up.pause()
        if self.down is not None:
            self.down.pause()

    def _decide(self) -> None:
        plays = self.playing is not None and self.sending
        self.hearing = self.tuned and not self.held and not plays
        self.talking = self.hearing and self.sending and self.keypad is None
        if not self.talking:
            self.up.pause()
        if not self.hearing and self.down is not None:
            self.down.pause()

    def play(self, up: Sequence[bytes], down: Sequence[bytes]) -> None:
        """Let PBX and page hear these frames as soon as neither holds; until their end they don't hear each other."""
        self.playing, self._played = (up, down), 0
        self._decide()

    def from_browser(self, length: int, now: float) -> None:
        if self.talking and (length := self.up.rewrite(length, now)):
            self._pbx.send(length)

    def from_pbx(self, length: int, now: float) -> None:
        down, browser = self.down, self.browser
        if self.hearing and down is not None and browser is not None and (length := down.rewrite(length, now)):
            browser.send(length)

    def fill(self, frames: tuple[bytes, ...]) -> None:
        """These frames of 20 ms in turn while no voice goes to the PBX; none of them: silence. What is heard already goes on."""
        wanted = frames or QUIET[self._codec]
        if wanted is not self._quiet:
            self._quiet, self._turn = wanted, -1

    def press(self, keys: str) -> None:
        """Send keys as telephone-events, one after the other; DigitsError if that can't be."""
        if self.event_type is None:
            raise DigitsError("the PBX takes no telephone-event (RFC 4733) with this codec")
        if not self.sending:
            raise DigitsError("the PBX does not listen now")
        keypad = self.keypad or Keypad(self.up.frame)
        keypad.press(keys)
        if not keypad.idle:
            self.keypad = keypad
            self._decide()

    def frame(self, now: float) -> None:
        """Send the PBX what is due: 20 ms of a key, or of silence."""
        if not self.sending:
            return
        keypad, up = self.keypad, self.up
        if keypad is None and self.playing is not None and not self.held:
            length = self._play(self.playing, now) if up.frames_passed(now) >= 1 else 0
        elif keypad is None:
            length = up.say(self._next_quiet(), now) if up.frames_passed(now) >= 1 else 0
        elif up.frames_passed(now) < max(1, keypad.position):
            return
        else:
            length = self._key(keypad, now)
        if length:
            self._pbx.send(length)

    def _play(self, playing: tuple[Sequence[bytes], Sequence[bytes]], now: float) -> int:
        at, down = self._played, self.down
        ours, theirs = (frames[at] if at < len(frames) else None for frames in playing)
        if down is not None and self.browser is not None and theirs is not None:
            self.browser.send(down.say(theirs, now))
        self._played = at + 1
        if self._played >= max(map(len, playing)):
            self.playing = None
            self._decide()
        return self.up.say(ours or self._next_quiet(), now)

    def _key(self, keypad: Keypad, now: float) -> int:
        assert self.event_type is not None
        frame = keypad.next()
        if keypad.idle:
            self.keypad = None
            self._decide()
        return self.up.event(self.event_type, frame, now) if frame else self.up.silence(self._next_quiet(), now)

    def _next_quiet(self) -> bytes:
        self._turn = (self._turn + 1) % len(self._quiet)
        return self._quiet[self._turn]
