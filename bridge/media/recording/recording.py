"""The recording of one call: it listens where the legs' voice goes into the relay, and only while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from ...calls.commands import StartRecording
from ...calls.events import CallId, Event, RecordingFailed
from .. import announcement
from ..memory import Recorded
from ..relay import Relay
from ..sdp import Codec
from . import tape
from .recorder import MOST_WAITING, Recorder, Reel
from .tape import Channel, Kind, Label, Tuned

_OPERATOR: Final = int(Kind.OPERATOR_PACKET)
_CALLER: Final = int(Kind.CALLER_PACKET)


class Ear(Protocol):
    """Whom the legs give their voice to; it lies in the buffer."""

    def from_browser(self, length: int, now: float) -> None: ...
    def from_pbx(self, length: int, now: float) -> None: ...


class Tap:
    """Puts on the tape what each side says to the other, before the relay rewrites it.

    What the relay does not carry is not recorded either: what an operator says while the call is held is nobody's business.
    """

    __slots__ = ("_began", "_put", "_relay", "_view", "onward")

    def __init__(
        self, relay: Relay, onward: Ear, buffer: bytearray, put: Callable[[bytes], None], began: float
    ) -> None:
        self.onward = onward
        """Who gets it next."""
        self._relay, self._view, self._put, self._began = relay, memoryview(buffer), put, began

    def from_browser(self, length: int, now: float) -> None:
        if self._relay.talking:
            self._put(tape.packet(_OPERATOR, now - self._began, bytes(self._view[:length])))
        self.onward.from_browser(length, now)

    def from_pbx(self, length: int, now: float) -> None:
        if self._relay.hearing:
            self._put(tape.packet(_CALLER, now - self._began, bytes(self._view[:length])))
        self.onward.from_pbx(length, now)


class Recording:
    """`changed()` is called when another `ear` is to be used: it has broken off."""

    def __init__(
        self,
        call: CallId,
        *,
        recorder: Recorder | None,
        buffer: bytearray,
        post: Callable[[Event], None],
        clock: Callable[[], float],
        changed: Callable[[], None],
    ) -> None:
        self._call = call
        self._recorder, self._buffer, self._post, self._clock, self._changed = recorder, buffer, post, clock, changed
        self._order: StartRecording | None = None
        self._reel: Reel | None = None
        self._tap: Tap | None = None
        self._paused = False
        self._began = self._beeped = 0.0
        self._tuned: dict[Channel, Codec] = {}
        self._frames: Callable[[str], tuple[bytes, ...]] = announcement.beep
        """What was played last, by codec …"""
        self._told = "", ""
        """… and in which codecs PBX and page heard it."""

    @property
    def begun(self) -> bool:
        """It runs, or is paused."""
        return self._reel is not None

    @property
    def memory(self) -> Recorded | None:
        """What has to be known to go on with it elsewhere."""
        order = self._order if self._reel is not None else None
        return Recorded(order=order, paused=self._paused) if order else None

    def ear(self, onward: Ear) -> Ear:
        """Whom the voice is to be given to, if it is to reach this one."""
        if self._tap is None:
            return onward
        self._tap.onward = onward
        return self._tap

    # ---- commands

    def start(self, order: StartRecording, relay: Relay) -> None:
        """On a tape of its own."""
        if self._recorder is None:
            self._post(RecordingFailed(call=self._call, why="this bridge has no place for recordings"))
            return
        self._order, self._began = order, self._clock()
        label = Label(call=self._call, portal=order.portal, began=time.time())
        self._reel = self._recorder.reel(label, self._failed)
        self._beeped = self._began
        self._paused = False
        self._listen(relay)

    def go_on(self, before: Recorded, relay: Relay) -> None:
        """What was begun in another process; nothing is announced again."""
        self.start(before.order, relay)
        if before.paused:
            self.pause()

    def pause(self) -> None:
        if self._reel is not None and not self._paused:
            self._reel.put(tape.mark(Kind.PAUSED, self._since()))
            self._paused, self._tap = True, None

    def resume(self, relay: Relay) -> None:
        if self._reel is not None and self._paused:
            self._reel.put(tape.mark(Kind.RESUMED, self._since()))
            self._paused = False
            self._listen(relay)

    def close(self) -> None:
        """What was recorded is taken to the disk; closing twice is harmless."""
        reel, self._reel, self._tap = self._reel, None, None
        if reel is not None and self._recorder is not None:
            reel.put(tape.mark(Kind.END, self._since()))
            self._recorder.end(reel)
        self._changed = _nothing  # whoever was to be told owns this

    def _listen(self, relay: Relay) -> None:
        assert self._reel is not None
        self._tap = Tap(relay, relay, self._buffer, self._reel.put, self._began)

    def _since(self) -> float:
        return self._clock() - self._began

    # ---- going on

    def tune(self, channel: Channel, codec: Codec) -> None:
        """What this side speaks from now on, under the payload type that its packets bear."""
        if self._reel is not None and self._tuned.get(channel) != codec:
            self._tuned[channel] = codec
            tuned = Tuned(channel=channel, payload_type=codec.payload_type, codec=codec.name)
            self._reel.put(tape.tuned(tuned, self._since()))

    def announce(self, relay: Relay, up: str, down: str) -> None:
        """Tell both sides, each in the codec that it hears."""
        source = self._order.announcement if self._order else ""
        if source and self._reel is not None:
            self._play(relay, partial(announcement.frames, source), up, down)

    def _play(self, relay: Relay, frames: Callable[[str], tuple[bytes, ...]], up: str, down: str) -> None:
        self._frames, self._told = frames, (up, down)
        relay.play(frames(up), frames(down))

    def retell(self, relay: Relay, up: str, down: str) -> None:
        """What is being played begins again if one side speaks another codec by now."""
        if self._reel is not None and self._told != (up, down):
            self._play(relay, self._frames, up, down)

    def look(self, relay: Relay, up: str, down: str, now: float) -> None:
        """Beep if that is due, and give up on a disk that takes nothing."""
        reel, order = self._reel, self._order
        if reel is None or order is None:
            return
        if reel.waiting > MOST_WAITING:
            reel.ended = True
            self._failed("the disk has taken nothing for half a minute")
        elif order.beep_seconds and now - self._beeped >= order.beep_seconds:
            self._beeped = now
            if relay.hearing and not self._paused:
                self._play(relay, announcement.beep, up, down)

    def _failed(self, why: str) -> None:
        if self._reel is None:
            return
        self._reel = self._tap = None
        self._tuned.clear()
        self._changed()
        self._post(RecordingFailed(call=self._call, why=why))


def _nothing() -> None:
    pass
