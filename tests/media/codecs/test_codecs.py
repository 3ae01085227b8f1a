"""Each codec against FFmpeg's, as a second opinion, and against itself."""

from __future__ import annotations

import math
from array import array
from fractions import Fraction

import pytest
from av import AudioCodecContext, AudioFrame, CodecContext, Packet
from hypothesis import given
from hypothesis import strategies as st

from bridge.media.codecs import codec, g711, opus
from bridge.media.sdp import CLOCK_RATES

from ..tones import loudness, tone

NAMES = tuple(CLOCK_RATES)


@pytest.mark.parametrize("name", ["PCMU", "PCMA"])
def test_g711_decodes_every_code_as_ffmpeg_does(name: str) -> None:
    other = CodecContext.create({"PCMU": "pcm_mulaw", "PCMA": "pcm_alaw"}[name], "r")
    assert isinstance(other, AudioCodecContext)
    other.layout, other.sample_rate, other.format = "mono", 8000, "s16"
    (frame,) = other.decode(Packet(bytes(range(256))))
    assert g711.Decoder(name).decode(bytes(range(256))) == bytes(frame.planes[0])[:512]


@pytest.mark.parametrize("name", ["PCMU", "PCMA"])
def test_g711_encodes_every_sample_to_the_nearest_code(name: str) -> None:
    samples = array("h", range(-32_768, 32_768))
    codes = g711.Encoder(name).encode(samples.tobytes())
    back = array("h", g711.Decoder(name).decode(codes))
    known = sorted(array("h", g711.Decoder(name).decode(bytes(range(256)))))
    for sample, heard in zip(samples[::97], back[::97], strict=True):
        assert abs(sample - heard) == min(abs(sample - value) for value in known)


@pytest.mark.parametrize("name", ["PCMU", "PCMA"])
def test_g711_codes_survive_a_round_trip(name: str) -> None:
    codes = bytes(code for code in range(256) if (name, code) != ("PCMU", 0x7F))  # the µ-law's second zero
    assert g711.Encoder(name).encode(g711.Decoder(name).decode(codes)) == codes


@pytest.mark.parametrize("rate", [8000, 16_000])
@pytest.mark.parametrize("name", NAMES)
def test_a_tone_comes_out_of_every_codec_at_either_rate_and_as_long_as_it_went_in(name: str, rate: int) -> None:
    encoder, decoder = codec.encoder(name, rate), codec.decoder(name, rate)
    pcm, frame = tone(700, 1.0, rate), rate // 50
    out = b"".join(decoder.decode(encoder.encode(pcm[at : at + 2 * frame])) for at in range(0, len(pcm), 2 * frame))
    assert len(out) == len(pcm)
    assert loudness(out, 700, rate) > 0.95


@given(payload=st.binary(max_size=400), name=st.sampled_from(NAMES))
def test_no_payload_whatever_is_in_it_does_more_than_sound_strange(payload: bytes, name: str) -> None:
    decoder = codec.decoder(name, 8000)
    assert len(decoder.decode(payload)) <= 2 * 8 * opus.LONGEST * 8
    assert len(decoder.conceal(160, payload)) in (0, 320)


def test_what_a_browser_sends_is_decoded_at_8_khz() -> None:
    browser = CodecContext.create("libopus", "w")
    browser.layout, browser.sample_rate, browser.format = "stereo", 48_000, "s16"
    browser.time_base = Fraction(1, 48_000)
    packets = []
    for number in range(50):
        frame = AudioFrame(format="s16", layout="stereo", samples=960)
        frame.sample_rate, frame.pts = 48_000, 960 * number
        mono = tone(700, 0.02, 48_000, start=number * 0.02)
        pcm = array("h", bytes(2 * len(mono)))
        pcm[0::2] = pcm[1::2] = array("h", mono)
        frame.planes[0].update(pcm.tobytes())
        packets += [bytes(packet) for packet in browser.encode(frame)]
    decoder = opus.Decoder(8000)
    out = b"".join(decoder.decode(packet) for packet in packets)
    assert loudness(out[1600:], 700, 8000) > 0.95


def test_opus_fills_a_lost_packet_from_what_the_next_one_repeats_of_it() -> None:
    """RFC 6716, 2.1.7: with in-band FEC what is made up is closer to what was said than without."""
    encoder, frames = opus.Encoder(8000), []
    for number in range(40):
        # A sweep: what was heard before says little about what comes.
        start = number * 0.02
        samples = (
            9000 * math.sin(2 * math.pi * (300 + 900 * (start + i / 8000)) * (start + i / 8000)) for i in range(160)
        )
        frames.append(encoder.encode(array("h", map(int, samples)).tobytes()))

    def heard(lost: int, following: bytes) -> float:
        whole, gap = opus.Decoder(8000), opus.Decoder(8000)
        for frame in frames[:lost]:
            whole.decode(frame)
            gap.decode(frame)
        true, made_up = array("h", whole.decode(frames[lost])), array("h", gap.conceal(160, following))
        assert len(made_up) == 160
        return sum((a - b) ** 2 for a, b in zip(true, made_up, strict=True))

    losses = range(20, 35)
    assert sum(heard(at, frames[at + 1]) for at in losses) < 0.7 * sum(heard(at, b"") for at in losses)
