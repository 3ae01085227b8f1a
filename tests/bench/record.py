"""record.core_percent_per_call: what recording adds to a call while it goes on.

The relay carries the same packets with and without a recording in front of it, in turn; what a recorder writes to the disk each second is
in it, sockets are not. Making the MP3 afterwards is a figure of its own.
"""

from __future__ import annotations

import time
from pathlib import Path

from bridge.calls.events import CallId
from bridge.media.codecs.codec import encoder
from bridge.media.packet import BUFFER_BYTES
from bridge.media.recording import mixdown, tape
from bridge.media.recording.recorder import Recorder, Shelf
from bridge.media.recording.recording import Ear, Tap
from bridge.media.recording.tape import Channel, Label, Tuned
from bridge.media.relay import Relay
from bridge.media.stream import Stream
from bridge.tickets import Seal, new_key

from ..media.stage import rtp
from .figure import Figure
from .site import Say

CALLS, SECONDS, ROUNDS = 100, 20, 3


class _Sink:
    def send(self, length: int) -> None:
        """Where the voice ends."""

    def exit(self) -> None:
        """The long way is what is measured."""


async def measure(directory: Path, say: Say) -> list[Figure]:
    off, on = [], []
    for number in range(ROUNDS):
        off.append(_run(None))
        on.append(_run(directory / str(number)))
    added = 100 * (min(on) - min(off)) / (CALLS * SECONDS)
    note = f"PCMU, {CALLS} calls of {SECONDS} s; the relay alone takes {100 * min(off) / (CALLS * SECONDS):.3f} %"
    tapes = sorted((directory / "0").rglob("*.tape"))[:5]
    begin = time.process_time()
    for path in tapes:
        mixdown.mix([path], path.with_suffix(".mp3"), Seal([new_key()]), sealing=False)
    mixed = (time.process_time() - begin) / len(tapes) / SECONDS * 60
    return [
        Figure(name="record.core_percent_per_call", value=added, unit="% of a core", note=note),
        Figure(name="record.mp3_cpu_s_per_minute", value=mixed, unit="s", note="afterwards, at the lowest priority"),
    ]


def _run(directory: Path | None) -> float:
    """Seconds of CPU for all calls."""
    buffer = bytearray(BUFFER_BYTES)
    recorder = Recorder(Shelf(directory=directory, least_free=0)) if directory else None
    calls, reels = [], []
    for number in range(CALLS):
        relay = Relay(_Sink(), _stream(buffer), "PCMU")
        relay.attach(_Sink(), _stream(buffer))
        ear: Ear = relay
        if recorder:
            reel = recorder.reel(Label(call=CallId(f"call-{number}"), portal="p", began=0.0), lambda why: None)
            for channel in Channel:
                reel.put(tape.tuned(Tuned(channel=channel, payload_type=0, codec="PCMU"), 0.0))
            ear = Tap(relay, relay, buffer, reel.put, 0.0)
            reels.append(reel)
        calls.append(ear)
    payload = encoder("PCMU", 8000).encode(bytes(320))
    begin = time.process_time()
    for frame in range(50 * SECONDS):
        packet, now = rtp(0, frame, 160 * frame, payload), frame * 0.02
        for ear in calls:
            buffer[: len(packet)] = packet
            ear.from_browser(len(packet), now)
            buffer[: len(packet)] = packet
            ear.from_pbx(len(packet), now)
        if recorder and frame % 50 == 49:
            recorder._round()
    for reel in reels:
        reel.ended = True
    if recorder:
        recorder._round()
    return time.process_time() - begin


def _stream(buffer: bytearray) -> Stream:
    return Stream(memoryview(buffer), ssrc=1, sequence=1, timestamp=1, payload_type=0, clock_rate=8000)
