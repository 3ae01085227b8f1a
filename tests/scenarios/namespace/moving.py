"""This machine has another address in mid-call, as after a change of its network: the voice follows, in a media worker, as one stream."""

from __future__ import annotations

import re
from itertools import pairwise

from ...rig.asterisk import TONE_HZ as THEIRS_HZ
from ...rig.asterisk import Asterisk
from ...rig.headset import TONE_HZ
from ...rig.waiting import wait_for
from ..conftest import Desks
from .network import AFTER, BEFORE, gone, live_at

PACKET = re.compile(r"Got +RTP packet from +([\d.]+):\d+ \(type \d+, seq (\d+), ts (\d+), len 0*160\)")


def heard(asterisk: Asterisk) -> list[tuple[str, int, int]]:
    """Source, sequence number and timestamp of each packet of our voice."""
    return [(host, int(sequence), int(timestamp)) for host, sequence, timestamp in PACKET.findall(asterisk.log())]


def newest(asterisk: Asterisk) -> str:
    """Where the last packet of our voice came from."""
    found = PACKET.findall(asterisk.log()[-20_000:])
    return str(found[-1][0]) if found else ""


async def test_the_voice_follows_and_the_pbx_hears_one_stream(asterisk: Asterisk, desks: Desks) -> None:
    live_at(BEFORE)
    media = {"pbx_address": "auto", "workers": 2, "browser_port": 0}
    desk = await desks(asterisk.address, trunk={}, sip={"host": "0.0.0.0"}, media=media)
    assert BEFORE in await asterisk.wait_registered("1001")
    asterisk.cli("rtp set debug on")
    call = asterisk.call("1001")
    await desk.hear_each_other(THEIRS_HZ, lambda: call.hears(TONE_HZ))
    await wait_for(lambda: "call_registered" in desk.bridge.log_tail(), what="the portal's word")

    live_at(AFTER)
    gone(BEFORE)
    await wait_for(lambda: [each.status for each in call.reoffers()] == [200, 200], what="two re-INVITEs")
    await wait_for(lambda: newest(asterisk) == AFTER, what="voice from the new address")
    await desk.hear_each_other(THEIRS_HZ, lambda: call.hears(TONE_HZ))
    await wait_for(lambda: AFTER in asterisk.registered("1001"), what="the registration from there")
    assert call.byes() == (0, 0)

    asterisk.cli("rtp set debug off")
    packets = heard(asterisk)
    assert [packets[0][0], packets[-1][0]] == [BEFORE, AFTER]
    for (_, sequence, timestamp), (_, following, later) in pairwise(packets):
        frames = (later - timestamp & 0xFFFFFFFF) / 160
        assert 0 < (following - sequence & 0xFFFF) <= frames + 2
    call.hang_up()
    await desk.records(("incoming", "200"))
    assert "promise_postponed" not in desk.bridge.log_tail(10_000), (
        "the record took a connection from the new address at once"
    )
