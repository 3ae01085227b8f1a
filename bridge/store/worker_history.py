"""What became of the workers that portals load: slow loads, warnings, removals. Kept for a quarter of a year."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from .tables import worker_history
from .transaction import reading, unbroken

KEPT_SECONDS = 92 * 86400
MOST_SHOWN = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One line of the history."""

    portal: str
    user: int
    """Whose personal worker it is about, 0 for the one that everybody has."""
    at: float
    what: str
    """As the portal room calls it."""
    text: str
    """A sentence for people."""


class WorkerHistory:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @unbroken
    async def add(self, happening: Happening) -> None:
        row = {name: getattr(happening, name) for name in Happening.__slots__}
        async with self._engine.begin() as connection:
            await connection.execute(insert(worker_history).values(**row))

    @unbroken
    async def since(self, portal: str, at: float) -> list[Happening]:
        """The newest MOST_SHOWN since then, oldest first."""
        table = worker_history
        found = select(table).where(table.c.portal == portal, table.c.at >= at)
        async with reading(self._engine).begin() as connection:
            rows = (await connection.execute(found.order_by(table.c.id.desc()).limit(MOST_SHOWN))).mappings().all()
        return [Happening(**{name: row[name] for name in Happening.__slots__}) for row in reversed(rows)]

    @unbroken
    async def prune(self, now: float) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(delete(worker_history).where(worker_history.c.at < now - KEPT_SECONDS))

    @unbroken
    async def forget(self, portal: str) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(delete(worker_history).where(worker_history.c.portal == portal))
