"""An operator whose pages have no connection but can be woken."""

from __future__ import annotations

from bridge.calls.commands import RingOperators

from .rig import ANNA, BORIS, CALL, operator, ringing, room, show

RING = RingOperators(call=CALL, operators=(operator(ANNA), operator(BORIS)))


async def test_who_sleeps_can_be_rung_and_is_woken_when_it_rings() -> None:
    async with room() as rig:
        assert rig.channel.online() == frozenset()
        rig.channel.doze(operator(ANNA), rig.now + 180)
        assert rig.channel.online() == {operator(ANNA)}
        await rig.channel.perform(RING)
        await rig.channel.perform(show(ringing()))
        assert rig.roused == [operator(ANNA)]
        page = await rig.page("t1")
        assert (await page.next("open"))["call"] == CALL


async def test_who_has_a_page_is_not_woken() -> None:
    async with room() as rig:
        rig.channel.doze(operator(ANNA), rig.now + 180)
        await rig.page("t1")
        await rig.channel.perform(RING)
        assert rig.roused == []


async def test_who_was_not_heard_of_for_a_while_is_gone() -> None:
    async with room() as rig:
        rig.channel.doze(operator(ANNA), rig.now + 180)
        rig.later(180)
        assert rig.channel.online() == frozenset()
        await rig.channel.perform(RING)
        assert rig.roused == []
