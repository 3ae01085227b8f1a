"""Transactions that no cancelled task leaves open, and those that need no write lock.

A driver call that is cancelled leaves its thread at work. SQLite's connection, closed under it, then keeps its locks until
the garbage collector has found the last cursor: measured, after one in thirty cancelled reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

PATIENCE_SECONDS = 10.0
"""Longer than that a cancelled task does not wait for a database that hangs."""

Given = ParamSpec("Given")
Result = TypeVar("Result")


def unbroken(
    work: Callable[Given, Coroutine[Any, Any, Result]],
) -> Callable[Given, Coroutine[Any, Any, Result]]:
    """Once begun it is carried to its end: whoever is cancelled meanwhile hears of that when it is over."""

    @wraps(work)
    async def carried(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        task = asyncio.create_task(work(*args, **kwargs))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await _over(task)
            raise

    return carried


async def _over(task: asyncio.Task[Any]) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE_SECONDS
    while not task.done() and (left := end - loop.time()) > 0:
        with suppress(asyncio.CancelledError):  # a second time changes nothing
            await asyncio.wait({task}, timeout=left)
    task.cancel()


def reading(engine: AsyncEngine) -> AsyncEngine:
    """The same database for who only reads: whoever writes, here or in another process, is not waited for."""
    return engine.execution_options(bridge_reads=True)


def is_reading(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("bridge_reads"))
