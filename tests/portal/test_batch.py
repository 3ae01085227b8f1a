"""The `batch` method: how commands are written, what the answer says of each, how large the next one may be."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.demo.portal.forms import nest
from bridge.portal.batch import (
    LARGEST,
    SECONDS,
    SMALLEST,
    Command,
    Done,
    Missing,
    Refusal,
    Size,
    encoded,
    outcomes,
    spent,
)

values = st.one_of(st.text(max_size=30), st.integers(-1000, 1000))
commands = st.lists(
    st.builds(
        Command, st.sampled_from(["a.b", "c.d"]), st.dictionaries(st.from_regex(r"[A-Z_]{1,9}", fullmatch=True), values)
    ),
    min_size=1,
    max_size=LARGEST,
)


@given(commands)
def test_a_command_arrives_as_it_was_meant(given: list[Command]) -> None:
    parameters = json.loads(json.dumps(encoded(given)))
    assert parameters["halt"] == 0
    for command, written in zip(given, parameters["cmd"].values(), strict=True):
        method, _, query = written.partition("?")
        assert method == command.method
        assert nest(parse_qsl(query, keep_blank_values=True)) == {k: str(v) for k, v in command.params.items()}


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (
            {
                "result": {"c0": {"CALL_ID": "x"}},
                "result_error": {"c1": {"error": "error_core", "error_description": "no"}},
            },
            [Done({"CALL_ID": "x"}), Refusal("ERROR_CORE", "no")],
        ),
        ({"result": {"c0": None, "c1": []}, "result_error": []}, [Done(None), Done([])]),
        ({"result": [], "result_error": {"c0": "QUERY", "c1": {}}}, [Refusal("QUERY", ""), Refusal("", "")]),
    ],
    ids=["one and one", "no error, as PHP writes it", "errors alone"],
)
def test_each_command_has_its_own_outcome(answer: Any, found: list[Any]) -> None:
    assert outcomes([Command("a", {}), Command("b", {})], answer) == found


@pytest.mark.parametrize("answer", [None, [], "x", {}, {"result": []}, {"result": {"other": 1}, "result_error": 7}])
def test_what_the_answer_does_not_tell_is_unknown(answer: Any) -> None:
    assert all(isinstance(one, Missing) for one in outcomes([Command("a", {}), Command("b", {})], answer))


def test_the_run_time_of_each_method_is_told() -> None:
    answer = {"result_time": {"c1": {"operating": 3}}}
    assert list(spent([Command("a", {}), Command("b", {})], answer)) == [("b", {"operating": 3})]


def test_a_value_that_the_portal_would_replace_stays_out_of_batches() -> None:
    assert Command("a", {"TEXT": "busy", "N": 1}).may_be_batched
    assert not Command("a", {"TEXT": "$result[c0][CALL_ID]"}).may_be_batched
    assert not Command("a", {"TEXT": {"nested": 1}}).may_be_batched


@given(st.lists(st.one_of(st.none(), st.floats(0, 300)), max_size=30), st.integers(SMALLEST, LARGEST))
def test_batches_grow_with_answers_and_stay_within_the_portals_pace(answers: list[float | None], most: int) -> None:
    """Seconds that each batch took; None for one without an answer."""
    size = Size(most=most)
    for seconds in answers:
        before = size.next
        if seconds is None:
            size.failed()
            assert size.next == SMALLEST
        else:
            size.answered(before, seconds)
            assert size.next <= min(before * 2, most)
            assert size.next == SMALLEST or size.next * seconds / before <= SECONDS + 0.001
