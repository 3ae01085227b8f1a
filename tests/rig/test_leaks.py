"""The search that looks over every bridge of the suite finds what is there, and only that."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bridge.tickets import Seal, new_key

from .leaks import leaks

SECRET = "a-secret-of-the-tests"


@pytest.mark.parametrize("name", ["bridge.log", "var/journal.jsonl", "var/journal.jsonl.1", "bridge.toml"])
def test_a_secret_is_found_in_any_file(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f'{{"event": "rest", "auth": "{SECRET}"}}\n')
    assert leaks(tmp_path, [SECRET, "another-secret"]) == [f"{file.name}: a-se…"]
    file.write_text("nothing here\n")
    assert leaks(tmp_path, [SECRET]) == []


def test_a_plain_secret_is_found_in_a_database_and_a_sealed_one_is_none(tmp_path: Path) -> None:
    seal = Seal([new_key()])
    for text, found in ((SECRET, ["bridge.db: a-se…"]), (seal.seal_secret(SECRET), [])):
        (tmp_path / "bridge.db").unlink(missing_ok=True)
        with closing(sqlite3.connect(tmp_path / "bridge.db")) as database, database:
            database.execute("CREATE TABLE portals (access TEXT)")
            database.execute("INSERT INTO portals VALUES (?)", (text,))
        assert leaks(tmp_path, [SECRET]) == found


def test_a_sealed_ticket_is_worth_something_and_is_found_in_a_log(tmp_path: Path) -> None:
    (tmp_path / "bridge.log").write_text(f"ticket={Seal([new_key()]).seal_secret(SECRET)}")
    assert leaks(tmp_path, []) == ["bridge.log: a sealed ticket"]


def test_what_is_too_short_to_be_a_secret_is_not_looked_for(tmp_path: Path) -> None:
    (tmp_path / "bridge.log").write_text("port 8090")
    assert leaks(tmp_path, ["8090", ""]) == []
