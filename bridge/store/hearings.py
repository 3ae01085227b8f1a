"""How calls sounded, kept beside them as long as they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from ..calls.events import Quality, Trouble, Verdict
from .tables import calls
from .transaction import reading, unbroken

MOST_SHOWN = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """One call, as far as it was listened to."""

    call: str
    user: int
    """Who answered."""
    number: str
    answered: float
    """Unix seconds."""
    ended: float
    verdicts: tuple[Verdict, ...]


class Hearings:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @unbroken
    async def between(self, portal: str, since: float, until: float) -> list[Hearing]:
        """The first MOST_SHOWN of a portal's calls that ended then and were listened to, as they were answered."""
        found = select(calls).where(
            calls.c.portal == portal, calls.c.ended >= since, calls.c.ended < until, calls.c.verdicts != ""
        )
        async with reading(self._engine).begin() as connection:
            rows = (
                (
                    await connection.execute(
                        found.order_by(func.coalesce(calls.c.answered, calls.c.started)).limit(MOST_SHOWN)
                    )
                )
                .mappings()
                .all()
            )
        return [
            Hearing(
                call=row["id"],
                user=row["user"] if row["answered_by"] is None else row["answered_by"],
                number=row["number"],
                answered=row["started"] if row["answered"] is None else row["answered"],
                ended=row["ended"],
                verdicts=read(row["verdicts"]),
            )
            for row in rows
        ]


def written(verdicts: Sequence[Verdict]) -> str:
    """A JSON list of [when, heard, said, trouble]; "" for none."""
    if not verdicts:
        return ""
    rows = [(round(v.at, 1), v.quality.heard, v.quality.said, v.quality.trouble.value) for v in verdicts]
    return json.dumps(rows, separators=(",", ":"))


def read(text: str) -> tuple[Verdict, ...]:
    rows = json.loads(text) if text else []
    return tuple(
        Verdict(at=at, quality=Quality(heard=heard, said=said, trouble=Trouble(trouble)))
        for at, heard, said, trouble in rows
    )
