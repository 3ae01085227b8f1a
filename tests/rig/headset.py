"""An operator without a browser: answers, dials and presses buttons, and knows which tone it hears."""

from __future__ import annotations

import asyncio
import uuid
from array import array
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.control import ask
from bridge.operators.protocol import Call, CallState
from bridge.robot import Orders, Robot
from bridge.robot.voice import BLOCK, RATE, TONE_HZ, Ear

from .tones import goertzel
from .waiting import wait_for

__all__ = ["TONE_HZ", "Headset", "headset"]

HALF_A_SECOND = RATE // BLOCK // 2


@dataclass(slots=True)
class Listener(Ear):
    """Keeps the last half second."""

    recent: deque[bytes] = field(default_factory=lambda: deque(maxlen=HALF_A_SECOND))

    def hear(self, block: bytes) -> None:
        self.recent.append(block)

    def hears(self, hz: float) -> bool:
        samples = array("h", b"".join(self.recent))
        return len(samples) == HALF_A_SECOND * BLOCK and goertzel(samples, RATE, hz) > 0.5


class Headset:
    """Says 700 Hz into every call."""

    def __init__(self, robot: Robot, ears: list[Listener]) -> None:
        self._robot = robot
        self._ears = ears

    @property
    def calls(self) -> list[Call]:
        """Those that are not over."""
        return [call for call in self._robot.calls if call.state is not CallState.ENDED]

    @property
    def call(self) -> Call:
        (call,) = self.calls
        return call

    async def press(self, button: str, **data: Any) -> None:
        """A button of the one call."""
        assert await self._robot.press(button, call=self.call.id, **data)

    async def complete(self, call: str) -> None:
        """Bring together the far ends of the call that is consulted in and of the one that is held."""
        assert await self._robot.press("complete", call=call)

    async def holds(self, held: bool = True) -> None:
        await self.press("hold", held=held)
        await self.sees(lambda call: call.held is held, "held" if held else "resumed")

    async def keys(self, digits: str) -> None:
        for digit in digits:
            await self.press("digits", press=str(uuid.uuid4()), digits=digit)

    async def dials(self, number: str) -> None:
        assert await self._robot.press("dial", dial=str(uuid.uuid4()), number=number)

    async def sees(self, shown: Callable[[Call], bool], what: str) -> Call:
        """The first call for which that is so."""
        return (await wait_for(lambda: [call for call in self.calls if shown(call)], 10, what))[0]

    async def talks(self) -> Call:
        return await self.sees(lambda call: call.state is CallState.TALKING, "a call that talks")

    async def is_shown(self, number: str, **facts: object) -> None:
        """There is, or was just now, a call of that number of which this is told."""

        def shown() -> bool:
            mine = [call for call in self._robot.calls if call.number == number]
            return any(all(getattr(call, name) == fact for name, fact in facts.items()) for call in mine)

        await wait_for(shown, what=f"{number} to be shown with {facts}")

    async def is_alone(self) -> None:
        await wait_for(lambda: not self.calls, what="the end of every call")

    def hears(self, hz: float) -> bool:
        """In the last half second of the newest call."""
        return bool(self._ears) and self._ears[-1].hears(hz)


@asynccontextmanager
async def headset(state_dir: Path, portal: str, user: int, orders: Orders) -> AsyncIterator[Headset]:
    """On duty until left; its ticket comes from the running bridge."""
    given = await ask(state_dir, do="ticket", portal=portal, user=user)
    ears: list[Listener] = []

    def ear() -> Listener:
        ears.append(Listener())
        return ears[-1]

    said: list[str] = []
    robot = Robot(
        bridge_url=given["url"],
        ticket=given["ticket"],
        session=given["session"],
        orders=orders,
        say=said.append,
        ear=ear,
    )
    running = asyncio.ensure_future(robot.run())
    try:
        await wait_for(
            lambda: running.done() or any("on duty" in line for line in said), what="the operator to be on duty"
        )
        yield Headset(robot, ears)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
