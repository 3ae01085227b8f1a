"""One outgoing stream stays one stream, whatever feeds it."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.media.comfort import QUIET
from bridge.media.relay import BUFFER_BYTES, Relay, Stream, make_plain

from .stage import Packet, rtp

VOICE = bytes(range(160))


class Wire:
    """A stream on a buffer; `put` returns what leaves."""

    def __init__(self, clock_rate: int = 8000, sequence: int = 65_000, timestamp: int = 2**32 - 1000) -> None:
        self.buffer = bytearray(BUFFER_BYTES)
        self.stream = Stream(
            memoryview(self.buffer),
            ssrc=99,
            sequence=sequence,
            timestamp=timestamp,
            payload_type=8,
            clock_rate=clock_rate,
        )

    def put(self, raw: bytes, now: float = 0.0) -> Packet | None:
        self.buffer[: len(raw)] = raw
        length = self.stream.rewrite(len(raw), now)
        return Packet.read(bytes(self.buffer[:length])) if length else None

    def silence(self, now: float) -> Packet | None:
        length = self.stream.silence(QUIET["PCMA"][0], now)
        return Packet.read(bytes(self.buffer[:length])) if length else None


def steps(packets: list[Packet]) -> list[tuple[int, int]]:
    pairs = pairwise(packets)
    return [((b.sequence - a.sequence) & 0xFFFF, (b.timestamp - a.timestamp) & 0xFFFFFFFF) for a, b in pairs]


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


@given(st.binary(min_size=12, max_size=300))
def test_no_packet_is_too_broken_to_be_looked_at(raw: bytes) -> None:
    buffer = bytearray(BUFFER_BYTES)
    buffer[: len(raw)] = raw
    assert 0 <= make_plain(memoryview(buffer), len(raw)) <= len(raw)


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


@pytest.mark.parametrize(("codec", "loudest"), [("PCMU", {0x7D, 0xFD}), ("PCMA", {0x54, 0xD4})])
def test_comfort_noise_is_uneven_and_hardly_audible(codec: str, loudest: set[int]) -> None:
    """In G.711 the codes next to zero are those with most bits set, or set every other way round."""
    frames = QUIET[codec]
    zero = 0xFF if codec == "PCMU" else 0xD5
    assert len(set(frames)) == len(frames) == 50
    assert {len(frame) for frame in frames} == {160}
    assert max((code ^ zero) & 0x7F for frame in frames for code in frame) == max((c ^ zero) & 0x7F for c in loudest)


class Outlet:
    def __init__(self, buffer: bytearray) -> None:
        self.buffer, self.sent = buffer, list[bytes]()

    def send(self, length: int) -> None:
        self.sent.append(bytes(self.buffer[:length]))


def test_while_the_pbx_holds_nothing_is_sent_and_afterwards_no_gap_in_numbers() -> None:
    wire = Wire()
    pbx = Outlet(wire.buffer)
    relay = Relay(pbx, wire.stream, "PCMA")
    for number, held in enumerate([False, True, True, False], 1):
        relay.open(sending=not held, held=False, tuned=True)
        raw = rtp(0, number, number * 160, VOICE)
        wire.buffer[: len(raw)] = raw
        relay.from_browser(len(raw), number * 0.02)
        relay.frame(number * 0.02)
    assert steps([Packet.read(raw) for raw in pbx.sent]) == [(1, 480)]


def test_of_what_is_played_no_frame_is_left_out_however_often_it_is_looked_at() -> None:
    wire = Wire()
    pbx = Outlet(wire.buffer)
    relay = Relay(pbx, wire.stream, "PCMA")
    relay.fill((b"one", b"two", b"three"))
    for now in (0.02, 0.021, 0.025, 0.04, 0.041, 0.06, 0.08):
        relay.frame(now)
    assert [Packet.read(raw).payload for raw in pbx.sent] == [b"one", b"two", b"three", b"one"]


CODECS = {"PCMU": (0, 8000), "PCMA": (8, 8000), "G722": (9, 8000), "opus": (107, 48_000)}
DOINGS = st.lists(
    st.one_of(
        st.tuples(st.just("page"), st.sampled_from([0.0, 0.02, 0.3, 4.0]), st.integers(1, 3)),
        st.tuples(st.just("tune"), st.just(0.02), st.sampled_from(sorted(CODECS))),
        st.tuples(st.just("hold"), st.just(0.02), st.booleans()),
        st.tuples(st.just("quiet"), st.just(0.02), st.integers(1, 20)),
        st.tuples(st.just("keys"), st.just(0.02), st.sampled_from(["5", "12#"])),
    ),
    max_size=60,
)


@given(DOINGS)
def test_the_pbx_hears_one_stream_through_hold_keys_rejoin_take_over_and_change_of_codec(
    doings: list[tuple[str, float, object]],
) -> None:
    """One SSRC, each number once and none left out, and time that never stands still or goes back between its packets."""
    wire = Wire()
    pbx, now, page, number = Outlet(wire.buffer), 100.0, 1, 0
    relay = Relay(pbx, wire.stream, "PCMA")
    relay.tune("PCMA", 8, 8000, 101)
    for kind, pause, wish in doings:
        now += pause
        if kind == "page":
            page, number = wish if isinstance(wish, int) else 0, number + 1
            raw = rtp(relay.up.payload_type, number, number * relay.up.frame, VOICE, page)
            wire.buffer[: len(raw)] = raw
            relay.from_browser(len(raw), now)
        elif kind == "tune":
            relay.tune(str(wish), *CODECS[str(wish)], 101)
        elif kind == "hold":
            relay.open(sending=True, held=bool(wish), tuned=True)
        elif kind == "keys":
            relay.press(str(wish))
        else:
            for _ in range(wish if isinstance(wish, int) else 0):
                now += 0.02
                relay.frame(now)
    packets = [Packet.read(raw) for raw in pbx.sent]
    assert {packet.ssrc for packet in packets} <= {wire.stream.ssrc}
    voice = [packet for packet in packets if packet.payload_type != 101]
    assert all(0 < step < 100 for step, _ in steps(packets))
    assert all(0 < leap < 2**31 for _, leap in steps(voice))
