"""A stream cut anywhere gives the same messages (RFC 3261 18.3), pings are known (RFC 5626 3.5.1), nothing grows."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sip.framer import HEAD_SECONDS, Framed, Framer, Lost, Pinged, Whole
from bridge.sip.message import MOST_BYTES, Response, parse, respond

from .samples import INVITES, RINGING, wire


def with_length(data: bytes) -> bytes:
    return parse(data).encode()


MESSAGES = [with_length(data) for data in (*INVITES.values(), RINGING)]
FOLDED = wire("""
    OPTIONS sip:a@b SIP/2.0
    Subject: folded
     l: 99
    L  :
     4

    """)
BARE = b"OPTIONS sip:a@b SIP/2.0\nl:0\n\n"


def fed(pieces: list[bytes]) -> list[Framed]:
    framer = Framer()
    return [item for piece in pieces for item in framer.feed(piece, 0.0)]


@pytest.mark.parametrize("message", [*MESSAGES, FOLDED + b"body", BARE])
def test_a_message_cut_at_every_byte_is_the_same_message(message: bytes) -> None:
    follower = MESSAGES[-1]
    stream = message + follower
    for cut in range(len(stream) + 1):
        assert fed([stream[:cut], stream[cut:]]) == [Whole(message), Whole(follower)]


@given(st.lists(st.sampled_from([*MESSAGES, FOLDED + b"body", BARE]), max_size=4), st.data())
def test_many_messages_in_any_pieces(messages: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    edges = [0, *cuts, len(stream)]
    assert fed([stream[a:b] for a, b in pairwise(edges)]) == [Whole(m) for m in messages]


def test_byte_by_byte() -> None:
    stream = b"".join(MESSAGES)
    assert fed([bytes([byte]) for byte in stream]) == [Whole(message) for message in MESSAGES]


def test_rfc5626_a_double_line_end_is_a_ping_and_a_single_one_is_none() -> None:
    message = MESSAGES[0]
    assert fed([b"\r\n\r\n"]) == [Pinged()]
    assert fed([b"\r\n"]) == []
    assert fed([b"\r", b"\n\r", b"\n"]) == [Pinged()]
    assert fed([b"\r\n\r\n" + message]) == [Pinged(), Whole(message)]
    assert fed([b"\r\n" + message + b"\r\n", message]) == [Whole(message), Whole(message)]
    assert fed([b"\r\n\r\n"] * 3) == [Pinged()] * 3
    assert fed([b"\r\n\r\n" * 30_000]) == [Pinged()], "a flood of pings is answered once"


@pytest.mark.parametrize(
    ("lengths", "status"),
    [
        ("", 400),
        ("Content-Length: 1\r\nl: 2\r\n", 400),
        ("Content-Length: -1\r\n", 400),
        ("Content-Length: x\r\n", 400),
        ("Content-Length:\r\n", 400),
        ("Content-Length: 4294967296\r\n", 400),
        (f"Content-Length: {MOST_BYTES}\r\n", 513),
    ],
)
def test_without_a_length_that_can_be_told_framing_is_lost_for_good(lengths: str, status: int) -> None:
    head = f"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP b;branch=z9hG4bK1\r\n{lengths}\r\n".encode()
    framer = Framer()
    (lost,) = framer.feed(head, 0.0)
    assert isinstance(lost, Lost)
    assert (lost.data, lost.status) == (head, status)
    assert framer.feed(MESSAGES[0], 0.0) == []
    assert framer.deadline is None


def test_equal_lengths_keep_the_framing() -> None:
    assert [type(item) for item in fed([b"OPTIONS sip:a@b SIP/2.0\r\nl: 0\r\nContent-Length: 0\r\n\r\n"])] == [Whole]


def test_a_header_block_has_ten_seconds_from_its_first_byte() -> None:
    framer = Framer()
    assert framer.deadline is None
    framer.feed(b"\r\n", 1.0)
    assert framer.deadline is None
    framer.feed(b"OPT", 2.0)
    framer.feed(b"IONS sip:a@b", 9.0)
    assert framer.deadline == 2.0 + HEAD_SECONDS
    framer.feed(b" SIP/2.0\r\nl: 1\r\n\r\n", 11.0)
    assert framer.deadline is not None
    framer.feed(b"x", 12.0)
    assert framer.deadline is None


def test_a_header_block_without_end_is_cut_off() -> None:
    framer = Framer()
    outputs = [item for _ in range(70) for item in framer.feed(b"x" * 1024, 0.0)]
    assert [item.status for item in outputs if isinstance(item, Lost)] == [513]
    assert len(framer._buffer) == 0


@pytest.mark.parametrize("sign", [b"x", b"\n\t", b"\r", b" ", b":", b"l:1\r\n "])
def test_a_trickle_of_one_sign_costs_linear_time(sign: bytes) -> None:
    begin = time.process_time()
    fed([b"OPTIONS sip:a@b SIP/2.0\r\n", *[sign] * (60_000 // len(sign))])
    assert time.process_time() - begin < 2  # a quadratic search takes minutes


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_random_bytes_raise_nothing_and_never_grow(pieces: list[bytes]) -> None:
    framer = Framer()
    for piece in pieces:
        framer.feed(piece, 0.0)
    assert len(framer._buffer) <= MOST_BYTES + 200


def test_responses_are_framed_as_requests_are() -> None:
    request = parse(INVITES["asterisk"])
    assert not isinstance(request, Response)
    answer = respond(request, 200, body=b"v=0").encode()
    assert fed([answer[:5], answer[5:]]) == [Whole(answer)]
