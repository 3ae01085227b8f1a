"""SIP accounts of operators that were entered at the settings page or imported. All of them stay in memory beside the table."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import SecretStr
from sqlalchemy import and_, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from ..tickets import Seal
from .tables import sip_accounts as table
from .transaction import reading, unbroken

Key = tuple[str, str]
"""Trunk and SIP user: a PBX has an account once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAccount:
    """An account at a PBX, and the extension in Bitrix24 that it belongs to."""

    portal: str
    extension: str
    """"" only where the user was named."""
    trunk: str
    sip_user: str
    password: SecretStr
    user: int | None
    """Who it is in Bitrix24: as named, else whoever had the extension when that was last known."""
    named: bool = False
    """A person has said who it is; the extension does not matter then."""

    @property
    def caller_id(self) -> str:
        """The number that its calls show: the PBX knows it by the account."""
        return ""

    @property
    def key(self) -> Key:
        return self.trunk, self.sip_user


class Accounts:
    """Reads answer from memory, writes reach the table first."""

    def __init__(self, engine: AsyncEngine, seal: Seal) -> None:
        self._engine = engine
        self._seal = seal
        self._known: dict[Key, StoredAccount] = {}
        self._writing = asyncio.Lock()

    @unbroken
    async def load(self) -> None:
        async with reading(self._engine).begin() as connection:
            rows = (await connection.execute(select(table).order_by(table.c.trunk, table.c.sip_user))).mappings().all()
        self._known = {account.key: account for account in (self._account(dict(row)) for row in rows)}

    @property
    def known(self) -> Mapping[Key, StoredAccount]:
        """Replaced as a whole by every change."""
        return self._known

    @unbroken
    async def save(self, accounts: Iterable[StoredAccount]) -> None:
        """All of them or none, durable at return; each replaces what stood under its trunk and SIP user."""
        fresh = {account.key: account for account in accounts}
        if not fresh:
            return
        async with self._writing:
            async with self._engine.begin() as connection:
                for account in fresh.values():
                    await connection.execute(delete(table).where(_is(account.key)))
                    await connection.execute(insert(table).values(**self._row(account)))
            self._known = self._known | fresh

    @unbroken
    async def remove(self, keys: Iterable[Key]) -> None:
        gone = set(keys)
        if not gone:
            return
        async with self._writing:
            async with self._engine.begin() as connection:
                await connection.execute(delete(table).where(or_(*(_is(key) for key in gone))))
            self._known = {key: account for key, account in self._known.items() if key not in gone}

    @unbroken
    async def settle(self, users: Mapping[Key, int | None]) -> None:
        """Who has these accounts now, found by their extensions."""
        async with self._writing:
            moved = {key: user for key, user in users.items() if key in self._known and self._known[key].user != user}
            async with self._engine.begin() as connection:
                for key, user in moved.items():
                    await connection.execute(update(table).where(_is(key)).values(user=user))
            self._known = self._known | {key: replace(self._known[key], user=user) for key, user in moved.items()}

    def _row(self, account: StoredAccount) -> dict[str, Any]:
        row = {name: getattr(account, name) for name in StoredAccount.__slots__ if name != "password"}
        return row | {"password_sealed": self._seal.seal_secret(account.password.get_secret_value())}

    def _account(self, row: dict[str, Any]) -> StoredAccount:
        password = SecretStr(self._seal.open_secret(row.pop("password_sealed")))
        return StoredAccount(**row, password=password)


def _is(key: Key) -> Any:
    return and_(table.c.trunk == key[0], table.c.sip_user == key[1])
