"""Voice over IPv6 between an operator and a real PBX, which is known by a name that has an IPv6 address and no other."""

from __future__ import annotations

from ..interop import ASTERISK, interop
from ..rig.asterisk import TONE_HZ as THEIRS_HZ
from ..rig.asterisk import Asterisk
from ..rig.headset import TONE_HZ
from ..sip.dns_server import dns_server
from .conftest import Desks

NAME = "pbx.example"


@interop(ASTERISK, "IPv6 (voice)", "IPv6 (signalling)", "two-way tone", "incoming call", "outgoing call", "hold by us")
async def test_the_voice_is_heard_both_ways_over_ipv6_in_calls_of_either_side(asterisk: Asterisk, desks: Desks) -> None:
    async with dns_server() as zone:
        zone.has(NAME, "AAAA", "::1")
        sip = {"host": ["127.0.0.1", "::1"], "dns_servers": [zone.address]}
        desk = await desks(
            f"{NAME}:{asterisk.sip_port}", trunk={}, sip=sip, media={"pbx_address6": "::1"}, agent="1201"
        )
        assert "[::1]" in await asterisk.wait_registered("1201")
        call, dialled = await desk.talks_either_way(asterisk, "1201")
        await desk.anna.holds()
        await desk.anna.holds(False)
        await desk.hear_each_other(THEIRS_HZ, lambda: dialled.hears(TONE_HZ))
        for one in (call, dialled):
            described = [message.body for message in one.messages() if message.body]
            assert len(described) >= 2
            assert all("c=IN IP6 ::1" in body for body in described)
        dialled.hang_up()
        await desk.records(("incoming", "200"), ("outgoing", "200"))
