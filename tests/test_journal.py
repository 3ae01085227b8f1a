"""Whatever a call hears or orders can be written down and read again."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge import journal
from bridge.calls import commands as do
from bridge.calls import events as on
from bridge.calls.call import Call
from bridge.calls.events import CallId
from bridge.journal import Journal, read
from bridge.tones import plan_of

CALL = Call(id=CallId("6a0-1"))
ROOMS = {do.PbxCommand, do.MediaCommand, do.OperatorsCommand, do.PortalCommand}
OF_THE_BRIDGE = {on.DeadlinePassed, on.ConferenceOver, on.CommandFailed, on.BridgeStopped}


def _kinds(module: ModuleType, base: type[Any]) -> list[type[Any]]:
    return [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, base) and kind not in {base, *ROOMS}
    ]


@pytest.mark.parametrize("kind", [*_kinds(on, on.Event), *_kinds(do, do.Command)], ids=lambda kind: kind.__name__)
def test_every_event_and_command_is_written_under_its_room_and_read_again(kind: type[Any], tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"

    @settings(max_examples=5, suppress_health_check=[HealthCheck.too_slow], database=None)
    @given(st.from_type(kind))
    def write(fact: Any) -> None:
        path.unlink(missing_ok=True)
        journal = Journal(path)
        (journal.event if isinstance(fact, on.Event) else journal.command)(fact, CALL, 1.0)
        journal.close()
        (entry,) = read(path, CALL.id)
        assert entry.name == kind.__name__
        assert (entry.room == "bridge") == (kind in OF_THE_BRIDGE)

    write()


def test_a_tone_is_written_as_a_person_would_say_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    written = Journal(path)
    ringback = plan_of("US").ringback
    written.command(
        do.SpeakEarly(call=CALL.id, pbx_offer=b"", codecs=(), policy=do.MediaPolicy(), sound=ringback), CALL, 1.0
    )
    written.close()
    (entry,) = read(path, CALL.id)
    assert entry.facts["sound"] == "440+480 2 s, pause 4 s"


def test_a_full_file_is_put_aside_with_whole_lines_and_the_oldest_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.jsonl"
    monkeypatch.setattr(journal, "MAX_BYTES", 2_000)
    for start in (0, 50):  # a bridge that starts again goes on with the same file
        written = Journal(path)
        for number in range(start, start + 50):
            written.event(on.CommandFailed(call=CALL.id, command="x" * 300, why=str(number)), CALL, float(number))
            written.flush()
        written.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "journal.jsonl", *(f"journal.jsonl.{number}" for number in range(1, journal.FILES + 1))
    ]  # fmt: skip
    assert all(file.stat().st_size <= 2_000 for file in tmp_path.iterdir())
    kept = [entry.at for entry in read(path, CALL.id)]
    assert kept == [float(number) for number in range(100 - len(kept), 100)]
    assert len(kept) > 20


def test_a_journal_that_can_not_be_written_costs_lines_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(journal, "MAX_BYTES", 1)
    written = Journal(tmp_path / "gone" / "journal.jsonl")
    event = on.BridgeStopped(call=CALL.id)
    written.event(event, CALL, 1.0)
    written.flush()
    (tmp_path / "gone").rename(tmp_path / "elsewhere")
    for _ in range(3):
        written.event(event, CALL, 2.0)
        written.flush()
    assert capsys.readouterr().out.count("journal_not_written") == 1
    (tmp_path / "gone").mkdir()
    written.event(event, CALL, 3.0)
    written.flush()
    assert [entry.at for entry in read(tmp_path / "gone" / "journal.jsonl", CALL.id)] == [3.0]
