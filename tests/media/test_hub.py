"""What the shared socket makes of a datagram before anybody is asked to understand it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import cast

import pytest
from aioice import stun
from hypothesis import given
from hypothesis import strategies as st

from bridge.media.datagrams import OneByOne
from bridge.media.hub import Hub, bound_socket, stun_username
from bridge.media.lane import Lane
from bridge.media.packet import BUFFER_BYTES
from bridge.media.poller import Poller
from bridge.media.sdp import Address

from .stage import SOON, rtp


class Leg:
    lane: Lane | None = None

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.got: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    def stun_received(self, data: bytes, address: Address) -> None:
        self.got.put_nowait(("stun", data))

    def dtls_received(self, data: bytes) -> None:
        self.got.put_nowait(("dtls", data))

    def media_received(self, length: int, now: float) -> None:
        if length == 13:
            raise ValueError("a leg that trips")
        self.got.put_nowait(("media", bytes(self.hub.buffer[:length])))

    async def next(self) -> tuple[str, bytes]:
        return await asyncio.wait_for(self.got.get(), SOON)


@pytest.fixture(params=["the system's way", "one by one"])
async def hub(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hub]:
    if request.param == "one by one":
        monkeypatch.setattr("bridge.media.hub.batched", lambda sock, buffer, poller: OneByOne(sock, buffer))
    poller = Poller()
    hub = Hub(bound_socket(("127.0.0.1", 0)), bytearray(BUFFER_BYTES), poller)
    yield hub
    hub.close()
    poller.close()


def stranger(hub: Hub) -> tuple[socket.socket, Address]:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.connect(hub.address)
    return sock, cast(Address, sock.getsockname())


def request(username: str) -> stun.Message:
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["SOFTWARE"] = "odd"
    message.attributes["USERNAME"] = username
    return message


async def test_every_kind_of_datagram_finds_its_leg(hub: Hub) -> None:
    named, awaiting, addressed = Leg(hub), Leg(hub), Leg(hub)
    sock, address = stranger(hub)
    with sock:
        hub.by_username["ours"] = named
        hub.by_transaction[b"0123456789ab"] = awaiting
        hub.claim(address, addressed)
        asked = bytes(request("ours:theirs"))
        answered = bytes(stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, b"0123456789ab"))
        for data in (asked, answered, b"\x16handshake", rtp(0, 1, 1, b"voice")):
            sock.send(data)
        assert await named.next() == ("stun", asked)
        assert await awaiting.next() == ("stun", answered)
        assert await addressed.next() == ("dtls", b"\x16handshake")
        assert await addressed.next() == ("media", rtp(0, 1, 1, b"voice"))


async def test_a_leg_that_trips_over_a_datagram_does_not_cost_the_next_one(hub: Hub) -> None:
    leg = Leg(hub)
    sock, address = stranger(hub)
    with sock:
        hub.claim(address, leg)
        sock.send(rtp(0, 1, 1, b"!"))
        sock.send(rtp(0, 2, 2, b"voice"))
        assert (await leg.next())[0] == "media"
    assert hub.strange == 1


async def test_a_leg_that_leaves_takes_only_what_is_still_its_own(hub: Hub) -> None:
    old, new = Leg(hub), Leg(hub)
    hub.claim(("127.0.0.1", 9), old)
    hub.claim(("127.0.0.1", 10), old)
    hub.claim(("127.0.0.1", 9), new)
    hub.by_username["same"] = new
    hub.forget("same", old)
    assert hub.by_address == {("127.0.0.1", 9): new}
    assert hub.by_username == {"same": new}


async def test_under_load_everything_arrives_by_timer_and_the_quiet_way_comes_back(hub: Hub) -> None:
    leg = Leg(hub)
    sock, address = stranger(hub)
    with sock:
        hub.claim(address, leg)
        for number in range(1500):
            sock.send(rtp(0, number, number, b"voice"))
            await leg.next() if number % 3 == 2 else None
        for _ in range(1000):
            await leg.next()
        sock.send(b"\x16last")
        assert await leg.next() == ("dtls", b"\x16last")


@given(st.binary(max_size=200))
def test_user_name_of_any_bytes(data: bytes) -> None:
    assert isinstance(stun_username(data), str)


@given(st.text("abcdefgh0123", min_size=1), st.text("xyz", min_size=1))
def test_user_name_is_the_receivers_half(ours: str, theirs: str) -> None:
    assert stun_username(bytes(request(f"{ours}:{theirs}"))) == ours
