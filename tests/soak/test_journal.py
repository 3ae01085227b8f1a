from __future__ import annotations

from pathlib import Path

from .journal import JournalReader


def line(caller: str) -> str:
    return f'{{"name": "PbxInvited", "facts": {{"caller": "{caller}"}}}}\n'


def test_it_reads_along_and_through_a_file_that_was_put_aside_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    reader = JournalReader(path)
    reader.read()
    path.write_text(line("+1") + '{"name": "PbxConfirmed"}\n' + line("+2")[:20])
    reader.read()
    assert reader.callers == ["+1"]
    path.write_text(line("+1") + '{"name": "PbxConfirmed"}\n' + line("+2"))
    path.rename(tmp_path / "journal.jsonl.1")
    path.write_text(line("+3"))
    reader.read()
    assert reader.callers == ["+1", "+2", "+3"]
