"""Voice messages that wait: RFC 3842, section 16 of the rules."""

from __future__ import annotations

import pytest

from bridge.sip.message import Headers, Request
from bridge.sip.summary import new_messages

from .wire import Room, WirePbx

FULL = b"Messages-Waiting: yes\r\nMessage-Account: sip:1001@pbx\r\nVoice-Message: 2/8 (0/2)\r\n"


def notify(body: bytes, event: str = "message-summary") -> Request:
    return Request("NOTIFY", "sip:1001@x", Headers([("Event", event)]), body)


@pytest.mark.parametrize(
    ("body", "new"),
    [
        (FULL, 2),
        (b"Messages-Waiting: no\r\nVoice-Message: 0/3\r\n", 0),
        (b"messages-waiting:yes\nvoice-message : 12 / 0", 12),
        (b"Messages-Waiting: yes\r\n", 1),
        (b"Messages-Waiting: no\r\n", 0),
        (b"", 0),
        (b"\xff" * 60_000, 0),
        (b"Voice-Message: 99999999999/1", 0),
    ],
)
def test_section_16_a_summary_says_how_many_are_new(body: bytes, new: int) -> None:
    assert new_messages(notify(body)) == new


@pytest.mark.parametrize("event", ["dialog", "refer", "keep-alive", ""])
def test_another_event_is_no_summary(event: str) -> None:
    assert new_messages(notify(FULL, event)) is None


async def test_mwi_is_told_for_the_account_it_is_about_and_answered_200(pbx: WirePbx, room: Room) -> None:
    for user, told in (("1001", [("main", "1001", 2)]), ("", [])):
        room.voicemail.clear()
        asked = pbx.message("NOTIFY", user, call=f"mwi{user}", headers={"Event": "message-summary"})
        pbx.send(Request("NOTIFY", asked.uri, asked.headers, FULL))
        assert (await pbx.response(200)).cseq[1] == "NOTIFY"
        assert room.voicemail == told
