"""A day in seconds: an event loop whose time jumps to the next timer whenever nothing else is left to do."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

REAL_SECONDS = 0.02
"""How long a thread is waited for before it is asked again whether it still works."""
Result = TypeVar("Result")


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return super().select(timeout)
        if self._loop.is_held() or timeout is None:
            return super().select(REAL_SECONDS)
        ready = super().select(0)
        if not ready:
            self._loop.jump(timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`hold` names something that works outside of the loop: time stands still meanwhile."""

    def __init__(self) -> None:
        self._now = 0.0
        self._holders: list[Callable[[], bool]] = []
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self._now

    def hold(self, works: Callable[[], bool]) -> None:
        self._holders.append(works)

    def is_held(self) -> bool:
        return any(works() for works in self._holders)

    def jump(self, seconds: float) -> None:
        self._now += seconds


def run(story: Coroutine[Any, Any, Result]) -> Result:
    """`asyncio.run` in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(story)
