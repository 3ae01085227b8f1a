"""This machine gets another address in the middle of everything: registrations, watches and calls are told (RFC 3261 12.2.1.1)."""

from __future__ import annotations

import pytest

from bridge.calls.commands import AnswerPbx
from bridge.calls.events import PbxConfirmed, PbxInvited
from bridge.sip import neighbours
from bridge.sip.flow import Flow
from bridge.sip.message import respond

from .desks import Called
from .parties import World, endings
from .stream_pbx import TrunkRoom, stream_pbx
from .test_back_to_back import begin, check_ends, nothing_is_left
from .wire import OFFER, WirePbx, accepted

ELSEWHERE = Flow("192.0.2.77", 5060)


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("mover", ["alice", "bob"])
def test_a_call_goes_on_after_one_side_has_moved_over_a_bad_link(seed: int, mover: str) -> None:
    world = World(seed)
    begin(world)
    world.run(40)
    party, other = (world.alice, world.bob) if mover == "alice" else (world.bob, world.alice)

    def moves() -> None:
        world.left.add(party.address)
        party.address = ELSEWHERE
        for usage in party.agent.usages:
            world.act(party, usage, usage.moved(world.now))

    world.at(41, moves)
    world.run(80)
    for usage in other.agent.usages:  # the one who stayed hangs up: it must know where the other one is
        assert usage.dialog is not None
        assert usage.dialog.target.host == ELSEWHERE.host
        world.act(other, usage, usage.hang_up(16, world.now))
    world.run(400)
    check_ends(world)
    assert nothing_is_left(world)
    assert all(endings(facts) <= 1 for facts in party.told.values())


def test_nothing_is_sent_for_the_same_address() -> None:
    desk = Called().confirmed()
    assert desk.does(desk.usage, desk.usage.moved(0.0)) == []


async def test_who_listens_everywhere_tells_its_newest_address(pbx: WirePbx, monkeypatch: pytest.MonkeyPatch) -> None:
    own = "127.0.0.1"
    monkeypatch.setattr(neighbours, "local_address", lambda host: own)
    monkeypatch.setattr(neighbours, "OWN_ADDRESS_SECONDS", 0.02)
    host, port = pbx.address
    room = TrunkRoom({"host": "0.0.0.0"}, {"server": f"{host}:{port}"})
    async with room.trunks.running():
        assert room.trunks.address
        pbx.room = "127.0.0.1", room.trunks.address[1]
        register = await pbx.request("REGISTER")
        pbx.send(accepted(register))
        pbx.send(pbx.message("INVITE", branch="first", body=OFFER))
        invited = await room.event()
        assert isinstance(invited, PbxInvited)
        await room.trunks.perform(AnswerPbx(call=invited.call, sdp=OFFER))
        answer = await pbx.response(200)
        assert "@127.0.0.1:" in (answer.headers.get("Contact") or "")
        pbx.send(pbx.message("ACK", to_tag=answer.to_tag))
        assert await room.event() == PbxConfirmed(call=invited.call)
        own = "127.0.0.2"
        seen = {message.method: message for message in [await pbx.request_of("REGISTER", "INVITE") for _ in range(2)]}
        assert seen["REGISTER"].headers.all("Contact")[0].startswith("<sip:1001@127.0.0.2:")
        assert seen["REGISTER"].headers.all("Contact")[1].startswith("<sip:1001@127.0.0.1:")
        assert seen["REGISTER"].headers.all("Contact")[1].endswith("expires=0")
        again = seen["INVITE"]
        assert (again.to_tag, again.body) == (answer.from_tag, OFFER)
        assert "@127.0.0.2:" in (again.headers.get("Contact") or "")
        pbx.send(
            respond(
                again,
                200,
                headers=[("Contact", f"<sip:pbx@{host}:{port}>"), ("Content-Type", "application/sdp")],
                body=OFFER,
            )
        )
        await pbx.request("ACK")
        assert room.posted.empty(), "to the call nothing has happened"


async def test_a_stream_from_the_old_address_is_left_although_that_is_still_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the system sends elsewhere by now may find no way back; and a REGISTER on it would be lost with it."""
    own = "127.0.0.1"
    monkeypatch.setattr(neighbours, "local_address", lambda host: own)
    monkeypatch.setattr(neighbours, "OWN_ADDRESS_SECONDS", 0.02)
    async with stream_pbx() as pbx:
        room = TrunkRoom({"host": "0.0.0.0"}, {"server": f"127.0.0.1:{pbx.address[1]}", "transport": "tcp"})
        async with room.trunks.running():
            first = await pbx.line()
            await first.registers()
            await room.is_registered()
            own = "127.0.0.2"
            await (await pbx.line()).registers()
            await first.ended.wait()
            assert first.inbox.empty()
