"""`bridge operators` and `bridge number`: a report line by line, with or without a running bridge."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bridge.__main__ import cli
from bridge.tickets import new_key

CONFIG = """\
state_dir = "{folder}/var"
[store]
url = "sqlite+aiosqlite:///{folder}/bridge.db"
[[portal]]
url = "https://acme.bitrix24.com"
client_id = "local.1"
client_secret_env = "ACME_SECRET"
region = "DE"
outside_prefix = "0"
[[trunk]]
name = "office"
server = "127.0.0.1:5060"
[[operator]]
portal = "https://acme.bitrix24.com"
user_id = 1
extension = "101"
trunk = "office"
sip_user = "1001"
password_env = "ACME_1001"
"""


class Shell:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bridge.toml").write_text(CONFIG.format(folder=folder))

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(cli, [*words, "--config", str(self.folder / "bridge.toml")])

    def table(self, text: str) -> str:
        file = self.folder / "table.csv"
        file.write_text(text)
        return str(file)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("BRIDGE_SECRET_KEYS", new_key())
    monkeypatch.setenv("COLUMNS", "200")
    return Shell(tmp_path)


def test_a_table_is_imported_line_by_line_and_again_without_effect(shell: Shell) -> None:
    file = shell.table("extension,sip_user,password,user_id\n102,1002,secret-word,2\n103,1001,x,\n")
    dry = shell.run("operators", "import", file, "--dry-run")
    assert dry.exit_code == 1, "a line was refused"
    assert "line    2  added      1002 at office: user 2, extension 102." in dry.output
    assert "line    3  refused    The account 1001 stands in the configuration file already." in dry.output
    assert "1 added, 1 refused" in dry.output
    assert "dry run" in dry.output
    assert "1002" not in shell.run("operators", "list").output
    shell.run("operators", "import", file)
    listed = shell.run("operators", "list").output
    assert all(word in listed for word in ("1001", "file", "1002", "store"))
    again = shell.run("operators", "import", shell.table("extension,sip_user,password,user_id\n102,1002,,2\n"))
    assert (again.exit_code, "1 unchanged" in again.output) == (0, True)
    assert "secret-word" not in dry.output + listed + again.output
    assert shell.run("operators", "remove", "1002", "--trunk", "office").exit_code == 0
    assert "1002" not in shell.run("operators", "list").output


def test_what_can_not_be_done_is_a_sentence(shell: Shell) -> None:
    assert "No such file" in shell.run("operators", "import", "none.csv").output
    assert "no [[portal]]" in shell.run("operators", "import", shell.table(""), "--portal", "https://x.y").output
    missing = shell.run("operators", "import", shell.table("a,b\n1,2\n"))
    assert (missing.exit_code, "must name the columns" in missing.output) == (1, True)
    refused = shell.run("operators", "remove", "1001", "--trunk", "office")
    assert "configuration file" in repr(refused.exception)


def test_a_number_is_previewed(shell: Shell) -> None:
    said = shell.run("number", "+49 30 123456", "--portal", "https://acme.bitrix24.com").output
    assert "an outside number: +49 30 123456 (DE)" in said
    assert "+4930123456" in said
    assert "0030123456" in said
    assert "no [[trunk]]" in shell.run("number", "1", "--portal", "acme.bitrix24.com", "--trunk", "home").output
