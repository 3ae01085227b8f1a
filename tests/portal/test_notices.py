"""What the administrators of a portal are told in Bitrix24."""

from __future__ import annotations

from bridge.calls.call import Call, State
from bridge.calls.events import CallId, Operator
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
