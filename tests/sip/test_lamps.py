"""The room watches the extensions of its accounts, on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bridge.calls.extension import ExtensionState
from bridge.sip.message import Message, Request, Response, respond

from .notifier import document
from .stream_pbx import TrunkRoom
from .wire import WirePbx, accepted, account


@asynccontextmanager
async def watching(pbx: WirePbx, *, register: bool, accounts: tuple[str, ...] = ("1001",)) -> AsyncIterator[TrunkRoom]:
    host, port = pbx.address
    trunk = {"server": f"{host}:{port}", "register": register, "busy_lamps": True}
    room = TrunkRoom({}, trunk, accounts=accounts)
    async with room.trunks.running():
        assert room.trunks.address
        pbx.room = room.trunks.address
        yield room


async def asks(pbx: WirePbx, method: str) -> Request:
    message: Message = await pbx.receive()
    assert isinstance(message, Request)
    assert message.method == method
    return message


def notify(pbx: WirePbx, asked: Request, state: str, version: int = 1) -> Request:
    return pbx.message(
        "NOTIFY",
        cseq=version,
        call=asked.call_id,
        to_tag=asked.from_tag,
        headers={"Event": "dialog", "Subscription-State": "active;expires=600"},
        body=document(state, version),
    )


async def test_an_account_is_watched_once_it_is_registered_and_what_notify_says_is_known(pbx: WirePbx) -> None:
    async with watching(pbx, register=True) as room:
        register = await asks(pbx, "REGISTER")
        assert room.trunks.extension("t0", "1001") is ExtensionState.UNKNOWN
        pbx.send(accepted(register))
        asked = await asks(pbx, "SUBSCRIBE")
        assert asked.uri == f"sip:1001@127.0.0.1:{pbx.address[1]}"
        pbx.send(respond(asked, 200, to_tag="pbx", headers=[("Expires", "600")]))
        pbx.send(notify(pbx, asked, "confirmed"))
        assert (await pbx.response(200)).cseq[1] == "NOTIFY"
        assert room.trunks.extension("t0", "1001") is ExtensionState.TALKING
        assert room.trunks.extension("t0", "1002") is ExtensionState.UNKNOWN
        pbx.send(notify(pbx, asked, "terminated", 2))
        await pbx.response(200)
        assert room.trunks.extension("t0", "1001") is ExtensionState.FREE


async def test_whoever_comes_is_watched_and_whoever_leaves_is_let_go(pbx: WirePbx) -> None:
    async with watching(pbx, register=False) as room:
        asked = await asks(pbx, "SUBSCRIBE")
        pbx.send(respond(asked, 200, to_tag="pbx", headers=[("Expires", "600")]))
        pbx.send(notify(pbx, asked, "confirmed"))
        await pbx.response(200)
        newcomer = account("1002")
        room.trunks.assign([newcomer.model_copy(update={"trunk": "t0"})])
        messages = [await asyncio.wait_for(pbx.receive(), 3) for _ in range(2)]
        requests = {(m.method, m.headers.get("Expires"), bool(m.to_tag)) for m in messages if isinstance(m, Request)}
        assert requests == {("SUBSCRIBE", "0", True), ("SUBSCRIBE", "1800", False)}
        assert room.trunks.extension("t0", "1001") is ExtensionState.UNKNOWN


async def test_a_notify_that_nobody_subscribed_to_is_refused(pbx: WirePbx) -> None:
    async with watching(pbx, register=False) as room:
        asked = await asks(pbx, "SUBSCRIBE")
        stray = pbx.message("NOTIFY", call=asked.call_id, to_tag="another", headers={"Event": "dialog"})
        pbx.send(stray)
        refused = await pbx.receive()
        assert isinstance(refused, Response)
        assert refused.status == 481
        assert room.trunks.extension("t0", "1001") is ExtensionState.UNKNOWN
