"""What stands in `bench.json` and beside it."""

from __future__ import annotations

from .figure import Figure, percentile, spread


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [30.0, 10.0, 20.0, 40.0]
    assert [percentile(values, share) for share in (1, 50, 75, 99)] == [10, 20, 30, 40]


def test_a_goal_of_time_is_met_from_below_and_a_goal_of_rate_from_above() -> None:
    for name, good, bad in (("ring.ms.p50", 10, 10.1), ("sip.calls_per_s", 500, 499)):
        for value, met in ((good, True), (bad, False)):
            goal = Figure(name=name, value=value, unit="").goal
            assert goal is not None
            assert goal.is_met(value) is met


def test_a_row_has_what_readers_of_the_file_expect_and_no_more() -> None:
    (figure,) = spread("answer.ms", [41.2345678], 50, note="said to people only")
    assert figure.row() == {"name": "answer.ms.p50", "value": 41.23, "unit": "ms", "against": None, "ratio": None}


def test_a_peer_is_not_held_against_our_goal() -> None:
    assert Figure(name="sip.calls_per_s", value=1, unit="calls/s", against="sippy", ratio=3).goal is None
