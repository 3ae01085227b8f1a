from __future__ import annotations

from typing import Any

from .ledgers import Made, balance

ANSWERED = Made(caller="+491", end="page", at=0.0, talked=40.4, heard=200)
MISSED = Made(caller="+492", end="unanswered", at=0.0, heard=487)


def record(number: str, status: str, duration: int = 0, finished: float | None = 1.0) -> dict[str, Any]:
    return {"number": number, "status_code": status, "duration": duration, "finished": finished}


GOOD = [record("+491", "200", 40), record("+492", "304")]
BOTH = ["+491", "+492"]


def test_books_that_agree_are_even() -> None:
    assert balance([ANSWERED, MISSED], BOTH, BOTH, GOOD).is_even


def test_a_call_that_one_book_lacks_is_lost() -> None:
    assert balance([ANSWERED, MISSED], BOTH, BOTH, GOOD[:1]).lost == ["+492 is not in the portals"]
    assert balance([ANSWERED, MISSED], BOTH[:1], BOTH, GOOD).lost == ["+492 is not in the journal"]


def test_two_records_of_one_call_are_one_too_many() -> None:
    assert balance([ANSWERED, MISSED], BOTH, BOTH, [*GOOD, GOOD[0]]).doubled == ["+491 is 2 times in the portals"]


def test_status_duration_and_end_of_a_record_must_be_those_of_the_call() -> None:
    for wrong in (record("+491", "304", 40), record("+491", "200", 37), record("+491", "200", 40, finished=None)):
        assert len(balance([ANSWERED, MISSED], BOTH, BOTH, [wrong, GOOD[1]]).wrong) == 1


def test_a_call_that_nobody_made_is_wrong() -> None:
    assert balance([ANSWERED], BOTH, BOTH[:1], GOOD[:1]).wrong == ["+492 in the journal was never called"]


def test_what_the_pbx_heard_must_fit_the_end() -> None:
    busy = Made(caller="+491", end="page", at=0.0, talked=40.4, heard=486)
    assert balance([busy, MISSED], BOTH, BOTH, GOOD).wrong == ["+491 (page): the PBX heard 486"]


def test_a_call_that_a_full_bridge_turned_away_is_in_no_book_and_not_lost() -> None:
    full = Made(caller="+493", end="page", at=0.0, heard=503)
    books = balance([ANSWERED, MISSED, full], BOTH, BOTH, GOOD)
    assert (books.lost, books.turned_away, books.is_even) == ([], ["+493"], False)
    assert balance([ANSWERED, MISSED, full], [*BOTH, "+493"], BOTH, GOOD).wrong
