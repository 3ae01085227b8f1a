"""What the administrators of a portal are told in Bitrix24."""

from __future__ import annotations

from bridge.calls.call import Call, State
from bridge.calls.commands import RaiseRecordingAlarm, RaiseTollAlarm
from bridge.calls.events import CallId, Operator
from bridge.calls.tolls import TollBreach
from bridge.portal.notices import Notices

from .fake import refuse
from .house import House


async def test_an_administrator_is_told_who_could_not_call_whom_and_why(room: House) -> None:
    notices = Notices(portals=room.store.portals, rest=room.rest)
    view = Call(id=CallId("c"), state=State.ENDED, number="+4930123456").view
    room.fake.fail("im.notify.system.add", refuse("ATTACH_ERROR"))
    async with notices.running():
        notices.unpaid_call(Operator("stranger", 9), view)
        for user in (6, 7):
            notices.unpaid_call(Operator(room.portal, user), view)
        await room.until(lambda: bool(room.fake.notices))
    (notice,) = room.fake.notices
    assert notice["USER_ID"] == 1
    assert "[USER=7]" in notice["MESSAGE"], "one notice that fails does not stop the next"
    assert "+4930123456" in notice["MESSAGE"]
    assert room.fake.wrong == []


async def test_administrators_hear_once_an_hour_that_calls_are_not_recorded(room: House) -> None:
    now = 1000.0
    notices = Notices(portals=room.store.portals, rest=room.rest, clock=lambda: now)
    alarm = RaiseRecordingAlarm(call=CallId("c"), operator=Operator(room.portal, 7), why="the disk is full")
    async with notices.running():
        for passed, told in ((0, 1), (10, 1), (3600, 2)):
            now += passed
            await notices.perform(alarm)
            await notices.delivered()
            assert len(room.fake.notices) == told
    assert "the disk is full" in room.fake.notices[0]["MESSAGE"]
    assert room.fake.wrong == []


async def test_administrators_hear_of_a_broken_toll_rule_once_per_cause_and_hour(room: House) -> None:
    now = 1000.0
    notices = Notices(portals=room.store.portals, rest=room.rest, clock=lambda: now)

    async def alarm(breach: TollBreach) -> int:
        """How many notices there were by then."""
        operator = Operator(room.portal, 7)
        await notices.perform(RaiseTollAlarm(call=CallId("c"), operator=operator, number="+882123456", breach=breach))
        await notices.delivered()
        return len(room.fake.notices)

    async with notices.running():
        assert await alarm(TollBreach.NIGHT) == 1
        assert await alarm(TollBreach.NIGHT) == 1
        assert await alarm(TollBreach.TOO_MANY) == 2
        now += 3600
        assert await alarm(TollBreach.NIGHT) == 3
    assert "+882123456" in room.fake.notices[0]["MESSAGE"]
    assert TollBreach.NIGHT.value in room.fake.notices[0]["MESSAGE"]
