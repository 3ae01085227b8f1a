"""Changing a call is replacing facts of it, whatever they are."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.calls.call import Call, State
from bridge.calls.change import changed
from bridge.calls.events import CallId

CALLS = st.builds(
    Call,
    id=st.just(CallId("6a0-1")),
    state=st.sampled_from(State),
    number=st.text(),
    card=st.text(),
    muted=st.booleans(),
    started=st.floats(allow_nan=False),
    deadline=st.none() | st.floats(allow_nan=False),
)


@given(CALLS, CALLS, st.sets(st.sampled_from([field.name for field in fields(Call)])))
def test_a_changed_call_has_the_new_facts_and_all_the_others(call: Call, other: Call, names: set[str]) -> None:
    facts: dict[str, Any] = {name: getattr(other, name) for name in names}
    before = replace(call)
    shown = call.view  # which must not be what the changed call shows
    after = changed(call, **facts)
    assert after == replace(call, **facts)
    assert after.view == replace(call, **facts).view
    assert (call, call.view) == (before, shown)


def test_what_is_no_fact_of_a_call_is_refused() -> None:
    with pytest.raises(TypeError, match="mood"):
        changed(Call(id=CallId("6a0-1")), mood="bad")  # type: ignore[call-arg]


def test_a_call_is_changed_in_no_other_way() -> None:
    call = changed(Call(id=CallId("6a0-1")), muted=True)
    with pytest.raises(FrozenInstanceError):
        call.muted = False  # type: ignore[misc]
