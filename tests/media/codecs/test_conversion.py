"""From one codec to another: nothing is lost that was not lost before, and everything keeps its time."""

from __future__ import annotations

import random
from array import array
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.media.codecs import codec
from bridge.media.codecs.conversion import Conversion
from bridge.media.sdp import CLOCK_RATES

from ..stage import Packet, rtp
from ..tones import loudness, tone

NAMES = tuple(CLOCK_RATES)
PAIRS = [(source, target) for source in NAMES for target in NAMES if source != target]


def voice(name: str, seconds: float = 1.0, *, ptime: int = 20, ssrc: int = 7, first: int = 65_520) -> list[bytes]:
    """A tone of 500 Hz."""
    encoder, rate = codec.encoder(name, 8000), CLOCK_RATES[name]
    pcm, frames = tone(500, seconds, 8000), ptime // 20
    packets = []
    for number in range(round(seconds * 1000) // ptime):
        chunks = [pcm[320 * at : 320 * (at + 1)] for at in range(number * frames, (number + 1) * frames)]
        payload = b"".join(encoder.encode(chunk) for chunk in chunks)
        packets.append(rtp(1, first + number, 2**32 - 1000 + number * rate * ptime // 1000, payload, ssrc))
    return packets


def converted(conversion: Conversion, packets: list[bytes]) -> list[Packet]:
    return [Packet.read(out) for packet in packets for out in conversion.convert(packet)]


def heard(name: str, packets: list[Packet]) -> bytes:
    decoder = codec.decoder(name, 8000)
    return b"".join(decoder.decode(packet.payload) for packet in packets)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_tone_comes_through_between_every_two_codecs(source: str, target: str) -> None:
    out = converted(Conversion(source, target), voice(source))
    assert len(out) == 50
    step = CLOCK_RATES[target] // 50
    for one, other in pairwise(out):
        assert (other.sequence - one.sequence) & 0xFFFF == 1
        assert (other.timestamp - one.timestamp) & 0xFFFFFFFF == step
    assert {packet.ssrc for packet in out} == {7}
    assert loudness(heard(target, out)[3200:], 500, 8000) > 0.95


@pytest.mark.parametrize("ptime", [20, 40, 60])
def test_packets_of_any_length_become_packets_of_20_ms(ptime: int) -> None:
    out = converted(Conversion("PCMU", "opus"), voice("PCMU", 1.2, ptime=ptime))
    assert len(out) == 60
    assert {(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in pairwise(out)} == {960}


def test_packets_of_30_ms_fill_frames_of_20() -> None:
    pcm = codec.encoder("PCMA", 8000).encode(tone(500, 0.9, 8000))
    packets = [rtp(8, number, 240 * number, pcm[240 * number : 240 * (number + 1)]) for number in range(30)]
    out = converted(Conversion("PCMA", "opus"), packets)
    assert len(out) == 45
    assert [packet.timestamp for packet in out] == [960 * number for number in range(45)]


@given(seed=st.integers(0, 2**32), loss=st.floats(0, 0.3), pair=st.sampled_from(PAIRS))
def test_after_losses_repetitions_and_reordering_everything_that_goes_out_has_its_own_time(
    seed: int, loss: float, pair: tuple[str, str]
) -> None:
    chance, (source, target) = random.Random(seed), pair
    sent = voice(source, 1.0)
    kept = [sent[0], *(packet for packet in sent[1:] if chance.random() >= loss)]
    for _ in range(3):
        at = chance.randrange(len(kept) - 1)
        kept[at : at + 2] = reversed(kept[at : at + 2])
        kept.insert(at, kept[at])
    conversion = Conversion(source, target)
    step, origin = CLOCK_RATES[target] // 50, Packet.read(kept[0]).timestamp
    newest = -1
    for packet in kept:
        for out in map(Packet.read, conversion.convert(packet)):
            frame = out.timestamp // step
            assert out.timestamp % step == 0
            assert frame > newest, "no time is filled twice"
            newest = frame
            now = ((Packet.read(packet).timestamp - origin) & 0xFFFFFFFF) * 50 // CLOCK_RATES[source]
            assert frame <= now or now > 2**20, "nothing is said before it was heard"


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_what_is_lost_of_opus_is_made_up_for(lost: int) -> None:
    packets = voice("opus")
    del packets[25 : 25 + lost]
    out = converted(Conversion("opus", "PCMU"), packets)
    assert len(out) == 50
    assert [packet.sequence for packet in out] == list(range(out[0].sequence, out[0].sequence + 50))
    gap = heard("PCMU", out[25 : 25 + lost])
    assert max(map(abs, array("h", gap))) > 1000


def test_what_is_lost_of_g711_is_lost_for_the_page_as_well_which_makes_up_for_it() -> None:
    packets = voice("PCMU")
    del packets[25:27]
    out = converted(Conversion("PCMU", "opus"), packets)
    assert len(out) == 48
    assert (out[25].sequence - out[24].sequence, out[25].timestamp - out[24].timestamp) == (3, 3 * 960)


def test_a_pause_of_the_senders_clock_is_one_of_ours_and_counts_as_no_loss() -> None:
    packets = voice("PCMU", 0.4)
    later = [
        rtp(1, 65_520 + 20 + n, 80_000 + 160 * n, Packet.read(p).payload, 7) for n, p in enumerate(voice("PCMU", 0.4))
    ]
    out = converted(Conversion("PCMU", "opus"), packets + later)
    assert out[20].sequence - out[19].sequence == 1
    assert out[20].timestamp - out[19].timestamp == (80_000 + 1000 - 19 * 160) * 6


def test_another_source_begins_anew() -> None:
    conversion = Conversion("PCMA", "PCMU")
    out = converted(conversion, voice("PCMA", 0.2) + voice("PCMA", 0.2, ssrc=8, first=9))
    assert [packet.ssrc for packet in out] == [7] * 10 + [8] * 10


@given(
    raw=st.lists(st.binary(min_size=12, max_size=200), max_size=20),
    pair=st.sampled_from([("opus", "PCMU"), ("PCMU", "opus"), ("G722", "opus")]),
)
def test_hostile_packets_do_no_more_than_sound_strange(raw: list[bytes], pair: tuple[str, str]) -> None:
    conversion = Conversion(*pair)
    for packet in raw:
        assert len(conversion.convert(packet)) <= 20
