"""The store on SQLite and on PostgreSQL: migrations, sealed tokens, and transactions that promise exactly what they say."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from pydantic import SecretStr
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from bridge.calls.commands import Direction
from bridge.calls.events import CallId
from bridge.errors import ConfigError
from bridge.store.accounts import StoredAccount
from bridge.store.database import MIGRATIONS, Store
from bridge.store.portals import EnrolledPortal
from bridge.store.promises import CallRecord, Kind, Promise, Slot, State
from bridge.store.tables import metadata
from bridge.store.writer import may_pass
from bridge.tickets import Seal, new_key

from ..rig.postgres import Postgres

NOW = 1_800_000_000.0
SEAL = Seal([new_key()])
ALL = dict.fromkeys(Slot, 10)

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


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    made = Store(url, SEAL)
    async with made.running():
        yield made


async def _finish(store: Store, call: str, ended: float = NOW + 5) -> str | None:
    return await store.outbox.finish(CallId(call), {"n": 1}, status="200", ended=ended, now=NOW)


async def _due(store: Store, now: float = NOW) -> list[Promise]:
    return (await store.outbox.look("p", now, ALL)).due


async def test_the_migrations_lead_to_the_tables_of_the_code(store: Store, url: str) -> None:
    def differences(connection: Connection) -> Any:
        return compare_metadata(MigrationContext.configure(connection), metadata)

    engine = create_async_engine(url)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_promises_of_an_older_version_are_kept_by_the_migrations(tmp_path: Path) -> None:
    path = tmp_path / "bridge.db"
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")

    def old(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        connection.exec_driver_sql("INSERT INTO calls VALUES ('a','p',7,'inbound','+7','1',1,NULL,NULL,1,NULL,'','')")
        connection.exec_driver_sql("INSERT INTO outbox VALUES (5,'a','p','register','{}',2,1,'why','pending',NULL)")

    async with engine.begin() as connection:
        await connection.run_sync(old)
    await engine.dispose()
    store = Store(f"sqlite+aiosqlite:///{path}", SEAL)
    async with store.running():
        (promise,) = await _due(store)
    assert (promise.id, promise.call, promise.attempts, promise.last_error) == (5, "a", 2, "why")


async def test_a_recording_waits_for_the_record_and_goes_in_order(store: Store) -> None:
    await store.outbox.register(_record("a"), {}, NOW)
    for name in ("1.mp3", "2.mp3"):
        assert await store.outbox.promise("a", Kind.RECORD, {"name": name}, NOW) == "p"
    assert await store.outbox.promise("nobody", Kind.RECORD, {}, NOW) is None
    (register,) = await _due(store)
    await store.outbox.registered(register, "externalCall.1")
    assert await _due(store) == [], "the call is not over"
    await _finish(store, "a")
    (finish,) = await _due(store)
    assert await store.outbox.promise("externalCall.1", Kind.TRANSCRIPT, {}, NOW) == "p"
    await store.outbox.kept(finish)
    first, transcript = await _due(store)
    assert (first.payload, transcript.kind) == ({"name": "1.mp3"}, Kind.TRANSCRIPT)
    await store.outbox.postpone(first, NOW + 60, "busy", untouched=True)
    assert [promise.kind for promise in await _due(store)] == [Kind.TRANSCRIPT], (
        "the second recording replaces the first"
    )
    await store.outbox.set_aside(first, "refused")
    assert {promise.kind for promise in await _due(store)} == {Kind.RECORD, Kind.TRANSCRIPT}


async def test_what_hangs_on_a_lost_record_goes_aside_and_comes_back_with_it(store: Store) -> None:
    await store.outbox.register(_record("a"), {}, NOW)
    await store.outbox.register(_record("b"), {}, NOW)
    await store.outbox.promise("a", Kind.RECORD, {}, NOW)
    register, other = await _due(store)
    await store.outbox.sending(register, NOW)
    await store.outbox.set_aside(register, "User is not found")
    await store.outbox.set_aside(other, "User is not found")
    await _finish(store, "a")
    await store.outbox.promise("a", Kind.TRANSCRIPT, {}, NOW)
    mine = [promise for promise in await store.outbox.aside() if promise.call == "a"]
    assert len(mine) == 4
    again = await store.outbox.retry(mine[1].id, NOW)
    assert {promise.id for promise in again} == {promise.id for promise in mine}
    assert [promise.call for promise in await store.outbox.aside()] == ["b"]
    (register,) = await _due(store)
    assert (register.attempts, register.first_sent, register.last_error) == (0, None, "")
    assert [promise.call for promise in await store.outbox.retry(None, NOW)] == ["b"]
    assert await store.outbox.retry(None, NOW) == []


async def test_a_promise_that_can_not_be_read_blocks_no_other(store: Store) -> None:
    await store.outbox.register(_record("a"), {}, NOW)
    await store.outbox.register(_record("b"), {}, NOW)
    async with store._engine.begin() as connection:
        await connection.execute(text("UPDATE outbox SET payload = '{' WHERE call = 'a'"))
    look = await store.outbox.look("p", NOW, {Slot.RING: 1})
    assert (look.due, look.next_at) == ([], {Slot.RING: NOW})
    assert [promise.call for promise in await _due(store)] == ["b"]
    (aside,) = await store.outbox.aside()
    assert "can't read it" in aside.last_error


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


async def test_sip_accounts_come_back_after_a_restart_and_their_passwords_lie_sealed(store: Store, url: str) -> None:
    account = StoredAccount(
        portal="p", extension="101", trunk="pbx", sip_user="1001", password=SecretStr("plain-word"), user=7
    )
    other = replace(account, sip_user="1002", user=None)
    await store.accounts.save([account, other])
    await store.accounts.settle({account.key: 8, other.key: None, ("pbx", "none"): 9})
    again = Store(url, SEAL)
    async with again.running():
        assert again.accounts.known == {account.key: replace(account, user=8), other.key: other}
        await again.accounts.remove([other.key])
        assert again.accounts.known == {account.key: replace(account, user=8)}
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        rows = (await connection.execute(text("SELECT * FROM sip_accounts"))).all()
    await engine.dispose()
    assert len(rows) == 1
    assert "plain-" not in repr(rows) + repr(account)
    with pytest.raises(ConfigError, match="key"):
        async with Store(url, Seal([new_key()])).running():
            pass


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
    (rest,) = (await store.outbox.look("p", NOW, ALL, busy={second.id})).due
    assert rest.kind is Kind.FINISH
    assert (await store.outbox.look("other", NOW, ALL)).due == []


async def test_a_postponed_promise_waits_and_the_next_time_is_known(store: Store) -> None:
    await store.outbox.register(_record("a"), {}, NOW)
    (promise,) = await _due(store)
    await store.outbox.postpone(promise, NOW + 9, "busy", untouched=True)
    assert await _due(store, NOW + 8) == []
    assert (await store.outbox.look("p", NOW, ALL)).next_at == {Slot.RING: NOW + 9}
    assert (await store.outbox.look("p", NOW, ALL, busy={promise.id})).next_at == {}
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
    assert (promise.first_sent, promise.attempts) == (sent, 0 if untouched else 1)
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


async def test_each_slot_has_its_own_room_and_what_is_long_unknown_is_slow(store: Store) -> None:
    for call in "abc":
        await store.outbox.register(_record(call), {}, NOW)
    first, second, third = await _due(store)
    await store.outbox.sending(first, NOW - 2000)
    await store.outbox.registered(second, "card")
    await _finish(store, "b")
    found = await store.outbox.look("p", NOW, dict.fromkeys(Slot, 1), forgotten=NOW - 1800)
    assert [(promise.call, promise.kind) for promise in found.due] == [
        ("c", Kind.REGISTER),
        ("b", Kind.FINISH),
        ("a", Kind.REGISTER),
    ]
    assert (await store.outbox.look("p", NOW, {Slot.REGISTER: 1}, busy={third.id}, forgotten=NOW - 1800)).due == []


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


@pytest.mark.scenario
async def test_connections_that_the_server_has_ended_are_replaced(postgres: Postgres) -> None:
    url = await postgres.database()
    store = Store(url, SEAL)
    async with store.running():
        await store.outbox.register(_record("a"), {}, NOW)
        await postgres.run(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        await store.outbox.register(_record("b"), {}, NOW)
        assert {promise.call for promise in await _due(store)} == {"a", "b"}


@pytest.mark.scenario
@pytest.mark.parametrize(("state", "passes"), [("53100", True), ("57P03", True), ("40P01", True), ("22012", False)])
async def test_a_server_in_trouble_is_worth_another_try_and_a_defect_is_not(
    postgres: Postgres, state: str, passes: bool
) -> None:
    """Disk full, starting up, deadlock; division by zero."""
    engine = create_async_engine(await postgres.database())
    with pytest.raises(DBAPIError) as failed:
        async with engine.begin() as connection:
            await connection.exec_driver_sql(f"DO $$ BEGIN RAISE 'no' USING ERRCODE = '{state}'; END $$")
    await engine.dispose()
    assert may_pass(failed.value) is passes


@pytest.mark.scenario
async def test_a_connection_that_is_cut_in_the_middle_may_be_had_again(postgres: Postgres) -> None:
    engine = create_async_engine(await postgres.database())
    with pytest.raises(DBAPIError) as failed:
        async with engine.begin() as connection:
            await connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
    await engine.dispose()
    assert may_pass(failed.value)


@pytest.mark.scenario
async def test_two_changes_of_one_call_on_two_connections_wait_for_each_other(postgres: Postgres) -> None:
    """A `finish` beside a `set_aside`: whichever comes first, both promises end up aside."""
    url = await postgres.database()
    one, other = Store(url, SEAL), Store(url, SEAL)
    async with one.running(), other.running():
        for number in range(20):
            name = f"c{number}"
            await one.outbox.register(_record(name), {}, NOW)
            register = next(promise for promise in await _due(one) if promise.call == name)
            await asyncio.gather(one.outbox.set_aside(register, "no"), _finish(other, name))
        aside = await one.outbox.aside()
        assert len(aside) == 40
