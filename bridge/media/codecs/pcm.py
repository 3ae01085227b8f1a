"""PCM as FFmpeg's frames: 16 bits, little-endian, one channel."""

from __future__ import annotations

from av import AudioFrame


def frame_of(pcm: bytes, rate: int) -> AudioFrame:
    frame = AudioFrame(format="s16", layout="mono", samples=len(pcm) // 2)
    frame.sample_rate = rate
    plane = frame.planes[0]
    # FFmpeg pads its planes.
    plane.update(pcm + bytes(plane.buffer_size - len(pcm)))
    return frame


def pcm_of(frame: AudioFrame) -> bytes:
    return bytes(frame.planes[0])[: 2 * frame.samples]
