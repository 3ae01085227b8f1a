"""Python's garbage collector, kept out of the way of voices.

A full collection walks everything that lives, and every voice stands still meanwhile: measured, 66 ms with 50 pages, half a second
with 5,000. Little waits for one, since nothing of a call or a page is left in cycles; what does (asyncio's own transports are
cycles, 1.2 KB for each connection) is taken when nobody talks.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

LOOK_SECONDS = 60.0
SELDOM_SECONDS = 3600.0
"""Between two full collections at least."""
FEW = 100
"""Pages; their objects are walked in some 20 ms."""


def calm() -> None:
    """What was made at the start is taken out of it, and a full collection all but never comes by itself."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 500)


@asynccontextmanager
async def tidied(is_quiet: Callable[[], bool]) -> AsyncIterator[None]:
    """A full collection now and then in a quiet moment, until left."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(_tidy(is_quiet))
        try:
            yield
        finally:
            task.cancel()


async def _tidy(is_quiet: Callable[[], bool]) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time() + SELDOM_SECONDS
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if loop.time() >= due and is_quiet():
            gc.collect()
            due = loop.time() + SELDOM_SECONDS
