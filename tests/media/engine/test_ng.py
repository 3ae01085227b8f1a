"""Requests to an rtpengine: bencoding, cookies, repetition."""

from __future__ import annotations

import asyncio
import random
from itertools import count
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.media.engine import bencode
from bridge.media.engine.bencode import BencodeError, Value
from bridge.media.engine.ng import PAUSES, EngineError, EngineSilentError, Requests, Words
from bridge.media.engine.ng_client import ng_client

values = st.recursive(
    st.integers(-(2**40), 2**40) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_what_is_encoded_is_decoded_to_the_same(value: Value) -> None:
    assert bencode.decode(bencode.encode(value)) == value


def test_the_encoding_is_that_of_the_protocols_document() -> None:
    assert bencode.encode({"command": "ping"}) == b"d7:command4:pinge"
    assert bencode.encode(["a", -3]) == b"l1:ai-3ee"
    assert bencode.encode("ü") == b"2:\xc3\xbc"


@given(st.binary(max_size=60))
def test_whatever_comes_is_decoded_or_refused(data: bytes) -> None:
    try:
        bencode.decode(data)
    except BencodeError:
        return


@pytest.mark.parametrize(
    "data",
    [b"", b"i", b"ie", b"i1", b"9:short", b"-1:x", b"d1:ae", b"di1e1:ae", b"l", b"i1ei2e", b"l" * 2000, b"i" * 99],
)
def test_what_is_broken_is_refused(data: bytes) -> None:
    with pytest.raises(BencodeError):
        bencode.decode(data)


def requests() -> Requests:
    numbers = count(1)
    return Requests(lambda: f"c{next(numbers)}")


def answer(cookie: str, words: Words) -> bytes:
    return cookie.encode() + b" " + bencode.encode(words)


def test_an_answer_is_known_by_its_cookie_and_counts_once() -> None:
    open_ = requests()
    cookie, datagram = open_.begin({"command": "ping"}, 0)
    assert datagram == b"c1 d7:command4:pinge"
    assert open_.received(answer("c2", {"result": "pong"})) is None
    found = open_.received(answer(cookie, {"result": "pong"}))
    assert found is not None
    assert (found.cookie, found.error) == (cookie, None)
    assert open_.received(answer(cookie, {"result": "pong"})) is None
    assert open_.deadline is None


def test_a_refusal_tells_its_reason() -> None:
    open_ = requests()
    cookie, _ = open_.begin({"command": "query"}, 0)
    found = open_.received(answer(cookie, {"result": "error", "error-reason": "Unknown call-id"}))
    assert found is not None
    assert isinstance(found.error, EngineError)
    assert "Unknown call-id" in str(found.error)


def test_a_request_is_repeated_under_the_same_cookie_and_given_up_at_last() -> None:
    open_ = requests()
    cookie, datagram = open_.begin({"command": "ping"}, 0)
    now, sent = 0.0, [datagram]
    for _ in PAUSES[:-1]:
        assert open_.deadline is not None
        now = open_.deadline
        again, given_up = open_.wake(now)
        sent += again
        assert not given_up
    assert set(sent) == {datagram}
    assert len(sent) == len(PAUSES)
    again, given_up = open_.wake(now + PAUSES[-1])
    assert not again
    assert [each.cookie for each in given_up] == [cookie]
    assert isinstance(given_up[0].error, EngineSilentError)


@given(st.binary(max_size=80))
def test_whatever_an_engine_sends_harms_nothing(data: bytes) -> None:
    open_ = requests()
    cookie, _ = open_.begin({"command": "ping"}, 0)
    assert open_.received(cookie.encode() + b" x" + data) is None
    assert open_.received(b"\xff" + data) is None
    assert open_.deadline == PAUSES[0]


def test_over_a_link_that_loses_repeats_and_reorders_every_request_is_carried_out_once() -> None:
    chance = random.Random(7)
    open_, carried_out = requests(), dict[bytes, bytes]()
    wanted = [open_.begin({"command": "play DTMF", "digit": str(number)}, 0) for number in range(60)]
    under_way, done, now = [datagram for _, datagram in wanted], set[str](), 0.0
    while open_.deadline is not None:
        chance.shuffle(under_way)
        for datagram in under_way:
            if chance.random() < 0.3:
                continue
            cookie = datagram.split(b" ")[0]
            reply = carried_out.setdefault(cookie, answer(cookie.decode(), {"result": "ok"}))
            for _ in range(chance.randrange(3)):
                if found := open_.received(reply):
                    assert found.cookie not in done
                    done.add(found.cookie)
        if (deadline := open_.deadline) is None:
            break
        now = deadline
        under_way, given_up = open_.wake(now)
        done |= {each.cookie for each in given_up}
    assert done == {cookie for cookie, _ in wanted}


class _Socket(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.asked: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked.put_nowait((data, addr))


async def test_only_the_engine_that_was_asked_can_answer() -> None:
    loop = asyncio.get_running_loop()
    _, engine = await loop.create_datagram_endpoint(_Socket, local_addr=("127.0.0.1", 0))
    _, stranger = await loop.create_datagram_endpoint(_Socket, local_addr=("127.0.0.1", 0))
    async with ng_client(*engine.transport.get_extra_info("sockname")) as client:
        asking = asyncio.create_task(client.ask("ping"))
        asked, (_, port) = await engine.asked.get()
        cookie = asked.split(b" ")[0].decode()
        stranger.transport.sendto(answer(cookie, {"result": "strange"}), ("127.0.0.1", port))
        engine.transport.sendto(answer(cookie, {"result": "pong"}), ("127.0.0.1", port))
        assert await asking == {"result": "pong"}
    engine.transport.close()
    stranger.transport.close()
