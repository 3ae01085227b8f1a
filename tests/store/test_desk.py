"""Pieces of work on either database: whole or not at all, whoever gives up meanwhile, and one trip to SQLite's thread."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from bridge.store.database import Store
from bridge.store.desk import Hand
from bridge.store.sqlite import Connection
from bridge.store.tables import worker_history as notes
from bridge.tickets import Seal, new_key

SEAL = Seal([new_key()])
NEW = insert(notes)
OF_USERS = (
    select(notes.c.text)
    .where(
        notes.c.portal == bindparam("portal_"),
        or_(notes.c.user.in_(bindparam("users", expanding=True)), notes.c.what.in_(("seen", "heard"))),
    )
    .order_by(notes.c.id)
)
RENAME = update(notes).where(notes.c.user == bindparam("who")).values(text=bindparam("text_"), what="seen")


def _note(user: int | None, text: str) -> dict[str, Any]:
    return {"portal": "p", "user": user, "at": 1.5, "what": "said", "text": text}


def _texts(hand: Hand, *users: int) -> list[str]:
    return [text for (text,) in hand.rows(OF_USERS, {"portal_": "p", "users": list(users)})]


def _notes(hand: Hand) -> Sequence[str]:
    return _texts(hand, 1, 2, 3)


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    made = Store(url, SEAL)
    async with made.running():
        yield made


async def test_statements_with_lists_of_any_length_and_words_that_never_change(store: Store) -> None:
    await store._desk.write(lambda hand: hand.run(NEW, [_note(1, "one"), _note(2, "two"), _note(3, "three")]))
    assert await store._desk.read(lambda hand: _texts(hand, 3, 1)) == ["one", "three"]
    assert await store._desk.read(lambda hand: _texts(hand, 2)) == ["two"]
    assert await store._desk.read(lambda hand: _texts(hand)) == []
    await store._desk.write(lambda hand: hand.run(RENAME, [{"who": 3, "text_": "tres"}, {"who": 9, "text_": "nobody"}]))
    await store._desk.write(lambda hand: hand.run(RENAME, []))
    assert await store._desk.read(lambda hand: _texts(hand)) == ["tres"]


async def test_work_that_fails_is_undone_and_the_next_is_a_transaction_of_its_own(store: Store) -> None:
    def fail(hand: Hand) -> None:
        hand.run(NEW, [_note(1, "lost")])
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await store._desk.write(fail)
    with pytest.raises(IntegrityError):
        await store._desk.write(lambda hand: hand.run(NEW, [_note(1, "lost"), _note(None, "")]))
    await store._desk.write(lambda hand: hand.run(NEW, [_note(2, "kept")]))
    assert await store._desk.read(_notes) == ["kept"]


async def test_whoever_gives_up_stops_no_work_that_has_begun(tmp_path: Path) -> None:
    path = tmp_path / "bridge.db"
    store = Store(f"sqlite+aiosqlite:///{path}", SEAL)
    begun, go_on = threading.Event(), threading.Event()

    def work(hand: Hand) -> None:
        hand.run(NEW, [_note(1, "written")])
        begun.set()
        go_on.wait(20)

    async with store.running():
        task = asyncio.create_task(store._desk.write(work))
        await asyncio.to_thread(begun.wait, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        assert await store._desk.read(_notes) == ["written"]
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("ROLLBACK")


def _work(hand: Hand) -> None:
    hand.run(NEW, [_note(1, "a"), _note(2, "b")])
    assert _notes(hand) == ["a", "b"]


async def test_a_piece_of_work_is_one_trip_to_the_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trips: list[object] = []
    execute = Connection._execute

    async def counted(self: Connection, work: Callable[..., Any], *args: Any, **options: Any) -> Any:
        trips.append(work)
        return await execute(self, work, *args, **options)  # type: ignore[no-untyped-call]

    store = Store(f"sqlite+aiosqlite:///{tmp_path / 'bridge.db'}", SEAL)
    async with store.running():
        monkeypatch.setattr(Connection, "_execute", counted)
        await store._desk.write(_work)
        assert len(trips) == 1
        monkeypatch.undo()


async def test_a_database_in_memory_is_one() -> None:
    store = Store("sqlite+aiosqlite://", SEAL)
    async with store.running():
        await store._desk.write(lambda hand: hand.run(NEW, [_note(1, "here")]))
        assert [each.text for each in await store.worker_history.since("p", 0)] == ["here"]
