from __future__ import annotations

import random

from .plan import End, draw


def test_the_same_seed_draws_the_same_calls_and_all_kinds_of_them() -> None:
    one, other = ([draw(chance, (30, 180)) for _ in range(500)] for chance in (random.Random(7), random.Random(7)))
    assert one == other
    assert {plan.end for plan in one} == set(End)
    assert len({act for plan in one for _, act in plan.acts}) == 4


def test_what_happens_in_a_call_has_room_in_it() -> None:
    for plan in (draw(random.Random(seed), (30, 180)) for seed in range(500)):
        times = [at for at, _ in plan.acts]
        assert times == sorted(times)
        assert all(0 < at < plan.talk for at in times)
        assert plan.end.is_answered == (30 <= plan.talk <= 180)
