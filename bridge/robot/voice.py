"""The voice of a headless operator: a leg as a browser makes it, what is said into it and heard from it."""

from __future__ import annotations

import asyncio
import math
import uuid
from array import array
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
from aiortc import AudioStreamTrack, MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from ..errors import ConfigError

RATE, BLOCK = 8000, 160
"""Samples a second, samples in 20 ms."""
SILENCE = bytes(2 * BLOCK)
TONE_HZ = 700
LOUD = 300
"""Below this RMS of 16-bit samples a block counts as silence."""
MAX_FILE_SECONDS = 600


class Leg:
    """The voice of one call, as a browser would set it up."""

    def __init__(
        self, call: str, mouth: Mouth, ear: Ear, tasks: asyncio.TaskGroup, inbox: asyncio.Queue[tuple[str, Any]]
    ) -> None:
        self.call = call
        self.name = str(uuid.uuid4())
        self._mouth = mouth
        self._ear = ear
        self._tasks = tasks
        self._inbox = inbox
        self._listening: asyncio.Task[None] | None = None
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._sender = self._pc.addTransceiver("audio", direction="sendrecv").sender
        self._pc.on("track", self._listen)
        self._pc.on("connectionstatechange", self._changed)

    async def offer(self) -> str | None:
        """The description without candidates: the bridge learns our address from our checks. None without any address."""
        await self._pc.setLocalDescription(await self._pc.createOffer())
        lines = self._pc.localDescription.sdp.splitlines(keepends=True)
        if not any(line.startswith("a=candidate") for line in lines):
            return None
        return "".join(line for line in lines if not line.startswith(("a=candidate", "a=end-of-candidates")))

    async def accept(self, sdp: str) -> None:
        await self._pc.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="answer"))

    def speak(self, aloud: bool) -> None:
        """Open the microphone on first need; muted, it sends silence, as a disabled track does."""
        if aloud and self._sender.track is None:
            self._sender.replaceTrack(Microphone(self._mouth))
        self._mouth.muted = not aloud

    async def close(self) -> None:
        self._pc.remove_all_listeners("connectionstatechange")
        # aiortc closes by itself when DTLS ends, and stumbles if whoever waits for that is cancelled
        await asyncio.shield(self._pc.close())
        if self._sender.track:
            self._sender.track.stop()
        if self._listening:
            self._listening.cancel()

    def _listen(self, track: MediaStreamTrack) -> None:
        self._listening = self._tasks.create_task(self._hear(track))

    async def _hear(self, track: MediaStreamTrack) -> None:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE, frame_size=BLOCK)
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, av.AudioFrame)
            for piece in resampler.resample(frame):
                block = bytes(piece.planes[0])[: 2 * BLOCK]
                self._ear.hear(block)
                self._mouth.repeat(block)

    def _changed(self) -> None:
        if self._pc.connectionState in {"failed", "closed"}:
            self._inbox.put_nowait(("lost", self.name))


@dataclass(slots=True)
class Ear:
    """Level and pitch of what was heard, by counting where the wave rises through zero."""

    loud: int = 0
    """Samples that were no silence."""
    power: float = 0.0
    rises: int = 0
    _below: bool = False

    def hear(self, block: bytes) -> None:
        """Take 16-bit samples at 8 kHz."""
        samples = array("h", block)
        power = sum(sample * sample for sample in samples)
        if not samples or power < LOUD * LOUD * len(samples):
            self._below = False
            return
        self.loud += len(samples)
        self.power += power
        # A little hysteresis, or noise around zero counts as high pitch.
        gate = math.sqrt(power / len(samples)) / 4
        for sample in samples:
            if self._below and sample > gate:
                self._below = False
                self.rises += 1
            elif sample < -gate:
                self._below = True

    @property
    def seconds(self) -> float:
        return self.loud / RATE

    @property
    def hertz(self) -> float:
        return self.rises / self.seconds if self.loud else 0.0

    @property
    def dbfs(self) -> float:
        return 10 * math.log10(self.power / self.loud / 32768**2) if self.loud else -math.inf

    def __str__(self) -> str:
        if not self.loud:
            return "nothing"
        return f"{self.seconds:.1f} s of sound, {self.dbfs:.0f} dBFS, about {self.hertz:.0f} Hz"


@dataclass(slots=True)
class Mouth:
    """Where the robot's words come from: blocks that repeat, or what it heard."""

    blocks: Iterator[bytes] | None
    muted: bool = False
    _echo: deque[bytes] = field(default_factory=lambda: deque(maxlen=50))

    def repeat(self, block: bytes) -> None:
        if self.blocks is None:
            self._echo.append(block)

    def next(self) -> bytes:
        said = next(self.blocks) if self.blocks else self._echo.popleft() if self._echo else SILENCE
        return SILENCE if self.muted else said


class Microphone(AudioStreamTrack):
    """The track that a mouth speaks into."""

    def __init__(self, mouth: Mouth) -> None:
        super().__init__()
        self._mouth = mouth

    async def recv(self) -> av.AudioFrame:
        frame = await super().recv()  # paced, silent
        assert isinstance(frame, av.AudioFrame)
        plane = frame.planes[0]
        plane.update(self._mouth.next().ljust(plane.buffer_size, b"\0"))
        return frame


def tone(hertz: int) -> bytes:
    """20 ms at half of full scale; joins seamlessly for multiples of 50 Hz."""
    return array("h", (round(16000 * math.sin(2 * math.pi * hertz * n / RATE)) for n in range(BLOCK))).tobytes()


def blocks_of(path: Path) -> list[bytes]:
    """A sound file in blocks of 20 ms, or ConfigError."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE, frame_size=BLOCK)
    blocks: list[bytes] = []
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(audio=0):
                blocks += [bytes(piece.planes[0])[: 2 * BLOCK] for piece in resampler.resample(frame)]
                if len(blocks) * BLOCK > MAX_FILE_SECONDS * RATE:
                    break
    except (av.FFmpegError, OSError, IndexError) as error:
        raise ConfigError(f"{path}: not a sound file that can be played ({error})") from None
    if not blocks:
        raise ConfigError(f"{path}: shorter than 20 ms")
    return blocks
