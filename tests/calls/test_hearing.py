"""What is said of a call's voice when it is over."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.calls import events as on
from bridge.calls.events import Quality, Trouble, Verdict
from bridge.calls.hearing import MOST_VERDICTS, complaint, noted, stretches

from .story import ANNA, ANSWERED, ID, INVITED, OFFERED, READY, Story


def verdict(at: float, heard: float, said: float = 4.4, trouble: Trouble = Trouble.NONE) -> Verdict:
    return Verdict(at=at, quality=Quality(heard=heard, said=said, trouble=trouble))


def test_a_call_that_sounded_well_has_no_complaint() -> None:
    assert complaint((), 100) == ""
    assert complaint((verdict(5, 4.4), verdict(50, 3.2)), 100) == ""


def test_a_call_that_was_bad_for_long_says_how_long_why_and_how_bad() -> None:
    heard = (verdict(5, 4.4), verdict(50, 2.4, trouble=Trouble.OPERATOR_LOSS), verdict(70, 4.4))
    assert complaint(heard, 100) == (
        "The voice was bad for 20 s: the operator's network lost parts of the voice (MOS 2.4 of 4.5)"
    )


def test_the_worse_direction_counts() -> None:
    said = (verdict(0, 4.4, said=1.9, trouble=Trouble.PBX_LOSS),)
    assert "(MOS 1.9 of 4.5)" in complaint(said, 60)


def test_a_moment_of_a_long_call_is_not_worth_a_word_and_half_of_a_short_one_is() -> None:
    heard = (verdict(0, 4.4), verdict(50, 2.0), verdict(58, 4.4))
    assert complaint(heard, 600) == ""
    assert complaint(heard[1:], 66) != ""


@given(st.lists(st.tuples(st.floats(0, 1000), st.floats(1, 4.5)), max_size=20), st.floats(0, 2000))
def test_the_stretches_cover_the_time_once(said: list[tuple[float, float]], ended: float) -> None:
    verdicts = [verdict(at, mos) for at, mos in sorted(said) if at <= ended]
    total = sum(stretch.seconds for stretch in stretches(verdicts, ended))
    assert abs(total - (ended - verdicts[0].at if verdicts else 0)) < 1e-6


def test_a_call_that_lasts_for_days_keeps_its_newest_verdicts() -> None:
    verdicts: tuple[Verdict, ...] = ()
    for at in range(MOST_VERDICTS + 10):
        verdicts = noted(verdicts, verdict(at, 4.0))
    assert (len(verdicts), verdicts[-1].at) == (MOST_VERDICTS, MOST_VERDICTS + 9)


def test_the_record_of_a_call_tells_how_it_sounded_and_complains_if_it_was_bad() -> None:
    story = Story()
    story.tell(INVITED, OFFERED, ANSWERED, READY)
    bad = Quality(heard=2.1, said=4.2, trouble=Trouble.PBX_LOSS)
    story.tell(on.QualityChanged(call=ID, quality=bad), after=5)
    story.tell(on.OperatorHungUp(call=ID, operator=ANNA), after=30)
    assert story.record.verdicts == (Verdict(at=1005, quality=bad),)
    assert (story.record.status, story.record.reason[:26]) == ("200", "The voice was bad for 30 s")
