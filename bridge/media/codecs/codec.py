"""Which module decodes and encodes a codec: PCM in between is 16 bits, little-endian, one channel."""

from __future__ import annotations

from typing import Protocol

from ...errors import TheirsError
from . import g711, g722, opus


class CodecError(TheirsError):
    """A payload that is none of its codec's."""


class Decoder(Protocol):
    """One stream, packet after packet."""

    rate: int
    """Samples a second of what comes out."""

    def decode(self, payload: bytes) -> bytes:
        """PCM of one packet; b"" for a payload that makes no sense."""

    def conceal(self, samples: int, following: bytes = b"") -> bytes:
        """So many samples in place of a packet that was lost before the packet `following`, if that has come; b"" for silence."""


class Encoder(Protocol):
    """One stream, frame after frame."""

    rate: int
    """Samples a second of what goes in."""

    def encode(self, pcm: bytes) -> bytes:
        """The payload of one frame of 20 ms."""


def decoder(name: str, rate: int) -> Decoder:
    """For one of `sdp.CLOCK_RATES`; `rate` is 8000 or 16000."""
    match name:
        case "PCMU" | "PCMA":
            return g711.Decoder(name, rate)
        case "G722":
            return g722.Decoder(rate)
        case "opus":
            return opus.Decoder(rate)
    raise CodecError(f"no decoder for {name}")


def encoder(name: str, rate: int) -> Encoder:
    """For one of `sdp.CLOCK_RATES`; `rate` is 8000 or 16000."""
    match name:
        case "PCMU" | "PCMA":
            return g711.Encoder(name, rate)
        case "G722":
            return g722.Encoder(rate)
        case "opus":
            return opus.Encoder(rate)
    raise CodecError(f"no encoder for {name}")
