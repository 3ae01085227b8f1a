"""Both sides stay in step on the line, whatever the network did to their packets."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.media.recording.tape import Channel, Heard, Record, Tuned
from bridge.media.recording.timeline import Placed, place
from bridge.media.sdp import CLOCK_RATES

FRAME = 0.02


@dataclass(frozen=True)
class Network:
    """What it does to packets that follow one another 20 ms apart."""

    seed: int
    delay: float = 0.03
    jitter: float = 0.0
    """Seconds, evenly spread."""
    loss: float = 0.0
    repeat: float = 0.0

    def carry(self, packets: list[Heard]) -> list[Heard]:
        chance = random.Random(self.seed)
        out = []
        for packet in packets:
            for _ in range(2 if chance.random() < self.repeat else 1):
                late = self.delay + chance.random() * self.jitter
                out += [replace(packet, at=packet.at + late)] if chance.random() >= self.loss else []
        return sorted(out, key=lambda packet: packet.at)


def spoken(
    channel: Channel, begin: float, count: int, *, ssrc: int = 1, sequence: int = 65_500, timestamp: int = 2**32 - 1600
) -> list[Heard]:
    """Packets as they leave their sender; each says in its payload when that was."""
    return [
        Heard(
            channel=channel,
            at=begin + number * FRAME,
            payload_type=0,
            sequence=(sequence + number) & 0xFFFF,
            timestamp=(timestamp + 160 * number) & 0xFFFFFFFF,
            ssrc=ssrc,
            payload=f"{begin + number * FRAME:.4f}".encode(),
        )
        for number in range(count)
    ]


def placed(*streams: list[Heard]) -> list[Placed]:
    packets = sorted((packet for stream in streams for packet in stream), key=lambda packet: packet.at)
    tuned: list[Record] = [Tuned(channel=channel, payload_type=0, codec="PCMU") for channel in Channel]
    return list(place([*tuned, *packets], CLOCK_RATES))


def of(channel: Channel, line: list[Placed]) -> list[Placed]:
    return [item for item in line if item.channel is channel]


def errors(line: list[Placed], delay: float) -> Iterator[float]:
    """How far each packet lies from where it was spoken."""
    for item in line:
        yield item.at - delay - float(item.payload)


def test_without_trouble_every_packet_lies_exactly_after_the_one_before() -> None:
    line = placed(Network(seed=1).carry(spoken(Channel.CALLER, 0.0, 500)))
    assert len(line) == 500
    assert [item.moved for item in line] == [True] + [False] * 499
    for index, item in enumerate(line):
        assert item.at == pytest.approx(0.03 + index * FRAME, abs=1e-6)


@given(
    seed=st.integers(0, 2**32),
    jitter=st.floats(0, 0.15),
    loss=st.floats(0, 0.4),
    repeat=st.floats(0, 0.3),
)
def test_jitter_loss_reordering_and_repetition_leave_both_sides_in_step(
    seed: int, jitter: float, loss: float, repeat: float
) -> None:
    """Whatever arrives once is on the line once, in order, and within the least delay's blur."""
    operator = Network(seed=seed, jitter=jitter, loss=loss, repeat=repeat).carry(
        spoken(Channel.OPERATOR, 0.0, 400, ssrc=7)
    )
    caller = Network(seed=seed + 1, jitter=0.01).carry(spoken(Channel.CALLER, 0.0, 400, ssrc=8))
    line = placed(operator, caller)
    for channel, arrived in ((Channel.OPERATOR, operator), (Channel.CALLER, caller)):
        lies = of(channel, line)
        texts = [item.payload for item in lies]
        assert set(texts) == {packet.payload for packet in arrived}
        assert len(set(texts)) == len(texts)
        assert texts == sorted(texts, key=float)
        assert all(-0.001 <= error <= 0.06 for error in errors(lies, 0.03))


def test_what_was_lost_is_counted_where_it_is_missing() -> None:
    stream = spoken(Channel.CALLER, 0.0, 100)
    line = placed([packet for index, packet in enumerate(stream) if index not in (40, 50, 51)])
    assert {index: item.lost for index, item in enumerate(line) if item.lost} == {40: 1, 49: 2}


@pytest.mark.parametrize("leap", [0, 160, 400_000, -400_000])
def test_a_timestamp_that_stands_still_or_leaps_over_a_hold_costs_no_step(leap: int) -> None:
    """A sender may stop its clock while it is held, or set it anew (RFC 3550 leaves it free)."""
    before = spoken(Channel.OPERATOR, 0.0, 200)
    last = before[-1]
    after = spoken(
        Channel.OPERATOR, 14.0, 200, sequence=last.sequence + 1, timestamp=(last.timestamp + 160 + leap) & 0xFFFFFFFF
    )
    caller = spoken(Channel.CALLER, 0.0, 900, ssrc=9)
    line = placed(Network(seed=3).carry(before + after), Network(seed=4).carry(caller))
    for channel in Channel:
        assert all(abs(error) < 0.001 for error in errors(of(channel, line), 0.03))


def test_a_page_that_rejoins_with_another_ssrc_goes_on_where_it_speaks() -> None:
    first = spoken(Channel.OPERATOR, 0.0, 150, ssrc=1)
    second = spoken(Channel.OPERATOR, 3.4, 150, ssrc=2, sequence=9, timestamp=77)
    line = placed(Network(seed=5, jitter=0.02).carry(first + second))
    assert len(line) == 300
    assert all(-0.001 <= error <= 0.03 for error in errors(line, 0.03))
    assert [item.lost for item in line if item.lost] == []


def test_a_clock_that_runs_fast_does_not_carry_its_side_away() -> None:
    """300 ppm over ten minutes are 180 ms."""
    stream = [replace(packet, at=packet.at * 0.9997) for packet in spoken(Channel.CALLER, 0.0, 30_000)]
    line = placed(stream)
    assert all(abs(item.at - float(item.payload) * 0.9997) < 0.05 for item in line)
    assert sum(item.moved for item in line) < 10


def test_a_jam_whose_packets_all_come_at_once_lies_where_they_were_spoken() -> None:
    stream = [
        replace(packet, at=max(packet.at, 5.0) if 4.0 < packet.at < 5.0 else packet.at)
        for packet in spoken(Channel.CALLER, 0.0, 500)
    ]
    line = placed(Network(seed=6).carry(stream))
    late = [error for error in errors(line, 0.03) if abs(error) > 0.001]
    assert len(late) <= 40, "the jam's own second at most"
    assert max(errors(line[-200:], 0.03)) < 0.001


@given(
    st.lists(
        st.tuples(
            st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.integers(0, 3), st.floats(0, 0.5), st.integers(0, 1)
        ),
        max_size=80,
    )
)
def test_hostile_numbers_place_nothing_before_the_beginning_or_after_its_arrival(
    wild: list[tuple[int, int, int, float, int]],
) -> None:
    now, packets = 0.0, []
    for sequence, timestamp, ssrc, passed, channel in wild:
        now += passed
        packets.append(
            Heard(
                channel=Channel(channel),
                at=now,
                payload_type=0,
                sequence=sequence,
                timestamp=timestamp,
                ssrc=ssrc,
                payload=b"x",
            )
        )
    line = placed(packets)
    assert len(line) <= len(packets)
    assert all(0 <= item.at <= now + 0.05 for item in line)
