"""The targets of `make soak`'s fuzzing, briefly and always with the same seed."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from .soak.fuzz import finding, grown
from .soak.targets import TARGETS, Target


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.__name__)
def test_whatever_arrives_is_read_or_refused_by_the_one_error_of_its_kind(target: Target) -> None:
    """How long it takes is asked by `make soak`: here the machine may be busy."""
    assert finding(target, TARGETS[target], round_=1, examples=60, stall=math.inf) == ""


def test_a_finding_is_a_test_that_fails() -> None:
    def fragile(data: bytes) -> None:
        assert b"!" not in data

    names: dict[str, Any] = {"targets": SimpleNamespace(fragile=fragile)}
    exec(finding(fragile, [b"what!"], round_=1), names)
    with pytest.raises(AssertionError):
        names["test_fragile_found_in_round_1"]()


def test_a_message_that_holds_up_the_loop_is_a_finding() -> None:
    def quadratic(data: bytes) -> None:
        for _ in range(len(data) // 10):
            data.count(b"~~") + data.count(b"~~~")

    assert "StallError" in finding(quadratic, [b"what"], round_=1, examples=200)


def test_what_stays_in_memory_is_a_finding() -> None:
    kept: list[bytes] = []
    assert "grows" in grown(lambda data: kept.append(data + bytes(40)), [b"what"], round_=1)
    assert grown(len, [b"what"], round_=1) == ""
