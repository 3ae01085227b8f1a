"""Where the hottest work is done on the database: each piece a whole transaction, whose statements are made once.

A piece of work is a plain function that gets a hand to write with. With SQLite all of it is one trip to the thread (`sqlite.py`);
with another database SQLAlchemy carries each statement there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Delete, Insert, Select, Update
from sqlalchemy.ext.asyncio import AsyncEngine

from .transaction import reading, unbroken

Statement = Select[Any] | Insert | Update | Delete
"""Made once, with `bindparam` for what changes; a list goes into an expanding one."""
Values = Mapping[str, Any]
Result = TypeVar("Result")


class Hand(Protocol):
    """Of use within one piece of work only."""

    def rows(self, statement: Statement, values: Values, /) -> Sequence[Sequence[Any]]: ...

    def run(self, statement: Statement, rows: Sequence[Values], /) -> None:
        """Once for each of these; nothing for none."""


class Desk(Protocol):
    """Errors are SQLAlchemy's, whichever the database."""

    async def write(self, work: Callable[[Hand], Result], /) -> Result:
        """Durable at return, or undone."""

    async def read(self, work: Callable[[Hand], Result], /) -> Result:
        """Whoever writes is not waited for."""


class PooledDesk:
    """For any database that SQLAlchemy knows."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reads = reading(engine)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        yield

    @unbroken
    async def write(self, work: Callable[[Hand], Result]) -> Result:
        async with self._engine.begin() as connection:
            return await connection.run_sync(lambda plain: work(_PooledHand(plain)))

    @unbroken
    async def read(self, work: Callable[[Hand], Result]) -> Result:
        async with self._reads.begin() as connection:
            return await connection.run_sync(lambda plain: work(_PooledHand(plain)))


class _PooledHand:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rows(self, statement: Statement, values: Values) -> Sequence[Sequence[Any]]:
        return self._connection.execute(statement, values).all()

    def run(self, statement: Statement, rows: Sequence[Values]) -> None:
        if rows:
            self._connection.execute(statement, list(rows))
