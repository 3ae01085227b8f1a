"""Allowances and patience: what is listened to, and that memory is bounded."""

from __future__ import annotations

from bridge.sip.limits import Allowance, Patience


def test_an_allowance_gives_so_many_at_once_and_then_so_many_a_second() -> None:
    allowance = Allowance(rate=2, burst=4)
    assert [allowance.take("a", 0.0) for _ in range(6)] == [True] * 4 + [False] * 2
    assert [allowance.take("a", 1.0) for _ in range(3)] == [True, True, False]
    assert [allowance.take("a", 100.0) for _ in range(5)] == [True] * 4 + [False]


def test_one_sources_flood_costs_others_nothing() -> None:
    allowance = Allowance(rate=1, burst=1)
    for _ in range(1000):
        allowance.take("flood", 0.0)
    assert allowance.take("call", 0.0)


def test_invented_sources_add_no_memory() -> None:
    allowance, patience = Allowance(1, 1, most=100), Patience(most=100)
    for number in range(10_000):
        allowance.take(str(number), 0.0)
        patience.fail(str(number), 0.0)
    assert len(allowance) == 100
    assert len(patience._known) == 100


def test_patience_ends_after_a_few_failures_for_growing_times() -> None:
    patience = Patience()
    for _ in range(4):
        patience.fail("a", 0.0)
    assert not patience.is_exhausted("a", 0.0)
    patience.fail("a", 0.0)
    assert patience.is_exhausted("a", 59.0)
    assert not patience.is_exhausted("a", 60.0)
    patience.fail("a", 60.0)
    assert patience.is_exhausted("a", 179.0)
    assert not patience.is_exhausted("a", 180.0)
    for _ in range(30):
        patience.fail("a", 200.0)
    assert patience.is_exhausted("a", 200.0 + 3599)
    assert not patience.is_exhausted("a", 200.0 + 3600)
    assert not patience.is_exhausted("b", 0.0)


def test_success_starts_anew() -> None:
    patience = Patience()
    for _ in range(9):
        patience.fail("a", 0.0)
    patience.succeed("a")
    assert not patience.is_exhausted("a", 0.0)
