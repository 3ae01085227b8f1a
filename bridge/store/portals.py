"""The enrolled portals. There are as many as the configuration names, so all of them stay in memory beside the table."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Delete, delete, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from ..tickets import Seal
from .tables import portals, spares
from .transaction import reading, unbroken

_SECRETS = {"access": "access_sealed", "refresh": "refresh_sealed", "application_token": "application_token_sealed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spare:
    """The token pair of an administrator beside the one whose pair is in use."""

    portal: str
    user: int
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires: float
    dead: bool = False
    """Bitrix24 does not accept it any more: this administrator must open the application again."""


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
    """Every administrator's refresh token is dead: one of them must open the application again."""
    trouble: str = ""
    """Why Bitrix24 refused everything the last time, as the portal room calls it; "" when it did not."""
    line: str = ""
    """The line's number as an administrator chose it on the page; "" takes the configuration's."""
    line_name: str = ""
    region: str = ""
    """Two letters, chosen on the page; "" takes the configuration's."""
    lines: tuple[str, ...] = ()
    """Numbers of the lines that the application has at the portal."""

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
        self._spares: dict[tuple[str, int], Spare] = {}
        self._writing = asyncio.Lock()

    @unbroken
    async def load(self) -> None:
        async with reading(self._engine).begin() as connection:
            rows = (await connection.execute(select(portals))).mappings().all()
            pairs = (await connection.execute(select(spares))).mappings().all()
        self._known = {row["id"]: self._portal(dict(row)) for row in rows}
        self._spares = {(row["portal"], row["user"]): self._spare(dict(row)) for row in pairs}

    def get(self, portal: str) -> EnrolledPortal | None:
        return self._known.get(portal)

    def of_member(self, member_id: str) -> EnrolledPortal | None:
        return next((portal for portal in self._known.values() if portal.member_id == member_id), None)

    @unbroken
    async def save(self, portal: EnrolledPortal) -> None:
        """Durable at return; replaces what stood under this id or this member_id."""
        async with self._writing:
            await self._save(portal)

    @unbroken
    async def change(self, portal: str, **changes: Any) -> EnrolledPortal | None:
        """`dataclasses.replace` for a stored portal; None when it is not enrolled."""
        async with self._writing:
            known = self._known.get(portal)
            if known is None:
                return None
            changed = replace(known, **changes)
            await self._save(changed)
            return changed

    # ---- other administrators

    def spares(self, portal: str) -> tuple[Spare, ...]:
        """Pairs of other administrators, those that may still work first."""
        known = self._known.get(portal)
        in_use = known.admin_user if known else 0
        found = [spare for spare in self._spares.values() if spare.portal == portal and spare.user != in_use]
        return tuple(sorted(found, key=lambda spare: (spare.dead, spare.user)))

    @unbroken
    async def keep_spare(self, spare: Spare) -> None:
        """Durable at return; replaces what this administrator had."""
        async with self._writing:
            row = {name: getattr(spare, name) for name in Spare.__slots__}
            for name in ("access", "refresh"):
                row[_SECRETS[name]] = self._seal.seal_secret(row.pop(name))
            async with self._engine.begin() as connection:
                await connection.execute(_spare_of(spare.portal, spare.user))
                await connection.execute(insert(spares).values(**row))
            self._spares[spare.portal, spare.user] = spare

    @unbroken
    async def drop_spares(self, portal: str, user: int | None = None) -> None:
        """All of a portal, or this administrator's."""
        async with self._writing:
            async with self._engine.begin() as connection:
                await connection.execute(_spare_of(portal, user))
            self._spares = {
                key: one for key, one in self._spares.items() if key[0] != portal or user not in {None, key[1]}
            }

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
        row["lines"] = " ".join(portal.lines)
        return row

    def _portal(self, row: dict[str, Any]) -> EnrolledPortal:
        for name, column in _SECRETS.items():
            row[name] = self._seal.open_secret(row.pop(column))
        row["lines"] = tuple(row["lines"].split())
        return EnrolledPortal(**row)

    def _spare(self, row: dict[str, Any]) -> Spare:
        for name in ("access", "refresh"):
            row[name] = self._seal.open_secret(row.pop(_SECRETS[name]))
        return Spare(**row)


def _spare_of(portal: str, user: int | None) -> Delete:
    one = delete(spares).where(spares.c.portal == portal)
    return one if user is None else one.where(spares.c.user == user)
