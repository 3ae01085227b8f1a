"""A table of SIP accounts as CSV, read line by line: every line becomes an entry or a sentence about what is wrong (pure)."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO

LARGEST_SHEET = 512 * 1024
MOST_LINES = 5_000
COLUMNS = {
    "extension": "extension",
    "uf_phone_inner": "extension",
    "sip_user": "sip_user",
    "login": "sip_user",
    "username": "sip_user",
    "password": "password",
    "secret": "password",
    "trunk": "trunk",
    "pbx": "trunk",
    "user_id": "user_id",
}
"""What a column may be called; other columns (a name, a department) are passed over."""
_EXTENSION = re.compile(r"[\w*#+.-]{1,32}")
_SIP_USER = re.compile(r"[^\s@<>\"';:,/?\x00-\x1f]{1,64}")
_USER_ID = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one line asks for."""

    line: int
    extension: str
    """"" only where `user` is named."""
    user: int | None
    sip_user: str
    password: str = field(repr=False)
    """"" leaves the password that is stored."""
    trunk: str
    """"" means the portal's only one."""


@dataclass(frozen=True, slots=True)
class Fault:
    line: int
    text: str


def read(text: str) -> Iterator[Entry | Fault]:
    """One for each line that is not empty; the first line names the columns, separated by `,`, `;` or tabs."""
    if len(text) > LARGEST_SHEET:
        yield Fault(1, f"The table is larger than {LARGEST_SHEET // 1024} KiB.")
        return
    text = text.removeprefix("\ufeff")
    rows = csv.reader(StringIO(text), delimiter=_delimiter(text))
    try:
        names = _columns(next(rows, []))
        if missing := [name for name in ("extension", "password") if name not in names]:
            yield Fault(
                1,
                f"The first line must name the columns; {' and '.join(missing)} is missing."
                " Known are: extension, sip_user, password, trunk, user_id.",
            )
            return
        for row in rows:
            if rows.line_num > MOST_LINES:
                yield Fault(rows.line_num, f"More than {MOST_LINES} lines: the rest was not read.")
                return
            if any(cell.strip() for cell in row):
                yield entry_of(rows.line_num, dict(zip(names, row, strict=False)))
    except csv.Error as error:
        yield Fault(rows.line_num, f"This is no CSV: {error}.")


def entry_of(line: int, cells: Mapping[str, str]) -> Entry | Fault:
    """`cells` by the names of COLUMNS; a SIP user that is not given is the extension."""
    extension, user_id, trunk = (cells.get(name, "").strip() for name in ("extension", "user_id", "trunk"))
    sip_user = cells.get("sip_user", "").strip() or extension
    password = cells.get("password", "")
    if not extension and not user_id:
        return Fault(line, "There is no extension.")
    if extension and not _EXTENSION.fullmatch(extension):
        return Fault(line, f"“{extension[:40]}” is no extension: digits or letters, at most 32, without spaces.")
    if not sip_user:
        return Fault(line, "There is no SIP user.")
    if not _SIP_USER.fullmatch(sip_user):
        return Fault(line, f"“{sip_user[:40]}” is no SIP user: at most 64 characters, without spaces, @ and quotes.")
    if user_id and not _USER_ID.fullmatch(user_id):
        return Fault(line, f"“{user_id[:40]}” is no Bitrix24 user id: it must be a number.")
    if len(password) > 128 or any(ord(sign) < 32 for sign in password):
        return Fault(line, "The password is longer than 128 characters, or has a line break in it.")
    return Entry(
        line=line,
        extension=extension,
        user=int(user_id) if user_id else None,
        sip_user=sip_user,
        password=password,
        trunk=trunk,
    )


def _delimiter(text: str) -> str:
    first = text.partition("\n")[0]
    return max(",;\t", key=first.count)


def _columns(row: list[str]) -> list[str]:
    names = [re.sub(r"[\s-]+", "_", cell.strip().lower()) for cell in row]
    return [COLUMNS.get(name, name) for name in names]
