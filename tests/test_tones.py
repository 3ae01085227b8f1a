"""The tones of the telephone: what the recommendations demand of every country's, and how long they are heard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.tones import ELSEWHERE, LASTS, PLANS, SPECIAL_INFORMATION, Part, Plan, Tone, cadence, plan_of, reminder

EVERY = pytest.mark.parametrize("plan", [ELSEWHERE, *PLANS.values()], ids=["elsewhere", *PLANS])
parts = st.builds(Part, st.sampled_from([(), (425,), (480, 620)]), st.floats(0.05, 4.0))
tones = st.builds(Tone, parts=st.lists(parts, min_size=1, max_size=6).map(tuple))


def sounds(tone: Tone) -> list[float]:
    return [part.seconds for part in tone.parts if part.hertz]


@EVERY
def test_e180_an_operator_can_tell_busy_congestion_and_ringing_apart(plan: Plan) -> None:
    """Ringing is slow, busy is even, and congestion not slower than that, but in China."""
    assert max(part.seconds for part in plan.ringback.parts if not part.hertz) >= 2
    on, off = (part.seconds for part in plan.busy.parts)
    assert on == off
    assert 0.2 <= on <= 0.75
    assert min(sounds(plan.congestion)) <= on or plan is PLANS["CN"]


@EVERY
def test_every_tone_is_between_300_and_2000_hertz_and_fits_on_a_telephone_line(plan: Plan) -> None:
    for tone in (plan.ringback, plan.busy, plan.congestion, plan.unobtainable):
        assert all(300 <= hertz <= 2000 for part in tone.parts for hertz in part.hertz)
        assert all(part.seconds > 0 for part in tone.parts)
        assert tone.times == 0


def test_e180_the_special_information_tone_is_three_rising_tones_of_a_third_of_a_second_and_a_pause_of_one() -> None:
    assert [part.hertz for part in SPECIAL_INFORMATION.parts] == [(950,), (1400,), (1800,), ()]
    assert [part.seconds for part in SPECIAL_INFORMATION.parts] == [0.33, 0.33, 0.33, 1.0]


@pytest.mark.parametrize(
    ("country", "ringback", "busy"),
    [
        ("DE", cadence((425,), 1, 4), cadence((425,), 0.48, 0.48)),
        ("US", cadence((440, 480), 2, 4), cadence((480, 620), 0.5, 0.5)),
        ("GB", cadence((400, 450), 0.4, 0.2, 0.4, 2), cadence((400,), 0.375, 0.375)),
        ("RU", cadence((425,), 1, 4), cadence((425,), 0.35, 0.35)),
        ("", cadence((425,), 1, 4), cadence((425,), 0.5, 0.5)),
        ("AQ", cadence((425,), 1, 4), cadence((425,), 0.5, 0.5)),
    ],
)
def test_the_tones_of_a_country(country: str, ringback: Tone, busy: Tone) -> None:
    assert (plan_of(country).ringback, plan_of(country).busy) == (ringback, busy)


@given(tones, st.floats(0.1, 20))
def test_a_tone_lasts_whole_turns_and_as_many_as_come_closest(tone: Tone, seconds: float) -> None:
    times = tone.lasting(seconds).times
    assert times >= 1
    assert abs(times * tone.seconds - seconds) <= tone.seconds / 2 + 1e-6 or times == 1


@EVERY
def test_why_a_call_failed_is_heard_for_a_few_seconds(plan: Plan) -> None:
    for tone in (plan.busy, plan.congestion, plan.unobtainable):
        assert 2.5 <= tone.lasting(LASTS).times * tone.seconds <= 6


def test_a_reminder_comes_so_often_and_is_softer_than_any_other_tone() -> None:
    tone = reminder(45)
    assert tone.seconds == pytest.approx(45)
    assert tone.parts[0].hertz == ()
    assert tone.volume < ELSEWHERE.busy.volume / 2
