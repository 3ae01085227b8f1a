"""The store: one database, SQLite (the default, needs nothing) or PostgreSQL, brought up to date at start.

SQLite runs in WAL mode with synchronous=NORMAL: what is committed survives the death of the process (kill -9), because
the operating system has it. A power loss or a crash of the machine may take the last commits with it, though never the
file's consistency. Who can't bear that uses PostgreSQL.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from ..errors import ConfigError
from ..tickets import Seal
from .accounts import Accounts
from .desk import PooledDesk
from .hearings import Hearings
from .outbox import Outbox
from .portals import Portals
from .sqlite import connect, prepare
from .sqlite_desk import SqliteDesk
from .transaction import is_reading, unbroken
from .worker_history import WorkerHistory
from .writer import Writer

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 0x627269646765
"""PostgreSQL's advisory lock: two bridges started at once migrate one after the other."""


class Store:
    """Everything the bridge remembers. `url` is SQLAlchemy's, as in [store] of the configuration."""

    def __init__(self, url: str, seal: Seal) -> None:
        self._engine = _engine(url)
        self.portals = Portals(self._engine, seal)
        self.accounts = Accounts(self._engine, seal)
        self._desk = _desk(self._engine)
        self._writer = Writer(self._desk)
        self.outbox = Outbox(self._engine, self._desk, self._writer)
        self.worker_history = WorkerHistory(self._engine)
        self.hearings = Hearings(self._engine)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Migrated and loaded, or ConfigError when the database can't be used."""
        try:
            try:
                await self._migrate()
                await self.portals.load()
                await self.accounts.load()
            except (SQLAlchemyError, OSError) as error:
                where = self._engine.url.render_as_string(hide_password=True)
                raise ConfigError(f"store.url: {where} can't be used: {_cause(error)}") from error
            async with self._desk.running(), self._writer.running():
                yield
        finally:
            await self._engine.dispose()

    @unbroken
    async def _migrate(self) -> None:
        async with self._engine.begin() as connection:
            await connection.run_sync(_migrate)


def _engine(url: str) -> AsyncEngine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(parsed)
        return create_async_engine(parsed, pool_pre_ping=True, hide_parameters=True)
    except (ArgumentError, ImportError, OSError) as error:
        raise ConfigError(f"store.url: {error}") from None


def _desk(engine: AsyncEngine) -> SqliteDesk | PooledDesk:
    """A database in memory has one connection, that of the pool."""
    is_file = engine.dialect.name == "sqlite" and engine.url.database
    return SqliteDesk(engine.url) if is_file else PooledDesk(engine)


def _sqlite(url: URL) -> AsyncEngine:
    """One connection beside the desk's: SQLite has one writer anyway, and waiting in the pool is fair, waiting for its lock is not."""
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        limits = {"pool_size": 1, "max_overflow": 0}
    else:
        limits = {}
    engine = create_async_engine(url, async_creator=partial(connect, url), hide_parameters=True, **limits)

    @event.listens_for(engine.sync_engine, "connect")
    def begun(connection: Any, _record: object) -> None:
        prepare(connection)

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if is_reading(connection) else "BEGIN IMMEDIATE")

    return engine


def _migrate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
    else:
        connection.execute(text("SELECT 1"))  # takes the lock: the transaction begins with its first statement
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _cause(error: BaseException) -> str:
    """The driver's own words, without SQLAlchemy's statement and parameters."""
    original = getattr(error, "orig", None)
    return str(original or error).splitlines()[0]
