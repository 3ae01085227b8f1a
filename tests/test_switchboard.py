"""Order within a lane, independence between lanes, and the call's own deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.calls import commands as do
from bridge.calls import events as on
from bridge.calls.commands import Command
from bridge.calls.events import CallId, Operator, TabId
from bridge.calls.routing import Directory
from bridge.calls.tolls import TollRules
from bridge.errors import NetworkError
from bridge.journal import Journal, ladder, read
from bridge.switchboard import Switchboard

from .rig.waiting import PATIENCE

ANNA = Operator("portal", 1)
ID = CallId("call-1")


class Recorder:
    """A room that remembers, and can be made slow or broken."""

    def __init__(self) -> None:
        self.done: list[Command] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken: type[Command] | None = None
        self.changed = asyncio.Event()

    async def perform(self, command: Command) -> None:
        await self.gate.wait()
        if self.broken and isinstance(command, self.broken):
            raise NetworkError("unplugged")
        self.done.append(command)
        self.changed.set()

    @property
    def names(self) -> list[str]:
        return [type(command).__name__ for command in self.done]

    async def until(self, condition: Callable[[list[str]], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition(self.names):
                self.changed.clear()
                await self.changed.wait()


class Rig:
    def __init__(
        self, tmp_path: Path, ring_seconds: float = 30, online: frozenset[Operator] = frozenset({ANNA})
    ) -> None:
        self.pbx, self.media, self.pages, self.portal = Recorder(), Recorder(), Recorder(), Recorder()
        self.journal_path = tmp_path / "journal.jsonl"
        self.journal = Journal(self.journal_path)
        self.board = Switchboard(
            directory=Directory(accounts={("pbx", "1001"): ANNA}, ring_seconds=ring_seconds),
            online=lambda: online,
            journal=self.journal,
        )
        self.rooms = {
            do.PbxCommand: self.pbx,
            do.MediaCommand: self.media,
            do.OperatorsCommand: self.pages,
            do.PortalCommand: self.portal,
            do.NoticeCommand: self.portal,
        }

    def invite(self) -> None:
        self.board.post(
            on.PbxInvited(call=ID, trunk="pbx", account="1001", line="1", caller="2", caller_name="", offer=b"")
        )


async def test_a_hanging_portal_delays_neither_the_ringing_nor_the_hang_up(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    async with rig.board.running(rig.rooms):
        rig.portal.gate.clear()
        rig.invite()
        await rig.pbx.until(lambda names: names == ["RingPbx"])
        await rig.pages.until(lambda names: "RingOperators" in names)
        rig.board.post(on.OperatorDeclined(call=ID, operator=ANNA))
        await rig.pbx.until(lambda names: names == ["RingPbx", "RefusePbx"])
        assert rig.portal.done == []
        rig.portal.gate.set()
    assert rig.portal.names == ["RegisterCall", "FinishCall"]


async def test_a_call_is_refused_once_its_record_is_safe(tmp_path: Path) -> None:
    rig = Rig(tmp_path, online=frozenset())
    async with rig.board.running(rig.rooms):
        rig.portal.gate.clear()
        rig.invite()
        await asyncio.sleep(0)
        assert (rig.pbx.names, rig.portal.names) == ([], [])
        rig.portal.gate.set()
        await rig.pbx.until(lambda names: names == ["RefusePbx"])
        assert rig.portal.names == ["RegisterCall", "FinishCall"]


async def test_a_call_is_answered_once_it_is_on_record_that_somebody_answers(tmp_path: Path) -> None:
    """A kill right after the 200 would make a missed call of it; a store that hangs holds the answer up for a moment only."""
    rig, page = Rig(tmp_path), TabId("t1")
    async with rig.board.running(rig.rooms):
        rig.invite()
        await rig.portal.until(lambda names: names == ["RegisterCall"])
        await rig.pbx.until(lambda names: names == ["RingPbx"])
        rig.portal.gate.clear()
        rig.board.post(on.OperatorAnswered(call=ID, operator=ANNA, tab=page, voice=page))
        rig.board.post(on.MediaReady(call=ID, tab=page, sdp=b"v=0"))
        await asyncio.sleep(0)
        assert (rig.pbx.names, rig.portal.names) == (["RingPbx"], ["RegisterCall"])
        rig.portal.gate.set()
        await rig.pbx.until(lambda names: names == ["RingPbx", "AnswerPbx"])
        assert rig.portal.names == ["RegisterCall", "RecordAnswer"]


async def test_a_rooms_failure_comes_back_as_a_fact_of_the_call(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.pbx.broken = do.RingPbx
    async with rig.board.running(rig.rooms):
        rig.invite()
        await rig.portal.until(lambda names: "FinishCall" in names)
    assert rig.board.calls == ()


async def test_the_calls_deadline_is_kept(tmp_path: Path) -> None:
    rig = Rig(tmp_path, ring_seconds=0.01)
    async with rig.board.running(rig.rooms):
        rig.invite()
        await rig.pbx.until(lambda names: names == ["RingPbx", "RefusePbx"])


async def test_shutting_down_ends_every_call_and_records_it(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    async with rig.board.running(rig.rooms):
        rig.invite()
    assert rig.pbx.names == ["RingPbx", "RefusePbx"]
    assert rig.portal.names == ["RegisterCall", "FinishCall"]


async def test_another_directory_decides_about_the_next_call(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    async with rig.board.running(rig.rooms):
        rig.board.directory = Directory()
        rig.invite()
        await rig.pbx.until(lambda names: names == ["RefusePbx"])
    assert rig.portal.names == []


@pytest.mark.parametrize("rules", [TollRules(at_once=1), TollRules(operator_per_minute=1)])
async def test_calls_that_were_dialled_count_against_the_portals_rules(tmp_path: Path, rules: TollRules) -> None:
    rig, tab = Rig(tmp_path), on.TabId("tab-1")
    rig.board.directory = Directory(accounts={("pbx", "1001"): ANNA}, tolls={ANNA.portal: rules})

    def dial(name: str) -> None:
        call = CallId(name)
        rig.board.post(on.OperatorDialled(call=call, operator=ANNA, number="+4930123456", voice=tab))
        rig.board.post(on.MediaReady(call=call, tab=tab, sdp=b""))

    async with rig.board.running(rig.rooms):
        dial("first")
        await rig.pbx.until(lambda names: names == ["DialPbx"])
        dial("second")
        await rig.portal.until(lambda names: "RaiseTollAlarm" in names)
        assert rig.pbx.names == ["DialPbx"]
        rig.board.post(on.OperatorHungUp(call=CallId("first"), operator=ANNA))
        await rig.pbx.until(lambda names: "CancelPbx" in names)
        dial("third")
        if rules.at_once:
            await rig.pbx.until(lambda names: names.count("DialPbx") == 2)
        else:
            await rig.portal.until(lambda names: names.count("RaiseTollAlarm") == 2)


async def test_facts_about_unknown_calls_are_passed_over(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    async with rig.board.running(rig.rooms):
        rig.board.post(on.PbxHungUp(call=CallId("nobody"), why="BYE"))
        assert rig.board.calls == ()


async def test_the_journal_tells_the_call_as_a_ladder_without_descriptions(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    async with rig.board.running(rig.rooms):
        rig.invite()
        secret = "v=0\r\na=ice-pwd:secret\r\n" * 10
        rig.board.post(on.MediaOffered(call=ID, operator=ANNA, tab=on.TabId("t"), offer="o", sdp=secret))
        rig.board.post(on.PbxCancelled(call=ID, elsewhere=False))
    rig.journal.close()
    entries = list(read(rig.journal_path, ID))
    assert [entry.name for entry in entries][:4] == ["PbxInvited", "RingPbx", "RegisterCall", "RingOperators"]
    assert "ice-pwd" not in rig.journal_path.read_text()
    rows = ladder(entries)
    assert "►" in rows[1]
    assert "PbxInvited" in rows[1]
    assert "[ended]" in "".join(rows)


async def test_a_torn_journal_still_reads(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    async with rig.board.running(rig.rooms):
        rig.invite()
    rig.journal.close()
    with rig.journal_path.open("a") as file:
        file.write('{"at": 1, "call": "call-1", "ki')
    assert list(read(rig.journal_path, ID))
