"""Who gives up waiting leaves no transaction open, and who only reads waits for no writer."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import event

from bridge.calls.commands import Direction
from bridge.calls.events import CallId
from bridge.store.accounts import StoredAccount
from bridge.store.database import Store
from bridge.store.promises import CallRecord, Slot
from bridge.store.transaction import unbroken
from bridge.store.worker_history import Happening
from bridge.tickets import Seal, new_key

from ..rig.virtual_time import run

NOW = 1_800_000_000.0
CALL = CallRecord(
    id=CallId("c"), portal="p", user=7, direction=Direction.INBOUND, number="+7", line="1", started=NOW, seen=NOW
)
ACCOUNT = StoredAccount(portal="p", extension="107", trunk="pbx", sip_user="107", password=SecretStr("x"), user=7)
Work = Callable[[Store], Coroutine[Any, Any, Any]]
WORK: dict[str, tuple[str, Work]] = {
    "open_promises": ("SELECT", lambda store: store.outbox.open_promises(10)),
    "retry": ("UPDATE", lambda store: store.outbox.retry(None, NOW)),
    "accounts": ("INSERT", lambda store: store.accounts.save([ACCOUNT])),
    "history": (
        "INSERT",
        lambda store: store.worker_history.add(Happening(portal="p", user=0, at=NOW, what="slow", text="")),
    ),
}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = Store(f"sqlite+aiosqlite:///{tmp_path / 'bridge.db'}", Seal([new_key()]))
    async with made.running():
        for call in ("a", "b"):
            await made.outbox.register(
                CallRecord(**{name: getattr(CALL, name) for name in CALL.__slots__} | {"id": CallId(call)}), {}, NOW
            )
        yield made


@pytest.fixture
def no_garbage_collector() -> Iterator[None]:
    """It would clean up what was left open."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_garbage_collector")
@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize("at", ["BEGIN", "the statement"])
async def test_whoever_is_cancelled_at_a_statement_leaves_nothing_locked(
    store: Store, tmp_path: Path, work: str, at: str
) -> None:
    verb, begin = WORK[work]
    task = asyncio.create_task(begin(store))

    def give_up(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("BEGIN" if at == "BEGIN" else verb):
            task.cancel()

    event.listen(store._engine.sync_engine, "before_cursor_execute", give_up)
    with pytest.raises(asyncio.CancelledError):
        await task
    event.remove(store._engine.sync_engine, "before_cursor_execute", give_up)
    await store.outbox.counts()  # there is one connection: what others write for the cancelled one is over now
    with closing(sqlite3.connect(tmp_path / "bridge.db", timeout=0, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")


async def test_a_cancelled_save_is_in_the_table_and_in_memory_or_in_neither(store: Store, tmp_path: Path) -> None:
    task = asyncio.create_task(store.accounts.save([ACCOUNT]))
    event.listen(store._engine.sync_engine, "commit", lambda _: task.cancel())
    with pytest.raises(asyncio.CancelledError):
        await task
    with closing(sqlite3.connect(tmp_path / "bridge.db")) as other:
        assert other.execute("SELECT sip_user FROM sip_accounts").fetchall() == [("107",)]
    assert list(store.accounts.known) == [ACCOUNT.key]


async def test_who_reads_does_not_wait_for_who_writes(store: Store, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "bridge.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert len(await store.outbox.open_promises(10)) == 2
        assert len((await store.outbox.look("p", NOW, dict.fromkeys(Slot, 4))).due) == 2
        assert await store.worker_history.since("p", 0) == []
        other.execute("ROLLBACK")


def test_a_database_that_hangs_is_given_up_however_often_one_is_cancelled() -> None:
    ended = []

    @unbroken
    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(asyncio.get_running_loop().time())

    async def story() -> None:
        task = asyncio.create_task(hang())
        for _ in range(3):
            await asyncio.sleep(1)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)

    run(story())
    assert ended == [11.0]
