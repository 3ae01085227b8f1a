from __future__ import annotations

import random

import pytest

from .flat import quarters, trend

MINUTES = [60.0 * minute for minute in range(61)]


def test_what_only_grows_while_it_warms_up_is_flat() -> None:
    line = trend(MINUTES, [min(200.0, 100 + 10 * minute) for minute in range(61)])
    assert line.is_flat
    assert line.begin == 200


def test_a_slow_leak_is_seen_through_noise_and_a_few_odd_samples() -> None:
    chance = random.Random(1)
    values = [200 + 10 * at / 3600 + chance.gauss(0, 1) for at in MINUTES]
    values[20] = values[40] = 400
    line = trend(MINUTES, values)
    assert line.per_hour == pytest.approx(10, abs=2)
    assert not line.is_flat


def test_what_fills_and_is_full_bends_the_quarters() -> None:
    lines = quarters(MINUTES, [min(200.0, 100 + 5 * minute) for minute in range(61)])
    assert [round(line.per_hour) for line in (lines[0], *lines[2:])] == [300, 0, 0]
    leak = quarters(MINUTES, [100.0 + minute for minute in range(61)])
    assert [round(line.per_hour) for line in leak] == [60] * 4


def test_what_shrinks_is_flat() -> None:
    assert trend(MINUTES, [300 - minute for minute in range(61)]).is_flat
