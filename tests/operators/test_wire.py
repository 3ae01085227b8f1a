"""engine.io over WebSocket: what the page protocol of `socket.io` stands on."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web

from bridge.operators.wire import PING, SLOTS, Wire, Wires, frame

from .rig import PATIENCE, room

PING_SECONDS = 10.0


class Rig:
    def __init__(self) -> None:
        self.wires = Wires(async_mode="aiohttp", ping_interval=PING_SECONDS, ping_timeout=10, max_http_buffer_size=1024)
        self.said: asyncio.Queue[Any] = asyncio.Queue()
        self.ended: asyncio.Queue[str] = asyncio.Queue()
        self.wires.on("message", lambda sid, data: self.said.put_nowait(data))
        self.wires.on("disconnect", lambda sid, reason: self.ended.put_nowait(reason))
        self.client: ClientSession

    async def page(self) -> tuple[ClientWebSocketResponse, Wire]:
        """A page and the bridge's end of its connection, the greeting read."""
        page = await self.client.ws_connect("/?EIO=4&transport=websocket")
        greeting = await hear(page)
        assert greeting.startswith("0{")
        return page, self.wires.sockets[json.loads(greeting[1:])["sid"]]

    async def hear(self) -> Any:
        """The next message of a page."""
        return await asyncio.wait_for(self.said.get(), PATIENCE)

    async def how_it_ended(self) -> str:
        return await asyncio.wait_for(self.ended.get(), PATIENCE)


@asynccontextmanager
async def wired() -> AsyncIterator[Rig]:
    rig = Rig()
    app = web.Application()
    app.router.add_get("/", rig.wires.serve)
    runner = web.AppRunner(app)  # not aiohttp's test server: that one cancels who serves a page that is gone
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        async with ClientSession(f"http://{host}:{port}") as rig.client:
            yield rig
    finally:
        await runner.cleanup()


def wire_of(page: ClientWebSocketResponse) -> Any:
    """The page's own transport."""
    return page.get_extra_info("transport") or page._writer.transport


async def hear(page: ClientWebSocketResponse) -> str:
    return str(await asyncio.wait_for(page.receive_str(), PATIENCE))


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
async def test_a_message_of_any_length_arrives_whole(size: int) -> None:
    async with wired() as rig:
        page, wire = await rig.page()
        wire.write(frame("ü" * (size // 2) + "x" * (size % 2)))
        wire.write(frame("next"))
        assert len((await hear(page)).encode()) == size
        assert await hear(page) == "next"


async def test_messages_of_the_page_come_without_their_engine_io_type() -> None:
    async with wired() as rig:
        page, _ = await rig.page()
        for said in ("3", "2probe", "5", "6", "", "4first", "x", "4second"):
            await page.send_str(said)
        assert [await rig.hear(), await rig.hear()] == ["first", "second"]


async def test_everybody_is_pinged_once_in_an_interval_and_a_part_of_them_in_a_part_of_it() -> None:
    async with wired() as rig:
        pages = [await rig.page() for _ in range(4)]
        heard: list[set[int]] = []
        for _ in range(2):
            rig.wires.beat(PING_SECONDS / 2)
            for _, wire in pages:
                wire.write(frame("mark"))
            heard.append({number for number, (page, _) in enumerate(pages) if await hear(page) == "2"})
            for number in heard[-1]:
                assert await hear(pages[number][0]) == "mark"
        assert [len(half) for half in heard] == [2, 2]
        assert heard[0] | heard[1] == {0, 1, 2, 3}


async def test_pings_are_evenly_spread_and_stay_punctual_when_nearly_everybody_leaves() -> None:
    async with wired() as rig:
        pages = [await rig.page() for _ in range(60)]
        sizes = [sum(len(slot) for slot in rig.wires._slots[start : start + 20]) for start in range(0, SLOTS, 20)]
        assert min(sizes) >= 5
        assert max(sizes) <= 7
        for page, _ in pages[1:]:
            await page.close()
            await rig.how_it_ended()
        rig.wires.beat(PING_SECONDS)
        assert await hear(pages[0][0]) == "2"
        assert sum(map(len, rig.wires._slots)) == 1


async def test_a_page_that_has_not_answered_by_its_next_ping_is_gone_and_one_that_did_stays() -> None:
    async with wired() as rig:
        (silent, _), (alive, wire) = await rig.page(), await rig.page()
        rig.wires.beat(PING_SECONDS)
        assert await hear(alive) == "2"
        await alive.send_str("3")
        await alive.send_str("4so there")
        assert await rig.hear() == "so there"
        rig.wires.beat(PING_SECONDS)
        assert await rig.how_it_ended() == "ping timeout"
        assert await hear(alive) == "2"
        assert not wire.closed
        assert list(rig.wires.sockets.values()) == [wire]
        assert await hear(silent) == "2"
        assert (await silent.receive()).type in {WSMsgType.CLOSED, WSMsgType.CLOSE, WSMsgType.ERROR}


async def test_a_page_whose_last_word_is_still_being_carried_out_is_not_taken_for_gone() -> None:
    async with wired() as rig:
        begun, done = asyncio.Event(), asyncio.Event()

        async def slow(sid: str, data: str) -> None:
            begun.set()
            await done.wait()

        rig.wires.on("message", slow)
        page, wire = await rig.page()
        await page.send_str("4think about it")
        await asyncio.wait_for(begun.wait(), PATIENCE)
        for _ in range(3):
            rig.wires.beat(PING_SECONDS)
            assert await hear(page) == "2"
            await page.send_str("3")
        done.set()
        await page.close()
        assert await rig.how_it_ended() == "transport close"
        assert wire.closed


async def test_nobody_is_pinged_after_the_end() -> None:
    async with wired() as rig:
        page, _ = await rig.page()
        await page.close()
        assert await rig.how_it_ended() == "transport close"
        rig.wires.beat(2 * PING_SECONDS)
        assert not rig.wires.sockets


@pytest.mark.parametrize(
    "query", ["", "?EIO=4", "?EIO=4&transport=polling", "?EIO=3&transport=websocket", "?EIO=4&transport=websocket"]
)
async def test_nothing_else_is_spoken(query: str) -> None:
    """The last one is no WebSocket handshake."""
    async with wired() as rig:
        answer = await rig.client.get(f"/{query}")
        assert answer.status == 400
        assert not rig.wires.sockets


async def test_a_message_that_is_too_long_ends_the_connection() -> None:
    async with wired() as rig:
        page, _ = await rig.page()
        await page.send_str("4" + "x" * 2048)
        assert await rig.how_it_ended() == "transport close"


async def test_who_does_not_close_at_the_end_is_cut_off() -> None:
    async with wired() as rig:
        (polite, _), (deaf, _) = await rig.page(), await rig.page()
        listening = asyncio.create_task(polite.receive())
        wire_of(deaf).pause_reading()
        await rig.wires.part(0.2)
        assert sorted([await rig.how_it_ended(), await rig.how_it_ended()]) == ["the bridge stops", "transport close"]
        assert not rig.wires.sockets
        await listening


async def test_a_closed_connection_takes_words_for_nothing() -> None:
    async with wired() as rig:
        page, wire = await rig.page()
        wire.cut("tired of it")
        wire.write(PING)
        assert await rig.how_it_ended() == "tired of it"
        await page.close()


async def test_whoever_was_told_that_nothing_more_comes_is_not_pinged() -> None:
    async with wired() as rig:
        page, wire = await rig.page()
        wire.part()
        wire.write(PING)
        rig.wires.beat(PING_SECONDS)
        assert (await page.receive()).type in {WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED}


@pytest.mark.parametrize("goodbye", ["closes", "vanishes", "says so", "breaks the rules"])
async def test_a_page_that_is_gone_leaves_nothing_to_the_garbage_collector(goodbye: str) -> None:
    """Garbage that has lived for minutes waits for the rare full collection: a day of reloads would pile up until then."""
    async with wired() as rig:
        gc.collect()
        gc.disable()
        try:
            page, wire = await rig.page()
            transport = weakref.ref(wire._transport)
            assert len(_served()) == 1
            if goodbye == "vanishes":
                wire_of(page).abort()
            elif goodbye == "says so":
                await page.send_str("1")
            elif goodbye == "breaks the rules":
                await page.send_str("4" + "x" * 2048)
            if goodbye != "vanishes":
                await page.close()
            await rig.how_it_ended()
            del page, wire
            async with asyncio.timeout(PATIENCE):
                while _served() or transport() is not None:
                    await asyncio.sleep(0.01)
        finally:
            gc.enable()


def _served() -> list[Any]:
    """The bridge's ends of WebSockets that are in memory, with what belongs to them."""
    return [each for each in gc.get_objects() if type(each) is web.WebSocketResponse]


async def test_the_library_uses_it() -> None:
    """python-socketio is handed its engine.io by a method with an underscore."""
    async with room() as rig:
        assert isinstance(rig.channel._sio.eio, Wires)
        assert rig.channel._sio.eio is rig.channel._wires
