"""A PBX on Sofia-SIP, FreeSWITCH's stack (as Janus' SIP plugin): calls both ways, tone both ways, hold, keys, encryption."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..conftest import needs
from ..interop import SOFIA, interop
from ..rig.headset import TONE_HZ
from ..rig.janus import own_address
from ..rig.sofia_phone import TONE_HZ as THEIRS_HZ
from ..rig.sofia_phone import sofia_phones
from .conftest import Desks


@pytest.mark.parametrize(
    "srtp",
    [
        pytest.param("", id="plain", marks=interop(SOFIA, "PCMU")),
        pytest.param(
            "sdes_mandatory", id="sdes", marks=interop(SOFIA, "SDES AES_CM_128_HMAC_SHA1_80", "SRTP required by us")
        ),
    ],
)
@interop(SOFIA, "UDP", "trunk by address", "incoming call", "outgoing call", "two-way tone")
@interop(SOFIA, "hold by us", "hold by the peer", "re-INVITE by the peer", "INFO, received")
async def test_calls_both_ways_with_hold_from_both_sides(desks: Desks, tmp_path: Path, srtp: str) -> None:
    needs("janus")
    async with sofia_phones(tmp_path / "janus", own_address(), "600", "601") as (called, caller):
        desk = await desks(
            f"127.0.0.1:{called.port}",
            trunk={"register": False, "codecs": ["PCMU"], "srtp": "required" if srtp else "never"},
        )
        await caller.calls(f"sip:1001@127.0.0.1:{desk.sip_port}", srtp)
        await desk.hear_each_other(THEIRS_HZ, lambda: caller.hears(TONE_HZ))
        await caller.does("hold")
        await desk.anna.sees(lambda call: call.pbx_holds, "that the other side holds")
        await caller.does("unhold")
        await desk.anna.sees(lambda call: not call.pbx_holds, "that the other side is back")
        await desk.hear_each_other(THEIRS_HZ, lambda: caller.hears(TONE_HZ))
        await caller.does("dtmf_info", digit="5")
        await desk.presses(1)
        await caller.does("hangup")
        await desk.anna.is_alone()

        await desk.anna.dials("600")
        await called.answers()
        await desk.hear_each_other(THEIRS_HZ, lambda: called.hears(TONE_HZ))
        await desk.anna.holds()
        await desk.anna.holds(False)
        await desk.hear_each_other(THEIRS_HZ, lambda: called.hears(TONE_HZ))
        await desk.anna.press("hangUp")
        await called.is_hung_up()
        await desk.anna.is_alone()
        await desk.records(("incoming", "200"), ("outgoing", "200"))
