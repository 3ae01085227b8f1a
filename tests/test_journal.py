"""Whatever a call hears or orders can be written down and read again."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.calls import commands as do
from bridge.calls import events as on
from bridge.calls.call import Call
from bridge.calls.events import CallId
from bridge.journal import Journal, read

CALL = Call(id=CallId("6a0-1"))
ROOMS = {do.PbxCommand, do.MediaCommand, do.OperatorsCommand, do.PortalCommand}
OF_THE_BRIDGE = {on.DeadlinePassed, on.CommandFailed, on.BridgeStopped}


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
