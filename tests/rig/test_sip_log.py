"""The PBX's log of SIP messages, as the scenarios read it."""

from __future__ import annotations

from pathlib import Path

from .sip_log import SipLog, read_log, unrepeated

LOG = """[2026-01-01 00:00:00.000] VERBOSE[1] res_pjsip_logger.c: <--- Transmitting SIP request (80 bytes) to UDP:127.0.0.1:1 --->
BYE sip:a@127.0.0.1 SIP/2.0
Call-ID: one
CSeq: 2 BYE
Content-Length:  5

käse

<--- Transmitting SIP request (80 bytes) to UDP:127.0.0.1:1 --->
BYE sip:a@127.0.0.1 SIP/2.0
Call-ID: one
CSeq: 2 BYE
Content-Length:  5

käse

<--- Received SIP response (52 bytes) from UDP:127.0.0.1:1 --->
SIP/2.0 200 OK
call-id: one
CSeq: 2 BYE

<--- Received SIP response (600 bytes) from UDP:127.0.0.1:1 --->
SIP/2.0 200 OK
Call-"""


def test_retransmissions_in_the_log_count_once_and_half_a_message_not_at_all() -> None:
    bye, answer = unrepeated(read_log(LOG))
    assert (bye.sent, bye.is_request, bye.method, bye.call_id) == (True, True, "BYE", "one")
    assert (answer.sent, answer.status, answer.method, answer.call_id) == (False, 200, "BYE", "one")


SEGMENT = """SIP/2.0 100 Trying
CSeq: 1 INVITE
Content-Length: 0

SIP/2.0 200 OK
CSeq: 1 INVITE
Content-Length: 5

v=0

"""


def test_of_two_messages_in_one_segment_each_is_read() -> None:
    sizes = (57, 58)
    log = "".join(f"x <--- Received SIP response ({size} bytes) from TCP:127.0.0.1:1 --->\n{SEGMENT}" for size in sizes)
    assert [(message.status, message.body) for message in read_log(log)] == [(100, ""), (200, "v=0\n")]


def test_a_log_that_grows_by_any_pieces_is_read_as_if_at_once(tmp_path: Path) -> None:
    text = LOG + "ID: two\nCSeq: 3 BYE\n" + 600 * "\n" + LOG[: LOG.rindex("<---")].replace("one", "three")
    whole = [message.text for message in unrepeated(read_log(text))]
    for size in (1, 7, 100, 5000):
        path = tmp_path / f"{size}.log"
        log, data = SipLog(path), text.replace("\n", "\r\n").encode()
        assert log.messages() == []
        for at in range(0, len(data), size):
            with path.open("ab") as file:
                file.write(data[at : at + size])
            seen = log.messages()
        assert [message.text for message in seen] == whole
    path.write_text(LOG)
    assert [message.call_id for message in log.messages()] == ["one", "one"], "another one was begun"
