"""The PBX's log of SIP messages, as the scenarios read it."""

from __future__ import annotations

from .sip_log import read_log, unrepeated

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
