"""This machine has another address now: its rtpengine, and a PBX that is spoken with over TCP, are met from there."""

from __future__ import annotations

import asyncio

import pytest

from bridge.media.engine.bencode import encode
from bridge.media.engine.ng_client import ng_client

from ...sip.stream_pbx import TrunkRoom, stream_pbx
from .network import AFTER, BEFORE, gone, live_at


class Engine(asyncio.DatagramProtocol):
    """Answers, and keeps where it was asked from."""

    def __init__(self) -> None:
        self.asked_from: list[str] = []

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked_from.append(addr[0])
        self._transport.sendto(data.split(b" ")[0] + b" " + encode({"result": "pong"}), addr)


async def test_an_rtpengine_is_asked_from_the_address_that_is_ours_now() -> None:
    live_at(BEFORE)
    loop = asyncio.get_running_loop()
    transport, engine = await loop.create_datagram_endpoint(Engine, local_addr=("127.0.0.1", 0))
    async with ng_client(*transport.get_extra_info("sockname")) as client:
        assert (await client.ask("ping"))["result"] == "pong"
        live_at(AFTER)
        gone(BEFORE)
        assert (await client.ask("ping"))["result"] == "pong"
    assert engine.asked_from == [BEFORE, AFTER]
    transport.close()


async def test_an_account_is_registered_over_a_new_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNK_TEST_PASSWORD", "secret")
    live_at(BEFORE)
    async with stream_pbx() as pbx:
        room = TrunkRoom({"host": "0.0.0.0"}, {"server": f"127.0.0.1:{pbx.address[1]}", "transport": "tcp"})
        async with room.trunks.running():
            before = await (await pbx.line()).registers()
            assert f"@{BEFORE}:" in (before.headers.get("Contact") or "")
            await room.is_registered()
            live_at(AFTER)
            gone(BEFORE)
            after = await (await pbx.line()).registers()
            assert f"@{AFTER}:" in (after.headers.get("Contact") or "")
