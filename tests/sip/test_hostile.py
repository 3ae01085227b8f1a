"""No message raises anything, ends anything or makes memory grow, whoever sends it."""

from __future__ import annotations

from random import Random

import pytest

from ..bench.hostile import cost_of, hostile
from .parties import ALICE
from .test_torture import Everything, invite


def test_the_hostile_set_of_the_bench_is_survived_and_forgotten() -> None:
    us = Everything()
    for index, (_, data) in enumerate(hostile(Random(1))):
        us.agent.receive(data, ALICE, index * 0.001)
        us.agent.drain()
    for usage in us.agent.usages:
        us.agent.act(usage, usage.hang_up(16, 60.0), 60.0)
    while (when := us.agent.next_deadline) is not None:
        us.agent.tick(when)
        us.agent.drain()
    assert us.agent.pending == 0
    assert not us.agent._asked
    assert not us.agent._invited
    assert not us.agent._origins
    assert not us.agent._pending


def test_a_message_of_the_largest_size_made_of_one_sign_costs_linear_time() -> None:
    """A quadratic step would take minutes: no limit for a slow machine, a limit for a wrong algorithm."""
    assert cost_of(b"INVITE sip:a@b SIP/2.0\r\nVia: " + b'"' * 60_000 + b"\r\n\r\n") < 2


@pytest.mark.parametrize("name", ["Supported", "Allow", "Accept", "Reason", "P-Asserted-Identity", "History-Info"])
def test_a_list_that_is_too_long_is_refused_wherever_it_stands_and_nothing_is_left(name: str) -> None:
    us = Everything()
    us.agent.receive(invite(more=f"{name}: {',' * 100}\r\n"), ALICE, 0.0)
    assert us.verdict() == 513
    assert us.agent.pending == 0


def test_a_fault_of_ours_is_answered_with_500_and_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    us = Everything()
    monkeypatch.setattr("bridge.sip.agent.Inbound", broken)
    with pytest.raises(RuntimeError):
        us.agent.receive(invite(), ALICE, 0.0)
    assert us.verdict() == 500
    while (when := us.agent.next_deadline) is not None:
        us.agent.tick(when)
    assert us.agent.pending == 0
