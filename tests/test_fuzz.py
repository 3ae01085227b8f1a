"""The targets of `make soak`'s fuzzing, briefly and always with the same seed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from .soak.fuzz import TARGETS, Target, finding


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.__name__)
def test_whatever_arrives_is_read_or_refused_by_the_one_error_of_its_kind(target: Target) -> None:
    assert finding(target, TARGETS[target], round_=1, examples=100) == ""


def test_a_finding_is_a_test_that_fails() -> None:
    def fragile(data: bytes) -> None:
        assert b"!" not in data

    names: dict[str, Any] = {"fuzz": SimpleNamespace(fragile=fragile)}
    exec(finding(fragile, [b"what!"], round_=1), names)
    with pytest.raises(AssertionError):
        names["test_fragile_found_in_round_1"]()
