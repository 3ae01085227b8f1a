"""How often the store goes to SQLite's thread, and that nothing is lost on the way."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.store.database import Store
from bridge.store.sqlite import CACHE_KB, Connection
from bridge.store.transaction import reading
from bridge.tickets import Seal, new_key


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    store = Store(f"sqlite+aiosqlite:///{tmp_path / 'bridge.db'}", Seal([new_key()]))
    async with store.running():
        async with store._engine.begin() as connection:
            await connection.execute(text("CREATE TABLE notes (id INTEGER PRIMARY KEY, word TEXT)"))
        yield store._engine


@pytest.fixture
def trips(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was waited for."""
    made: list[str] = []
    execute = Connection._execute

    async def counted(self: Connection, work: Callable[..., Any], *args: Any, **options: Any) -> Any:
        made.append(getattr(work, "__name__", ""))
        return await execute(self, work, *args, **options)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(Connection, "_execute", counted)
    return made


async def test_reading_is_one_trip(engine: AsyncEngine, trips: list[str]) -> None:
    async with reading(engine).begin() as connection:
        rows = (await connection.execute(text("SELECT 1 UNION SELECT 2"))).all()
    assert [tuple(row) for row in rows] == [(1,), (2,)]
    assert trips == ["_in_thread"]


async def test_writing_is_one_trip_for_each_statement_and_one_for_the_commit(
    engine: AsyncEngine, trips: list[str], tmp_path: Path
) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO notes (word) VALUES (:word)"), [{"word": "a"}, {"word": "b"}])
        done = await connection.execute(text("UPDATE notes SET word = 'c' WHERE id > 1 RETURNING word"))
        assert done.scalars().all() == ["c"]
        assert (await connection.execute(text("DELETE FROM notes WHERE id = 1"))).rowcount == 1
    assert len(trips) == 4
    with closing(sqlite3.connect(tmp_path / "bridge.db")) as other:
        assert other.execute("SELECT word FROM notes").fetchall() == [("c",)]


async def test_a_transaction_without_a_statement_is_no_trip(engine: AsyncEngine, trips: list[str]) -> None:
    async with engine.begin():
        pass
    assert trips == []


async def test_who_writes_where_only_reading_was_announced_hears_that_it_is_safe(
    engine: AsyncEngine, trips: list[str]
) -> None:
    async with reading(engine).begin() as connection:
        await connection.execute(text("INSERT INTO notes (word) VALUES ('a')"))
    assert len(trips) == 2


async def _write(engine: AsyncEngine, *statements: str) -> None:
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))


@pytest.mark.parametrize("wrong", ["INSERT INTO nowhere VALUES (1)", "SELECT nonsense"])
async def test_what_fails_is_undone_and_the_next_transaction_is_a_new_one(engine: AsyncEngine, wrong: str) -> None:
    with pytest.raises(OperationalError):
        await _write(engine, "INSERT INTO notes (word) VALUES ('lost')", wrong)
    await _write(engine, "INSERT INTO notes (word) VALUES ('kept')")
    async with reading(engine).begin() as connection:
        assert (await connection.execute(text("SELECT word FROM notes"))).scalars().all() == ["kept"]


async def test_who_is_locked_out_hears_it_at_the_first_statement(engine: AsyncEngine, tmp_path: Path) -> None:
    await _write(engine, "PRAGMA busy_timeout = 0")
    with closing(sqlite3.connect(tmp_path / "bridge.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError, match="locked"):
            await _write(engine, "SELECT 1")
    await _write(engine, "SELECT 1")


async def test_little_of_the_database_is_kept_in_memory(tmp_path: Path) -> None:
    """SQLite's own 2 MB for each connection fill slowly: for hours the bridge would grow."""
    path = tmp_path / "bridge.db"
    store = Store(f"sqlite+aiosqlite:///{path}", Seal([new_key()]))
    async with store.running():
        async with store._engine.begin() as connection:
            pooled = (await connection.execute(text("PRAGMA cache_size"))).scalar_one()
        desk: Any = store._desk
        (desks,) = await desk._connection.carry_out_whole(lambda c: c.execute("PRAGMA cache_size").fetchone())
    assert pooled == desks == -CACHE_KB
