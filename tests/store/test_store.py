"""The store: migrations, sealed tokens, and transactions that promise exactly what they say.

With TEST_POSTGRES (a SQLAlchemy url of an empty database, `postgresql+asyncpg://…`) the same tests run there as well.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from bridge.calls.commands import Direction
from bridge.calls.events import CallId
from bridge.errors import ConfigError
from bridge.store.database import Store
from bridge.store.outbox import CallRecord, Kind, Promise, State
from bridge.store.portals import EnrolledPortal
from bridge.store.tables import metadata
from bridge.tickets import Seal, new_key

NOW = 1_800_000_000.0
SEAL = Seal([new_key()])
URLS = ["sqlite", *(["postgresql"] if os.environ.get("TEST_POSTGRES") else [])]

PORTAL = EnrolledPortal(
    id="acme.bitrix24.com",
    member_id="m" * 32,
    domain="acme.bitrix24.com",
    client_endpoint="https://acme.bitrix24.com/rest/",
    server_endpoint="https://oauth.bitrix.info/rest/",
    access="plain-access",
    refresh="plain-refresh",
    expires=NOW,
    admin_user=1,
    application_token="plain-application",
    installed=True,
)


def _record(call: str, **changes: Any) -> CallRecord:
    values: dict[str, Any] = {
        "id": CallId(call),
        "portal": "p",
        "user": 7,
        "direction": Direction.INBOUND,
        "number": "+7495",
        "line": "100",
        "started": NOW,
        "seen": NOW,
    }
    return CallRecord(**values | changes)


@pytest.fixture(params=URLS)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/sub/bridge.db"
    engine = create_async_engine(os.environ["TEST_POSTGRES"])
    async with engine.begin() as connection:
        await connection.execute(text("DROP SCHEMA public CASCADE"))
        await connection.execute(text("CREATE SCHEMA public"))
    await engine.dispose()
    return os.environ["TEST_POSTGRES"]


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    made = Store(url, SEAL)
    async with made.running():
        yield made


async def _finish(store: Store, call: str, ended: float = NOW + 5) -> str | None:
    return await store.outbox.finish(CallId(call), {"n": 1}, status="200", ended=ended, now=NOW)


async def _due(store: Store, now: float = NOW) -> list[Promise]:
    return await store.outbox.due("p", now, 10)


async def test_the_migrations_lead_to_the_tables_of_the_code(store: Store, url: str) -> None:
    def differences(connection: Connection) -> Any:
        return compare_metadata(MigrationContext.configure(connection), metadata)

    engine = create_async_engine(url)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_bridges_that_start_together_migrate_once(url: str) -> None:
    async def start() -> None:
        async with Store(url, SEAL).running():
            pass

    await asyncio.gather(start(), start())


async def test_a_portal_comes_back_after_a_restart_and_its_tokens_lie_sealed(store: Store, url: str) -> None:
    await store.portals.save(PORTAL)
    again = Store(url, SEAL)
    async with again.running():
        assert again.portals.get(PORTAL.id) == PORTAL
        assert again.portals.of_member("m" * 32) == PORTAL
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        row = repr((await connection.execute(text("SELECT * FROM portals"))).all())
    await engine.dispose()
    assert "plain-" not in row
    assert "plain-" not in repr(PORTAL)


async def test_a_portal_that_is_enrolled_anew_replaces_itself(store: Store) -> None:
    await store.portals.save(PORTAL)
    await store.portals.save(replace(PORTAL, member_id="n" * 32))
    await store.portals.save(replace(PORTAL, id="renamed", member_id="n" * 32))
    assert store.portals.get(PORTAL.id) is None
    assert store.portals.of_member("m" * 32) is None
    assert await store.portals.change("nobody", installed=False) is None


async def test_changes_at_the_same_time_do_not_undo_each_other(store: Store) -> None:
    await store.portals.save(PORTAL)
    await asyncio.gather(
        store.portals.change(PORTAL.id, access="new"), store.portals.change(PORTAL.id, installed=False)
    )
    assert store.portals.get(PORTAL.id) == replace(PORTAL, access="new", installed=False)


async def test_a_call_and_its_promise_are_written_together_and_once(store: Store) -> None:
    assert await store.outbox.register(_record("a"), {"N": 1}, NOW)
    assert not await store.outbox.register(_record("a"), {"N": 2}, NOW)
    (promise,) = await _due(store)
    assert (promise.kind, promise.payload, promise.ended) == (Kind.REGISTER, {"N": 1}, False)
    assert await store.outbox.call(CallId("a")) == _record("a")


async def test_a_call_with_a_call_id_promises_only_its_finish_and_only_once(store: Store) -> None:
    assert await store.outbox.adopt(_record("a", card="externalCall.1"))
    assert not await store.outbox.adopt(_record("a", card="externalCall.2"))
    assert not await store.outbox.adopt(_record("b", card="externalCall.1"))
    assert await store.outbox.adopt(_record("b", card="externalCall.1", portal="another"))
    assert [record.id for record in await store.outbox.unfinished()] == ["a", "b"]
    assert await _due(store) == []
    await _finish(store, "a")
    (finish,) = await _due(store)
    assert (finish.kind, finish.card) == (Kind.FINISH, "externalCall.1")


async def test_a_call_id_is_ours_if_we_have_it_or_may_just_be_getting_it(store: Store) -> None:
    async def ours(card: str, user: int = 7) -> bool:
        return await store.outbox.may_have_registered("p", user, card)

    assert not await ours("externalCall.1")
    assert await store.outbox.adopt(_record("a", card="externalCall.1"))
    assert await ours("externalCall.1", user=8)
    assert not await ours("externalCall.2")
    await store.outbox.register(_record("b"), {}, NOW)
    assert not await ours("externalCall.2"), "an incoming call has no outgoing card"
    await store.outbox.register(_record("c", direction=Direction.OUTBOUND), {}, NOW)
    assert await ours("externalCall.2")
    assert not await ours("externalCall.2", user=8)
    (waiting,) = [promise for promise in await _due(store) if promise.call == "c"]
    await store.outbox.registered(waiting, "externalCall.3")
    assert not await ours("externalCall.2")
    assert await ours("externalCall.3")


async def test_a_finish_becomes_due_with_the_call_id(store: Store) -> None:
    await store.outbox.register(_record("a"), {}, NOW)
    assert await _finish(store, "a") == "p"
    assert await _finish(store, "a") is None
    (register,) = await _due(store)
    assert register.ended
    assert not await store.outbox.registered(register, "externalCall.1")
    (finish,) = await _due(store)
    assert (finish.kind, finish.card) == (Kind.FINISH, "externalCall.1")
    await store.outbox.kept(finish)
    assert await store.outbox.waiting_portals() == []


async def test_registers_come_before_finishes_and_what_is_busy_is_left_out(store: Store) -> None:
    for call in "ab":
        await store.outbox.register(_record(call), {}, NOW)
    first, second = await _due(store)
    await store.outbox.registered(first, "card")
    await _finish(store, "a")
    assert [promise.kind for promise in await _due(store)] == [Kind.REGISTER, Kind.FINISH]
    (rest,) = await store.outbox.due("p", NOW, 10, {second.id})
    assert rest.kind is Kind.FINISH
    assert await store.outbox.due("other", NOW, 10) == []


async def test_a_postponed_promise_waits_and_the_next_time_is_known(store: Store) -> None:
    await store.outbox.register(_record("a"), {}, NOW)
    (promise,) = await _due(store)
    await store.outbox.postpone(promise, NOW + 9, "busy", untouched=True)
    assert await _due(store, NOW + 8) == []
    assert await store.outbox.next_at("p") == NOW + 9
    assert await store.outbox.next_at("p", {promise.id}) is None
    assert len(await _due(store, NOW + 9)) == 1


@pytest.mark.parametrize(("untouched", "sent"), [(True, None), (False, NOW)])
async def test_an_unknown_outcome_is_remembered_from_its_first_time_on(
    store: Store, untouched: bool, sent: float | None
) -> None:
    await store.outbox.register(_record("a"), {}, NOW)
    (promise,) = await _due(store)
    await store.outbox.sending(promise, NOW)
    await store.outbox.postpone(promise, NOW, "why", untouched=untouched)
    (promise,) = await _due(store)
    assert (promise.first_sent, promise.attempts) == (sent, 1)
    await store.outbox.sending(promise, NOW + 50)
    (promise,) = await _due(store)
    assert promise.first_sent == (NOW + 50 if sent is None else NOW)


@pytest.mark.parametrize("finished_first", [True, False])
async def test_a_finish_goes_aside_with_its_register_in_either_order(store: Store, finished_first: bool) -> None:
    await store.outbox.register(_record("a"), {}, NOW)
    (promise,) = await _due(store)
    if finished_first:
        await _finish(store, "a")
    await store.outbox.set_aside(promise, "User is not found")
    if not finished_first:
        await _finish(store, "a")
    aside = await store.outbox.aside()
    assert [(found.kind, found.state) for found in aside] == [
        (Kind.REGISTER, State.SET_ASIDE),
        (Kind.FINISH, State.SET_ASIDE),
    ]
    assert aside[1].last_error == "its registration was set aside"
    assert await store.outbox.waiting_portals() == []


async def test_the_first_answer_counts(store: Store) -> None:
    await store.outbox.register(_record("a"), {}, NOW)
    await store.outbox.answer(CallId("a"), 8, NOW + 3)
    await store.outbox.answer(CallId("a"), 9, NOW + 4)
    call = await store.outbox.call(CallId("a"))
    assert call == _record("a", answered=NOW + 3, answered_by=8, seen=NOW + 3)


async def test_only_living_calls_are_seen_and_found_unfinished(store: Store) -> None:
    await store.outbox.register(_record("a"), {}, NOW)
    await store.outbox.register(_record("b"), {}, NOW)
    await _finish(store, "a")
    await store.outbox.touch(NOW + 60)
    assert await store.outbox.unfinished() == [_record("b", seen=NOW + 60)]
    call = await store.outbox.call(CallId("a"))
    assert call is not None
    assert call.seen == NOW


async def test_old_calls_are_forgotten_living_ones_never(store: Store) -> None:
    for call in "abc":
        await store.outbox.register(_record(call), {}, NOW)
    for promise in await _due(store):
        await store.outbox.registered(promise, f"card-{promise.call}")
    await _finish(store, "a", ended=NOW)
    await _finish(store, "b", ended=NOW + 100)
    assert await store.outbox.prune(NOW + 50) == 1, "the finish of a was never sent"
    assert await store.outbox.call(CallId("a")) is None
    assert await store.outbox.call(CallId("c")) is not None
    assert [promise.call for promise in await _due(store)] == ["b"]


async def test_a_promise_survives_the_death_of_the_process(tmp_path: Path) -> None:
    """Read by another connection while the first has not been closed: nothing waits in memory."""
    path = tmp_path / "bridge.db"
    store = Store(f"sqlite+aiosqlite:///{path}", SEAL)
    async with store.running():
        await store.outbox.register(_record("a"), {}, NOW)
        with closing(sqlite3.connect(path)) as other:
            assert other.execute("SELECT call, kind FROM outbox").fetchall() == [("a", "register")]
            assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("url", ["nonsense", "sqlite+aiosqlite:////proc/no/such.db", "mysql+nothing://x/y"])
async def test_a_database_that_can_not_be_used_is_named(url: str) -> None:
    with pytest.raises(ConfigError, match=r"store\.url"):
        async with Store(url, SEAL).running():
            pass


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bridge.db"
    path.write_text("this is not a database " * 100)
    with pytest.raises(ConfigError, match=r"store\.url.*not a database"):
        async with Store(f"sqlite+aiosqlite:///{path}", SEAL).running():
            pass
