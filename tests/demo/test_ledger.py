from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.demo.portal.bucket import Bucket
from bridge.demo.portal.forms import flatten, nest
from bridge.demo.portal.ledger import DEDUP_SECONDS, Call, CallError, Ledger, Registration, telephone
from bridge.demo.portal.placements import WORKER, FullError, Placements
from bridge.demo.portal.tokens import TokenError, Tokens

ONE = Registration(user=2, number="+49305550100", type=2, external_id="one")


def add(ledger: Ledger, registration: Registration, now: float) -> Call:
    return ledger.same(registration, now) or ledger.add(registration, now, started="")


def test_an_equal_register_within_thirty_minutes_is_the_same_call() -> None:
    ledger = Ledger("salt")
    first = add(ledger, ONE, 0)
    assert add(ledger, ONE, DEDUP_SECONDS - 1).id == first.id
    assert add(ledger, ONE, DEDUP_SECONDS).id != first.id


def test_a_finished_call_is_not_found_by_a_later_register() -> None:
    ledger = Ledger("salt")
    first = add(ledger, ONE, 0)
    ledger.finish(first.id, 1, user=2, duration=5, status_code="")
    assert add(ledger, ONE, 2).id != first.id


@pytest.mark.parametrize(("duration", "code", "said"), [(5, "", "200"), (0, "", "304"), (0, "603", "603")])
def test_the_status_code_follows_the_duration_unless_it_is_given(duration: int, code: str, said: str) -> None:
    ledger = Ledger("salt")
    call = add(ledger, ONE, 0)
    assert ledger.finish(call.id, 1, user=2, duration=duration, status_code=code).status_code == said


@given(
    st.lists(st.tuples(st.sampled_from(["register", "finish"]), st.integers(0, 2), st.integers(0, 2000)), max_size=40)
)
def test_whatever_the_order_a_call_finishes_once_and_is_live_once(steps: list[tuple[str, int, int]]) -> None:
    ledger, now, finished = Ledger("salt"), 0, list[str]()
    for what, which, later in steps:
        now += later
        registration = Registration(user=1, number=str(which), type=2)
        if what == "register":
            assert add(ledger, registration, now).finished is None
        elif call := ledger.same(registration, now):
            ledger.finish(call.id, now, user=1, duration=0, status_code="")
            finished.append(call.id)
            with pytest.raises(CallError):
                ledger.finish(call.id, now, user=1, duration=9, status_code="200")
    assert sorted(finished) == sorted(call.id for call in ledger.calls if call.finished is not None)
    assert all(call.duration == 0 for call in ledger.calls)


@pytest.mark.parametrize(
    ("written", "kept"), [("+49 (30) 555-01", "+493055501"), ("call me", ""), ("+", ""), ("*99#", "*99#")]
)
def test_letters_and_punctuation_are_stripped_from_numbers(written: str, kept: str) -> None:
    assert telephone(written) == kept


KEYS = st.text("abcXYZ_", min_size=1, max_size=5)
TREES = st.recursive(
    st.text(max_size=8),
    lambda below: st.lists(below, min_size=1, max_size=3) | st.dictionaries(KEYS, below, min_size=1, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, TREES, max_size=4))
def test_nested_form_keys_survive_the_wire(tree: dict[str, object]) -> None:
    if all(key.count("[") < 8 for key, _ in flatten(tree)):
        assert nest(flatten(tree)) == tree


@given(st.lists(st.tuples(st.text("ab[]0", max_size=12), st.text(max_size=3)), max_size=6))
def test_odd_form_keys_never_raise(pairs: list[tuple[str, str]]) -> None:
    nest(pairs)


def test_fifty_requests_fit_at_once_then_two_a_second() -> None:
    bucket = Bucket()
    assert [bucket.admits(10) for _ in range(51)] == [True] * 50 + [False]
    assert [bucket.admits(11) for _ in range(3)] == [True, True, False]


def test_a_refresh_token_works_once() -> None:
    numbers = iter(range(100))
    tokens = Tokens(lambda: str(next(numbers)))
    old = tokens.issue(1, 0)
    new = tokens.rotate(old.refresh, 10)
    assert tokens.user_of(new.access, 11) == 1
    with pytest.raises(TokenError, match="used"):
        tokens.rotate(old.refresh, 12)


@pytest.mark.parametrize(
    ("bound", "wanted", "fits"), [(0, 0, False), (0, 5, False), (5, 0, True), (5, 5, False), (5, 6, True)]
)
def test_one_handler_rule_counts_the_general_and_the_own_registration(bound: int, wanted: int, fits: bool) -> None:
    placements = Placements()
    placements.bind(placement=WORKER, handler="http://a.b/", user=bound, error_url="http://a.b/", title="")

    def second() -> None:
        placements.bind(placement=WORKER, handler="http://a.b/2", user=wanted, error_url="http://a.b/", title="")

    if fits:
        second()
    else:
        with pytest.raises(FullError):
            second()


def test_the_eleventh_slow_load_of_a_day_removes_the_handler() -> None:
    placements = Placements()
    row = placements.bind(placement=WORKER, handler="http://a.b/", user=0, error_url="http://a.b/", title="")
    assert not any(placements.slow_load(row.id, now, limit=10) for now in range(10))
    assert placements.slow_load(row.id, 10, limit=10)
    assert placements.all == []


def test_slow_loads_are_forgotten_after_a_day() -> None:
    placements = Placements()
    row = placements.bind(placement=WORKER, handler="http://a.b/", user=0, error_url="http://a.b/", title="")
    for now in range(10):
        placements.slow_load(row.id, now, limit=10)
    assert placements.slow_load(row.id, 24 * 3600, limit=10) is None
    assert placements.all[0].slow == 1
