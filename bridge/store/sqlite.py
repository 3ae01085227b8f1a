"""SQLite behind its thread, with as few trips there as can be.

A trip wakes the thread and then the loop: 20 µs of CPU on a quiet machine, 300 on one whose cores are taken, far more than most
statements. aiosqlite makes one each for the cursor, the statement, the rows, and the cursor's end. Here a statement and its rows
are one, the first one takes BEGIN along, and nobody waits for the end of a transaction that has only read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Self, TypeVar

import aiosqlite
from sqlalchemy.engine import URL

Result = TypeVar("Result")
CACHE_KB = 512
"""Of a connection: what it does touches few pages, and SQLite's own 2 MB would fill for hours."""


def prepare(connection: sqlite3.Connection | Any) -> None:
    connection.isolation_level = None  # we send BEGIN ourselves: the driver's own comes too late for a read
    cursor = connection.cursor()
    pragmas = "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=5000"
    for pragma in (*pragmas, f"cache_size=-{CACHE_KB}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


async def connect(url: URL) -> Connection:
    args, options = url.get_dialect()().create_connect_args(url)
    connection = Connection(partial(sqlite3.connect, *args, **options), iter_chunk_size=64)
    connection._thread.daemon = True  # a bridge that ends does not wait for a statement
    await connection
    return connection


class Connection(aiosqlite.Connection):
    """With `isolation_level` None: a transaction begins with BEGIN and in no other way."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._begin = ""
        """The BEGIN that the next statement takes along."""
        self._is_open = False
        self._has_written = False

    def cursor(self) -> Cursor:  # type: ignore[override]
        return Cursor(self)

    async def carry_out(self, operation: str, work: Callable[[sqlite3.Cursor], bool]) -> None:
        """`work` says whether the statement has written."""
        if operation in {"BEGIN", "BEGIN IMMEDIATE"}:
            self._begin = operation
            return
        begin, self._begin = self._begin, ""
        if begin:
            self._is_open, self._has_written = True, begin != "BEGIN"
        if await self._execute(self._in_thread, begin, work):  # type: ignore[no-untyped-call]
            self._has_written = True

    async def commit(self) -> None:
        was_open, self._is_open, self._begin = self._is_open, False, ""
        if was_open and self._has_written:
            await super().commit()
        elif was_open:
            self._tx.put_nowait((None, self._conn.commit))

    async def rollback(self) -> None:
        """The pool asks for it after every commit as well."""
        was_open, self._is_open, self._begin = self._is_open, False, ""
        if was_open:
            await super().rollback()

    async def carry_out_whole(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Not while one of SQLAlchemy's transactions is open here."""
        result: Result = await self._execute(lambda: work(self._conn))  # type: ignore[no-untyped-call]
        return result

    def _in_thread(self, begin: str, work: Callable[[sqlite3.Cursor], bool]) -> bool:
        cursor = self._conn.cursor()
        try:
            if begin:
                cursor.execute(begin)
            return work(cursor)
        finally:
            cursor.close()


class Cursor:
    """As SQLAlchemy uses one: a statement, then all its rows."""

    arraysize = 1

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, operation: str, parameters: Any = ()) -> None:
        await self._connection.carry_out(operation, lambda cursor: self._keep(cursor.execute(operation, parameters)))

    async def executemany(self, operation: str, parameters: Iterable[Any]) -> None:
        await self._connection.carry_out(
            operation, lambda cursor: self._keep(cursor.executemany(operation, parameters))
        )

    async def fetchall(self) -> list[Any]:
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        self._rows = []

    def _keep(self, done: sqlite3.Cursor) -> bool:
        self.description, self.rowcount, self.lastrowid = done.description, done.rowcount, done.lastrowid
        self._rows = done.fetchall() if done.description else []
        return not done.description
