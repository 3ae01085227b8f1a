"""Every codec at a real PBX, to and from an operator; and numbers that may not be dialled do not reach it."""

from __future__ import annotations

import pytest

from bridge.operators.protocol import Ended

from ..interop import ASTERISK, interop
from ..rig.asterisk import Asterisk
from .conftest import Desks


@pytest.mark.parametrize(
    "codec", [pytest.param(codec, marks=interop(ASTERISK, codec)) for codec in ("PCMA", "G722", "opus")]
)
@interop(ASTERISK, "two-way tone")
async def test_a_codec_is_heard_both_ways_in_calls_of_either_side(asterisk: Asterisk, desks: Desks, codec: str) -> None:
    desk = await desks(asterisk.address, trunk={"codecs": [codec]})
    await asterisk.wait_registered("1001")
    _, dialled = await desk.talks_either_way(asterisk)
    dialled.hang_up()
    await desk.records(("incoming", "200"), ("outgoing", "200"))


@interop(ASTERISK, "toll rules keep a number from the peer")
async def test_a_number_that_may_not_be_dialled_never_reaches_the_pbx(asterisk: Asterisk, desks: Desks) -> None:
    desk = await desks(asterisk.address, trunk={}, portal={"tolls": {"allowed": ["+49"], "forbidden": ["+49900"]}})
    await asterisk.wait_registered("1001")
    before = asterisk.outbound("1001")
    for number in ("+881612345678", "+49900123456"):
        await desk.anna.dials(number)
        await desk.anna.is_shown(number, ended=Ended.FORBIDDEN)
    await desk.anna.dials("+4930123456")
    allowed = await asterisk.dialled("1001", before)
    assert await allowed.is_answered() == 200
    assert [call.number for call in asterisk.outbound("1001") if call not in before] == ["+4930123456"]
    allowed.hang_up()
