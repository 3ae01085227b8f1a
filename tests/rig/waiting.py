"""Waiting for a fact with a deadline, instead of sleeping and hoping."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")

POLL_SECONDS = 0.02
PATIENCE = 30.0
"""Seconds after which a test has failed. Nothing is measured with it: a busy machine may need most of them."""


@overload
async def wait_for(predicate: Callable[[], Awaitable[T]], timeout: float = PATIENCE, what: str = "") -> T: ...
@overload
async def wait_for(predicate: Callable[[], T], timeout: float = PATIENCE, what: str = "") -> T: ...
async def wait_for(predicate: Callable[[], Any], timeout: float = PATIENCE, what: str = "") -> Any:
    """The first true value of the predicate, asked again and again; AssertionError naming `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        result = await value if inspect.isawaitable(value) else value
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s in vain for {what or predicate}; last seen: {result!r}")
        await asyncio.sleep(POLL_SECONDS)
