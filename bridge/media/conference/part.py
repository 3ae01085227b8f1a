"""One call's part in a conference: its PBX hears the operator and the far end of the other call.

The operator hears both calls on their own legs, and speaks on both: only what goes to a PBX is mixed. A page that is gone for
a moment costs the two others nothing.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from ...calls.events import CallId
from ..codecs.transcoder import Transcoder, Work
from ..recording.recording import Ear
from ..relay import Relay
from .mixing import OPERATOR, OTHER, Mixing


class Part:
    """Stands between the page and the relay, and listens where the PBX's voice goes to the page.

    `speak` takes the page's voice; what is mixed goes to `ear`, which ends at `from_browser` here.
    """

    def __init__(self, other: CallId, relay: Relay, buffer: bytearray, transcoder: Transcoder) -> None:
        self.other = other
        self.peer: Part | None = None
        """The other call's part, as soon as it is there."""
        self.ear: Ear = self
        """Who gets the mix."""
        self.onward: Ear = relay
        """Who brings the PBX's voice to the page."""
        self.shut = False
        """The PBX holds: what it plays meanwhile is not for the other call."""
        self._relay, self._view, self._transcoder = relay, memoryview(buffer), transcoder
        self._page = self._pbx = self._theirs = ""
        """Codecs that are spoken here, and by the other call's PBX."""
        self._mixing: Mixing | None = None
        self._operator: Work = _nothing
        self._other: Work = _nothing

    def tune(self, page: str, pbx: str) -> None:
        """The codecs that are spoken from now on; "" while there is no page."""
        if pbx != self._pbx:
            self._pbx, self._mixing = pbx, Mixing(pbx, secrets.randbits(32))
            self._page = self._theirs = ""
        if page != self._page:
            assert self._mixing is not None
            self._page = page
            self._operator = self._mixing.voice(OPERATOR, page) if page else _nothing

    def close(self) -> None:
        """Nothing that is under way is heard any more, and nothing here waits for the garbage collector."""
        self._mixing = None
        self.ear = self.onward = self._relay
        peer, self.peer = self.peer, None
        if peer is not None:
            peer.peer = None

    # ---- what comes

    def speak(self, length: int, now: float) -> None:
        """The page's voice."""
        if self._relay.talking:
            self._transcoder.take(self._operator, bytes(self._view[:length]), _nobody)

    def from_pbx(self, length: int, now: float) -> None:
        peer = self.peer
        if peer is not None and self._relay.hearing and not self.shut:
            peer.hear(bytes(self._view[:length]), self._pbx)
        self.onward.from_pbx(length, now)

    def hear(self, packet: bytes, codec: str) -> None:
        """The voice of the other call's PBX."""
        if self._mixing is None or not self._relay.talking:
            return
        if codec != self._theirs:
            self._theirs, self._other = codec, self._mixing.voice(OTHER, codec)
        self._transcoder.take(self._other, packet, _nobody)

    # ---- what goes

    def frame(self, now: float) -> None:
        """It is time for the next 20 ms."""
        mixing = self._mixing
        if mixing is not None:
            self._transcoder.take(lambda _: mixing.next(now), b"", self._deliver(mixing))

    def _deliver(self, mixing: Mixing) -> Callable[[bytes], None]:
        def deliver(packet: bytes) -> None:
            if mixing is self._mixing:
                self._view[: len(packet)] = packet
                self.ear.from_browser(len(packet), time.monotonic())

        return deliver

    def from_browser(self, length: int, now: float) -> None:
        """The mix, after whoever wanted to hear it."""
        self._relay.from_browser(length, now)


def _nothing(packet: bytes) -> list[bytes]:
    return []


def _nobody(packet: bytes) -> None:
    """Nothing comes of a voice before its turn."""
