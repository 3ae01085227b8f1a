"""One outgoing stream stays one stream, whatever feeds it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.media.comfort import QUIET

from .stage import Packet, rtp
from .wire import Wire, steps

VOICE = bytes(range(160))


def sent(*packets: Packet | None) -> list[Packet]:
    assert all(packets)
    return [packet for packet in packets if packet]


def test_payload_is_untouched_and_header_is_ours() -> None:
    packet = Wire().put(rtp(0, 7, 7, VOICE))
    assert packet is not None
    assert (packet.payload, packet.payload_type, packet.ssrc, packet.marker) == (VOICE, 8, 99, True)


def test_numbers_wrap_around_and_a_lost_packet_stays_a_gap() -> None:
    wire = Wire()
    packets = sent(*(wire.put(rtp(0, n, n * 160, VOICE)) for n in (65_534, 65_535, 65_537, 65_538)))
    assert steps(packets) == [(1, 160), (2, 320), (1, 160)]


def test_order_of_arrival_is_kept_and_repetitions_are_dropped() -> None:
    wire = Wire()
    one, three, two = sent(*(wire.put(rtp(0, n, n * 160, VOICE)) for n in (1, 3, 2)))
    assert steps([one, two, three]) == [(1, 160), (1, 160)]
    assert wire.put(rtp(0, 3, 480, VOICE)) is None


def test_a_packet_older_than_the_first_of_its_source_can_not_reuse_a_number() -> None:
    wire = Wire()
    wire.put(rtp(0, 10, 1600, VOICE))
    assert wire.put(rtp(0, 9, 1440, VOICE)) is None


def test_a_new_source_goes_on_with_the_next_number_and_the_time_that_passed() -> None:
    wire = Wire()
    packets = sent(
        wire.put(rtp(0, 500, 80_000, VOICE, ssrc=1), now=10.0),
        wire.put(rtp(0, 31_000, 123, VOICE, ssrc=2), now=13.0),
    )
    assert steps(packets) == [(1, 3 * 8000)]
    assert packets[1].marker


@pytest.mark.parametrize("restart", [(40_000, 900), (501, 2**31)], ids=["sequence leaps", "timestamp leaps"])
def test_a_source_that_starts_anew_under_its_ssrc_is_followed(restart: tuple[int, int]) -> None:
    wire = Wire()
    packets = sent(
        wire.put(rtp(0, 500, 80_000, VOICE), now=10.0), wire.put(rtp(0, restart[0], restart[1], VOICE), now=10.02)
    )
    assert steps(packets) == [(1, 160)]


def test_silence_fills_a_gap_in_real_time_and_voice_goes_on_behind_it() -> None:
    wire = Wire()
    packets = sent(
        wire.put(rtp(0, 1, 160, VOICE), now=1.0),
        wire.silence(1.10),
        wire.silence(1.12),
        wire.put(rtp(0, 2, 320, VOICE), now=1.14),
    )
    assert steps(packets) == [(1, 800), (1, 160), (1, 160)]
    assert packets[1].payload == QUIET["PCMA"][0]


def test_silence_is_not_sent_before_it_is_due() -> None:
    wire = Wire()
    wire.put(rtp(0, 1, 160, VOICE), now=1.0)
    assert wire.silence(1.005) is None


def test_opus_counts_time_at_48_khz() -> None:
    wire = Wire(clock_rate=48_000)
    packets = sent(wire.put(rtp(0, 1, 160, VOICE), now=1.0), wire.put(rtp(0, 1, 1, VOICE, ssrc=5), now=2.0))
    assert steps(packets) == [(1, 48_000)]


def test_csrc_extension_and_padding_are_taken_out() -> None:
    header = rtp(0, 1, 160, b"")
    raw = bytes([0xB2]) + header[1:] + b"CSR1CSR2" + b"\xbe\xde\x00\x01ext!" + VOICE + b"\0\0\0\x04"
    packet = Wire().put(raw)
    assert packet is not None
    assert packet.payload == VOICE


@given(st.integers(0, 2**32))
def test_the_newest_number_and_time_never_go_back(seed: int) -> None:
    """Losses, repetitions, reordering, new sources and silence in any mixture."""
    rng = random.Random(seed)
    wire, now, newest, left = Wire(sequence=3, timestamp=5), 0.0, (3, 5), list[Packet]()
    source = [rng.randrange(1, 4), rng.randrange(65_536), rng.randrange(2**32)]
    for _ in range(200):
        now += rng.choice([0.0, 0.02, 0.02, 0.5])
        if rng.random() < 0.05:
            source = [rng.randrange(1, 4), rng.randrange(65_536), rng.randrange(2**32)]
        source[1] += rng.choice([1, 1, 1, 2, -1, 0])
        source[2] += 160
        packet = (
            wire.silence(now) if rng.random() < 0.2 else wire.put(rtp(0, source[1], source[2], VOICE, source[0]), now)
        )
        ahead = (wire.stream.sequence - newest[0]) & 0xFFFF, (wire.stream.timestamp - newest[1]) & 0xFFFFFFFF
        assert ahead[0] < 4000
        assert ahead[1] < 2**31
        if packet is not None and ahead[0]:
            assert packet.sequence == wire.stream.sequence
        if rng.random() < 0.3:  # looking at the counts changes nothing
            assert wire.stream.packets == len(left) + (packet is not None)
        left += [packet] if packet is not None else []
        newest = wire.stream.sequence, wire.stream.timestamp
    assert wire.stream.packets == len(left)
    assert wire.stream.octets == sum(len(packet.payload) for packet in left)
