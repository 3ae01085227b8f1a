"""What is counted of a stream that arrives (RFC 3550, A.1, A.3, A.8)."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.media.reception import Reception
from bridge.media.reports import Reports

FRAME = 160


def heard(numbers: list[int], *, ssrc: int = 1) -> Reception:
    reception = Reception(8000)
    for number in numbers:
        reception.take(number & 0xFFFF, number * FRAME, ssrc, number * 0.02)
    return reception


@pytest.mark.parametrize(
    ("numbers", "expected", "lost"),
    [
        ([1, 2, 3], 3, 0),
        ([65_534, 65_535, 65_536, 65_537], 4, 0),
        ([1, 2, 5], 5, 2),
        ([1, 3, 2], 3, 0),
        ([1, 2, 2], 2, -1),
    ],
    ids=["all", "round the corner", "a gap", "reordered", "repeated"],
)
def test_lost_is_expected_less_received(numbers: list[int], expected: int, lost: int) -> None:
    reception = heard(numbers)
    assert (reception.expected, reception.lost) == (expected, lost)


def test_a_new_source_begins_a_new_count_beside_the_total() -> None:
    reception = heard([1, 2, 4])
    for number in (900, 901):
        reception.take(number, 0, 2, 1.0)
    assert (reception.expected, reception.lost, reception.lost_of_source) == (6, 1, 0)


def test_a_telephone_event_is_no_gap_and_no_jitter() -> None:
    reception = heard([1])
    reception.pass_over(2, 1)
    reception.pass_over(3, 1)
    reception.take(4, 4 * FRAME, 1, 0.08)
    assert (reception.lost, reception.jitter) == (0, 0)


def test_an_even_stream_has_no_jitter_and_uneven_arrival_shows_as_its_mean() -> None:
    assert heard(list(range(200))).jitter < 1e-9
    rng = random.Random(7)
    reception = Reception(8000)
    for number in range(2000):
        reception.take(number, number * FRAME, 1, number * 0.02 + rng.uniform(0, 0.03))
    assert 0.006 < reception.jitter < 0.014, "two even draws from 30 ms lie 10 ms apart on average"


def test_a_pause_is_no_jitter() -> None:
    reception = heard([1, 2])
    reception.take(3, 3 * FRAME, 1, 60.0)
    assert reception.jitter == 0


def test_an_interval_tells_what_came_since_the_last() -> None:
    reception = heard([1, 2, 4])
    assert reception.interval() == (4, 1)
    reception.take(5, 0, 1, 0.1)
    assert reception.interval() == (1, 0)
    assert reception.interval() == (0, 0)


@given(st.integers(0, 65_535), st.lists(st.sampled_from([1, 1, 1, 2, 3]), max_size=200), st.randoms())
def test_however_packets_are_lost_and_shuffled_the_sum_is_right(
    first: int, steps: list[int], rng: random.Random
) -> None:
    numbers = [first]
    for step in steps:
        numbers.append(numbers[-1] + step)
    middle = numbers[1:-1]
    for at in range(0, len(middle) - 1, 2):
        if rng.random() < 0.3:
            middle[at], middle[at + 1] = middle[at + 1], middle[at]
    reception = heard([numbers[0], *middle, *numbers[-1:]] if len(numbers) > 1 else numbers)
    assert reception.expected == numbers[-1] - first + 1
    assert reception.lost == sum(steps) - len(steps)


# ---- reports


class Stream:
    ssrc, packets, octets = 42, 100, 16_000

    def time_at(self, now: float) -> int:
        return round(now * 8000)


def both() -> tuple[Reports, Reports]:
    ours, theirs = (Reports(cname="a", ssrc=n, clock_rate=8000, wall=1e9 + n) for n in range(2))
    return ours, theirs


def test_a_round_trip_is_what_passed_less_what_the_other_side_waited() -> None:
    ours, theirs = both()
    theirs.reception.take(1, 0, 42, 10.0)
    ours.reception.take(1, 0, 42, 10.0)
    theirs.read(ours.write(Stream(), 10.0), 42, 10.1)
    ours.read(theirs.write(Stream(), 12.1), 42, 12.25)
    assert ours.round_trip == pytest.approx(0.25, abs=0.001)


def test_what_the_other_side_lost_is_told_by_the_difference_of_its_reports() -> None:
    ours, theirs = both()
    for number in (1, 2, 3, 5):
        theirs.reception.take(number, number * FRAME, 42, number * 0.02)
    ours.read(theirs.write(None, 1.0), 42, 1.0)
    assert ours.told is not None
    assert ours.told.lost / ours.told.expected == pytest.approx(1 / 5, abs=0.01)
    for number in (6, 8, 9, 10, 12):
        theirs.reception.take(number, number * FRAME, 42, number * 0.02)
    ours.read(theirs.write(None, 2.0), 42, 2.0)
    assert (ours.told.expected, ours.told.lost) == (7, 2)


def test_a_report_about_another_stream_or_a_broken_one_tells_nothing() -> None:
    ours, theirs = both()
    theirs.reception.take(1, 0, 42, 1.0)
    ours.read(theirs.write(None, 1.0), 43, 1.0)
    ours.read(b"\x80\xc8\x00", 42, 1.0)
    assert (ours.told, ours.round_trip, ours.broken) == (None, None, 1)


def test_reports_are_due_every_few_seconds_and_not_at_the_first_look() -> None:
    ours, _ = both()
    assert [now for now in range(20) if now >= ours.due and ours.put_off(now, 6)] == [3, 9, 15]
