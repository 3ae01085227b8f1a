"""This machine has another address now: nothing waits for an answer that can only come to the old one."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.addresses import SocketName
from bridge.portal import connections
from bridge.portal.bucket import Lane
from bridge.portal.cards import METHOD as SHOW
from bridge.portal.deeds import FINISH, REGISTER
from bridge.portal.http import CutOffError, Http, UnansweredError, UnreachableError

from ..rig.certificates import Authority
from .fake import lose_answer
from .house import House


class Network:
    """What the kernel would say of our addresses; here each connection counts as one of its own."""

    def __init__(self) -> None:
        self.used: set[int] = set()
        self.gone: set[int] = set()
        """Ports."""

    def is_ours(self, name: SocketName) -> bool:
        self.used.add(name[1])
        return name[1] not in self.gone

    @contextmanager
    def lost_under(self, room: House, method: str) -> Iterator[None]:
        """The portal does what it is asked, and meanwhile every address of before has gone."""
        end = asyncio.Event()

        async def fault(do: Callable[[], dict[str, Any]]) -> web.Response:
            do()
            self.gone |= self.used
            await end.wait()
            return web.json_response({})

        room.fake.fail(method, fault)
        yield
        end.set()


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    one = Network()
    monkeypatch.setattr(connections, "is_ours", one.is_ours)
    monkeypatch.setattr(connections, "LOOK_SECONDS", 0.01)
    return one


class Site:
    """Answers at once, but for what is told to wait; keeps the port that each request came from."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[int] = asyncio.Queue()
        self.gates: deque[asyncio.Event] = deque()
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        self.came.put_nowait(request.transport.get_extra_info("peername")[1])
        if self.gates:
            await self.gates.popleft().wait()
        return web.json_response({"result": True})


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    one, app = Site(), web.Application()
    app.router.add_post("/", one.answer)
    async with TestServer(app) as server:
        one.url = f"http://127.0.0.1:{server.port}/"
        yield one


async def test_what_is_kept_is_used_again_while_its_address_is_ours(network: Network, site: Site) -> None:
    http = Http()
    async with http.running():
        ports = [await _ask(http, site) for _ in range(3)]
    assert len(set(ports)) == 1


async def test_nothing_is_sent_on_a_kept_connection_whose_address_has_gone(network: Network, site: Site) -> None:
    http = Http()
    async with http.running():
        gate = asyncio.Event()
        site.gates.extend([gate, gate])
        pair = [asyncio.create_task(http.post(site.url, {})) for _ in range(2)]
        before = {await site.came.get(), await site.came.get()}
        gate.set()
        await asyncio.gather(*pair)
        network.gone |= before
        after = await _ask(http, site)
        assert after not in before
        assert await _ask(http, site) == after


async def test_a_request_under_way_from_an_address_that_goes_is_given_up(network: Network, site: Site) -> None:
    http, gate = Http(), asyncio.Event()
    async with http.running():
        site.gates.extend([gate, gate])
        lost, other = (asyncio.create_task(http.post(site.url, {})) for _ in range(2))
        first, _second = await site.came.get(), await site.came.get()
        network.gone.add(first)
        done, _ = await asyncio.wait({lost, other}, return_when=asyncio.FIRST_COMPLETED)
        (given_up,) = done
        assert isinstance(given_up.exception(), CutOffError)
        gate.set()
        (going_on,) = {lost, other} - done
        assert (await going_on).body == {"result": True}


async def test_where_the_system_knows_none_of_our_addresses_every_request_goes_on_as_ever(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be that addresses are given away somewhere behind our back."""
    monkeypatch.setattr(connections, "is_ours", lambda name: False)
    http = Http()
    async with http.running():
        ports = [await _ask(http, site) for _ in range(3)]
    assert len(set(ports)) == 1


async def test_nobody_looks_while_nothing_is_under_way(network: Network, site: Site) -> None:
    http = Http()
    async with http.running():
        await _ask(http, site)
        kept = http._connections
        assert kept is not None
        while kept._timer is not None:
            await asyncio.sleep(0.01)
        assert not kept._in_use


async def test_a_peer_that_breaks_off_is_not_taken_for_a_change_of_address(network: Network, room: House) -> None:
    room.fake.fail("profile", lose_answer())
    with pytest.raises(UnansweredError) as error:
        await room.rest.call(room.portal, "profile", {})
    assert not isinstance(error.value, CutOffError)
    assert room.fake.methods() == ["profile"]


async def test_no_connection_at_all_is_still_no_request(network: Network) -> None:
    http = Http()
    async with http.running():
        with pytest.raises(UnreachableError):
            await http.post("http://127.0.0.1:1/", {})


@pytest.mark.parametrize("method", ["profile", SHOW])
async def test_what_does_no_harm_twice_is_asked_again_at_once(network: Network, room: House, method: str) -> None:
    with network.lost_under(room, method):
        params = {"CALL_ID": room.fake.clicked("+74951234567"), "USER_ID": [7]} if method == SHOW else {}
        assert await room.rest.call(room.portal, method, params, Lane.REGISTER)
    assert room.fake.methods() == [method.lower()] * 2


@pytest.mark.parametrize("method", [REGISTER, FINISH])
async def test_a_call_has_one_record_whichever_of_its_requests_is_cut_off(
    network: Network, room: House, method: str
) -> None:
    """It was carried out; the owner of the promise repeats it in its own way, nobody else does."""
    with network.lost_under(room, method):
        async with room.telephony.running():
            await room.telephony.perform(room.register("c1"))
            await room.telephony.perform(room.finish("c1"))
            await room.until_later(room.is_empty)
    assert room.fake.methods().count(method.lower()) == 2
    assert [record["EXTERNAL_CALL_ID"] for record in room.fake.statistics] == ["c1"]
    assert not room.fake.live


async def _ask(http: Http, site: Site) -> int:
    """The port that the site saw it come from."""
    assert (await http.post(site.url, {})).body == {"result": True}
    return await site.came.get()


async def test_over_tls_it_is_the_same(network: Network, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.signs("localhost")
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(pair.certificate, pair.key)
    site, app, gate = Site(), web.Application(), asyncio.Event()
    app.router.add_post("/", site.answer)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=theirs)
    url = f"https://localhost:{server.port}/"
    connector = connections.Connections(limit_per_host=4, ssl=ssl.create_default_context(cafile=authority.root))
    async with aiohttp.ClientSession(connector=connector) as session:
        async with session.post(url) as answer:
            await answer.read()
        before = await site.came.get()
        network.gone.add(before)
        site.gates.append(gate)
        asking = asyncio.create_task(session.post(url).__aenter__())
        after = await site.came.get()
        assert after != before
        network.gone.add(after)
        with pytest.raises(aiohttp.ClientError):
            await asking
        assert connector.cut_off == 1
    gate.set()
    await server.close()
