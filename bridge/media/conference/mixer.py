"""Frames of several parties in, the sum of them out, 20 ms by 20 ms; pure: it has no clock but that of whoever asks it.

PCM is 16 bits, one channel, all of one rate.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Sequence
from typing import Final

DEPTH: Final = 2
"""Frames by which a party's voice is put off when it begins: its packets don't come evenly."""
DEEPEST: Final = 10
"""Frames that wait at most; whoever is further behind is cut short."""
CALM: Final = 100
"""Frames, two seconds, after which voice that waits without need is cut short by one."""
ABANDONED: Final = 25
"""Frames, half a second, without a party's voice: when it comes again, it begins anew."""


class FrameQueue:
    """One party's frames until their turn comes.

    The first one waits `DEPTH` turns. Whoever comes too late moves everything after it back, so that the delay grows to what
    the network needs; where nobody was late for a while, it shrinks again.
    """

    def __init__(self, samples: int) -> None:
        """`samples` of a frame."""
        self._samples = samples
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._due: int | None = None
        """Where the next turn begins on the sender's clock, in samples; None while nothing was heard."""
        self._silent = 0
        """Turns without a frame."""
        self._spare, self._turns = DEEPEST, 0
        """The fewest frames that were left after a turn, of so many."""

    def put(self, at: int, frame: bytes, *, fresh: bool = False) -> None:
        """A frame and when it begins on the sender's clock, in samples; in order. `fresh`: that clock began anew."""
        due, samples = self._due, self._samples
        if fresh or due is None or not -DEEPEST * samples <= at - due <= DEEPEST * samples:
            self._waiting.clear()
            self._due, self._silent = at - DEPTH * samples, 0
        elif at + samples <= due:
            self._due = at
        self._waiting.append((at, frame))
        if len(self._waiting) > DEEPEST:
            self._shorten(DEPTH)

    def next(self) -> bytes | None:
        """The frame whose turn it is; None if there is none."""
        if self._due is None:
            return None
        if self._waiting and self._waiting[0][0] < self._due + self._samples:
            at, frame = self._waiting.popleft()
            self._due, self._silent = at + self._samples, 0
            self._catch_up()
            return frame
        self._due += self._samples
        self._silent += 1
        if self._silent >= ABANDONED:
            self._due = None
            self._waiting.clear()
        return None

    def _catch_up(self) -> None:
        self._spare = min(self._spare, len(self._waiting))
        self._turns += 1
        if self._turns >= CALM:
            if self._spare >= DEPTH:
                self._shorten(len(self._waiting) - 1)
            self._spare, self._turns = DEEPEST, 0

    def _shorten(self, left: int) -> None:
        while len(self._waiting) > left:
            self._waiting.popleft()
        if self._waiting:
            self._due = self._waiting[0][0]


class Mixer:
    """What one listener hears: these parties."""

    def __init__(self, samples: int, *parties: str) -> None:
        """`samples` of a frame."""
        self.queues = {party: FrameQueue(samples) for party in parties}
        self._silence = bytes(2 * samples)

    def next(self) -> bytes:
        """The next 20 ms."""
        turns = [queue.next() for queue in self.queues.values()]
        heard = [frame for frame in turns if frame is not None]
        return added(heard) if heard else self._silence


def added(frames: Sequence[bytes]) -> bytes:
    """The sum of frames of one length; what is too loud for 16 bits is as loud as they can be."""
    if len(frames) == 1:
        return frames[0]
    voices = [memoryview(frame).cast("h") for frame in frames]
    return array("h", [min(32_767, max(-32_768, sample)) for sample in map(sum, zip(*voices, strict=True))]).tobytes()
