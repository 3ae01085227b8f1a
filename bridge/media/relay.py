"""The hot path: voice from one leg to the other, payloads untouched.

One datagram at a time lies in a shared buffer and is rewritten there; nothing is copied that need not be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .comfort import QUIET
from .digits import DigitsError, Keypad
from .lane import Exit, Way
from .stream import Stream


class Outlet(Protocol):
    """Where a datagram leaves: it lies in the buffer."""

    def send(self, length: int) -> None: ...
    def exit(self) -> Exit | None:
        """How it does that, if it can be done without it."""


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
        self.detach()
        self.browser, self.down = browser, down

    def turn_to(self, pbx: Outlet) -> None:
        """Send to the PBX this way from now on."""
        self._pbx = pbx
        self.up.part()

    def detach(self) -> None:
        if self.down is not None:
            self.down.part()
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

    def short_up(self) -> Way | None:
        """The way of packets from the page that are like the one before; None if each is to come here."""
        exit = self._pbx.exit()
        return Way(self.up, exit) if exit is not None else None

    def short_down(self) -> Way | None:
        """The same for packets from the PBX."""
        down, browser = self.down, self.browser
        exit = browser.exit() if browser is not None else None
        return Way(down, exit) if down is not None and exit is not None else None

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
