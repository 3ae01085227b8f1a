"""Voice over IPv6 between a real PBX and an operator."""

from __future__ import annotations

from ..interop import ASTERISK, interop
from ..rig.asterisk import TONE_HZ as THEIRS_HZ
from ..rig.asterisk import Asterisk
from ..rig.headset import TONE_HZ
from .conftest import Desks

BOTH = {"host": ["127.0.0.1", "::1"]}


@interop(ASTERISK, "IPv6 (voice)", "IPv6 (signalling)", "two-way tone", "incoming call", "outgoing call", "hold by us")
async def test_the_voice_is_heard_both_ways_over_ipv6_in_calls_of_either_side(asterisk: Asterisk, desks: Desks) -> None:
    server = f"[::1]:{asterisk.sip_port}"
    desk = await desks(server, trunk={}, sip=BOTH, media={"pbx_address6": "::1"}, agent="1201")
    await asterisk.wait_registered("1201")
    before = asterisk.outbound("1201")
    call = asterisk.call("1201")
    await desk.hear_each_other(THEIRS_HZ, lambda: call.hears(TONE_HZ))
    call.hang_up()
    await desk.anna.is_alone()
    await desk.anna.dials("601")
    dialled = await asterisk.dialled("1201", before)
    await desk.hear_each_other(THEIRS_HZ, lambda: dialled.hears(TONE_HZ))
    await desk.anna.holds()
    await desk.anna.holds(False)
    await desk.hear_each_other(THEIRS_HZ, lambda: dialled.hears(TONE_HZ))
    for one in (call, dialled):
        described = [message.body for message in one.messages() if message.body]
        assert len(described) >= 2
        assert all("c=IN IP6 ::1" in body for body in described)
    dialled.hang_up()
    await desk.records(("incoming", "200"), ("outgoing", "200"))
