"""When a new call is refused so that those that run do not suffer."""

from __future__ import annotations

from bridge.capacity import LOOK_SECONDS, Capacity


class Bridge:
    def __init__(self, *, most_calls: int = 10, most_cpu: float = 0.9) -> None:
        self.calls = 0
        self.capacity = Capacity(most_calls=most_calls, most_cpu=most_cpu, late_seconds=0.1, calls=lambda: self.calls)

    def runs(self, seconds: float, *, cpu: float, late: float = 0.0) -> str:
        for _ in range(round(seconds / LOOK_SECONDS)):
            self.capacity.looked(cpu=cpu, late=late)
        return self.capacity.obstacle


def test_calls_are_taken_up_to_the_limit_and_again_when_one_has_ended() -> None:
    bridge = Bridge(most_calls=2)
    bridge.calls = 1
    assert bridge.capacity.obstacle == ""
    bridge.calls = 2
    assert "calls.most" in bridge.capacity.obstacle
    bridge.calls = 1
    assert bridge.capacity.obstacle == ""


def test_a_core_that_stays_full_refuses_and_a_burst_does_not() -> None:
    bridge = Bridge()
    assert bridge.runs(10, cpu=0.5) == ""
    assert bridge.runs(0.5, cpu=1.0) == ""
    assert bridge.runs(10, cpu=1.0) != ""


def test_calls_are_taken_again_only_well_below_the_limit() -> None:
    bridge = Bridge()
    bridge.runs(10, cpu=1.0)
    assert bridge.runs(10, cpu=0.85) != ""
    assert bridge.runs(10, cpu=0.5) == ""


def test_a_loop_that_is_late_refuses_however_little_cpu_it_got() -> None:
    """The machine's other processes took it."""
    assert Bridge().runs(10, cpu=0.3, late=0.2) != ""
    assert Bridge().runs(10, cpu=0.3, late=0.02) == ""


async def test_the_watch_ends_with_the_bridge() -> None:
    bridge = Bridge()
    async with bridge.capacity.watched():
        assert bridge.capacity.obstacle == ""
