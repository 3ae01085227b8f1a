"""The enrolled portals. There are as many as the configuration names, so all of them stay in memory beside the table."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import delete, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from ..tickets import Seal
from .tables import portals

_SECRETS = {"access": "access_sealed", "refresh": "refresh_sealed", "application_token": "application_token_sealed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledPortal:
    """A Bitrix24 whose administrator let us in."""

    id: str
    """The portal's id in our configuration."""
    member_id: str
    domain: str
    """Host (and port) as the portal calls itself today; it can be renamed."""
    client_endpoint: str
    """REST: `https://<portal>/rest/`."""
    server_endpoint: str
    """REST of the OAuth server: `https://<oauth host>/rest/`."""
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires: float
    """When the access token dies, Unix seconds."""
    admin_user: int
    application_token: str = field(repr=False)
    """Proves that an event comes from this portal; "" until the portal told it."""
    installed: bool
    """installFinish was called: the portal shows our pages and sends events."""
    needs_login: bool = False
    """The refresh token is dead: an administrator must open the application again."""

    @property
    def usable(self) -> bool:
        """REST can be called."""
        return bool(self.access) and not self.needs_login


class Portals:
    """Reads answer from memory, writes reach the table first."""

    def __init__(self, engine: AsyncEngine, seal: Seal) -> None:
        self._engine = engine
        self._seal = seal
        self._known: dict[str, EnrolledPortal] = {}
        self._writing = asyncio.Lock()

    async def load(self) -> None:
        async with self._engine.begin() as connection:
            rows = (await connection.execute(select(portals))).mappings().all()
        self._known = {row["id"]: self._portal(dict(row)) for row in rows}

    def get(self, portal: str) -> EnrolledPortal | None:
        return self._known.get(portal)

    def of_member(self, member_id: str) -> EnrolledPortal | None:
        return next((portal for portal in self._known.values() if portal.member_id == member_id), None)

    async def save(self, portal: EnrolledPortal) -> None:
        """Durable at return; replaces what stood under this id or this member_id."""
        async with self._writing:
            await self._save(portal)

    async def change(self, portal: str, **changes: Any) -> EnrolledPortal | None:
        """`dataclasses.replace` for a stored portal; None when it is not enrolled."""
        async with self._writing:
            known = self._known.get(portal)
            if known is None:
                return None
            changed = replace(known, **changes)
            await self._save(changed)
            return changed

    async def _save(self, portal: EnrolledPortal) -> None:
        same = or_(portals.c.id == portal.id, portals.c.member_id == portal.member_id)
        async with self._engine.begin() as connection:
            await connection.execute(delete(portals).where(same))
            await connection.execute(insert(portals).values(**self._row(portal)))
        others = {key: known for key, known in self._known.items() if known.member_id != portal.member_id}
        self._known = others | {portal.id: portal}

    def _row(self, portal: EnrolledPortal) -> dict[str, Any]:
        row = {name: getattr(portal, name) for name in EnrolledPortal.__slots__}
        for name, column in _SECRETS.items():
            row[column] = self._seal.seal_secret(row.pop(name))
        return row

    def _portal(self, row: dict[str, Any]) -> EnrolledPortal:
        for name, column in _SECRETS.items():
            row[name] = self._seal.open_secret(row.pop(column))
        return EnrolledPortal(**row)
