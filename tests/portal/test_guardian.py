"""The guardian counts what Bitrix24 counts, and is patient with hints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.demo.portal.placements import WORKER, Placements
from bridge.portal import guardian
from bridge.portal.guardian import DAY, Load, Rule, Watch

NOW = 1_800_000_000.0
GENERAL = frozenset({0})


def test_only_what_takes_longer_than_the_limit_is_counted() -> None:
    watch, slow = guardian.loaded(Watch(), 0, 5.0, Rule(), NOW)
    assert (slow, watch.count(NOW)) == (None, 0)
    watch, slow = guardian.loaded(watch, 0, 5.01, Rule(), NOW)
    assert slow is not None
    assert (slow.count, slow.alarming, watch.count(NOW)) == (1, False, 1)


@pytest.mark.parametrize(("rule", "alarm"), [(Rule(), 5), (Rule(3, 3), 1), (Rule(5, 1), 1)])
def test_the_provider_is_warned_long_before_the_limit(rule: Rule, alarm: int) -> None:
    watch, alarms = Watch(), []
    for _ in range(rule.loads):
        watch, slow = guardian.loaded(watch, 0, 6.0, rule, NOW)
        assert slow is not None
        alarms.append(slow.alarming)
    assert alarms.index(True) == alarm - 1
    assert all(alarms[alarm - 1 :])


loads = st.lists(st.tuples(st.floats(0, DAY / 3), st.sampled_from([0, 5, 6])), max_size=60)


@given(loads, st.integers(1, 12))
def test_the_count_is_the_portals_own_whatever_the_order_of_loads(loads: list[tuple[float, int]], limit: int) -> None:
    """Against the simulated portal: the same counters, and the handler goes in the moment when ours passes the limit."""
    portal, rule, watch, now = Placements(), Rule(5, limit), Watch(), NOW
    rows = {
        user: portal.bind(placement=WORKER, handler="h", user=user, error_url="e", title="", apart=True).id
        for user in (0, 5, 6)
    }
    for pause, user in loads:
        now += pause
        watch, slow = guardian.loaded(watch, user, 6.0, rule, now)
        gone = portal.slow_load(rows[user], now, limit)
        assert slow is not None
        assert (gone is not None) == (slow.count > limit)
        if gone is not None:
            rows[user] = portal.bind(placement=WORKER, handler="h", user=user, error_url="e", title="", apart=True).id
            watch = guardian.bound(watch, frozenset({user}), now)


def test_a_hint_is_looked_at_once_at_once_then_patiently() -> None:
    watch = guardian.doubted(Watch(), NOW)
    assert guardian.is_due(watch, NOW)
    watch = guardian.stands(watch, NOW, hinted=True)
    assert not guardian.is_due(watch, NOW + DAY), "nobody doubts it"
    watch = guardian.doubted(watch, NOW + 1)
    assert not guardian.is_due(watch, NOW + 1), "a flood of hints is no flood of requests"
    assert guardian.is_due(watch, NOW + guardian.HINT_SECONDS)
    assert guardian.doubted(watch, NOW + 30) is watch, "more hints put nothing off"
    watch = guardian.stands(Watch(), NOW, hinted=False)
    assert guardian.is_due(guardian.doubted(watch, NOW + 1), NOW + 1), "a look of our own delays no hint"


def test_a_worker_that_is_removed_again_and_again_is_bound_later_and_later() -> None:
    watch, now, waits = Watch(), NOW, []
    for _ in range(6):
        watch = guardian.doubted(watch, now)
        assert watch.look_at is not None
        waits.append(watch.look_at - now)
        now = watch.look_at
        watch = guardian.bound(watch, GENERAL, now)
    assert waits == [0, 60, 600, 3600, 3600, 3600]
    watch = guardian.doubted(watch, now + DAY + 1)
    assert watch.look_at == now + DAY + 1, "a day later all is forgiven"


def test_a_look_that_failed_is_repeated() -> None:
    watch = guardian.failed(guardian.doubted(Watch(), NOW), NOW)
    assert not guardian.is_due(watch, NOW + 59)
    assert guardian.is_due(watch, NOW + 60)


@given(st.lists(st.sampled_from(["doubted", "stands", "bound", "failed", "loaded"]), max_size=40), st.data())
def test_whatever_happens_a_doubt_is_settled_and_bindings_keep_their_distance(
    steps: list[str], data: st.DataObject
) -> None:
    watch, now, bound_at = Watch(), NOW, float("-inf")
    for step in steps:
        now += data.draw(st.floats(0, 2 * DAY))
        match step:
            case "doubted":
                watch = guardian.doubted(watch, now)
                assert watch.look_at is not None
                assert watch.look_at <= now + guardian.REBIND_SECONDS[-1]
            case "loaded":
                watch, _ = guardian.loaded(watch, 0, 9.0, Rule(), now)
            case _ if not guardian.is_due(watch, now):
                continue
            case "stands":
                watch = guardian.stands(watch, now, hinted=data.draw(st.booleans()))
            case "failed":
                watch = guardian.failed(watch, now)
                assert watch.look_at is not None
            case "bound":
                lately = watch.losses if now - watch.bound_at <= DAY else 0
                assert now - bound_at >= guardian.REBIND_SECONDS[min(lately, 3)] - 1e-6
                watch, bound_at = guardian.bound(watch, GENERAL, now), now
                assert watch.count(now) == 0


@pytest.mark.parametrize(
    ("slowest", "words"),
    [
        ("waiting", "before it asked"),
        ("connecting", "connecting"),
        ("answering", "answered late"),
        ("transferring", "arrived slowly"),
        ("total", "busy with the page"),
    ],
)
def test_the_cause_of_a_slow_load_is_its_longest_part(slowest: str, words: str) -> None:
    parts = {"waiting": 0.5, "connecting": 0.5, "answering": 0.5, "transferring": 0.5, "total": 8.0}
    if slowest != "total":
        parts[slowest] = 5.0
    assert words in Load(**parts).cause
