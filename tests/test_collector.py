"""Garbage that waits for a full collection is taken when nobody talks, and at no other time."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from bridge.collector import LOOK_SECONDS, SELDOM_SECONDS, tidied

from .rig import virtual_time


class Knot:
    """Holds itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _no_collection_by_itself() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def test_garbage_is_taken_in_the_first_quiet_minute_after_an_hour() -> None:
    async def story() -> None:
        talking = False
        async with tidied(lambda: not talking):
            waits = weakref.ref(Knot())
            await asyncio.sleep(SELDOM_SECONDS - 1)
            assert waits() is not None, "seldom"
            talking = True
            await asyncio.sleep(2 * SELDOM_SECONDS)
            assert waits() is not None, "everybody would stand still"
            talking = False
            await asyncio.sleep(LOOK_SECONDS + 1)
            assert waits() is None

    virtual_time.run(story())
