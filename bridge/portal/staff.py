"""Who has which account at which PBX: the configuration file, and what was entered at the settings page or imported.

A stored account belongs to an extension, and its operator is whoever has that extension in Bitrix24 (UF_PHONE_INNER); only
where a user was named does the extension not matter. Who it was last is remembered, so that a start does not wait for a
portal. Where file and store speak of the same account, the file wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import structlog
from pydantic import SecretStr

from ..calls.events import Operator
from ..config import OperatorAccount, Settings, portal_id
from ..store.accounts import Accounts, Key, StoredAccount
from .people import People
from .sheet import Entry, Fault

log = structlog.get_logger()

MOST_ACCOUNTS = 5_000
"""Of each portal."""


class Change(StrEnum):
    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one line of a table."""

    line: int
    change: Change
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """An account at a PBX and who stands behind it."""

    portal: str
    user: int | None
    """None while nobody in Bitrix24 has the extension."""
    account: OperatorAccount | StoredAccount
    is_fixed: bool
    """It stands in the configuration file."""


class Staff:
    """`changed` is told whenever accounts or the people behind them are others than before."""

    def __init__(self, *, settings: Settings, accounts: Accounts, people: People, changed: Callable[[], None]) -> None:
        self._accounts = accounts
        self._people = people
        self._changed = changed
        self._manned: Mapping[Operator, Sequence[OperatorAccount | StoredAccount]] = {}
        self._manned_of: Mapping[Key, StoredAccount] | None = None
        self._fixed = {(each.trunk, each.sip_user): each for each in settings.operator}
        self._registering = {each.name for each in settings.trunk if each.kind == "accounts" and each.register_accounts}
        self._trunks = {portal.id: _trunks_of(settings, portal.id, portal.trunks) for portal in settings.portal}

    @property
    def posts(self) -> tuple[Post, ...]:
        """All accounts, those of the file first."""
        fixed = [
            Post(portal=portal_id(each.portal), user=each.user_id, account=each, is_fixed=True)
            for each in self._fixed.values()
        ]
        stored = [
            Post(portal=each.portal, user=each.user, account=each, is_fixed=False)
            for each in self._accounts.known.values()
            if each.key not in self._fixed and each.trunk in self._trunks.get(each.portal, ())
        ]
        return (*fixed, *stored)

    @property
    def manned(self) -> Mapping[Operator, Sequence[OperatorAccount | StoredAccount]]:
        """Everybody who can be called, with their accounts."""
        if self._manned_of is not self._accounts.known:
            self._manned_of, self._manned = self._accounts.known, self._manning()
        return self._manned

    def _manning(self) -> dict[Operator, list[OperatorAccount | StoredAccount]]:
        found: dict[Operator, list[OperatorAccount | StoredAccount]] = {}
        for post in self.posts:
            if post.user is not None:
                found.setdefault(Operator(post.portal, post.user), []).append(post.account)
        return found

    def operators(self, portal: str) -> tuple[Operator, ...]:
        """Everybody of this portal who can be called."""
        return tuple(operator for operator in self.manned if operator.portal == portal)

    def trunks(self, portal: str) -> tuple[str, ...]:
        """The PBXs at which this portal's administrators may add accounts."""
        return self._trunks.get(portal, ())

    def registers(self, trunk: str) -> bool:
        """Each account of this PBX is registered and has a password; else all are reached through the trunk itself."""
        return trunk in self._registering

    def why_not(self, operator: Operator) -> str:
        """A sentence for somebody who is not an operator, "" for one who is."""
        if self._people.has_left(operator.portal, operator.user):
            return (
                "Bitrix24 does not list you among its employees any more, so your telephone is switched off. If that is a"
                " mistake, ask your administrator."
            )
        if operator in self.manned:
            return ""
        person = self._people.of(operator.portal).get(operator.user)
        if person is None:
            what = f"add user {operator.user} of {operator.portal} to the telephone's settings"
        elif person.extension:
            what = f"add the PBX account of your extension {person.extension} in the telephone's settings"
        else:
            what = "give you an inner telephone number in Bitrix24, and its PBX account in the telephone's settings"
        return f"You are not set up as an operator: ask your administrator to {what}."

    async def settle(self, portal: str) -> None:
        """The people of this portal were read: extensions may have moved."""
        by_extension = {
            person.extension: person.id
            for person in sorted(self._people.of(portal).values(), key=lambda each: -each.id)
            if person.extension
        }
        mine = [each for each in self._accounts.known.values() if each.portal == portal and not each.named]
        users = {each.key: by_extension.get(each.extension) for each in mine}
        moved = [each for each in mine if users[each.key] != each.user]
        if moved:
            await self._accounts.settle(users)
            log.info("extensions_moved", portal=portal, accounts=[each.sip_user for each in moved])
            self._changed()

    async def take(self, portal: str, entries: Iterable[Entry | Fault], *, dry: bool) -> list[Verdict]:
        """Add and change what can be; a line that is wrong hinders no other. `dry` only says what would become of them."""
        verdicts: list[Verdict] = []
        wanted: dict[Key, StoredAccount] = {}
        for entry in entries:
            found = entry if isinstance(entry, Fault) else self._account(portal, entry)
            if isinstance(found, Fault):
                verdicts.append(Verdict(found.line, Change.REFUSED, found.text))
            elif found.key in wanted:
                text = f"The account {found.sip_user} at {found.trunk} stands in an earlier line already."
                verdicts.append(Verdict(entry.line, Change.REFUSED, text))
            else:
                wanted[found.key] = found
                verdicts.append(self._verdict(entry.line, found))
        if not dry:
            fresh = [account for key, account in wanted.items() if account != self._accounts.known.get(key)]
            await self._accounts.save(fresh)
            if fresh:
                log.info("accounts_taken", portal=portal, accounts=[account.sip_user for account in fresh])
                self._changed()
            if any(account.user is None for account in fresh):
                self._people.look_again(portal)  # the extension may be as new as the account
        return verdicts

    async def remove(self, portal: str, key: Key) -> str:
        """ "" when it is gone, else a sentence."""
        if key in self._fixed:
            return (
                "This account stands in the configuration file of the telephone server: it can only be removed there."
            )
        account = self._accounts.known.get(key)
        if account is None or account.portal != portal:
            return "There is no such account any more."
        await self._accounts.remove([key])
        log.info("account_removed", portal=portal, account=account.sip_user, trunk=account.trunk)
        self._changed()
        return ""

    def _account(self, portal: str, entry: Entry) -> StoredAccount | Fault:
        trunk = self._trunk(portal, entry.trunk)
        if trunk is None:
            known = ", ".join(self.trunks(portal)) or "none"
            said = f"There is no PBX “{entry.trunk[:40]}” for this portal" if entry.trunk else "The PBX must be named"
            return Fault(entry.line, f"{said}. Known in the column trunk: {known}.")
        key = trunk, entry.sip_user
        if key in self._fixed:
            return Fault(entry.line, f"The account {entry.sip_user} stands in the configuration file already.")
        before = self._accounts.known.get(key)
        if before is not None and before.portal != portal:
            return Fault(entry.line, f"The account {entry.sip_user} at {trunk} belongs to somebody else.")
        if before is None and sum(each.portal == portal for each in self._accounts.known.values()) >= MOST_ACCOUNTS:
            return Fault(entry.line, f"This portal has {MOST_ACCOUNTS} accounts already.")
        if not entry.password and before is None and self.registers(trunk):
            return Fault(entry.line, "There is no password.")
        return StoredAccount(
            portal=portal,
            extension=entry.extension,
            trunk=trunk,
            sip_user=entry.sip_user,
            password=SecretStr(entry.password) if entry.password or before is None else before.password,
            user=entry.user or self._who_has(portal, entry.extension, before),
            named=entry.user is not None,
        )

    def _trunk(self, portal: str, name: str) -> str | None:
        mine = self.trunks(portal)
        if name:
            return name if name in mine else None
        return mine[0] if len(mine) == 1 else None

    def _who_has(self, portal: str, extension: str, before: StoredAccount | None) -> int | None:
        people = self._people.of(portal)
        if not people:  # not read yet: as it was
            return before.user if before and before.extension == extension else None
        return min((person.id for person in people.values() if person.extension == extension), default=None)

    def _verdict(self, line: int, account: StoredAccount) -> Verdict:
        before = self._accounts.known.get(account.key)
        change = Change.ADDED if before is None else Change.UNCHANGED if before == account else Change.CHANGED
        return Verdict(line, change, f"{account.sip_user} at {account.trunk}: {self._who(account)}.")

    def _who(self, account: StoredAccount) -> str:
        if account.user is not None:
            name = self._people.name(account.portal, account.user) or f"user {account.user}"
            return name + (f", extension {account.extension}" if account.extension else "")
        if not self._people.of(account.portal):
            return f"whoever has extension {account.extension}; Bitrix24 has not told its employees yet"
        return f"nobody in Bitrix24 has extension {account.extension} yet; it is used as soon as somebody has"


def _trunks_of(settings: Settings, portal: str, named: tuple[str, ...]) -> tuple[str, ...]:
    """As the portal's settings say; else the PBXs of its operators in the file; else all, where there is no other portal."""
    if named:
        return named
    used = {each.trunk for each in settings.operator if portal_id(each.portal) == portal}
    every = len(settings.portal) == 1 and not used
    return tuple(trunk.name for trunk in settings.trunk if every or trunk.name in used)
