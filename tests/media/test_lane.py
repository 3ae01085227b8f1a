"""The short way differs from the long one in nothing but its cost."""

from __future__ import annotations

import itertools
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.media.lane import Exit, Lane, Way
from bridge.media.packet import BUFFER_BYTES, RTP
from bridge.media.reception import Reception
from bridge.media.sdes import SUITES, Crypto
from bridge.media.slot import Slot
from bridge.media.srtp import Srtp, incoming_session, outgoing_session
from bridge.media.stream import Stream

from .stage import rtp

VOICE, KEY = 0, 101


class Direction:
    """What comes from one leg, counted, rewritten and sent; `short` if lanes are opened."""

    def __init__(self, *, short: bool, sequence: int, timestamp: int, srtp: Srtp | None = None) -> None:
        self.short, self.srtp = short, srtp
        self.buffer = Slot(bytearray(BUFFER_BYTES))
        self.slot = Slot(bytearray(BUFFER_BYTES))
        self.stream = Stream(
            self.buffer.view, ssrc=99, sequence=sequence, timestamp=timestamp, payload_type=8, clock_rate=8000
        )
        self.reception = Reception(8000)
        self.lane: Lane | None = None
        self.sent, self.carried, self.refused = list[bytes](), 0, 0

    def take(self, raw: bytes, now: float) -> None:
        self.slot.view[: len(raw)] = raw
        if self.lane is not None and self.lane.carry(self.slot, len(raw), now):
            self.carried += 1
            return
        self.lane, length = None, len(raw)
        if not self.short:
            self.stream.part()
        self.buffer.view[:length] = self.slot.view[:length]
        if self.srtp is not None and not (length := self.srtp.unprotect(self.buffer, length)):
            self.refused += 1
            return
        _, second, sequence, timestamp, ssrc = RTP.unpack_from(self.buffer.view)
        if second & 0x7F != VOICE:
            self.reception.pass_over(sequence, ssrc)
            return
        self.reception.take(sequence, timestamp, ssrc, now)
        if length := self.stream.rewrite(length, now):
            self._sent(self.buffer, length, None)
        if self.short:
            self.lane = Lane.opened(self.srtp, len(raw), self.reception, self._way)

    def _way(self) -> Way:
        return Way(self.stream, Exit(None, self._sent, None))

    def _sent(self, slot: Slot, length: int, to: None) -> None:
        self.sent.append(bytes(slot.view[:length]))

    def say(self, now: float) -> None:
        self._sent(self.buffer, self.stream.say(bytes(160), now), None)

    @property
    def counts(self) -> tuple[float, ...]:
        stream, reception = self.stream, self.reception
        return (
            stream.packets, stream.octets, stream.sequence, stream.timestamp, stream.spoke, stream.time_at(1e4),
            reception.packets, reception.expected, reception.lost, reception.highest, reception.jitter, reception.ssrc,
        )  # fmt: skip


DOINGS = st.lists(
    st.one_of(
        st.tuples(st.just("packets"), st.integers(1, 6)),
        st.tuples(st.just("step"), st.sampled_from([0, 0, 2, 3, 50, 200, 40_000, -2, -3, -120])),
        st.tuples(st.just("leap"), st.sampled_from([0, 80, 240, 1600, 2**31, -160])),
        st.tuples(
            st.sampled_from(["mark", "key", "late voice", "new", "pause", "say", "part", "look", "tune"]), st.just(0)
        ),
        st.tuples(st.just("length"), st.sampled_from([160, 80, 20])),
        st.tuples(st.just("frame"), st.sampled_from([160, 240])),
    ),
    max_size=80,
)
NEAR_THE_END = st.integers(-6, 6)


@given(DOINGS, NEAR_THE_END, NEAR_THE_END, NEAR_THE_END, NEAR_THE_END)
def test_whatever_comes_is_sent_and_counted_as_on_the_long_way(
    doings: list[tuple[str, int]], sequence: int, timestamp: int, out: int, out_time: int
) -> None:
    ways = short, long = [
        Direction(short=short, sequence=out & 0xFFFF, timestamp=160 * out_time & 0xFFFFFFFF) for short in (True, False)
    ]
    timestamp, now, length, frame, ssrc = 160 * timestamp, 100.0, 160, 160, 1

    def take(payload_type: int, number: int, time: int) -> None:
        raw = rtp(payload_type, number & 0xFFFF, time & 0xFFFFFFFF, bytes(length), ssrc)
        for way in ways:
            way.take(raw, now)

    for doing, by in doings:
        now += 0.021
        if doing in ("packets", "step", "leap", "mark"):
            timestamp += by if doing == "leap" else 0
            sequence += by - 1 if doing == "step" else 0
            for _ in range(by if doing == "packets" else 1):
                now, sequence, timestamp = now + 0.0193, sequence + 1, timestamp + frame
                take(0x80 | VOICE if doing == "mark" else VOICE, sequence, timestamp)
        elif doing == "key":
            sequence += 1
            take(KEY, sequence, timestamp)
        elif doing == "late voice":
            take(VOICE, sequence, timestamp)
        elif doing == "new":
            ssrc += 1
        elif doing == "length":
            length = by
        elif doing == "frame":
            frame = by
        else:
            for way in ways:
                if doing == "say":
                    way.say(now)
                elif doing == "tune":
                    way.stream.tune(8, 8000)
                elif doing != "look":
                    getattr(way.stream, doing)()
            if doing == "look":
                assert short.counts == long.counts
    assert short.sent == long.sent
    assert short.counts == long.counts


def test_of_a_regular_stream_only_the_first_packet_and_each_turn_of_a_number_goes_the_long_way() -> None:
    way = Direction(short=True, sequence=30_000, timestamp=0)
    for number in range(70_000):
        way.take(rtp(VOICE, number & 0xFFFF, 160 * number & 0xFFFFFFFF, bytes(160)), 0.02 * number)
    sequences = [int.from_bytes(packet[2:4], "big") for packet in way.sent]
    assert all((after - before) & 0xFFFF == 1 for before, after in itertools.pairwise(sequences))
    assert (len(way.sent), way.stream.packets, way.reception.packets) == (70_000, 70_000, 70_000)
    assert 70_000 - way.carried == 3


@pytest.mark.parametrize("suite", SUITES)
def test_what_is_forged_or_repeated_is_refused_and_the_voice_goes_on(suite: str) -> None:
    crypto = Crypto(tag=1, suite=suite, key=secrets.token_bytes(SUITES[suite]))
    sender = outgoing_session(crypto)
    way = Direction(short=True, sequence=5, timestamp=5, srtp=Srtp(incoming_session(crypto), outgoing_session(crypto)))
    sealed = [sender.protect(rtp(VOICE, number, 160 * number, bytes([number]) * 160)) for number in range(1, 21)]
    for number, packet in enumerate(sealed):
        if number in (5, 10):
            way.take(packet[:-1] + bytes([packet[-1] ^ 1]), 0.02 * number)
        way.take(packet, 0.02 * number)
        if number == 7:
            way.take(packet, 0.02 * number)
    assert [packet[12:] for packet in way.sent] == [bytes([number]) * 160 for number in range(1, 21)]
    assert way.refused == 3
    assert way.carried == 16
