"""Group commit: what many calls write at about the same time goes into one transaction, durable when its callers go on.

A transaction costs far more than a row in it: measured, two of them were a third of a refused call's CPU. A change is a
function and one item for it; all items of one function that wait are given to it together.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ..errors import NetworkError
from .desk import Desk, Hand

WINDOW_SECONDS = 0.003
"""How long the first change waits for company. Nobody who rings or talks waits for it."""
MOST_AT_ONCE = 500
"""Items in one transaction, far below the number of variables that a statement may have."""

_PASSING = (OperationalError, InterfaceError, PoolTimeout, OSError)
_PASSING_CLASSES = {"08", "40", "53", "55", "57", "58"}
"""Of PostgreSQL's SQLSTATEs: connection, rollback, resources, object in use, operator's intervention, system."""
Item = TypeVar("Item")
Result = TypeVar("Result")


class StoreDownError(NetworkError):
    """The database can't be written now."""


@dataclass(slots=True)
class _Change:
    carry_out: Callable[[Hand, Sequence[Any]], Sequence[Any]]
    item: Any
    done: asyncio.Future[Any]


class Writer:
    """Use `write` inside `running()`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._waiting: list[_Change] = []
        self._some = asyncio.Event()
        self._alone: asyncio.TimerHandle | None = None
        """Runs while the first change waits for company."""
        self._open = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """On the way out, everything that waits is written."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self._run())
            self._open = True
            try:
                yield
            finally:
                self._open = False
                self._some.set()
                await asyncio.wait([task])

    async def write(
        self, carry_out: Callable[[Hand, Sequence[Item]], Sequence[Result]], item: Item, *, at_once: bool = False
    ) -> Result:
        """The item's result, once the transaction is committed; StoreDownError when it can't be. `at_once` waits for no company."""
        if not self._open:
            raise StoreDownError("the store is closed")
        loop = asyncio.get_running_loop()
        change = _Change(carry_out, item, loop.create_future())
        self._waiting.append(change)
        if at_once:
            self._some.set()
        elif self._alone is None:
            self._alone = loop.call_later(WINDOW_SECONDS, self._some.set)
        result: Result = await change.done
        return result

    async def _run(self) -> None:
        while self._open or self._waiting:
            await self._some.wait()
            if self._alone is not None:
                self._alone.cancel()
                self._alone = None
            changes, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            if not self._waiting and self._open:
                self._some.clear()
            if changes:
                await self._commit(changes)

    async def _commit(self, changes: list[_Change]) -> None:
        try:
            results = await self._carry_out(changes)
        except Exception as error:  # noqa: BLE001 – it goes to whoever asked for the change
            if may_pass(error):
                for change in changes:
                    _fail(change, down(error))
                return
            if len(changes) == 1:
                _fail(changes[0], error)
                return
            for change in changes:  # one of them is at fault: the others must not suffer
                await self._commit([change])
        else:
            for change, result in results:
                if not change.done.done():
                    change.done.set_result(result)

    async def _carry_out(self, changes: list[_Change]) -> list[tuple[_Change, Any]]:
        alike: dict[Any, list[_Change]] = {}
        for change in changes:
            alike.setdefault(change.carry_out, []).append(change)

        def work(hand: Hand) -> list[tuple[_Change, Any]]:
            found: list[tuple[_Change, Any]] = []
            for carry_out, group in alike.items():
                found += zip(group, carry_out(hand, [change.item for change in group]), strict=True)
            return found

        return await self._desk.write(work)


def may_pass(error: Exception) -> bool:
    """By itself: a full disk, a database that is away, restarts or is overloaded, two transactions in each other's way."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, _PASSING)
    state = getattr(error.orig, "sqlstate", None) or ""
    return isinstance(error, _PASSING) or error.connection_invalidated or state[:2] in _PASSING_CLASSES


def down(error: Exception) -> StoreDownError:
    """The driver's own words, without SQLAlchemy's statement and parameters."""
    return StoreDownError(str(getattr(error, "orig", None) or error).splitlines()[0])


def _fail(change: _Change, error: Exception) -> None:
    if not change.done.done():
        change.done.set_exception(error)
