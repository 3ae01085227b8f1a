"""Group commit: one transaction for what is written together, durable when it returns, nobody suffers for a neighbour."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from bridge.calls.commands import Direction
from bridge.calls.events import CallId
from bridge.store.database import Store
from bridge.store.desk import Hand
from bridge.store.promises import CallRecord
from bridge.store.tables import outbox
from bridge.store.writer import StoreDownError
from bridge.tickets import Seal, new_key

SEAL = Seal([new_key()])
NOW = 1_800_000_000.0


def _record(call: str) -> CallRecord:
    return CallRecord(
        id=CallId(call), portal="p", user=7, direction=Direction.INBOUND, number="+7", line="1", started=NOW, seen=NOW
    )


def _store(path: Path) -> Store:
    return Store(f"sqlite+aiosqlite:///{path}", SEAL)


def _count_transactions(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    made: list[object] = []
    write = store._desk.write

    async def counted(work: Callable[[Hand], Any]) -> Any:
        made.append(work)
        return await write(work)

    monkeypatch.setattr(store._desk, "write", counted)
    return made


async def test_promises_of_many_calls_are_one_transaction_and_durable_at_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = _store(tmp_path / "bridge.db")
    async with store.running():
        transactions = _count_transactions(store, monkeypatch)
        made = await asyncio.gather(*(store.outbox.register(_record(f"c{n}"), {}, NOW) for n in range(100)))
        assert all(made)
        with closing(sqlite3.connect(tmp_path / "bridge.db")) as other:
            assert other.execute("SELECT count(*) FROM outbox").fetchone() == (100,)
        ends = [store.outbox.finish(CallId(f"c{n}"), {}, status="304", ended=NOW, now=NOW) for n in range(100)]
        assert await asyncio.gather(*ends) == ["p"] * 100
    assert len(transactions) <= 4


async def test_the_same_call_twice_in_one_transaction_is_known_the_second_time(tmp_path: Path) -> None:
    store = _store(tmp_path / "bridge.db")
    async with store.running():
        made = await asyncio.gather(*(store.outbox.register(_record("c"), {"N": n}, NOW) for n in range(3)))
        assert made == [True, False, False]
        ended = [store.outbox.finish(CallId("c"), {}, status=s, ended=NOW, now=NOW) for s in ("200", "304")]
        assert await asyncio.gather(*ended) == ["p", None]
        call = await store.outbox.call(CallId("c"))
    assert call is not None
    assert call.status == "200"


async def test_a_change_at_fault_fails_alone(tmp_path: Path) -> None:
    def insert(hand: Hand, items: Sequence[str]) -> list[None]:
        hand.run(sa.insert(outbox), [{"call": item} for item in items])
        return [None] * len(items)

    store = _store(tmp_path / "bridge.db")
    async with store.running():
        good = [store.outbox.register(_record(f"c{n}"), {}, NOW) for n in range(5)]
        results = await asyncio.gather(*good, store._writer.write(insert, "nobody"), return_exceptions=True)
    assert results[:5] == [True] * 5
    assert isinstance(results[5], IntegrityError)


async def test_a_database_that_is_away_is_told_to_everyone_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = _store(tmp_path / "bridge.db")
    async with store.running():

        async def away(*_: Any) -> None:
            raise OSError("disk is gone")

        with monkeypatch.context() as broken:
            broken.setattr(store._writer, "_carry_out", away)
            writes = [store.outbox.register(_record(f"c{n}"), {}, NOW) for n in range(3)]
            results = await asyncio.gather(*writes, return_exceptions=True)
        assert [str(error) for error in results if isinstance(error, StoreDownError)] == ["disk is gone"] * 3
        assert await store.outbox.register(_record("c0"), {}, NOW)


async def test_who_gives_up_waiting_does_not_undo_what_the_others_wrote(tmp_path: Path) -> None:
    store = _store(tmp_path / "bridge.db")
    async with store.running():
        tasks = [asyncio.create_task(store.outbox.register(_record(f"c{n}"), {}, NOW)) for n in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert (results[0], results[2]) == (True, True)


async def test_what_waits_is_written_before_the_store_closes_and_nothing_after(tmp_path: Path) -> None:
    store = _store(tmp_path / "bridge.db")
    async with store.running():
        late = asyncio.create_task(store.outbox.register(_record("late"), {}, NOW))
        await asyncio.sleep(0)
    assert await late
    with closing(sqlite3.connect(tmp_path / "bridge.db")) as other:
        assert other.execute("SELECT id FROM calls").fetchall() == [("late",)]
    with pytest.raises(StoreDownError):
        await store.outbox.register(_record("too late"), {}, NOW)
