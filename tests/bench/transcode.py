"""transcode.calls_per_core: opus ↔ PCMU both ways, beside aiortc's own codecs.

Packets of a browser (opus at 48 kHz, one channel) and of a PBX, fifty a second each way, go through the transcoder's thread and
come back into the event loop; all CPU of the process counts, sockets and encryption are not in it. aiortc's decoders, resamplers and
encoders get the same packets, in the same process and in turn.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from array import array
from fractions import Fraction
from pathlib import Path

from aiortc.codecs.g711 import PcmuDecoder, PcmuEncoder
from aiortc.codecs.opus import OpusDecoder, OpusEncoder
from aiortc.jitterbuffer import JitterFrame
from av import AudioCodecContext, CodecContext

from bridge.media.codecs.codec import encoder
from bridge.media.codecs.conversion import Conversion
from bridge.media.codecs.pcm import frame_of
from bridge.media.codecs.transcoder import Transcoder

from ..media.stage import rtp
from .figure import Figure
from .site import Say

CALLS, SECONDS, ROUNDS = 20, 4, 3
FRAMES = 50 * SECONDS


async def measure(directory: Path, say: Say) -> list[Figure]:
    browser, pbx = _browser(), _pbx()
    ours, naive = [], []
    for _ in range(ROUNDS):
        ours.append(await _ours(browser, pbx))
        naive.append(_naive(browser, pbx))
    best, peer = max(ours), max(naive)
    name, unit = "transcode.calls_per_core", "calls"
    note = f"{CALLS} calls of {SECONDS} s at once, the best of {ROUNDS} rounds, codecs and threads only"
    return [
        Figure(name=name, value=best, unit=unit, note=note),
        Figure(name=name, value=peer, unit=unit, against="naive", ratio=round(best / peer, 2), note="aiortc's codecs"),
    ]


def _speech(rate: int) -> bytes:
    """Voiced syllables with breath between them: harmonics of a pitch that moves, and noise."""
    chance, phase, samples = random.Random(1), 0.0, array("h")
    for index in range(SECONDS * rate):
        at = index / rate
        phase += 2 * math.pi * (130 + 40 * math.sin(2 * math.pi * 0.7 * at)) / rate
        loud = max(0.0, math.sin(2 * math.pi * 2.1 * at)) ** 0.5
        voiced = sum(math.sin(harmonic * phase) / harmonic for harmonic in range(1, 9))
        samples.append(int(4500 * loud * voiced + chance.gauss(0, 200)))
    return samples.tobytes()


def _browser() -> list[bytes]:
    codec = CodecContext.create("libopus", "w")
    assert isinstance(codec, AudioCodecContext)
    codec.format, codec.layout, codec.sample_rate, codec.bit_rate = "s16", "mono", 48_000, 32_000
    codec.options, codec.time_base = {"application": "voip"}, Fraction(1, 48_000)
    pcm, payloads = _speech(48_000), list[bytes]()
    for number in range(FRAMES):
        frame = frame_of(pcm[1920 * number : 1920 * (number + 1)], 48_000)
        frame.pts = 960 * number
        payloads += [bytes(packet) for packet in codec.encode(frame)]
    return [rtp(111, number, 960 * number, payload) for number, payload in enumerate(payloads)]


def _pbx() -> list[bytes]:
    codec, pcm = encoder("PCMU", 8000), _speech(8000)
    return [rtp(0, n, 160 * n, codec.encode(pcm[320 * n : 320 * (n + 1)])) for n in range(FRAMES)]


async def _ours(browser: list[bytes], pbx: list[bytes]) -> float:
    """Calls per core; all packets of 20 ms are handed over at once, as the poller does it."""
    calls = [(Conversion("opus", "PCMU"), Conversion("PCMU", "opus")) for _ in range(CALLS)]
    delivered = 0

    def deliver(packet: bytes) -> None:
        nonlocal delivered
        delivered += 1

    transcoder = Transcoder()
    async with transcoder.running():
        begin, sent = time.process_time(), 0
        for ours, theirs in zip(browser, pbx, strict=False):
            for up, down in calls:
                transcoder.take(up.convert, ours, deliver)
                transcoder.take(down.convert, theirs, deliver)
            sent += 2 * CALLS
            while delivered < sent:
                await asyncio.sleep(0.001)
        used = time.process_time() - begin
    return CALLS * SECONDS / used


def _naive(browser: list[bytes], pbx: list[bytes]) -> float:
    up, down = (OpusDecoder(), PcmuEncoder()), (PcmuDecoder(), OpusEncoder())
    begin = time.process_time()
    for number, (ours, theirs) in enumerate(zip(browser, pbx, strict=False)):
        for (reads, writes), packet, step in ((up, ours, 960), (down, theirs, 160)):
            for frame in reads.decode(JitterFrame(data=packet[12:], timestamp=step * number)):
                writes.encode(frame)
    return SECONDS / (time.process_time() - begin)
